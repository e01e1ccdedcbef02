// The datapath: pod to pod across nodes over the overlay, against node to node over the underlay beneath it and against
// flannel's VXLAN made by hand on the same underlay. Then what parts of the way cost, by taking them out one at a time.
import { labProcesses } from '#/lab/processes.ts'
import { nodeNetns, routerNetns } from '#/lab/spec.ts'
import { type Netns } from '#/sys/netns.ts'
import {
  type Benchmark,
  type Effort,
  figure,
  type Goal,
  ratioText,
  type Result,
  settingsOf,
  type Table,
} from './benchmark.ts'
import { type Flow, measureFlow, type Path } from './flows.ts'
import { BenchLab } from './lab.ts'
import { shellIn } from './netns.ts'
import { Rig } from './rig.ts'
import { median, roundRatios, spread } from './stats.ts'

/** `paths` and `parts`: how many of the cases are measured, counted from the last. */
const sizes = {
  smoke: { rounds: 1, seconds: 1, paths: 3, parts: 1 },
  full: { rounds: 7, seconds: 2, paths: 5, parts: 7 },
}

/** A way from one end to the other, and what to change about it before and after it is measured. */
type Case = { readonly name: string; readonly path: Path; readonly before?: () => void; readonly after?: () => void }
type Measured = { readonly name: string; readonly flows: Flow[] }

/** A namespace that goes with the lab, with a cable from its eth0 to the lab's underlay. */
function beside(lab: BenchLab, name: string, addr: string): Netns {
  const netns = lab.made(name)
  const router = lab.opened(routerNetns(lab.name))
  shellIn(
    router,
    `ip link add ${name} type veth peer name eth0 netns ${nodeNetns(lab.name, name)}
    ip link set ${name} master subnet-1 up`,
  )
  shellIn(netns, `ip link set lo up; ip link set eth0 up; ip addr add ${addr} dev eth0`)
  return netns
}

/** A pod of a namespace made with `beside`. */
function podBeside(lab: BenchLab, node: Netns, name: string): Netns {
  const pod = lab.made(name)
  shellIn(
    node,
    `ip link add ${name} type veth peer name eth0 netns ${nodeNetns(lab.name, name)}
    ip link set ${name} master cni0 up`,
  )
  return pod
}

/** kill -9: packets go on, and what is changed by hand stays changed. */
function killAgents(lab: BenchLab): void {
  for (const { pid, role } of labProcesses(lab.name)) if (role.startsWith('agent-')) process.kill(pid, 'SIGKILL')
}

/** From the pod of one node to that of the other. */
function podPath(lab: BenchLab): Path {
  const [from, to] = lab.pods
  return { from: lab.pod(from!.name), to: lab.pod(to!.name), addr: to!.addrs[0]! }
}

const flannelHosts = ['172.30.1.101', '172.30.1.102'] as const
const flannelMac = (number: number): string => `02:42:00:00:00:0${number}`

/** The other one of two. */
function peerOf(number: number): number {
  return 3 - number
}

/** Two nodes with a pod each, as flannel makes them. Returns the way between the pods and the nodes. */
function flannelPath(lab: BenchLab): { path: Path; nodes: readonly Netns[] } {
  const made = [1, 2].map((number) => {
    const name = `flannel-${number}`
    const node = beside(lab, name, `${flannelHosts[number - 1]}/24`)
    const peer = peerOf(number)
    shellIn(
      node,
      `sysctl -qw net.ipv4.ip_forward=1
      ip link add flannel.1 address ${flannelMac(number)} mtu 1450 type vxlan id 1 local ${flannelHosts[number - 1]} dev eth0 dstport 8472 nolearning
      ip addr add 10.99.${number}.0/32 dev flannel.1; ip link set flannel.1 up
      ip link add cni0 type bridge; ip addr add 10.99.${number}.1/24 dev cni0; ip link set cni0 mtu 1450 up
      ip neigh replace 10.99.${peer}.0 lladdr ${flannelMac(peer)} dev flannel.1 nud permanent
      bridge fdb append ${flannelMac(peer)} dev flannel.1 dst ${flannelHosts[peer - 1]} self permanent
      ip route replace 10.99.${peer}.0/24 via 10.99.${peer}.0 dev flannel.1 onlink`,
    )
    const pod = podBeside(lab, node, `flannel-pod-${number}`)
    shellIn(
      pod,
      `ip link set lo up; ip link set eth0 mtu 1450 up; ip addr add 10.99.${number}.2/24 dev eth0
      ip route add default via 10.99.${number}.1`,
    )
    return { node, pod }
  })
  const [first, second] = made
  return {
    path: { from: first!.pod, to: second!.pod, addr: '10.99.2.2' },
    nodes: made.map(({ node }) => node),
  }
}

