// `causeway lab up`.
import { existsSync } from 'node:fs'
import { table } from '#/lib/table.ts'
import { labDown } from '#/lab/down.ts'
import { labProcesses } from '#/lab/processes.ts'
import { labNetns } from '#/lab/underlay.ts'
import { LabPaths } from '#/lab/paths.ts'
import { hasRouter } from '#/lab/routers/daemons.ts'
import { type LabRacks, type LabSpec, type RouterKind } from '#/lab/spec.ts'
import { labUp } from '#/lab/up.ts'
import { type Action } from './command.ts'
import { Interrupted, Interruption } from './interruption.ts'
import { readUpOptions, upOptions } from './lab-options.ts'
import { showConnectivity } from './lab-report.ts'
import { print, tableWidth } from './output.ts'
import { setUp, setUpScript } from './set-up.ts'
import { stopRequested, until } from './signals.ts'

/** The command that shows what a router of the first rack knows, and a note that says so. */
function routerHint(lab: string, { router }: LabRacks): [string, string] {
  const folder = new LabPaths(lab).router('rack-1')
  const command =
    router === 'bird'
      ? `birdc -s ${folder}/bird.ctl show route all`
      : `vtysh --vty_socket ${folder} -c 'show bgp summary'`
  return [command, "what a rack's router knows"]
}

function hints({ name: lab, racks, network }: LabSpec): string {
  const { kubeconfig } = new LabPaths(lab)
  const isDefault = lab === 'lab'
  const rows = [
    [`export KUBECONFIG=${kubeconfig}`, "the lab's Kubernetes API, for kubectl (Debian package kubernetes-client)"],
    ['kubectl get pods -o wide', ''],
    ['kubectl run web-x --image=any', 'one more pod, wired on a node'],
    [`ip netns exec cw-${lab}-node-1 ip route`, "what a node's kernel knows"],
    ...(racks ? [routerHint(lab, racks)] : []),
    network === undefined
      ? [`ip netns exec cw-${lab}-node-1 ip link del cw-vxlan`, 'break something, and see it mended']
      : [
          `./causeway trace web-1 web-2${isDefault ? '' : ` --lab ${lab}`}`,
          'follow a packet over the network of others',
        ],
    [`./causeway lab break --list${isDefault ? '' : ` --name ${lab}`}`, 'faults to practise on'],
    [`./causeway status --node node-1${isDefault ? '' : ` --lab ${lab}`}`, 'every object that the agent keeps there'],
    [`./causeway lab status${isDefault ? '' : ` --name ${lab}`}`, 'probe every pair of pods again'],
    [`./causeway lab down${isDefault ? '' : ` --name ${lab}`}`, 'take it all away'],
  ]
  const isNarrow = table(['', ''], rows)
    .split('\n')
    .some((line) => line.length + 2 > tableWidth())
  const lines = isNarrow
    ? // a command stays on one line, so that it can be copied
      rows.flatMap(([command = '', why = '']) => [...(why === '' ? [] : [`  # ${why}`]), `  ${command}`])
    : table(
        ['', ''],
        rows.map(([command = '', why = '']) => [`  ${command}`, why]),
      )
        .split('\n')
        .slice(1)
  return ['\nWhat to try next:', ...lines].join('\n')
}

/** Installs a routing daemon. Only labs with racks need one, so it is installed when the first of these is made. */
function installRouter(kind: RouterKind): void {
  if (hasRouter(kind)) return
  const isDone = setUp(kind)
  if (!isDone || !hasRouter(kind))
    throw new Error(`the routing daemon of --router ${kind} is missing, and ${setUpScript} ${kind} did not install it`)
}

/** Compiles the programs of the eBPF datapath. Only labs with that need a compiler, so it is installed when the first of these is made. */
function buildPrograms(): void {
  if (!setUp('ebpf'))
    throw new Error(`the programs of --datapath are missing, and ${setUpScript} ebpf did not make them`)
}

/** A text on what an interrupted `up` left of a lab, and what to do with it. */
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
  if (spec.datapath !== 'bridge') buildPrograms()
  const plugin = new URL('../../build/causeway-cni', import.meta.url).pathname
  if (!existsSync(plugin)) throw new Error(`${plugin} is missing; start through ./causeway, which builds it`)
  const startedMs = performance.now()
  const seconds = (): string => `${((performance.now() - startedMs) / 1000).toFixed(1)}s`.padStart(6)
  const say = (line: string): void => void process.stderr.write(`${seconds()}  ${line}\n`)
  const causeway = [process.execPath, ...process.execArgv, process.argv[1]!]
  const stopped = stopRequested()
  const interruption = new Interruption(stopped)
  try {
    const state = await labUp(spec, { causeway, plugin, say, stop: interruption.signal })
    const isConnected = await interruption.orStopped(showConnectivity(spec.name, state, json))
    const whom = state.policies.policies.size > 0 ? 'every pod that policies let it reach' : 'every pod'
    say(isConnected ? `every pod reaches ${whom}` : `not every pod reaches ${whom}`)
    if (!json) print(hints(spec))
    if (foreground) {
      say('Ctrl-C takes the lab down')
      await until(stopped)
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

export const labUpCommand: Action = {
  name: 'up',
  summary: 'make a lab, or mend or change the one that is there',
  about: `Makes the nodes (network namespaces, each with an agent), a Kubernetes API, and pods; probes every pair of pods and returns, leaving the lab running.

Up again mends what is missing. A lab that is there keeps the options it was made with; --nodes, --pods, --routing, --datapath and --mesh can change it. Exit status 0 when every pod reaches every pod that network policies let it reach, and no other.`,
  options: upOptions,
  run: up,
}
