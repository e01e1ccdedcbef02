// `causeway lab`: several nodes on this machine, each a network namespace with an agent of its own.
import { existsSync } from 'node:fs'
import { connect } from '#/cluster/connect.ts'
import { nodesPath, podsPath } from '#/cluster/paths.ts'
import { createLogger, messageOf } from '#/lib/log.ts'
import { table } from '#/lib/table.ts'
import { Prefix } from '#/lib/addr.ts'
import { AgentApi } from '#/agent/http-api.ts'
import { probeLab, probePods } from '#/lab/connectivity.ts'
import { labDown } from '#/lab/down.ts'
import { LabKubelet } from '#/lab/kubelet.ts'
import { serveLabApi } from '#/lab/lab-api.ts'
import { LabPaths } from '#/lab/paths.ts'
import { labProcesses } from '#/lab/processes.ts'
import { renderMatrix } from '#/lab/probe/render.ts'
import { Sandboxes } from '#/lab/sandboxes.ts'
import { checkSpec, defaultClusterCIDRs, familiesOf, type LabFamilies, LabError, type LabSpec } from '#/lab/spec.ts'
import { agentRole, apiRole, controllerRole, kubeletRole, type LabState, labUp, readSpec } from '#/lab/up.ts'
import { labNodes } from '#/lab/spec.ts'
import {
  conditionOf,
  internalAddressesOf,
  type KubeNode,
  nodeNameOf,
  type Pod,
  podAddressesOf,
  podCIDRsOf,
  podPhaseOf,
} from '#/model/kubernetes.ts'
import { noMore, options, UsageError, wholeNumber } from './args.ts'
import { type Command, print, printJson, stopRequested } from './command.ts'

const upOptions = {
  name: { type: 'string', default: 'lab' },
  nodes: { type: 'string', default: '3' },
  pods: { type: 'string', default: '2' },
  families: { type: 'string', default: 'dual' },
  'cluster-cidrs': { type: 'string' },
  mtu: { type: 'string', default: '1500' },
  subnets: { type: 'string', default: '1' },
  foreground: { type: 'boolean' },
  json: { type: 'boolean' },
} as const

const familyNames: readonly string[] = ['ipv4', 'ipv6', 'dual'] satisfies LabFamilies[]

function cidrsOf(text: string | undefined, families: LabFamilies): Prefix[] {
  const list =
    text ??
    familiesOf({ families })
      .map((family) => defaultClusterCIDRs[family])
      .join(',')
  return list.split(',').map((each) => {
    try {
      return Prefix.parse(each.trim())
    } catch (error) {
      throw new UsageError(`--cluster-cidrs: ${messageOf(error)}`)
    }
  })
}

function readUpOptions(args: readonly string[]) {
  const { values, positionals } = options(args, upOptions)
  noMore(positionals)
  if (!familyNames.includes(values.families)) {
    throw new UsageError(`--families "${values.families}": expected ${familyNames.join(', ')}`)
  }
  const families = values.families as LabFamilies
  const spec: LabSpec = {
    name: values.name,
    nodes: wholeNumber('nodes', values.nodes),
    families,
    clusterCIDRs: cidrsOf(values['cluster-cidrs'], families),
    underlayMtuBytes: wholeNumber('mtu', values.mtu),
    subnets: wholeNumber('subnets', values.subnets),
    podsPerNode: wholeNumber('pods', values.pods),
  }
  try {
    checkSpec(spec)
  } catch (error) {
    throw error instanceof LabError ? new UsageError(error.message) : error
  }
  return { spec, foreground: values.foreground === true, json: values.json === true }
}

function renderNodes(nodes: readonly KubeNode[]): string {
  const rows = nodes.map((node) => [
    node.metadata.name,
    conditionOf(node, 'Ready').status === 'True' ? 'ready' : conditionOf(node, 'Ready').message,
    internalAddressesOf(node).addrs.join(' '),
    podCIDRsOf(node).prefixes.join(' '),
  ])
  return table(['NODE', 'STATE', 'ADDRESSES', 'POD CIDRS'], byName(rows))
}

