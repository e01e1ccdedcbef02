// `causeway lab`: several nodes on this machine, each a network namespace with an agent of its own.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect } from '#/cluster/connect.ts'
import { nodesPath, podsPath } from '#/cluster/paths.ts'
import { createLogger } from '#/lib/log.ts'
import { causeLines, namesOf } from '#/lib/causes.ts'
import { table, textWidth, wrap } from '#/lib/table.ts'
import { AgentApi } from '#/agent/report/http-api.ts'
import { probeLab, probePods } from '#/lab/connectivity.ts'
import { labDown } from '#/lab/down.ts'
import { LabKubelet } from '#/lab/kubelet.ts'
import { serveLabApi } from '#/lab/lab-api.ts'
import { LabPaths } from '#/lab/paths.ts'
import { labProcesses } from '#/lab/processes.ts'
import { renderMatrix } from '#/lab/probe/render.ts'
import { type ProbePod, type ProbeResult } from '#/lab/probe/types.ts'
import { Sandboxes } from '#/lab/sandboxes.ts'
import { hasRouter, routerRoles } from '#/lab/routers/daemons.ts'
import { labNodes, type LabRacks, type LabSpec, type RouterKind } from '#/lab/spec.ts'
import { readSpec } from '#/lab/spec-file.ts'
import { labNetns } from '#/lab/underlay.ts'
import { agentRole, apiRole, controllerRole, kubeletRole, type LabState, labUp } from '#/lab/up.ts'
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
import { noMore, options, UsageError } from './args.ts'
import { outputColumns } from './columns.ts'
import { type Command, print, printJson, stopRequested } from './command.ts'
import { Interrupted, Interruption } from './interruption.ts'
import { readUpOptions } from './lab-options.ts'

function renderNodes(nodes: readonly KubeNode[], columns: number): string {
  const rows = nodes.map((node) => [
    node.metadata.name,
    conditionOf(node, 'Ready').status === 'True' ? 'ready' : 'not ready',
    internalAddressesOf(node).addrs.join(' '),
    podCIDRsOf(node).prefixes.join(' '),
  ])
  const troubles = nodes.flatMap((node) => {
    const { status: ready, message } = conditionOf(node, 'Ready')
    return ready === 'True' ? [] : [{ subject: node.metadata.name, text: message }]
  })
  return [
    table(['NODE', 'STATE', 'ADDRESSES', 'POD CIDRS'], byName(rows), { columns }),
    ...causeLines(troubles, 'nodes').map((line) => wrap(`! ${line}`, columns)),
  ].join('\n')
}

function renderPods(pods: readonly Pod[], columns: number): string {
  const rows = pods.map((pod) => [
    pod.metadata.namespace === 'default' ? pod.metadata.name : `${pod.metadata.namespace}/${pod.metadata.name}`,
    nodeNameOf(pod),
    podPhaseOf(pod).toLowerCase(),
    podAddressesOf(pod).addrs.join(' '),
  ])
  return table(['POD', 'NODE', 'STATE', 'ADDRESSES'], byName(rows), { columns })
}

function byName(rows: string[][]): string[][] {
  return rows.toSorted((a, b) => a[0]!.localeCompare(b[0]!, 'en', { numeric: true }))
}

type Connectivity = { readonly pods: readonly ProbePod[]; readonly results: readonly ProbeResult[] }

async function probe(lab: string, { pods }: LabState): Promise<Connectivity> {
  const probed = probePods(lab, pods)
  return { pods: probed, results: await probeLab(probed) }
}

/** Shows the lab and its matrix; true when every probe arrived. */
function show({ nodes, pods }: LabState, { pods: probed, results }: Connectivity, json: boolean): boolean {
  if (json) {
    printJson({
      nodes: nodes.map((node) => ({ name: node.metadata.name, podCIDRs: podCIDRsOf(node).prefixes })),
      pods: probed.map(({ name, node, addrs }) => ({ name, node, addrs })),
      probes: results,
    })
  } else {
    const columns = outputColumns()
    print(`\n${renderNodes(nodes, columns)}\n\n${renderPods(pods, columns)}\n`)
    if (probed.length > 1) print(renderMatrix(probed, results, { columns }))
  }
  return results.every(({ ok }) => ok)
}

