// Which packets are to be followed: from a pod of each node to a pod of the next one, so that every node sends and receives. Pure.
import { Addr, type Family, families, Prefix } from '#/lib/addr.ts'
import { byNumberedName } from '#/lib/numbered-names.ts'
import { type NodeAnswers, type PacketEnd, type PlannedPacket } from './types.ts'

/** So many in all, whichever number of nodes there is. */
export const mostPackets = 64

type Ends = { readonly node: string; readonly pods: readonly PodEnd[]; readonly gateways: ReadonlyMap<Family, string> }
type PodEnd = { readonly end: PacketEnd; readonly families: readonly Family[] }

function podsOf({ node, status }: NodeAnswers): PodEnd[] {
  return (status?.endpoints ?? [])
    .filter(({ state, addrs }) => state === 'ready' && addrs.length > 0)
    .map(({ pod, addrs }) => ({
      end: { name: pod, node, isPod: true },
      families: families.filter((family) => addrs.some((addr) => Addr.tryParse(addr)?.family === family)),
    }))
    .toSorted((one, other) => byNumberedName(one.end.name, other.end.name))
}

/** The gateways of the pods of a node, by what other nodes know of it, so that also one that does not answer can be a destination. */
function gatewaysOf(cidrs: readonly string[]): Map<Family, string> {
  const prefixes = cidrs.flatMap((each) => Prefix.tryParse(each) ?? [])
  return new Map(prefixes.toReversed().map((cidr) => [cidr.family, String(cidr.at(1))]))
}

/** The pod CIDRs of nodes that do not answer, as others know them. */
function cidrsOfSilent(all: readonly NodeAnswers[]): Map<string, Set<string>> {
  const found = new Map(all.filter(({ status }) => status === undefined).map(({ node }) => [node, new Set<string>()]))
  if (found.size > 0)
    for (const { status } of all) for (const { node, podCIDR } of status?.verdicts ?? []) found.get(node)?.add(podCIDR)
  return found
}

function endsOf(all: readonly NodeAnswers[]): Ends[] {
  const silent = cidrsOfSilent(all)
  return all.map((each) => ({
    node: each.node,
    pods: podsOf(each),
    gateways: gatewaysOf(each.status?.podCIDRs ?? [...(silent.get(each.node) ?? [])]),
  }))
}

function senderOf({ node, pods }: Ends, family: Family): PacketEnd {
  return pods.find((pod) => pod.families.includes(family))?.end ?? { name: node, node, isPod: false }
}

function receiverOf({ node, pods, gateways }: Ends, family: Family): PacketEnd | undefined {
  const pod = pods.find((each) => each.families.includes(family))
  const gateway = gateways.get(family)
  return pod?.end ?? (gateway === undefined ? undefined : { name: gateway, node, isPod: false })
}

type Pair = readonly [from: Ends, to: Ends]

/**
 * Each node that can send to the next one of these, and one of them to each of the others. Where they are too many, every other one, so that each
 * node is one end.
 */
function pairsOf(senders: readonly Ends[], others: readonly Ends[]): Pair[] {
  const ring = senders.flatMap((from, index): Pair[] => {
    const to = senders[(index + 1) % senders.length]!
    return senders.length < 2 ? [] : [[from, to]]
  })
  const chosen = ring.length > mostPackets ? ring.filter((_, index) => index % 2 === 0) : ring
  if (senders.length === 0) return chosen
  return [...chosen, ...others.map((to, index): Pair => [senders[index % senders.length]!, to])]
}

function packetOf([from, to]: Pair, family: Family, protocol: PlannedPacket['protocol']): PlannedPacket[] {
  const receiver = receiverOf(to, family)
  if (receiver === undefined || !to.gateways.has(family) || !from.gateways.has(family)) return []
  return [{ from: senderOf(from, family), to: receiver, family, protocol }]
}

/** Two pods of one node, where it has two. */
function within({ pods }: Ends, family: Family): PlannedPacket[] {
  const [from, to] = pods.filter((pod) => pod.families.includes(family))
  return from && to ? [{ from: from.end, to: to.end, family, protocol: 'icmp' }] : []
}

export type Ring = {
  readonly packets: readonly PlannedPacket[]
  /** How many were left out. */
  readonly left: number
}

/**
 * The packets in the order of what they say: first one between each two nodes, then TCP, since what spoils checksums spares echoes, then the other
 * family, then pods of one node. `about`: only those that concern this node.
 */
export function ringOf(answers: readonly NodeAnswers[], about?: string): Ring {
  const nodes = endsOf(answers.toSorted((one, other) => byNumberedName(one.node, other.node)))
  const answering = new Set(answers.flatMap(({ node, status }) => (status === undefined ? [] : [node])))
  const [senders, others] = [true, false].map((can) => nodes.filter(({ node }) => answering.has(node) === can))
  const pairs = pairsOf(senders!, others!)
  const all = families.flatMap((family) =>
    (['icmp', 'tcp'] as const).flatMap((protocol) => pairs.flatMap((pair) => packetOf(pair, family, protocol))),
  )
  const own = senders!.flatMap(
    (each) => families.map((family) => within(each, family)).find(({ length }) => length > 0) ?? [],
  )
  const wanted = [...all, ...own].filter(
    ({ from, to }) => about === undefined || from.node === about || to.node === about,
  )
  return { packets: wanted.slice(0, mostPackets), left: Math.max(0, wanted.length - mostPackets) }
}

/** Makes an echo in each family from one node to another; none where the sender does not answer. */
export function wayPackets(answers: readonly NodeAnswers[]): (from: string, to: string) => PlannedPacket[] {
  const ends = new Map(endsOf(answers).map((each) => [each.node, each]))
  const answering = new Set(answers.flatMap(({ node, status }) => (status === undefined ? [] : [node])))
  return (from, to) => {
    const [sender, receiver] = [ends.get(from), ends.get(to)]
    if (sender === undefined || receiver === undefined || !answering.has(from)) return []
    return families.flatMap((family) => packetOf([sender, receiver], family, 'icmp'))
  }
}

/** Other pods of the same two nodes, for a packet that policies deny: they deny it between these pods, and say nothing of the way. */
export function otherPods(
  answers: readonly NodeAnswers[],
  packet: PlannedPacket,
  tried: readonly PlannedPacket[],
): PlannedPacket | undefined {
  const { from, to, family } = packet
  const podsAt = (node: string): PacketEnd[] =>
    answers
      .filter((each) => each.node === node)
      .flatMap(podsOf)
      .filter((pod) => pod.families.includes(family))
      .map(({ end }) => end)
  for (const receiver of podsAt(to.node))
    for (const sender of podsAt(from.node)) {
      const other = { ...packet, from: sender, to: receiver }
      if (sender.name !== receiver.name && !tried.some((each) => isSame(each, other))) return other
    }
  return undefined
}

function isSame(one: PlannedPacket, other: PlannedPacket): boolean {
  return (
    one.from.name === other.from.name &&
    one.to.name === other.to.name &&
    one.family === other.family &&
    one.protocol === other.protocol
  )
}
