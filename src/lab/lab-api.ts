// The process that serves the lab's Kubernetes API: to kubectl on the machine's loopback address, to the nodes on the underlay.
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Logger } from '#/lib/log.ts'
import { Netns, netnsPath } from '#/sys/netns.ts'
import { tcpListener } from '#/sys/socket.ts'
import { ensureCertificates } from './api/certificates.ts'
import { writeKubeconfig } from './api/kubeconfig.ts'
import { ApiServer } from './api/server.ts'
import { type LabPaths } from './paths.ts'
import { apiAddrs, apiPort, familiesOf, type LabSpec, routerNetns } from './spec.ts'

type Tokens = { readonly admin: string; readonly node: string }

/**
 * Reads the tokens or makes them. The file is written atomically and kept, because kubeconfig files in use must stay valid when the process
 * starts again.
 */
function ensureTokens(path: string): Tokens {
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as Tokens
  const tokens = { admin: randomBytes(24).toString('hex'), node: randomBytes(24).toString('hex') }
  writeFileSync(`${path}.new`, JSON.stringify(tokens), { mode: 0o600 })
  renameSync(`${path}.new`, path)
  return tokens
}

function hostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** The loopback port on which the API was served last, so that a kubeconfig in use stays valid; 0 for none. */
function lastPort(paths: LabPaths): number {
  const match =
    existsSync(paths.kubeconfig) &&
    /server: "?https:\/\/127\.0\.0\.1:(\d+)/.exec(readFileSync(paths.kubeconfig, 'utf8'))
  return match ? Number(match[1]) : 0
}

/** Serves until disposed of. Writes both kubeconfig files once it listens. */
export async function serveLabApi(spec: LabSpec, paths: LabPaths, log: Logger): Promise<AsyncDisposable> {
  mkdirSync(paths.api, { recursive: true, mode: 0o700 })
  const tokens = ensureTokens(join(paths.api, 'tokens.json'))
  const addresses = apiAddrs(spec).map(String)
  const certificates = ensureCertificates(join(paths.api, 'pki'), {
    dnsNames: ['localhost', 'kubernetes', 'kubernetes.default'],
    addresses: ['127.0.0.1', ...addresses],
  })
  const server = new ApiServer({
    stateDir: join(paths.api, 'store'),
    tokens: new Map([
      [tokens.admin, { user: 'admin', groups: ['system:masters'] }],
      [tokens.node, { user: 'causeway', groups: ['system:serviceaccounts'] }],
    ]),
    tls: certificates,
    log,
  })
  using router = new Netns(netnsPath(routerNetns(spec.name)))
  await server.listen({ fd: router.run(() => tcpListener(familiesOf(spec).includes(6) ? 6 : 4, apiPort)) })
  const { port } = await server
    .listen({ host: '127.0.0.1', port: lastPort(paths) })
    .catch(() => server.listen({ host: '127.0.0.1', port: 0 }))
  const kubeconfigOf = (address: string, token: string) => ({
    server: `https://${address}`,
    ca: certificates.ca,
    token,
    name: `causeway-${spec.name}`,
  })
  writeKubeconfig(paths.nodeKubeconfig, kubeconfigOf(hostPort(String(apiAddrs(spec)[0]), apiPort), tokens.node))
  writeKubeconfig(paths.kubeconfig, kubeconfigOf(hostPort('127.0.0.1', port), tokens.admin))
  log.info('the lab API serves', { port })
  return server
}
