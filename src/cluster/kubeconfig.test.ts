import assert from 'node:assert/strict'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { connect } from './connect.ts'
import { ConfigError, type ServerConfig } from './config.ts'
import { inClusterConfig } from './in-cluster.ts'
import { currentContextIn, loadKubeconfig } from './kubeconfig.ts'

const folder = (): ReturnType<typeof mkdtempDisposable> => mkdtempDisposable(join(tmpdir(), 'kubeconfig-'))

type Parts = { cluster?: object; user?: object; context?: object; top?: object }

function kubeconfig(parts: Parts = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'main',
    contexts: [{ name: 'main', context: { cluster: 'lab', user: 'admin', ...parts.context } }],
    clusters: [{ name: 'lab', cluster: { server: 'https://192.0.2.1:6443', ...parts.cluster } }],
    users: [{ name: 'admin', user: { ...parts.user } }],
    ...parts.top,
  }
}

async function load(content: object | string): Promise<ServerConfig> {
  await using place = await folder()
  const path = join(place.path, 'config')
  await writeFile(path, typeof content === 'string' ? content : stringify(content))
  return await loadKubeconfig(path)
}

test('the current context is followed to its cluster and user', async () => {
  const config = await load(kubeconfig({ user: { token: 'abc' }, cluster: { 'tls-server-name': 'kubernetes' } }))
  assert.equal(config.server.href, 'https://192.0.2.1:6443/')
  assert.equal(config.serverName, 'kubernetes')
  assert.equal(config.token?.kind === 'inline' && config.token.text, 'abc')
  assert.equal(config.insecure, false)
})

test('JSON is YAML, null and "" are absent, and a context needs no user', async () => {
  const parts = { context: { user: null }, cluster: { 'proxy-url': '', 'certificate-authority': null } }
  const config = await load(JSON.stringify(kubeconfig(parts)))
  assert.deepEqual(Object.keys(config).sort(), ['insecure', 'server'])
})

test('paths are relative to the file they stand in, bare plugin names are not paths', async () => {
  await using place = await folder()
  const path = join(place.path, 'config')
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: './bin/login', args: ['a'] }
  const user = { 'client-certificate': 'c.pem', 'client-key': '/k.pem', tokenFile: 'token', exec }
  await writeFile(path, stringify(kubeconfig({ user })))
  const config = await loadKubeconfig(path)
  assert.equal(config.clientCert?.kind === 'file' && config.clientCert.path, join(place.path, 'c.pem'))
  assert.equal(config.clientKey?.kind === 'file' && config.clientKey.path, '/k.pem')
  assert.equal(config.token?.kind === 'file' && config.token.path, join(place.path, 'token'))
  assert.equal(config.exec?.command, join(place.path, 'bin/login'))
  const bare = await load(kubeconfig({ user: { exec: { ...exec, command: 'login' } } }))
  assert.equal(bare.exec?.command, 'login')
})

test('of several files the first to set a value wins, and missing ones are passed over', async () => {
  await using place = await folder()
  const [first, second] = [join(place.path, 'first'), join(place.path, 'second')]
  await writeFile(first, stringify({ users: [{ name: 'admin', user: { token: 'first' } }] }))
  await writeFile(second, stringify(kubeconfig({ user: { token: 'second' } })))
  const config = await loadKubeconfig(`${first}:${join(place.path, 'missing')}:${second}`)
  assert.equal(config.token?.kind === 'inline' && config.token.text, 'first')
})

test('another context can be chosen, and one that is not there is told with those that are', async () => {
  await using place = await folder()
  const path = join(place.path, 'config')
  const clusters = ['a', 'b'].map((name) => ({ name, cluster: { server: `https://${name}:6443` } }))
  const contexts = ['a', 'b'].map((name) => ({ name: `to-${name}`, context: { cluster: name } }))
  await writeFile(path, stringify({ clusters, contexts, 'current-context': 'to-a' }))
  assert.equal((await loadKubeconfig(path)).server.host, 'a:6443')
  assert.equal((await loadKubeconfig(path, 'to-b')).server.host, 'b:6443')
  assert.equal(await currentContextIn(path), 'to-a')
  await assert.rejects(loadKubeconfig(path, 'to-c'), /: there is no context "to-c"; there are: to-a, to-b$/)
})

