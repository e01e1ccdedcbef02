import assert from 'node:assert/strict'
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { ConfigError, type ExecPlugin, type ServerConfig } from './config.ts'
import { Credentials } from './credentials.ts'
import { readExecCredential, runExecPlugin } from './exec-plugin.ts'
import { ManualClock } from './testing/manual-clock.ts'

const folder = (): ReturnType<typeof mkdtempDisposable> => mkdtempDisposable(join(tmpdir(), 'credentials-'))
const server: ServerConfig = { server: new URL('https://192.0.2.1'), insecure: false }

const plugin = (script: string, fields: Partial<ExecPlugin> = {}): ExecPlugin => ({
  apiVersion: 'client.authentication.k8s.io/v1',
  command: '/bin/sh',
  args: ['-c', script],
  env: {},
  provideClusterInfo: false,
  installHint: '',
  field: 'kubeconfig /c: users[u].user.exec.command',
  ...fields,
})

const answer = (status: object, apiVersion = 'client.authentication.k8s.io/v1'): string =>
  JSON.stringify({ kind: 'ExecCredential', apiVersion, status })

test('a token file is read again after a minute, and at once after a refusal', async () => {
  await using place = await folder()
  const path = join(place.path, 'token')
  const clock = new ManualClock()
  const source = new Credentials({ ...server, token: { kind: 'file', path, field: 'token' } }, { clock })
  await writeFile(path, 'one\n')
  const first = await source.current()
  assert.equal(first.authorization, 'Bearer one')
  await writeFile(path, 'two')
  assert.equal(await source.current(), first)
  await clock.advance(60_000)
  const second = await source.current()
  assert.equal(second.authorization, 'Bearer two')
  await writeFile(path, 'three')
  source.refused(first)
  assert.equal(await source.current(), second, 'the refusal of an older credential says nothing of this one')
  source.refused(second)
  assert.equal((await source.current()).authorization, 'Bearer three')
})

test('credentials that have not changed stay the same object, so that their connections are kept', async () => {
  const clock = new ManualClock()
  const source = new Credentials({ ...server, basic: 'YTpi' }, { clock })
  const first = await source.current()
  await clock.advance(120_000)
  assert.equal(await source.current(), first)
  assert.equal(first.authorization, 'Basic YTpi')
})

test('a plugin runs once for a burst, again when its token expires, and after a refusal', async () => {
  await using place = await folder()
  const clock = new ManualClock()
  const log = join(place.path, 'runs')
  const expiry = new Date(clock.wallMs() + 600_000).toISOString()
  const status = answer({ token: 'TOKEN', expirationTimestamp: expiry })
  const script = `echo run >>"$RUNS"; printf '%s' '${status}' | sed "s/TOKEN/token-$(wc -l <"$RUNS" | tr -d ' ')/"`
  const exec = plugin(script, { env: { RUNS: log } })
  const source = new Credentials({ ...server, exec }, { clock })
  const runs = async (): Promise<number> => (await readFile(log, 'utf8')).split('\n').length - 1
  const burst = await Promise.all([source.current(), source.current(), source.current()])
  assert.deepEqual(
    burst.map(({ authorization }) => authorization),
    Array(3).fill('Bearer token-1'),
  )
  await clock.advance(120_000)
  await source.current()
  assert.equal(await runs(), 1)
  source.refused(await source.current())
  assert.equal((await source.current()).authorization, 'Bearer token-2')
  await clock.advance(600_000)
  await source.current()
  assert.equal(await runs(), 3)
})

test('a plugin is told of the cluster when it asks for it', async () => {
  const echo = `printf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"%s"}}' "$(printf '%s' "$KUBERNETES_EXEC_INFO" | base64 -w0)"`
  const exec = plugin(echo, { provideClusterInfo: true, apiVersion: 'client.authentication.k8s.io/v1beta1' })
  const { token = '' } = await runExecPlugin(exec, { ...server, ca: { kind: 'inline', text: 'PEM', field: 'ca' } })
  assert.deepEqual(JSON.parse(Buffer.from(token, 'base64').toString()), {
    apiVersion: 'client.authentication.k8s.io/v1beta1',
    kind: 'ExecCredential',
    spec: {
      interactive: false,
      cluster: { server: 'https://192.0.2.1', 'certificate-authority-data': Buffer.from('PEM').toString('base64') },
    },
  })
})

const failures: [what: string, exec: ExecPlugin, expected: RegExp][] = [
  [
    'fails',
    plugin('echo "log in first" >&2; exit 3'),
    /exec\.command: credential plugin "\/bin\/sh" failed: exit status 3: log in first/,
  ],
  ['is missing', plugin('', { command: 'no-such-plugin', installHint: 'get it there' }), /was not found: get it there/],
  ['prints no JSON', plugin('echo hello'), /printed no JSON/],
  ['prints another kind', plugin(`echo '{"kind":"Pod"}'`), /printed no ExecCredential/],
  ['prints another version', plugin(`echo '${answer({ token: 'a' }, 'v0')}'`), /printed apiVersion "v0", expected/],
  ['prints nothing to use', plugin(`echo '${answer({})}'`), /printed neither a token nor a client certificate/],
  ['prints half a pair', plugin(`echo '${answer({ clientKeyData: 'k' })}'`), /printed only one of/],
  ['prints a bad time', plugin(`echo '${answer({ token: 'a', expirationTimestamp: 'soon' })}'`), /no RFC 3339 time/],
  ['prints a token of two lines', plugin(`echo '${answer({ token: 'a\\nb: c' })}'`), /no bearer token|printed no JSON/],
  ['prints without end', plugin('yes'), /failed: stdout maxBuffer length exceeded/],
]

for (const [what, exec, expected] of failures) {
  test(`a plugin that ${what} gives one line naming it`, async () => {
    await assert.rejects(runExecPlugin(exec, server), (error) => {
      assert.ok(error instanceof ConfigError, String(error))
      assert.match(error.message, expected)
      assert.ok(!error.message.includes('\n'))
      return true
    })
  })
}

test('whatever a plugin prints, it is a credential or a ConfigError', () => {
  const field = fc.oneof(fc.string(), fc.jsonValue())
  const names = fc.constantFrom('token', 'clientCertificateData', 'clientKeyData', 'expirationTimestamp')
  const output = fc.oneof(
    fc.string(),
    fc.json(),
    fc.dictionary(names, field).map((status) => answer(status)),
  )
  fc.assert(
    fc.property(output, (text) => {
      try {
        const { token, cert } = readExecCredential(text, plugin(''))
        assert.ok(token !== undefined || cert !== undefined)
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error))
      }
    }),
  )
})
