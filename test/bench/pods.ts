// Pods: CNI ADD and DEL from exec to exit, through the plugin and a running agent, against Debian's plugins `bridge` and
// `host-local` in a like namespace. Both wire the same pod namespaces, in turn.
import { join } from 'node:path'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { mountBpffs, unmount } from '#/sys/mounts.ts'
import { type Benchmark, figure, type Goal, ratioText, type Effort, type Result, settingsOf } from './benchmark.ts'
import { podCIDROf } from './nodes-of.ts'
import { type BenchNetns, RigError } from './netns.ts'
import { causewayPlugin } from './processes.ts'
import { Rig } from './rig.ts'
import { type Program, runAll } from './spawner.ts'
import { median, quantile, roundRatios, spread } from './stats.ts'

const sizes = {
  smoke: { rounds: 1, pods: 4, inARow: 4 },
  full: { rounds: 10, pods: 50, inARow: 20 },
}
const referenceFolder = '/usr/lib/cni'

type Operation = 'ADD' | 'DEL'
/** Makes the call of one side for one pod. */
export type Caller = { readonly host: BenchNetns; readonly program: (operation: Operation, pod: BenchNetns) => Program }

/** `uids`: those of pods that the API knows, by name. */
type CallerOptions = { readonly plugin: string; readonly config: object; readonly uids?: ReadonlyMap<string, string> }

