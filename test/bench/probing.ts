// How soon a way between nodes that breaks is told, and what the probes that show it cost one agent in a large cluster. The reference of the cost is
// the same agent without them.
import { setTimeout as sleep } from 'node:timers/promises'
import { askAll } from '#/api/client.ts'
import { socketTransport } from '#/api/socket-transport.ts'
import { breakLab, mendLab } from '#/lab/faults/break.ts'
import { nodeStatus } from '#/lab/kubelet-objects.ts'
import { LabPaths } from '#/lab/paths.ts'
import {
  type Benchmark,
  type Effort,
  figure,
  ratioText,
  type Result,
  settingsOf,
  type Size,
  type Table,
} from './benchmark.ts'
import { monotonicMs } from './clock.ts'
import { BenchLab } from './lab.ts'
import { type BenchNetns, RigError, waitUntil } from './netns.ts'
import {
  clusterCIDR,
  clusterCIDR6,
  dualStackNode,
  nodeAddr6Of,
  nodeAddrOf,
  nodeNameOf,
  numbers,
  podCIDR6Of,
  podCIDROf,
  underlayCIDR,
  underlayCIDR6,
} from './nodes-of.ts'
import { type BenchAgent, causeway, cpuMsOf } from './processes.ts'
import { Rig } from './rig.ts'
import { median, roundRatios, spread } from './stats.ts'

type Settings = { readonly rounds: number; readonly peers: number; readonly watchMs: number; readonly shapes: number }

const sizes: Readonly<Record<Size, Settings>> = {
  smoke: { rounds: 1, peers: 20, watchMs: 2_000, shapes: 1 },
  full: { rounds: 10, peers: 1_000, watchMs: 5_000, shapes: 3 },
}

/** Labs, and the faults of each. */
const shapes = [
  {
    name: 'bridge, VXLAN',
    options: [],
    faults: ['overlay-port-blocked', 'cable-unplugged', 'underlay-mtu-silent'],
  },
  { name: 'bridge, native', options: ['--routing', 'native'], faults: ['cable-unplugged', 'underlay-mtu-silent'] },
  { name: 'eBPF, VXLAN', options: ['--datapath', 'ebpf'], faults: ['overlay-port-blocked', 'cable-unplugged'] },
] as const

const goalMs = 5_000
/** What probes tell; that a cable is out, the node itself sees at its device. */
const probedCodes: ReadonlySet<string> = new Set(['CW1306', 'CW1307', 'CW8101', 'CW8102'])
const pollMs = 20
const longestMs = 60_000
/** As many as make one problem are many, and a lab is not. */
const labNodes = 3

class Ways {
  readonly #agents

  constructor(lab: BenchLab) {
    const paths = new LabPaths(lab.name)
    this.#agents = lab.nodes.map(({ name }) => ({ node: name, transport: socketTransport(paths.agentSocket(name)) }))
  }