/** What a router of the first rack knows, in the words of its own command line. */
function routerHint(lab: string, { router }: LabRacks): [string, string] {
  const folder = new LabPaths(lab).router('rack-1')
  const command =
    router === 'bird'
      ? `birdc -s ${folder}/bird.ctl show route all`
      : `vtysh --vty_socket ${folder} -c 'show bgp summary'`
  return [command, "what a rack's router knows"]
}

function hints({ name: lab, racks }: LabSpec, columns: number): string {
  const { kubeconfig } = new LabPaths(lab)
  const isDefault = lab === 'lab'
  const rows = [
    [`export KUBECONFIG=${kubeconfig}`, "the lab's Kubernetes API, for kubectl (Debian package kubernetes-client)"],
    ['kubectl get pods -o wide', ''],
    ['kubectl run web-x --image=any', 'one more pod, wired on a node'],
    [`ip netns exec cw-${lab}-node-1 ip route`, "what a node's kernel knows"],
    ...(racks ? [routerHint(lab, racks)] : []),
    [`ip netns exec cw-${lab}-node-1 ip link del cw-vxlan`, 'break something, and see it mended'],
    [`./causeway status --node node-1${isDefault ? '' : ` --lab ${lab}`}`, 'every object that the agent keeps there'],
    [`./causeway lab status${isDefault ? '' : ` --name ${lab}`}`, 'probe every pair of pods again'],
    [`./causeway lab down${isDefault ? '' : ` --name ${lab}`}`, 'take it all away'],
  ]
  const lines = table(
    ['', ''],
    rows.map(([command = '', why = '']) => [`  ${command}`, why]),
  ).replace(/^.*\n/, '')
  // a command is never broken: it is there to be copied
  const narrow = (): string =>
    rows
      .flatMap(([command = '', why = '']) => [
        ...(why === '' ? [] : [wrap(`  # ${why}`, columns, '  # ')]),
        `  ${command}`,
      ])
      .join('\n')
  return `\nWhat to try next:\n${textWidth(lines) <= columns ? lines : narrow()}`
}

/** Routing daemons are for labs with racks alone: they are installed when the first of these comes. */
function installRouter(kind: RouterKind): void {
  if (hasRouter(kind)) return
  const script = new URL('../../scripts/setup.sh', import.meta.url).pathname
  const setup = spawnSync('sh', [script, kind], { stdio: ['ignore', 2, 2] })
  if (setup.status !== 0 || !hasRouter(kind))
    throw new Error(`the routing daemon of --router ${kind} is missing, and ${script} ${kind} did not install it`)
}

/** What there is of a lab whose `up` was interrupted, and what to do with it. */
function leftOf(lab: string): string {
  const processes = labProcesses(lab).length
  const namespaces = labNetns(lab).length
  if (processes + namespaces === 0) return `nothing is left of lab "${lab}"`
  return [
    `lab "${lab}" has ${processes} processes and ${namespaces} namespaces so far`,
    `  go on:      causeway lab up --name ${lab}`,
    `  remove it:  causeway lab down --name ${lab}`,
  ].join('\n')
}

