// What became of the packets that were followed: what was lost, and what says why. Pure.
import { type ProblemCode, problemCatalogue } from '#/model/problem-catalogue.ts'
import { ownValue } from '#/lib/own-value.ts'
import { problem } from '#/model/problems.ts'
import { reasonWords } from '#/trace/reasons.ts'
import { isWhole as isWholeVerdict } from '#/trace/verdict.ts'
import { touches } from './extent.ts'
import { pairOf } from './pair.ts'
import { isNamed, natureOf } from './ranks.ts'
import {
  type Extent,
  type FollowedPacket,
  type Loss,
  type Note,
  type PacketEnd,
  type PlannedPacket,
  type Sign,
} from './types.ts'

const lostOutcomes = new Set(['refused', 'not-sent', 'lost', 'unanswered', 'answer-lost'])

export const isWhole = ({ verdict }: FollowedPacket): boolean => isWholeVerdict(verdict)

/** Somebody wants these packets to be dropped. */
export const isDenied = ({ verdict, isMeant }: FollowedPacket): boolean => verdict.kind === 'policy' && isMeant !== true

export const isLost = (packet: FollowedPacket): boolean => lostOutcomes.has(packet.verdict.outcome) && !isDenied(packet)

function endText({ name, node, isPod }: PacketEnd): string {
  if (isPod) return `pod ${name} on ${node}`
  return name === node ? node : `${name}, the gateway of pods of ${node}`
}

const protocolWords = { icmp: 'an ICMP echo', tcp: 'the SYN of a TCP connection', udp: 'a UDP datagram' } as const

const protocolText = ({ protocol, family }: FollowedPacket): string => `${protocolWords[protocol]} over IPv${family}`

/** "an ICMP echo over IPv4 from pod default/web-1 on node-1 to …" */
export function packetText(packet: FollowedPacket): string {
  return `${protocolText(packet)} from ${endText(packet.from)} to ${endText(packet.to)}`
}

/** What the kernel says of a drop by a program, of which a trace does not know whose it is: those of the network have codes of their own. */
export const codesOfReasons: Readonly<Record<string, ProblemCode>> = {
  TC_INGRESS: 'CW6101',
  TC_EGRESS: 'CW6101',
  XDP: 'CW6101',
}

/** The code of a drop of which the trace knows no more than what the kernel says. */
function codeOfDrop({ drop, pod }: NonNullable<FollowedPacket['verdict']['drop']>): string | undefined {
  if (drop === undefined) return undefined
  const code = reasonWords(drop)?.code ?? ownValue(codesOfReasons, drop.reason)
  if (code !== undefined) return code
  if (drop.function.includes('xdp')) return 'CW6101'
  // what a pod has in its own namespace is the pod's
  return drop.reason === 'NETFILTER_DROP' && pod === undefined ? 'CW7001' : undefined
}

/**
 * Where the kernel dropped it, and with which words: packets that are lost in the same way have one cause. Not what waited in vain for a neighbour: that
 * is the doing of the other end.
 */
function dropOf({ verdict: { drop, remedy } }: FollowedPacket): Loss['drop'] {
  const words = drop?.drop && reasonWords(drop.drop)
  if (drop?.drop === undefined || words === undefined || words.kinds.includes('neighbour')) return undefined
  const { node, pod = '', device = '' } = drop
  return {
    place: `${node} ${pod} ${device} ${drop.drop.reason}`,
    ...(remedy !== undefined && { remedy: `on ${node}: ${remedy}` }),
  }
}

/** What is wrong with a checksum, with the MAC of a frame, or with a tunnel's end, was made so by the sender. */
const ofSender: ReadonlySet<string | undefined> = new Set(['CW6502', 'CW6503', 'CW8103', 'CW8105'])

/** Of these, what comes to a pod is made so by its own node, or by a pod there. */
const ofFrame: ReadonlySet<string | undefined> = new Set(['CW6502', 'CW8105'])

