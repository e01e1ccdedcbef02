// The client against a server with a CA of its own: trust, names, client certificates, and tokens that rotate.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import type { ServerOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { TLSSocket } from 'node:tls'
import { WebSocketServer } from 'ws'
import { stringify } from 'yaml'
import { messageOf } from '#/lib/log.ts'
import { clientFor, connect } from './connect.ts'
import { isApiError } from './errors.ts'
import { execIn } from './exec.ts'
import { execMessage } from './remote-command.ts'
import { FakeApi, type Handler, sendJson, sendStatus, type UpgradeHandler } from './testing/fake-api.ts'
import { eventually, ManualClock } from './testing/manual-clock.ts'

let pki = ''
const pem = (name: string): string => readFileSync(join(pki, name), 'utf8')
const encoded = (name: string): string => Buffer.from(pem(name)).toString('base64')

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: pki, stdio: 'pipe' })
}

function makeCa(name: string): void {
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.crt`,
  )
}

function issue(name: string, extension: string): void {
  openssl(
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-subj',
    `/CN=${name}`,
    '-addext',
    extension,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
  )
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-copy_extensions',
    'copyall',
    '-out',
    `${name}.crt`,
  )
}

before(() => {
  pki = mkdtempSync(join(tmpdir(), 'pki-'))
  makeCa('ca')
  makeCa('other')
  issue('server', 'subjectAltName=DNS:kubernetes.default,IP:127.0.0.1')
  issue('named', 'subjectAltName=DNS:kubernetes.default')
  issue('admin', 'extendedKeyUsage=clientAuth')
  issue('second', 'extendedKeyUsage=clientAuth')
})

after(() => rmSync(pki, { recursive: true }))

const tls = (name: string): ServerOptions => ({
  cert: pem(`${name}.crt`),
  key: pem(`${name}.key`),
  ca: pem('ca.crt'),
  requestCert: true,
  rejectUnauthorized: false,
})

/** Answers with the name in the client's certificate. */
const whoAmI: Handler = ({ socket }, response) => {
  assert.ok(socket instanceof TLSSocket)
  const name = socket.authorized ? String(socket.getPeerCertificate().subject.CN) : 'nobody'
  sendJson(response, { metadata: { name } })
}

async function ask(api: FakeApi, cluster: object, user: object = {}): Promise<string> {
  await using place = await mkdtempDisposable(join(tmpdir(), 'tls-'))
  const path = join(place.path, 'config')
  await writeFile(path, kubeconfig(api, cluster, user))
  await using client = await connect({ kubeconfig: path })
  return (await client.get('/who')).metadata.name
}

function kubeconfig(api: FakeApi, cluster: object, user: object): string {
  return stringify({
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: api.url, ...cluster } }],
    users: [{ name: 'u', user }],
  })
}

test('the CA of the kubeconfig is trusted, and no other', async () => {
  await using api = await FakeApi.start(whoAmI, { tls: tls('server') })
  assert.equal(await ask(api, { 'certificate-authority-data': encoded('ca.crt') }), 'nobody')
  assert.equal(await ask(api, { 'certificate-authority': join(pki, 'ca.crt') }), 'nobody')
  await assert.rejects(
    ask(api, { 'certificate-authority-data': encoded('other.crt') }),
    /check certificate-authority in the kubeconfig/,
  )
  await assert.rejects(ask(api, {}), /check certificate-authority in the kubeconfig/)
  assert.equal(await ask(api, { 'insecure-skip-tls-verify': true }), 'nobody')
})

test('the name of the server is checked, by address or as tls-server-name says', async () => {
  await using api = await FakeApi.start(whoAmI, { tls: tls('named') })
  const ca = { 'certificate-authority-data': encoded('ca.crt') }
  await assert.rejects(ask(api, ca), /the certificate is for another name: check server and tls-server-name/)
  assert.equal(await ask(api, { ...ca, 'tls-server-name': 'kubernetes.default' }), 'nobody')
  await assert.rejects(ask(api, { ...ca, 'tls-server-name': 'elsewhere' }), /for another name/)
})

test('client certificates come from data, from files and from a plugin', async () => {
  await using api = await FakeApi.start(whoAmI, { tls: tls('server') })
  const ca = { 'certificate-authority-data': encoded('ca.crt') }
  const data = { 'client-certificate-data': encoded('admin.crt'), 'client-key-data': encoded('admin.key') }
  assert.equal(await ask(api, ca, data), 'admin')
  const files = { 'client-certificate': join(pki, 'second.crt'), 'client-key': join(pki, 'second.key') }
  assert.equal(await ask(api, ca, files), 'second')
  const apiVersion = 'client.authentication.k8s.io/v1'
  const status = { clientCertificateData: pem('admin.crt'), clientKeyData: pem('admin.key') }
  const answer = join(pki, 'answer.json')
  await writeFile(answer, JSON.stringify({ kind: 'ExecCredential', apiVersion, status }))
  assert.equal(await ask(api, ca, { exec: { apiVersion, command: 'cat', args: [answer] } }), 'admin')
  const mixed = { ...data, 'client-key-data': encoded('second.key') }
  await assert.rejects(ask(api, ca, mixed), /ConfigError: .*users\[u\]\.user\.client-key-data: cannot be used for TLS/)
})

test('after a 401 a rotated token is read once, and a second 401 is an error', async () => {
  await using place = await mkdtempDisposable(join(tmpdir(), 'tls-'))
  const path = join(place.path, 'config')
  const tokenFile = join(place.path, 'token')
  let accepted = 'one'
  await using api = await FakeApi.start(
    ({ headers }, response) => {
      if (headers.authorization !== `Bearer ${accepted}`) return sendStatus(response, 401, 'Unauthorized')
      sendJson(response, { metadata: { name: 'a' } })
    },
    { tls: tls('server') },
  )
  await writeFile(tokenFile, 'one')
  await writeFile(path, kubeconfig(api, { 'certificate-authority': join(pki, 'ca.crt') }, { tokenFile: 'token' }))
  await using client = await connect({ kubeconfig: path })
  await client.get('/x')
  accepted = 'two'
  await writeFile(tokenFile, 'two')
  await client.get('/x')
  assert.deepEqual(
    api.requests.map(({ headers }) => headers.authorization),
    ['Bearer one', 'Bearer one', 'Bearer two'],
  )
  accepted = 'three'
  await assert.rejects(client.get('/x'), (error) => isApiError(error, 401) && error.reason === 'Unauthorized')
  assert.equal(api.requests.length, 5)
})

test('a server that accepts connections and then says nothing is given up before the request is', async () => {
  const server = createServer((socket) => void socket.on('error', () => {}).resume()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const clock = new ManualClock()
  const config = { server: new URL(`https://127.0.0.1:${address.port}`), insecure: true }
  await using client = await clientFor(config, { clock })
  try {
    const connected = once(server, 'connection')
    const request = assert.rejects(client.get('/x'), (error) => {
      assert.match(messageOf(error), /the server does not answer.*the TLS handshake took longer than 10 s/)
      return true
    })
    await connected
    await eventually(() => clock.nextMs === 10_000, 'the time limit of the handshake')
    await clock.advance(10_000)
    await request
  } finally {
    server.close()
  }
})