async function up(args: readonly string[]): Promise<number> {
  const { spec, foreground, json } = readUpOptions(args)
  if (spec.racks) installRouter(spec.racks.router)
  const plugin = new URL('../../build/causeway-cni', import.meta.url).pathname
  if (!existsSync(plugin)) throw new Error(`${plugin} is missing; start through ./causeway, which builds it`)
  const startedMs = performance.now()
  const seconds = (): string => `${((performance.now() - startedMs) / 1000).toFixed(1)}s`.padStart(6)
  const say = (line: string): void => void process.stderr.write(`${seconds()}  ${line}\n`)
  const causeway = [process.execPath, ...process.execArgv, process.argv[1]!]
  using interruption = new Interruption()
  try {
    const state = await labUp(spec, { causeway, plugin, say, stop: interruption.signal })
    const isConnected = show(state, await interruption.orStopped(probe(spec.name, state)), json)
    say(isConnected ? 'every pod reaches every pod' : 'not every pod reaches every pod')
    if (!json) print(hints(spec, outputColumns()))
    if (foreground) {
      say('Ctrl-C takes the lab down')
      const stopped = stopRequested()
      interruption[Symbol.dispose]()
      await stopped
      await labDown(spec.name)
    }
    return isConnected ? 0 : 1
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error
    say(error.message)
    if (foreground) await labDown(spec.name)
    process.stderr.write(`${leftOf(spec.name)}\n`)
    return error.exitStatus
  }
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

/** The lab's processes that should run and do not; `roles` has at least one. */
function notRunning(lab: string, roles: readonly string[]): string {
  const are = roles.length === 1 ? 'is' : 'are'
  const log = new LabPaths(lab).log(roles[0]!)
  return `${namesOf(roles, 'processes')} ${are} not running; see ${log}, or run: causeway lab up --name ${lab}`
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
  const agents = labNodes(spec).map(({ name }) => agentRole(name))
  const wanted = [...routerRoles(spec), apiRole, controllerRole, kubeletRole, ...agents]
  const missing = wanted.filter((role) => !running.has(role))
  if (!values.json && missing.length > 0) print(wrap(`! ${notRunning(values.name, missing)}`, outputColumns()))
  if (missing.includes(apiRole)) return 1
  await using client = await connect({ kubeconfig: paths.kubeconfig })
  const { items: nodes } = await client.list<KubeNode>(nodesPath())
  const { items: pods } = await client.list<Pod>(podsPath())
  const state = { nodes, pods }
  const isConnected = show(state, await probe(values.name, state), values.json === true)
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
  await using api = new AgentApi({ socketPath: paths.kubeletSocket }, { log })
  await api.start({
    readyz: () =>
      kubelet.isSettled ? { status: 200, body: 'ok\n' } : { status: 503, body: 'not all pods run as they should\n' },
  })
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
returns, leaving the lab running. Up again, which needs no options but the name, mends what is missing, or changes the
number of nodes and pods, routing or mesh.
Exit status 0 when every pod reaches every pod.

  --nodes N             how many nodes                                         (3)
  --pods N              how many pods on each                                  (2)
  --families F          ipv4, ipv6 or dual                                     (dual)
  --cluster-cidrs LIST  CIDRs of all pods     (10.244.0.0/16,fd10:244::/48)
  --mtu BYTES           MTU of the underlay                                    (1500)
  --subnets N           underlay subnets, joined by a router                   (1)
  --routing MODE        vxlan, native or auto; a lab that is up can change     (vxlan)
  --mesh M              BGP sessions between nodes: full, none, or auto, through route
                        reflectors where they are many       (none with VXLAN or racks, else auto)
  --racks N             racks of nodes, each with a router that speaks BGP
  --tors N              routers of each rack, 1 or 2                           (1)
  --router KIND         the routers' daemon, bird or frr                       (bird)
  --node-asns PLAN      one AS number for all nodes, or one for each rack      (one)
  --bfd                 BFD between routers and nodes
  --name NAME           for more than one lab at a time                        (lab)
  --foreground          stay, and take the lab down at Ctrl-C
  --json                for programs`,
  run: async ([action, ...args]) => {
    const run = action === undefined ? undefined : actions[action]
    if (run === undefined) throw new UsageError(`lab ${action ?? ''}: expected up, down or status`)
    return run(args)
  },
}