const pem = Buffer.from('-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n').toString('base64')
const execOf = (fields: object): Parts => ({
  user: { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'login', ...fields } },
})

const malformed: [what: string, content: object | string, expected: RegExp][] = [
  ['no YAML', 'a: [', /is no YAML/],
  ['an alias to nothing', 'a: *b', /is no YAML/],
  ['a list', '- a', /no YAML mapping/],
  ['empty', '', /is empty/],
  ['another kind', kubeconfig({ top: { kind: 'Pod' } }), /: kind: is "Pod", expected "Config"/],
  ['no current context', kubeconfig({ top: { 'current-context': '' } }), /: current-context: is not set/],
  [
    'a context that is not there',
    kubeconfig({ top: { 'current-context': 'x' } }),
    /: current-context: there is no context "x"; there are: /,
  ],
  [
    'a context without a cluster',
    kubeconfig({ context: { cluster: '' } }),
    /: contexts\[main\]\.context\.cluster: is missing/,
  ],
  [
    'a cluster that is not there',
    kubeconfig({ context: { cluster: 'x' } }),
    /: contexts\[main\]\.context\.cluster: there is no cluster "x"/,
  ],
  [
    'a user that is not there',
    kubeconfig({ context: { user: 'x' } }),
    /: contexts\[main\]\.context\.user: there is no user "x"/,
  ],
  ['an entry without name', kubeconfig({ top: { users: [{ user: {} }] } }), /: users\[0\]\.name: is missing/],
  ['a list that is none', kubeconfig({ top: { clusters: {} } }), /: clusters: is no list/],
  ['an entry that is no mapping', kubeconfig({ top: { clusters: ['a'] } }), /: clusters\[0\]: is no mapping/],
  ['no server', kubeconfig({ cluster: { server: '' } }), /: clusters\[lab\]\.cluster\.server: is missing/],
  [
    'a server that is no URL',
    kubeconfig({ cluster: { server: 'lab:6443' } }),
    /cluster\.server: "lab:6443" is no https/,
  ],
  ['a server that is a number', kubeconfig({ cluster: { server: 6443 } }), /cluster\.server: is number, expected text/],
  ['a proxy', kubeconfig({ cluster: { 'proxy-url': 'http://p' } }), /cluster\.proxy-url: proxies are not supported/],
  [
    'CA data that is no base64',
    kubeconfig({ cluster: { 'certificate-authority-data': '???' } }),
    /certificate-authority-data: is no base64/,
  ],
  [
    'CA data that is no PEM',
    kubeconfig({ cluster: { 'certificate-authority-data': 'YWJj' } }),
    /certificate-authority-data: holds no PEM/,
  ],
  [
    'insecure with a CA',
    kubeconfig({ cluster: { 'insecure-skip-tls-verify': true, 'certificate-authority-data': pem } }),
    /insecure-skip-tls-verify: cannot be true while/,
  ],
  [
    'insecure that is no boolean',
    kubeconfig({ cluster: { 'insecure-skip-tls-verify': 'yes' } }),
    /insecure-skip-tls-verify: is neither/,
  ],
  [
    'a certificate without key',
    kubeconfig({ user: { 'client-certificate-data': pem } }),
    /users\[admin\]\.user\.client-key: is missing/,
  ],
  [
    'a key without certificate',
    kubeconfig({ user: { 'client-key-data': pem } }),
    /users\[admin\]\.user\.client-certificate: is missing/,
  ],
  ['a token with a line break', kubeconfig({ user: { token: 'a\nb' } }), /user\.token: has characters/],
  [
    'token and password',
    kubeconfig({ user: { token: 'a', username: 'b' } }),
    /user\.username: cannot be given together/,
  ],
  [
    'an auth provider',
    kubeconfig({ user: { 'auth-provider': { name: 'oidc' } } }),
    /user\.auth-provider: .*use an exec plugin/,
  ],
  ['impersonation', kubeconfig({ user: { as: 'root' } }), /user\.as: impersonation is not supported/],
  [
    'an unknown plugin version',
    kubeconfig(execOf({ apiVersion: 'v1' })),
    /user\.exec\.apiVersion: is "v1", expected client/,
  ],
  ['a plugin without command', kubeconfig(execOf({ command: null })), /user\.exec\.command: is missing/],
  ['a plugin that asks', kubeconfig(execOf({ interactiveMode: 'Always' })), /user\.exec\.interactiveMode: is Always/],
  ['a plugin argument that is no text', kubeconfig(execOf({ args: [1] })), /user\.exec\.args\[0\]: is no text/],
]