/** Executes nothing: tells the name in the client's certificate, and the token that it sent. */
function telling(accepts: (authorization: string | undefined) => boolean = () => true): UpgradeHandler {
  const server = new WebSocketServer({ noServer: true, handleProtocols: () => 'v5.channel.k8s.io' })
  return (request, socket, head) => {
    assert.ok(socket instanceof TLSSocket)
    const { authorization } = request.headers
    if (!accepts(authorization)) return socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n')
    const name = socket.authorized ? String(socket.getPeerCertificate().subject.CN) : 'nobody'
    return server.handleUpgrade(request, socket, head, (accepted) => {
      accepted.send(execMessage(Buffer.from(`${name} ${authorization}`), 1))
      accepted.send(execMessage(Buffer.from('{"status":"Success"}'), 3))
      accepted.close(1000)
    })
  }
}

async function askByExec(api: FakeApi, cluster: object, user: object): Promise<string> {
  await using place = await mkdtempDisposable(join(tmpdir(), 'tls-'))
  const path = join(place.path, 'config')
  await writeFile(path, kubeconfig(api, cluster, user))
  await using client = await connect({ kubeconfig: path })
  return text(await execIn(client, { namespace: 'n', pod: 'p', container: 'c', command: ['who'] }))
}

test('an exec is as strict about the server as a request, and shows the same client certificate', async () => {
  const ca = { 'certificate-authority-data': encoded('ca.crt') }
  const user = { 'client-certificate-data': encoded('admin.crt'), 'client-key-data': encoded('admin.key') }
  {
    await using api = await FakeApi.start(whoAmI, { tls: tls('server'), upgrade: telling() })
    assert.equal(await askByExec(api, ca, user), 'admin undefined')
    assert.equal(await askByExec(api, ca, { token: 'abc' }), 'nobody Bearer abc')
    const other = { 'certificate-authority-data': encoded('other.crt') }
    await assert.rejects(askByExec(api, other, user), /check certificate-authority in the kubeconfig/)
  }
  await using api = await FakeApi.start(whoAmI, { tls: tls('named'), upgrade: telling() })
  await assert.rejects(askByExec(api, ca, user), /the certificate is for another name/)
  assert.equal(await askByExec(api, { ...ca, 'tls-server-name': 'kubernetes.default' }, user), 'admin undefined')
})

test('an exec that meets a 401 is tried once more with the token of now', async () => {
  await using place = await mkdtempDisposable(join(tmpdir(), 'tls-'))
  const path = join(place.path, 'config')
  const tokenFile = join(place.path, 'token')
  const seen: (string | undefined)[] = []
  const upgrade = telling((authorization) => {
    seen.push(authorization)
    return authorization === 'Bearer two'
  })
  await using api = await FakeApi.start(whoAmI, { tls: tls('server'), upgrade })
  await writeFile(tokenFile, 'one')
  await writeFile(path, kubeconfig(api, { 'certificate-authority': join(pki, 'ca.crt') }, { tokenFile: 'token' }))
  await using client = await connect({ kubeconfig: path })
  const target = { namespace: 'n', pod: 'p', container: 'c', command: ['who'] }
  await client.get('/x')
  await writeFile(tokenFile, 'two')
  assert.equal(await text(await execIn(client, target)), 'nobody Bearer two')
  assert.deepEqual(seen, ['Bearer one', 'Bearer two'])
})