function caller(rig: Rig, host: BenchNetns, env: Record<string, string>, options: CallerOptions): Caller {
  const { plugin, config, uids } = options
  const uidArg = (pod: BenchNetns): string => (uids?.has(pod.name) ? `;K8S_POD_UID=${uids.get(pod.name)}` : '')
  const stdin = rig.file('config.json', JSON.stringify(config))
  const outputs = new Map<string, string>()
  const outputOf = (pod: BenchNetns): string => outputs.getOrInsertComputed(pod.name, () => rig.path('answer.json'))
  return {
    host,
    program: (operation, pod) => ({
      path: plugin,
      stdin,
      stdout: outputOf(pod),
      env: {
        ...env,
        PATH: process.env['PATH'] ?? '',
        CNI_COMMAND: operation,
        CNI_CONTAINERID: pod.name,
        CNI_NETNS: pod.path,
        CNI_IFNAME: 'eth0',
        CNI_PATH: join(plugin, '..'),
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name}${uidArg(pod)}`,
      },
    }),
  }
}

/** The usual configuration of a node, as flannel's plugin hands it on, but for the masquerading. */
function referenceConfig(dataDir: string) {
  return {
    cniVersion: '1.0.0',
    name: 'reference',
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    ipMasq: false,
    ipam: {
      type: 'host-local',
      dataDir,
      ranges: [[{ subnet: String(podCIDROf(1)) }]],
      routes: [{ dst: '0.0.0.0/0' }],
    },
  }
}

/** Calls the plugin for all pods at once; returns how long each took, in ms. */
export function callAll({ host, program }: Caller, operation: Operation, pods: readonly BenchNetns[]): number[] {
  const programs = pods.map((pod) => program(operation, pod))
  const ended = host.netns.run(() => runAll(programs))
  const failed = ended.findIndex(({ status }) => status !== 0)
  if (failed >= 0) {
    const { path, stdout } = programs[failed]!
    throw new RigError(`${path} ${operation}: status ${ended[failed]!.status}: ${readFileSync(stdout, 'utf8')}`)
  }
  return ended.map(({ durationMs }) => durationMs)
}

export function ownCaller(
  rig: Rig,
  host: BenchNetns,
  env: Record<string, string>,
  options: Partial<Omit<CallerOptions, 'config'>> = {},
): Caller {
  const config = { cniVersion: '1.1.0', name: 'causeway', type: 'causeway-cni' }
  return caller(rig, host, env, { plugin: causewayPlugin, config, ...options })
}

/** Samples of one operation: a list for each round. */
type Samples = Record<string, number[][]>

function measureRound(side: string, own: Caller, pods: readonly BenchNetns[], inARow: number, into: Samples): void {
  const keep = (name: string, samples: number[]): void => void (into[`${side} ${name}`] ??= []).push(samples)
  const added: number[] = []
  const deleted: number[] = []
  for (const pod of pods.slice(0, inARow)) {
    added.push(...callAll(own, 'ADD', [pod]))
    deleted.push(...callAll(own, 'DEL', [pod]))
  }
  keep('ADD one by one', added)
  keep('DEL one by one', deleted)
  keep('ADD all at once', callAll(own, 'ADD', pods))
  keep('DEL all at once', callAll(own, 'DEL', pods))
}

function measureTrue(rig: Rig, count: number): number[] {
  const program = { path: '/bin/true', env: {}, stdin: '/dev/null', stdout: rig.path('true') }
  return Array.from({ length: count }, () => runAll([program])[0]!.durationMs)
}

const rows = ['ADD one by one', 'DEL one by one', 'ADD all at once', 'DEL all at once']

function resultOf(samples: Samples, effort: Effort): Result {
  const { rounds, pods, inARow } = settingsOf(sizes, effort)
  const goals: Goal[] = []
  const cells = rows.map((row) => {
    const ours = samples[`causeway ${row}`]!
    const reference = samples[`reference ${row}`]!
    const at = (fraction: number): [number, number] => [
      quantile(ours.flat(), fraction),
      quantile(reference.flat(), fraction),
    ]
    const [ours50, reference50] = at(0.5)
    const [ours99, reference99] = at(0.99)
    const measured = ratioText(ours50 / reference50, spread(roundRatios(ours, reference)))
    const isReached = ours50 / reference50 <= 0.25 && ours99 / reference99 <= 0.25
    goals.push({
      text: `${row}: at most 1/4 of the reference`,
      measured: `${(ours50 / reference50).toFixed(2)} p50, ${(ours99 / reference99).toFixed(2)} p99`,
      isReached,
    })
    return [row, ...[ours50, ours99, reference50, reference99].map(figure), measured, (ours99 / reference99).toFixed(2)]
  })
  const withPrograms = rows.map((row) => {
    const bridge = samples[`causeway ${row}`]!
    const ebpf = samples[`ebpf ${row}`]!
    const ratio = median(ebpf.flat()) / median(bridge.flat())
    goals.push({
      text: `${row}, with eBPF: no slower than with the bridge`,
      measured: `${ratio.toFixed(2)} p50`,
      isReached: ratio <= 1,
    })
    const of = (all: number[][]) => [median(all.flat()), quantile(all.flat(), 0.99)].map(figure)
    return [row, ...of(ebpf), ...of(bridge), ratioText(ratio, spread(roundRatios(ebpf, bridge)))]
  })
  const bare = samples['/bin/true']!.flat()
  return {
    tables: [
      {
        title: 'CNI calls, from exec to exit, ms',
        columns: ['call', 'Causeway p50', 'p99', 'reference p50', 'p99', 'ratio p50 (of rounds)', 'ratio p99'],
        rows: [
          ...cells,
          ['/bin/true, for comparison', figure(median(bare)), figure(quantile(bare, 0.99)), '', '', '', ''],
        ],
      },
      {
        title: 'With the eBPF datapath, ms',
        columns: ['call', 'eBPF p50', 'p99', 'bridge p50', 'p99', 'ratio p50 (of rounds)'],
        rows: withPrograms,
      },
    ],
    goals,
    notes: [
      `${rounds} rounds of all sides in turn; in each ${inARow} pods one by one and ${pods} at once.`,
      "The reference is Debian's `bridge` with `host-local`, IPv4, `ipMasq` off; both wire the same pod namespaces.",
    ],
    figures: Object.fromEntries(Object.entries(samples).map(([name, all]) => [`${name} ms`, all.flat()])),
  }
}

/** A node whose pods have programs, with a bpffs of its own. */
async function ebpfCaller(rig: Rig): Promise<Caller> {
  const host = rig.node('ebpf')
  const bpffs = rig.path('bpf')
  mkdirSync(bpffs)
  mountBpffs(bpffs)
  rig.defer(() => unmount(bpffs))
  const api = await rig.api(host)
  await api.createNodes([1, 2, 3])
  const bpfDir = join(bpffs, 'node')
  const agent = await rig.agent(host, api, { env: { CAUSEWAY_DATAPATH: 'ebpf', CAUSEWAY_BPF_DIR: bpfDir } })
  if (!existsSync(join(bpfDir, 'links'))) throw new RigError('the agent has attached no programs')
  return ownCaller(rig, host, agent.pluginEnv)
}

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const { rounds, pods: podCount, inARow } = settingsOf(sizes, effort)
  await using rig = new Rig()
  const host = rig.node('node')
  const api = await rig.api(host)
  await api.createNodes([1, 2, 3])
  const agent = await rig.agent(host, api)
  const sides: [string, Caller][] = [
    ['causeway', ownCaller(rig, host, agent.pluginEnv)],
    ['ebpf', await ebpfCaller(rig)],
    [
      'reference',
      caller(
        rig,
        rig.node('reference'),
        {},
        {
          plugin: join(referenceFolder, 'bridge'),
          config: referenceConfig(rig.path('host-local')),
        },
      ),
    ],
  ]
  const pods = Array.from({ length: podCount }, (_, index) => rig.netns(`pod-${index + 1}`))
  const samples: Samples = { '/bin/true': [] }
  // the first calls read programs from disk and make the bridges
  for (const [, own] of sides)
    for (const operation of ['ADD', 'DEL'] as const) callAll(own, operation, pods.slice(0, 1))
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`)
    samples['/bin/true']!.push(measureTrue(rig, inARow))
    for (const [side, own] of round % 2 === 0 ? sides.toReversed() : sides)
      measureRound(side, own, pods, inARow, samples)
  }
  return resultOf(samples, effort)
}

export const podsBenchmark: Benchmark = { name: 'pods', summary: 'CNI ADD and DEL against bridge and host-local', run }