function renderPods(pods: readonly Pod[]): string {
  const rows = pods.map((pod) => [
    pod.metadata.namespace === 'default' ? pod.metadata.name : `${pod.metadata.namespace}/${pod.metadata.name}`,
    nodeNameOf(pod),
    podPhaseOf(pod).toLowerCase(),
    podAddressesOf(pod).addrs.join(' '),
  ])
  return table(['POD', 'NODE', 'STATE', 'ADDRESSES'], byName(rows))
}

function byName(rows: string[][]): string[][] {
  return rows.toSorted((a, b) => a[0]!.localeCompare(b[0]!, 'en', { numeric: true }))
}

/** Probes all pairs and shows the outcome; true when every probe arrived. */
async function showConnectivity(lab: string, { nodes, pods }: LabState, json: boolean): Promise<boolean> {
  const probed = probePods(lab, pods)
  const results = await probeLab(probed)
  if (json) {
    printJson({
      nodes: nodes.map((node) => ({ name: node.metadata.name, podCIDRs: podCIDRsOf(node).prefixes })),
      pods: probed.map(({ name, node, addrs }) => ({ name, node, addrs })),
      probes: results,
    })
  } else {
    print(`\n${renderNodes(nodes)}\n\n${renderPods(pods)}\n`)
    if (probed.length > 1) print(renderMatrix(probed, results))
  }
  return results.every(({ ok }) => ok)
}

function hints({ name: lab }: LabSpec): string {
  const { kubeconfig } = new LabPaths(lab)
  const isDefault = lab === 'lab'
  const rows = [
    [`export KUBECONFIG=${kubeconfig}`, "the lab's Kubernetes API, for kubectl (Debian package kubernetes-client)"],
    ['kubectl get pods -o wide', ''],
    ['kubectl run web-x --image=any', 'one more pod, wired on a node'],
    [`ip netns exec cw-${lab}-node-1 ip route`, "what a node's kernel knows"],
    [`ip netns exec cw-${lab}-node-1 ip link del cw-vxlan`, 'break something, and see it mended'],
    [`./causeway status --node node-1${isDefault ? '' : ` --lab ${lab}`}`, 'every object that the agent keeps there'],
    [`./causeway lab status${isDefault ? '' : ` --name ${lab}`}`, 'probe every pair of pods again'],
    [`./causeway lab down${isDefault ? '' : ` --name ${lab}`}`, 'take it all away'],
  ]
  return `\nWhat to try next:\n${table(
    ['', ''],
    rows.map(([command = '', why = '']) => [`  ${command}`, why]),
  )
    .split('\n')
    .slice(1)
    .join('\n')}`
}

async function up(args: readonly string[]): Promise<number> {
  const { spec, foreground, json } = readUpOptions(args)
  const plugin = new URL('../../build/causeway-cni', import.meta.url).pathname
  if (!existsSync(plugin)) throw new Error(`${plugin} is missing; start through ./causeway, which builds it`)
  const startedMs = performance.now()
  const seconds = (): string => `${((performance.now() - startedMs) / 1000).toFixed(1)}s`.padStart(6)
  const context = {
    causeway: [process.execPath, ...process.execArgv, process.argv[1]!],
    plugin,
    say: (line: string) => process.stderr.write(`${seconds()}  ${line}\n`),
  }
  const stopped = foreground ? stopRequested() : undefined
  const state = await labUp(spec, context)
  const isConnected = await showConnectivity(spec.name, state, json)
  context.say(isConnected ? 'every pod reaches every pod' : 'not every pod reaches every pod')
  if (!json) print(hints(spec))
  if (stopped) {
    context.say('Ctrl-C takes the lab down')
    await stopped
    await labDown(spec.name)
  }
  return isConnected ? 0 : 1
}

async function down(args: readonly string[]): Promise<number> {
  const { values, positionals } = options(args, { name: { type: 'string', default: 'lab' } } as const)
  noMore(positionals)
  if (process.getuid?.() !== 0) throw new Error('must run as root: it removes network namespaces; try again with sudo')
  const { processes, namespaces } = await labDown(values.name)
  print(
    processes + namespaces === 0
      ? `no lab "${values.name}" is up`
      : `lab "${values.name}" is down: ${processes} processes and ${namespaces} namespaces gone`,
  )
  return 0
}