for (const [what, content, expected] of malformed) {
  test(`a kubeconfig with ${what} gives one line with file and field`, async () => {
    await assert.rejects(load(content), (error) => {
      assert.ok(error instanceof ConfigError)
      assert.match(error.message, expected)
      assert.match(error.message, /^kubeconfig \/.*\/config: /)
      assert.ok(!error.message.includes('\n'), error.message)
      return true
    })
  })
}

test('any YAML at all gives a configuration or a ConfigError of one line', async () => {
  await using place = await folder()
  const path = join(place.path, 'config')
  const odd = fc.oneof(
    fc.constant(null),
    fc.constant(''),
    fc.integer(),
    fc.constant([]),
    fc.constant({}),
    fc.constant('x'),
  )
  const part = fc.dictionary(fc.constantFrom('server', 'token', 'exec', 'client-key', 'insecure-skip-tls-verify'), odd)
  const parts = fc.record({
    cluster: part,
    user: part,
    context: fc.dictionary(fc.constantFrom('cluster', 'user'), odd),
  })
  const anything = fc.oneof(
    fc.string(),
    fc.jsonValue().map((value) => JSON.stringify(value)),
    parts.map((each) => stringify(kubeconfig(each))),
  )
  await fc.assert(
    fc.asyncProperty(anything, async (text) => {
      await writeFile(path, text)
      try {
        assert.ok((await loadKubeconfig(path)).server instanceof URL)
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error))
        assert.ok(!error.message.includes('\n'), error.message)
      }
    }),
  )
})

test('connect names files that are missing or empty, without touching the network', async () => {
  await using place = await folder()
  const path = join(place.path, 'config')
  await assert.rejects(connect({ kubeconfig: path }), /^ConfigError: kubeconfig .*config: cannot be read: ENOENT/)
  await writeFile(path, stringify(kubeconfig({ cluster: { 'certificate-authority': 'ca.pem' } })))
  await assert.rejects(
    connect({ kubeconfig: path }),
    /clusters\[lab\]\.cluster\.certificate-authority: cannot be read: ENOENT/,
  )
  await writeFile(join(place.path, 'ca.pem'), ' \n')
  await assert.rejects(connect({ kubeconfig: path }), /cluster\.certificate-authority: the file .*ca\.pem is empty/)
  await writeFile(join(place.path, 'ca.pem'), 'no PEM')
  await assert.rejects(connect({ kubeconfig: path }), /cluster\.certificate-authority: cannot be used for TLS/)
  await writeFile(join(place.path, 'ca.pem'), Buffer.from(pem, 'base64'))
  await assert.rejects(connect({ kubeconfig: path }), /cluster\.certificate-authority: cannot be used for TLS/)
})

test('inside of a pod the environment names the server, v6 too', () => {
  const env = { KUBERNETES_SERVICE_HOST: 'fd00:10:96::1', KUBERNETES_SERVICE_PORT: '443' }
  const config = inClusterConfig(env, '/sa')
  assert.equal(config.server.host, '[fd00:10:96::1]')
  assert.equal(config.token?.kind === 'file' && config.token.path, '/sa/token')
  assert.equal(config.ca?.kind === 'file' && config.ca.path, '/sa/ca.crt')
  assert.equal(inClusterConfig({ ...env, KUBERNETES_SERVICE_HOST: '10.96.0.1' }).server.host, '10.96.0.1')
  assert.throws(() => inClusterConfig({}), /this is no pod; give a kubeconfig/)
  assert.throws(() => inClusterConfig({ ...env, KUBERNETES_SERVICE_PORT: 'x' }), /make no URL/)
})