  /** The codes that agents tell. */
  async told(): Promise<string[]> {
    const answers = await askAll(this.#agents, 'status')
    return answers.flatMap(({ outcome }) =>
      outcome.kind === 'answer' ? outcome.value.problems.map(({ code }) => code) : [],
    )
  }

  async areWell(): Promise<boolean> {
    const answers = await askAll(this.#agents, 'peers')
    return answers.every(
      ({ outcome }) =>
        outcome.kind === 'answer' &&
        outcome.value.ways.length > 0 &&
        outcome.value.ways.every(({ state, full }) => state === 'ok' && (full?.answered ?? 1) > 0),
    )
  }
}

/** How long it takes from the beginning of a fault until any agent tells it. */
async function detect(lab: BenchLab, ways: Ways, fault: string): Promise<number> {
  await waitUntil('all ways answer', () => ways.areWell(), longestMs)
  // so that faults begin at any time of a second
  await sleep(Math.random() * 3_000)
  const sinceMs = monotonicMs()
  await breakLab(lab.name, fault, {}, { causeway })
  try {
    for (;;) {
      const codes = await ways.told()
      const tookMs = monotonicMs() - sinceMs
      if (codes.some((code) => probedCodes.has(code))) return tookMs
      if (tookMs > longestMs) throw new RigError(`${fault} is not told within ${longestMs / 1000} s`)
      await sleep(pollMs)
    }
  } finally {
    await mendLab(lab.name, fault, { causeway })
  }
}

type Detection = { readonly shape: string; readonly fault: string; readonly tookMs: readonly number[] }

async function detections({ rounds, shapes: count }: Settings, say: (line: string) => void): Promise<Detection[]> {
  const found: Detection[] = []
  for (const [index, { name, options, faults }] of shapes.slice(0, count).entries()) {
    const times = index === 0 ? rounds : Math.ceil(rounds / 2)
    await using rig = new Rig()
    const lab = await BenchLab.up(rig, ['--nodes', String(labNodes), '--pods', '1', ...options])
    const ways = new Ways(lab)
    for (const fault of faults) {
      const tookMs: number[] = []
      for (let round = 0; round < times; round++) tookMs.push(await detect(lab, ways, fault))
      say(`${name}: ${fault}: ${tookMs.map(figure).join(' ')}`)
      found.push({ shape: name, fault, tookMs })
    }
  }
  return found
}

const macs = { host: '02:00:00:00:00:02', others: '02:00:00:00:00:01' } as const

/** A namespace that answers for all other nodes and their gateways, natively. */
export function answerForAll(host: BenchNetns, others: BenchNetns, peers: number): void {
  host.sh(
    `ip link set eth0 address ${macs.host}; ip link set wire netns ${others.name}; ip addr add ${nodeAddr6Of(1)}/${underlayCIDR6.length} dev eth0 nodad`,
  )
  others.sh(`ip link set wire address ${macs.others} up
    ip route add local ${underlayCIDR} dev lo; ip route add local ${clusterCIDR} dev lo
    ip route add table local ${nodeAddrOf(1)} dev wire; ip route add table local ${podCIDROf(1)} via ${nodeAddrOf(1)} dev wire
    ip -6 route add local ${underlayCIDR6} dev lo; ip -6 route add local ${clusterCIDR6} dev lo
    ip -6 route add table local ${nodeAddr6Of(1)} dev wire
    ip -6 route add table local ${podCIDR6Of(1)} via ${nodeAddr6Of(1)} dev wire
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`)
  others.sh(`ip -6 neigh add ${nodeAddr6Of(1)} lladdr ${macs.host} dev wire nud permanent`)
  const neighbours = numbers(2, peers).map(
    (number) => `neigh add ${nodeAddr6Of(number)} lladdr ${macs.others} dev eth0 nud permanent`,
  )
  host.sh(`ip -6 -batch - <<'END'\n${neighbours.join('\n')}\nEND`)
}

/** The node as a kubelet tells it that is well: only of such an answer is expected. */
export function readyNode(number: number) {
  const node = dualStackNode(number)
  return {
    ...node,
    status: nodeStatus({ name: nodeNameOf(number), subnet: 1, addrs: [nodeAddrOf(number), nodeAddr6Of(number)] }, ''),
  }
}

type Cost = { readonly cpuMsPerS: number; readonly sentPerS: number }

function echoesSent(host: BenchNetns): number {
  const v4 = host.sh("awk '/^Icmp:/ {n = $0} END {print n}' /proc/net/snmp; awk '/^IcmpMsg:/' /proc/net/snmp")
  const [names, values] = v4
    .split('\n')
    .filter((line) => line.startsWith('IcmpMsg:'))
    .map((line) => line.split(/\s+/))
  const at = names?.indexOf('OutType8') ?? -1
  const v6 = /^Icmp6OutEchos\s+(\d+)/m.exec(host.sh('cat /proc/net/snmp6'))?.[1] ?? '0'
  return Number(at < 0 ? 0 : values![at]) + Number(v6)
}

/** An agent at rest among so many nodes, which all answer; an interval of 0: it probes none. */
export async function agentAmong(
  rig: Rig,
  peers: number,
  intervalS: number,
): Promise<{ readonly agent: BenchAgent; readonly host: BenchNetns }> {
  const [host, others] = [rig.node('node'), rig.netns('others')]
  answerForAll(host, others, peers)
  const api = await rig.api(host)
  await api.createNodes(numbers(1, peers), readyNode)
  const agent = await rig.agent(host, api, {
    clusterCIDRs: [clusterCIDR, clusterCIDR6],
    env: { CAUSEWAY_ROUTING: 'auto', CAUSEWAY_PROBE_INTERVAL_S: String(intervalS) },
  })
  await untilProbed(agent, intervalS > 0)
  return { agent, host }
}

export async function cost(peers: number, intervalS: number, watchMs: number, rounds: number): Promise<Cost[]> {
  await using rig = new Rig()
  const { agent, host } = await agentAmong(rig, peers, intervalS)
  const found: Cost[] = []
  for (let round = 0; round < rounds; round++) {
    const [cpu, sent] = [cpuMsOf(agent.pid), echoesSent(host)]
    const sinceMs = monotonicMs()
    await sleep(watchMs)
    const seconds = (monotonicMs() - sinceMs) / 1000
    found.push({
      cpuMsPerS: (cpuMsOf(agent.pid) - cpu) / seconds,
      sentPerS: (echoesSent(host) - sent) / seconds,
    })
  }
  return found
}

/** Waits until the agent has come to rest, and its partners answer. */
async function untilProbed(agent: BenchAgent, isOn: boolean): Promise<void> {
  const transport = socketTransport(agent.socketPath)
  const node = 'node-1'
  await waitUntil(
    'partners answer',
    async () => {
      const [answer] = await askAll([{ node, transport }], 'peers')
      if (answer?.outcome.kind !== 'answer') return false
      const { ways } = answer.outcome.value
      return !isOn || (ways.length > 0 && ways.every(({ state }) => state === 'ok'))
    },
    longestMs,
  )
  await sleep(3_000)
}

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const settings = settingsOf(sizes, effort)
  const { rounds, peers, watchMs } = settings
  say(`an agent with ${peers} nodes, with probes and without`)
  const [probed, idle] = [await cost(peers, 1, watchMs, rounds), await cost(peers, 0, watchMs, rounds)]
  const [probedCpu, idleCpu] = [probed, idle].map((all) => all.map(({ cpuMsPerS }) => cpuMsPerS)) as [
    number[],
    number[],
  ]
  const sent = probed.map(({ sentPerS }) => sentPerS)
  const added = median(probedCpu) - median(idleCpu)
  const ratios = roundRatios(
    probedCpu.map((each) => [each]),
    idleCpu.map((each) => [each]),
  )
  const found = await detections(settings, say)
  const tables: Table[] = [
    {
      title: `What probes cost an agent with ${peers.toLocaleString('en-US')} dual-stack nodes`,
      columns: ['what', 'with probes', 'without', 'ratio (of rounds)'],
      rows: [
        [
          'CPU of the agent, ms a second',
          figure(median(probedCpu)),
          figure(median(idleCpu)),
          ratioText(median(probedCpu) / median(idleCpu), spread(ratios)),
        ],
        ['echo requests a second', figure(median(sent)), '0', ''],
      ],
    },
    {
      title: 'From the beginning of a fault until an agent tells it, ms',
      columns: ['lab', 'fault', 'times', 'p50', 'longest', 'longest as a ratio to 5 s'],
      rows: found.map(({ shape, fault, tookMs }) => [
        shape,
        fault,
        String(tookMs.length),
        figure(median(tookMs)),
        figure(Math.max(...tookMs)),
        (Math.max(...tookMs) / goalMs).toFixed(2),
      ]),
    },
  ]
  const longest = Math.max(...found.flatMap(({ tookMs }) => tookMs))
  return {
    tables,
    goals: [
      {
        text: 'a broken pair is told within 5 s, whenever it breaks',
        measured: `${figure(longest)} ms`,
        isReached: longest <= goalMs,
      },
      {
        text: 'probes take less than 1 % of a processor with 1,000 nodes',
        measured: `${figure(added)} ms a second`,
        isReached: added < 10,
      },
    ],
    notes: [
      `${rounds} rounds of ${watchMs / 1000} s each with and without probes; the others' kernels answer, natively. What other nodes ask is answered by the kernel and read by the agent, which is not in these figures.`,
      `Each fault in a lab of ${labNodes} dual-stack nodes, from before "lab break" begins to act, at any time of a second.`,
    ],
    figures: {
      'CPU with probes': probedCpu,
      'CPU without': idleCpu,
      'echo requests a second': sent,
      ...Object.fromEntries(found.map(({ shape, fault, tookMs }) => [`${shape}: ${fault} ms`, tookMs])),
    },
  }
}

export const probingBenchmark: Benchmark = {
  name: 'probing',
  summary: 'how soon a broken way between nodes is told, and what the probes cost',
  run,
}