async function status(args: readonly string[]): Promise<number> {
  const { values, positionals } = options(args, {
    name: { type: 'string', default: 'lab' },
    json: { type: 'boolean' },
  } as const)
  noMore(positionals)
  const paths = new LabPaths(values.name)
  const spec = readSpec(paths)
  if (spec === undefined)
    throw new Error(`no lab "${values.name}" is up; bring one up: causeway lab up --name ${values.name}`)
  const running = new Set(labProcesses(values.name).map(({ role }) => role))
  const wanted = [apiRole, controllerRole, kubeletRole, ...labNodes(spec).map(({ name }) => agentRole(name))]
  const missing = wanted.filter((role) => !running.has(role))
  if (!values.json)
    for (const role of missing) print(`! ${role} is not running; see ${paths.log(role)}, or run: causeway lab up`)
  if (missing.includes(apiRole)) return 1
  await using client = await connect({ kubeconfig: paths.kubeconfig })
  const { items: nodes } = await client.list<KubeNode>(nodesPath())
  const { items: pods } = await client.list<Pod>(podsPath())
  const isConnected = await showConnectivity(values.name, { nodes, pods }, values.json === true)
  return isConnected && missing.length === 0 ? 0 : 1
}

/** What a background process of the lab needs to know: it reads the rest from the lab's own files. */
function labOf(args: readonly string[]) {
  const { values } = options(args, { name: { type: 'string', default: 'lab' } } as const)
  const paths = new LabPaths(values.name)
  const spec = readSpec(paths)
  if (spec === undefined) throw new Error(`no lab "${values.name}" is up`)
  const log = createLogger({ level: 'info', write: print, now: () => new Date().toISOString() })
  return { spec, paths, log }
}

async function serveApi(args: readonly string[]): Promise<number> {
  const { spec, paths, log } = labOf(args)
  const server = await serveLabApi(spec, paths, log)
  log.info('stopping', { signal: await stopRequested() })
  await server[Symbol.asyncDispose]()
  return 0
}

async function servePods(args: readonly string[]): Promise<number> {
  const { spec, paths, log } = labOf(args)
  await using client = await connect({ kubeconfig: paths.kubeconfig })
  const sandboxes = new Sandboxes(paths, new URL('../../build/causeway-cni', import.meta.url).pathname)
  await using kubelet = new LabKubelet({ spec, paths }, { client, sandboxes, log })
  kubelet.start()
  await using api = new AgentApi(
    { socketPath: paths.kubeletSocket },
    { endpoints: { '/readyz': () => ({ status: kubelet.isSettled ? 200 : 503, body: '' }) }, log },
  )
  await api.start()
  log.info('stopping', { signal: await stopRequested() })
  return 0
}

/** The last two are the lab's own background processes. */
const actions: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  up,
  down,
  status,
  'serve-api': serveApi,
  'serve-pods': servePods,
}

export const labCommand: Command = {
  name: 'lab',
  summary: 'several nodes on this machine: up, down, status',
  help: `usage: causeway lab up [OPTIONS] | down [--name NAME] | status [--name NAME] [--json]

Up makes the nodes (network namespaces, each with an agent), a Kubernetes API, and pods; it probes every pair of pods and
returns, leaving the lab running. Up again mends what is missing, or changes the number of nodes.
Exit status 0 when every pod reaches every pod.

  --nodes N             how many nodes                                         (3)
  --pods N              how many pods on each                                  (2)
  --families F          ipv4, ipv6 or dual                                     (dual)
  --cluster-cidrs LIST  CIDRs of all pods     (10.244.0.0/16,fd10:244::/48)
  --mtu BYTES           MTU of the underlay                                    (1500)
  --subnets N           underlay subnets, joined by a router                   (1)
  --name NAME           for more than one lab at a time                        (lab)
  --foreground          stay, and take the lab down at Ctrl-C
  --json                for programs`,
  run: async ([action, ...args]) => {
    const run = action === undefined ? undefined : actions[action]
    if (run === undefined) throw new UsageError(`lab ${action ?? ''}: expected up, down or status`)
    return run(args)
  },
}