/** What flannel's masquerading does to packets between pods: nothing, but every one of them is looked at. */
const flannelMasquerade = `nft add table ip flannel
  nft add chain ip flannel postrouting '{ type nat hook postrouting priority srcnat; }'
  nft add rule ip flannel postrouting ip saddr 10.99.0.0/16 ip daddr 10.99.0.0/16 return
  nft add rule ip flannel postrouting ip saddr 10.99.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random`

async function measureAll(cases: readonly Case[], rounds: number, seconds: number, say: (line: string) => void) {
  const measured: Measured[] = cases.map(({ name }) => ({ name, flows: [] }))
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`)
    const order = [...cases.entries()]
    for (const [index, { path, before, after }] of round % 2 === 0 ? order.toReversed() : order) {
      before?.()
      measured[index]!.flows.push(await measureFlow(path, seconds))
      after?.()
    }
  }
  return measured
}

/** Each measured against the first. */
function tableOf(title: string, measured: readonly Measured[]): Table {
  const base = measured[0]!.flows
  const each = (flows: readonly Flow[], value: (flow: Flow) => number): number[][] => flows.map((flow) => [value(flow)])
  const rate = (flow: Flow): number => 1e6 / flow.roundTripUs
  const throughput = (flow: Flow): number => flow.gbitPerSecond
  return {
    title,
    columns: ['path', 'round trip p50, us', 'p99', 'per second', 'share', 'Gbit/s', 'share'],
    rows: measured.map(({ name, flows }) => {
      const share = (value: (flow: Flow) => number): string =>
        ratioText(
          median(flows.map(value)) / median(base.map(value)),
          spread(roundRatios(each(flows, value), each(base, value))),
        )
      return [
        name,
        figure(median(flows.map(({ roundTripUs }) => roundTripUs))),
        figure(median(flows.map(({ roundTripP99Us }) => roundTripP99Us))),
        figure(Math.round(median(flows.map(rate)))),
        share(rate),
        figure(median(flows.map(throughput))),
        share(throughput),
      ]
    }),
  }
}

/** Ways to take a part out of the overlay's path on a node, and to put it back. */
function changes(
  number: number,
  node: Netns,
): Record<'masquerade' | 'bridge' | 'ingress' | 'tunnel', [string, string]> {
  const table = shellIn(node, 'nft list table inet causeway')
  const ingress = shellIn(node, 'nft list table netdev causeway')
  const restore = (text: string): string => `nft -f - <<'EOF'\n${text}\nEOF`
  const [route] = shellIn(node, 'ip route show proto 67 type unicast').trim().split('\n')
  // of the same metric, or it stands beside ours
  const metric = /metric (\d+)/.exec(route!)?.[1] ?? '0'
  const peer = peerOf(number)
  const hasBridgeNetfilter = '[ ! -e /proc/sys/net/bridge ] ||'
  return {
    masquerade: ['nft delete table inet causeway', restore(table)],
    bridge: [
      `${hasBridgeNetfilter} sysctl -qw net.bridge.bridge-nf-call-iptables=0`,
      `${hasBridgeNetfilter} sysctl -qw net.bridge.bridge-nf-call-iptables=1`,
    ],
    // without the hook a frame must carry the MAC of the device it arrives on; a new MAC drops the neighbours
    ingress: [
      `ip link set cw-vxlan address 02:43:00:00:00:0${number}
       ip neigh replace 169.254.42.1 lladdr 02:43:00:00:00:0${peer} dev cw-vxlan nud permanent
       nft delete table netdev causeway`,
      `ip neigh replace 169.254.42.1 lladdr 02:43:57:ff:ff:ff dev cw-vxlan nud permanent; ${restore(ingress)}`,
    ],
    tunnel: [
      `ip route replace ${route!.split(' ')[0]} via 172.30.1.1${peer} dev eth0 proto 67 metric ${metric}`,
      `ip route replace ${route}`,
    ],
  }
}

function partCases(path: Path, nodes: readonly Netns[]): Case[] {
  const each = nodes.map((node, index) => ({ node, change: changes(index + 1, node) }))
  type Part = keyof (typeof each)[number]['change']
  const without = (name: string, parts: readonly Part[]): Case => ({
    name,
    path,
    before: () => {
      for (const part of parts) for (const { node, change } of each) shellIn(node, change[part][0])
    },
    after: () => {
      for (const part of parts) for (const { node, change } of each) shellIn(node, change[part][1])
    },
  })
  return [
    without('pod to pod, Causeway as it is', []),
    without('without masquerade and connection tracking', ['masquerade']),
    without('without netfilter on the bridge', ['bridge']),
    without('without the ingress hook of the tunnel', ['ingress']),
    without('without all three', ['masquerade', 'bridge', 'ingress']),
    without('without the tunnel (plain route)', ['tunnel']),
    without('without the tunnel and all three', ['tunnel', 'masquerade', 'bridge', 'ingress']),
  ]
}

const nodeName = 'node to node'
const nativeName = 'pod to pod, Causeway, native routing'

/** What bridge and routing leave, measured with neither netfilter nor an agent. */
const nativeShareGoal = 0.72

function nativeGoal(paths: readonly Measured[]): Goal[] {
  const tripUs = (wanted: string): number | undefined => {
    const flows = paths.find(({ name }) => name === wanted)?.flows
    return flows && median(flows.map(({ roundTripUs }) => roundTripUs))
  }
  const [nodeUs, ownUs] = [tripUs(nodeName), tripUs(nativeName)]
  if (nodeUs === undefined || ownUs === undefined) return []
  const share = nodeUs / ownUs
  return [
    {
      text: `natively, request and answer at least ${nativeShareGoal} times as often as between nodes`,
      measured: `share ${share.toFixed(2)}`,
      isReached: share >= nativeShareGoal,
    },
  ]
}

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const { rounds, seconds, paths: pathCount, parts: partCount } = settingsOf(sizes, effort)
  await using rig = new Rig()
  const options = ['--nodes', '2', '--pods', '1', '--families', 'ipv4']
  const lab = await BenchLab.up(rig, options)
  const native = podPath(await BenchLab.up(rig, [...options, '--routing', 'native']))
  const nodes = [lab.node(1), lab.node(2)]
  const overlay = podPath(lab)
  const flannel = flannelPath(lab)
  const inFlannel = (command: string) => () => {
    for (const node of flannel.nodes) shellIn(node, command)
  }
  const paths = await measureAll(
    [
      { name: nodeName, path: { from: nodes[0]!, to: nodes[1]!, addr: '172.30.1.12' } },
      { name: "pod to pod, flannel's VXLAN, without its masquerade", path: flannel.path },
      { name: nativeName, path: native },
      {
        name: "pod to pod, flannel's VXLAN",
        path: flannel.path,
        before: inFlannel(flannelMasquerade),
        after: inFlannel('nft delete table ip flannel'),
      },
      { name: 'pod to pod, Causeway, VXLAN', path: overlay },
    ].slice(-pathCount),
    rounds,
    seconds,
    (line) => say(`paths, ${line}`),
  )
  killAgents(lab)
  const cases = partCases(overlay, nodes).slice(-partCount)
  const parts = await measureAll(cases, rounds, seconds, (line) => say(`parts, ${line}`))
  const [flannelUs, ownUs] = paths.slice(-2).map(({ flows }) => median(flows.map(({ roundTripUs }) => roundTripUs)))
  const ratio = flannelUs! / ownUs!
  return {
    tables: [
      tableOf('TCP over one core; share of node to node, of rounds in brackets', paths),
      tableOf("What parts of the overlay's path cost; share of the whole path as it is", parts),
    ],
    goals: [
      {
        text: "request and answer at least as often as over flannel's VXLAN (within 3 %)",
        measured: `ratio ${ratio.toFixed(2)}`,
        isReached: ratio >= 0.97,
      },
      ...nativeGoal(paths),
    ],
    notes: [
      `${rounds} rounds, all paths in turn, ${seconds} s for each measurement. IPv4, two nodes on one subnet of a lab, MTU 1500.`,
      'Round trips: sockperf, TCP, 14 bytes. Throughput: iperf3, one TCP flow. Client and server share one core.',
      'The second table was taken with the agents killed, so that nobody mends what is taken out.',
    ],
    figures: Object.fromEntries(
      [...paths, ...parts].flatMap(({ name, flows }) => [
        [`${name}: round trip us`, flows.map(({ roundTripUs }) => roundTripUs)],
        [`${name}: Gbit/s`, flows.map(({ gbitPerSecond }) => gbitPerSecond)],
      ]),
    ),
  }
}

export const datapathBenchmark: Benchmark = {
  name: 'datapath',
  summary: 'pod to pod over the overlay against node to node, and what parts of the way cost',
  run,
}