/** Where it ended, or where what ended it was made. */
function blamedNode({ from, to, verdict }: FollowedPacket, code: string | undefined): string | undefined {
  const { drop, next, last, direction } = verdict
  if (drop?.pod !== undefined && ofFrame.has(code)) return drop.node
  if (ofSender.has(code) && direction !== undefined) return direction === 'there' ? from.node : to.node
  if (drop !== undefined) return drop.node
  return next === undefined || next.node === last?.node ? last?.node : undefined
}

/** The node that it left last, where it came to no other. */
function wireBehind({ verdict: { drop, last, next } }: FollowedPacket): string | undefined {
  if (drop !== undefined || last?.place !== 'transmit' || last.pod !== undefined) return undefined
  return next === undefined || next.node !== last.node ? last.node : undefined
}

const how = 'a packet that was sent and followed (causeway trace)'

/** The code of what a trace blames, by what it says or by the kernel's reason. */
export function blamedCode({ verdict: { code, drop, kind }, isOwnDrop }: FollowedPacket): string | undefined {
  // that something dropped it is known better then: a rule or a program of Causeway's, for a policy or a reason that nobody foresaw
  const isOfOthers = kind !== 'policy' && isOwnDrop !== true
  return code ?? (drop && isOfOthers ? codeOfDrop(drop) : undefined)
}

/** A large packet was lost where a small one was answered. */
const isOfSize = ({ verdict }: FollowedPacket): boolean => /a small packet is answered/.test(verdict.text)

function lossOf(packet: FollowedPacket): Loss {
  const { verdict } = packet
  const code = blamedCode(packet)
  const node = blamedNode(packet, code)
  const wire = wireBehind(packet)
  const drop = dropOf(packet)
  return {
    packet: packetText(packet),
    text: verdict.text,
    from: packet.from.node,
    to: packet.to.node,
    isOfSize: isOfSize(packet),
    ...(code !== undefined && Object.hasOwn(problemCatalogue, code) && { code }),
    ...(node !== undefined && { node }),
    ...(wire !== undefined && { wireBehind: wire }),
    ...(drop && { drop }),
  }
}

function extentOf({ from, to, family }: FollowedPacket): Extent {
  const pods = [from, to].filter(({ isPod }) => isPod).map(({ name }) => name)
  return {
    at: from.node,
    ...(to.node !== from.node && { peers: [to.node] }),
    ...(pods.length > 0 && { pods }),
    families: [family],
  }
}

const remedyOf = ({ verdict: { remedy } }: FollowedPacket) => (remedy === undefined ? {} : { remedy })

function signOf(packet: FollowedPacket): Sign {
  const { from, to, verdict } = packet
  const loss = lossOf(packet)
  return {
    ...problem(
      loss.isOfSize ? 'CW8101' : 'CW6102',
      `way/${from.node} to ${to.node}`,
      `${loss.packet}: ${verdict.text}`,
      {
        how,
        ...remedyOf(packet),
      },
    ),
    nodes: [...new Set([from.node, to.node])].toSorted(),
    extent: extentOf(packet),
    loss,
    ...(loss.drop && { maker: loss.drop.place }),
  }
}

const wayOf = ({ from, to, family, protocol }: FollowedPacket): string =>
  `${from.name} ${to.name} ${family} ${protocol}`

/** A sign for each packet that was lost. */
export function lostPackets(packets: readonly FollowedPacket[]): Sign[] {
  return packets.filter(isLost).map(signOf)
}

/**
 * Ways that lose some packets: what was lost between two nodes was answered when it was sent again, and as large. Not those of which an agent tells it.
 */
