// What each fault does to a lab, as packets and kernels show it: which probes of the matrix fail, and what else is to be seen.
import assert from 'node:assert/strict'
import { type LabSpec } from '#/lab/spec.ts'
import { run } from '../e2e/harness.ts'
import { type Probed } from './fault-lab.ts'

export type Struck = {
  readonly lab: string
  readonly spec: LabSpec
  readonly node: string
  readonly peer: string
  readonly pod: string
  /** A pod on the other node, and its addresses by family. */
  readonly peerPod: string
  readonly addrOf: (pod: string, family: 4 | 6) => string
  readonly probes: readonly Probed[]
}

export type Effect = {
  /** Whether a probe fails; undefined: it may, or not. */
  readonly fails: (probe: Probed, struck: Struck) => boolean | undefined
  /**
   * Where a trace says that a packet ends which is lost between the two nodes: at the struck node unless it is said otherwise. port: on the wire, or at
   * the device of the node that leads to it, which in a lab sees what the port of the switch does not take. nowhere: it arrives, under another address.
   */
  readonly ends?: 'peer' | 'wire' | 'port' | 'anywhere' | 'nowhere'
  /** The words after `causeway trace` for a packet that is lost, where no probe of the matrix between the two nodes is; it is sent again if it is answered. */
  readonly traced?: (struck: Struck) => readonly string[]
  /** Asserts what else is to be seen. */
  readonly seen?: (struck: Struck) => void
}

/** Exactly one of the two pods is on the node that is struck. */
const crosses = ({ fromNode, toNode }: Probed, { node }: Struck): boolean => (fromNode === node) !== (toNode === node)
const within = ({ fromNode, toNode }: Probed, { node }: Struck): boolean => fromNode === node && toNode === node
const between = ({ fromNode, toNode }: Probed, { node, peer }: Struck): boolean =>
  (fromNode === node && toNode === peer) || (fromNode === peer && toNode === node)
const never = (): boolean => false
const perhaps = (): undefined => undefined

function inside({ lab }: Struck, place: string, command: string) {
  return run('ip', ['netns', 'exec', `cw-${lab}-${place}`, ...command.split(' ')])
}

/** How many entries of connection tracking the node has, and how many it can have. */
function tracked(struck: Struck): [count: number, max: number] {
  const command = 'sysctl -n net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max'
  const [count = 0, max = 0] = inside(struck, struck.node, command).stdout.split('\n').map(Number)
  return [count, max]
}

/** Makes more connections than entries of connection tracking have expired since the table was full. */
function takeRoom(struck: Struck): void {
  const { lab, pod, peerPod, spec, addrOf } = struck
  const [count, max] = tracked(struck)
  const addr = addrOf(peerPod, spec.families === 'ipv6' ? 6 : 4)
  const script = `for n in {1..${Math.max(0, max - count) + 200}}; do echo x >/dev/udp/${addr}/9; done`
  run('ip', ['netns', 'exec', `cw-${lab}-${podPlace(pod)}`, 'bash', '-c', script])
}

/** Whether one of some connections is lost once there is no room left. */
function losesConnections(struck: Struck): boolean {
  const { pod, peerPod, spec, addrOf } = struck
  takeRoom(struck)
  const addr = addrOf(peerPod, spec.families === 'ipv6' ? 6 : 4)
  const connect = ['timeout', '1', 'bash', '-c', `exec 3<>/dev/tcp/${addr}/8080`]
  const netns = `cw-${struck.lab}-${podPlace(pod)}`
  return Array.from({ length: 20 }).some(() => run('ip', ['netns', 'exec', netns, ...connect]).status !== 0)
}

const podPlace = (pod: string): string => `pod-default-${pod}`

/** The pod on the other node pings the pod that is struck, with that many bytes in an IP packet that may not be cut in pieces. */
function pings(
  struck: Struck,
  bytes: number,
  more = '-c 1 -W 1',
): { readonly isAnswered: boolean; readonly stdout: string } {
  const family = struck.spec.families === 'ipv6' ? 6 : 4
  const headers = family === 4 ? 28 : 48
  const command = `ping -n -M do ${more} -s ${bytes - headers} ${struck.addrOf(struck.pod, family)}`
  const { status, stdout, stderr } = inside(struck, podPlace(struck.peerPod), command)
  return { isAnswered: status === 0, stdout: stdout + stderr }
}

