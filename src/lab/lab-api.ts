// The process that serves the lab's Kubernetes API: to kubectl on the machine's loopback address, to the nodes on the underlay.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Logger } from '#/lib/log.ts'
import { nodeNameOf } from '#/model/kubernetes.ts'
import { Netns, netnsPath } from '#/sys/netns.ts'
import { tcpListener } from '#/sys/socket.ts'
import { ensureCertificates } from './api/certificates.ts'
import { writeKubeconfig } from './api/kubeconfig.ts'
import { ApiServer } from './api/server.ts'
import { agentContainer } from '#/install/settings.ts'
import { nodeSettings } from '#/settings/agent-settings.ts'
import { isAgentPod } from './agent-pods.ts'
import type { Execute } from './api/exec.ts'
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

/** The one command that can be executed, in agents' pods: what an image has of it. `relay` is its path. */
function executeFor(paths: LabPaths, relay: string): Execute {
  return ({ pod, container, command }) => {
    const object = { ...pod, metadata: { ...pod.metadata, name: pod.metadata.name ?? '' } }
    if (!isAgentPod(object))
      return { failure: 'the pods of a lab have no containers: only agents have what can be executed' }
    if (container !== '' && container !== agentContainer) return { failure: `container not found ("${container}")` }
    const [program = '', ...args] = command
    if (program !== basename(relay) || args.length > 0)
      return {
        failure: `error executing command in container: exec: "${program}": executable file not found in $PATH`,
      }
    const env = { [nodeSettings.runDir.variable]: paths.nodeRun(nodeNameOf(object)) }
    return spawn(relay, { env, stdio: ['pipe', 'pipe', 'pipe'] })
  }
}

/** Serves until disposed of. Writes both kubeconfig files once it listens. `relay` is the path of the relay to agents' sockets. */
export async function serveLabApi(
  spec: LabSpec,
  { paths, relay }: { readonly paths: LabPaths; readonly relay: string },
  log: Logger,
): Promise<AsyncDisposable> {
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
    execute: executeFor(paths, relay),
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