export function lossyWays(packets: readonly FollowedPacket[], told: readonly Sign[]): Sign[] {
  const whole = packets.filter(isWhole)
  const answered = new Set(whole.map(wayOf))
  const answeredInFull = new Set(whole.filter(({ fullBytes }) => fullBytes !== undefined).map(wayOf))
  const onWire = packets.filter((packet) => isLost(packet) && wireBehind(packet) !== undefined)
  const lossy = Map.groupBy(
    onWire.filter((packet) => (isOfSize(packet) ? answeredInFull : answered).has(wayOf(packet))),
    pairOf,
  )
  return [...lossy].flatMap(([pair, [first]]): Sign[] => {
    const { from, to } = first!
    const extent = { at: from.node, peers: [to.node] }
    if (told.some((sign) => sign.code === 'CW8102' && touches(sign.extent, extent))) return []
    const sent = packets.filter((packet) => pairOf(packet) === pair)
    const lost = onWire.filter((packet) => pairOf(packet) === pair)
    const message = `${lost.length} of ${sent.length} packets that were followed between ${from.node} and ${to.node} were lost between the two, and some of these were answered when they were sent again`
    return [
      {
        ...problem('CW8102', `way/${from.node} to ${to.node}`, message, { how }),
        nodes: [from.node, to.node].toSorted(),
        extent,
      },
    ]
  })
}

/** So often a packet is sent again, all at once: where one in five is lost, one is hardly lost each time. */
const timesAgain = 3

/** Packets that are worth other tries: nobody says why they were lost, so perhaps only some are. */
export function worthAgain(packets: readonly FollowedPacket[]): PlannedPacket[] {
  const unknown = packets.filter((packet) => isLost(packet) && lossOf(packet).wireBehind !== undefined)
  const each = [...new Map(unknown.map((packet) => [`${packet.from.node} ${packet.to.node}`, packet])).values()].map(
    ({ from, to, family, protocol }) => ({ from, to, family, protocol }),
  )
  return Array.from({ length: timesAgain }, () => each).flat()
}

/** Whether a trace says that it is this: the same code, at the same node. */
export function isBlamed(sign: Sign, { code: blamed, node }: Loss): boolean {
  const { at } = sign.extent
  const { nodes } = sign
  return isNamed(sign, blamed) && (node === undefined || at === undefined || at === node || nodes.includes(node))
}

/** That some firewall dropped it says less than what an agent tells of its node, such as which one. */
function isExplained(packet: FollowedPacket, told: readonly Sign[]): boolean {
  const { code, drop } = packet.verdict
  if (code !== undefined || drop?.drop?.reason !== 'NETFILTER_DROP') return false
  return told.some(({ code: other, extent }) => {
    const { rank, does } = natureOf(other)
    return extent.at === drop.node && rank !== 'seen' && does.includes('ways') && touches(extent, extentOf(packet))
  })
}

/** What traces blame and nobody tells by himself: a sign for each code and node. */
export function blamedCauses(packets: readonly FollowedPacket[], told: readonly Sign[]): Sign[] {
  const causes = new Map<string, Sign>()
  for (const packet of packets.filter(isLost)) {
    const loss = lossOf(packet)
    const { code, node } = loss
    if (code === undefined || node === undefined) continue
    if (told.some((sign) => isBlamed(sign, loss))) continue
    const key = `${code} ${node}`
    if (causes.has(key) || isExplained(packet, told)) continue
    const peers = [packet.from.node, packet.to.node].filter((each) => each !== node)
    causes.set(key, {
      ...problem(code as ProblemCode, `node/${node}`, packet.verdict.text, { how, ...remedyOf(packet) }),
      nodes: [node],
      extent: { at: node, ...(peers.length > 0 && { peers }) },
    })
  }
  return [...causes.values()]
}

/** Packets of which nothing can be said, and those that policies deny: no fault. What is alike is told once. */
export function packetNotes(packets: readonly FollowedPacket[]): Note[] {
  const notes = packets.flatMap((packet): Note[] => {
    const nodes = [...new Set([packet.from.node, packet.to.node])].toSorted()
    if (isDenied(packet)) return [{ nodes, text: `policies deny ${packetText(packet)}: ${packet.verdict.text}` }]
    if (packet.verdict.outcome !== 'untold') return []
    return [{ nodes, text: `what became of ${packetText(packet)} is not known: ${packet.verdict.text}` }]
  })
  return [...Map.groupBy(notes, ({ nodes, text }) => `${text.split(' ')[0]} ${nodes.join(' ')}`).values()].map(
    ([first, ...more]): Note => ({
      nodes: first!.nodes,
      text: more.length === 0 ? first!.text : `${first!.text} (and ${more.length} more between these nodes)`,
    }),
  )
}