/** More packets than applications that want no answer are suspected for (CW1306). */
function unanswered(struck: Struck): void {
  assert.ok(!pings(struck, 100, '-c 20 -i 0.1 -W 1').isAnswered)
  const family = struck.spec.families === 'ipv6' ? 6 : 4
  const back = `ping -n -c 20 -i 0.1 -W 1 ${struck.addrOf(struck.peerPod, family)}`
  assert.notEqual(inside(struck, podPlace(struck.pod), back).status, 0)
}

function losesLarge(struck: Struck): void {
  assert.ok(pings(struck, 100).isAnswered, 'small packets cross')
  assert.ok(!pings(struck, 1420).isAnswered, 'large ones are lost')
}

/** A packet of a size that the network of pods carries when all is well. */
const largeToPod = ({ pod, peerPod }: Struck): readonly string[] => [
  `default/${peerPod}`,
  `default/${pod}`,
  '--size',
  '1420',
]

const gatewayOf = (struck: Struck): string => struck.addrOf(struck.pod, 4).replace(/\.\d+$/, '.1')

function prints(place: string, command: string, pattern: RegExp) {
  return (struck: Struck): void =>
    assert.match(inside(struck, place.replace('NODE', struck.node), command).stdout, pattern)
}

/** The bridge hands frames between pods of a node to the rules for forwarded packets (bridge-nf-call-iptables); eBPF programs do not. */
const onNodeIfBridged = (probe: Probed, struck: Struck): boolean | undefined => {
  if (crosses(probe, struck)) return true
  if (!within(probe, struck)) return false
  return struck.spec.datapath === 'bridge' ? true : undefined
}

/** What BGP tells goes by the addresses that speakers have: it follows Node objects later, and by its own sessions. */
const isByBgp = (probe: Probed, struck: Struck): boolean => struck.spec.routing === 'native' && crosses(probe, struck)

/** Pods that are at no bridge reach those of their own node by routes as well. */
const whereRouted = (probe: Probed, struck: Struck): boolean | undefined =>
  within(probe, struck) && struck.spec.datapath !== 'bridge' ? undefined : crosses(probe, struck)

export const effects: Readonly<Record<string, Effect>> = {
  'overlay-port-blocked': { fails: crosses, seen: unanswered, ends: 'wire' },
  'overlay-port-blocked-one-way': { fails: crosses, seen: unanswered, ends: 'wire' },
  'underlay-mtu-silent': { fails: never, seen: losesLarge, traced: largeToPod, ends: 'port' },
  'underlay-mtu-told': {
    fails: never,
    traced: largeToPod,
    ends: 'anywhere',
    seen: (struck) => {
      assert.ok(pings(struck, 100).isAnswered, 'small packets cross')
      // the first tell the node of the sender, and a later one the sender
      const { isAnswered, stdout } = pings(struck, 1420, '-c 6 -i 0.4 -W 1')
      assert.ok(!isAnswered && /mtu|too (long|big)/i.test(stdout), `the sender is told: ${stdout}`)
    },
  },
  'packet-loss': {
    fails: perhaps,
    seen: (struck) => {
      const { stdout } = pings(struck, 100, '-q -c 150 -i 0.01 -W 1')
      const lost = Number(/([\d.]+)% packet loss/.exec(stdout)?.[1])
      assert.ok(lost >= 5 && lost <= 45, `a part of the packets is lost: ${stdout}`)
    },
  },
  'cable-unplugged': { fails: crosses, ends: 'anywhere' },
  'neighbour-wrong-mac': {
    fails: (probe, struck) => (struck.spec.racks ? crosses(probe, struck) : between(probe, struck)),
    ends: 'anywhere',
  },
  'checksums-spoiled': {
    fails: (probe, struck) => probe.protocol === 'tcp' && crosses(probe, struck),
    ends: 'peer',
  },
  'forward-drop-nft': { fails: onNodeIfBridged },
  'forward-drop-legacy': { fails: onNodeIfBridged },
  'input-drops-tunnel': { fails: crosses },
  'input-drops-pods': {
    fails: never,
    seen: (struck) =>
      assert.notEqual(inside(struck, podPlace(struck.pod), `ping -n -c 1 -W 1 ${gatewayOf(struck)}`).status, 0),
    traced: (struck) => [`default/${struck.pod}`, gatewayOf(struck)],
  },
  'masquerade-pods': {
    ends: 'nowhere',
    fails: (probe, struck) => {
      if (probe.protocol === 'icmp') return false
      if (within(probe, struck)) return struck.spec.datapath === 'bridge' ? true : undefined
      return probe.fromNode === struck.node
    },
  },
  'bridge-netfilter': { fails: within },
  'firewall-fights': {
    fails: (probe, struck) => (crosses(probe, struck) || within(probe, struck) ? undefined : false),
  },
  'rule-before-main': { fails: whereRouted },
  'specific-route': { ends: 'anywhere', fails: between },
  'blackhole-route': { fails: between },
  'prohibit-route': { fails: between },
  'foreign-address': {
    // the node answers echo requests itself
    fails: ({ from, to, fromNode, toNode, protocol }, { node, peerPod }) =>
      (to === peerPod && fromNode === node && protocol === 'tcp') || (from === peerPod && toNode === node),
  },
  'routes-deleted': {
    fails: perhaps,
    seen: (struck) => {
      const family = struck.spec.families === 'ipv6' ? 6 : 4
      assert.match(inside(struck, struck.node, `timeout 5 ip -${family} monitor route`).stdout, /^Deleted .* proto 67/m)
    },
  },
  'rp-filter-strict': { fails: never, seen: prints('NODE', 'sysctl net.ipv4.conf.eth0.rp_filter', /= 1/) },
  'device-forwarding-off': {
    fails: (probe, struck) => struck.spec.routing === 'native' && probe.family === 4 && crosses(probe, struck),
    seen: prints('NODE', 'ip netconf show dev eth0', /forwarding off/),
  },
  'ipv6-disabled': { fails: (probe, struck) => probe.family === 6 && crosses(probe, struck) },
  'conntrack-full': {
    traced: (struck) => {
      takeRoom(struck)
      return [`default/${struck.pod}`, `default/${struck.peerPod}:8080`]
    },
    fails: (probe, struck) => (crosses(probe, struck) || within(probe, struck) ? undefined : false),
    seen: (struck) => {
      const [count, max] = tracked(struck)
      assert.ok(count > 0.99 * max, `${count} of ${max} entries`)
      const isLost = struck.probes.some((probe) => !probe.isFine && crosses(probe, struck)) || losesConnections(struck)
      assert.ok(isLost, 'new connections are lost')
    },
  },
  'ip-forward-fight': { fails: (probe, struck) => (crosses(probe, struck) ? undefined : false) },
  'leftover-bridge': { fails: whereRouted },
  'leftover-program': { fails: crosses, seen: unanswered },
  'leftover-conflist': { fails: never },
  'pod-route-gone': {
    fails: (probe, struck) => (probe.from === struck.pod || probe.to === struck.pod) && crosses(probe, struck),
  },
  'pod-mtu': { fails: never, seen: losesLarge, traced: largeToPod },
  'pod-address-gone': {
    fails: (probe, struck) => {
      if (probe.from !== struck.pod && probe.to !== struck.pod) return false
      // link-local addresses still reach pods of the same node
      return probe.family === 6 && within(probe, struck) ? undefined : true
    },
  },
  'addresses-exhausted': { fails: never },
  'policy-denies': {
    fails: never,
    traced: ({ pod, peerPod }) => [`default/${peerPod}`, `default/${pod}:8080`],
    seen: ({ probes, pod }) => {
      const to = probes.filter((probe) => probe.to === pod)
      assert.ok(to.length > 0 && to.every(({ outcome }) => outcome === 'denied'), 'nobody reaches the pod')
    },
  },
  'node-cidr-overlap': { fails: never },
  'node-cidr-wide': { fails: never },
  'node-cidr-outside': { fails: never },
  'node-cidr-changed': {
    ends: 'anywhere',
    fails: (probe, struck) => (isByBgp(probe, struck) ? undefined : whereRouted(probe, struck)),
  },
  'node-address-twice': { fails: never },
  'node-address-wrong': {
    ends: 'anywhere',
    fails: (probe, struck) => (isByBgp(probe, struck) ? undefined : crosses(probe, struck)),
  },
  'cluster-cidrs-used-up': { fails: never },
  'agent-dead': { fails: never },
  'agent-frozen': { fails: never },
  // routes learned from the agent that was restarted may be away for a moment
  'second-bgp-speaker': { ends: 'anywhere', fails: (probe, struck) => (crosses(probe, struck) ? undefined : false) },
  'bfd-port-taken': { ends: 'anywhere', fails: (probe, struck) => (crosses(probe, struck) ? undefined : false) },
}
