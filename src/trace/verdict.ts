// What a trace says in the end: whether the probe arrived and was answered, and if not, the first place where what was seen parts from what was to be
// seen, why, and what mends it.
import { problemCatalogue } from '#/model/problem-catalogue.ts'
import { type StepKind } from '#/model/trace.ts'
import { icmpWords, redirect } from '#/wire/icmp/types.ts'
import { arrivedAnswer, hasArrived, isAtEnd, isForged, obstaclesAtEnd } from './arrival.ts'
import { isTunnel, type Loss, lossIn as lossBetween, lossRemedy, lossText, placeName } from './gap.ts'
import { answerKind, type AnswerKind, readPacket } from './packet.ts'
import { reasonWords } from './reasons.ts'
import { refusalWords } from './refusal.ts'
import { type End, goalNode, type TraceFacts } from './trace-facts.ts'
import { type Direction, type Sighting, type Step } from './types.ts'
import { directionOf, type Hop, mergeWay } from './way.ts'

export { type End, goalNode, type TraceFacts } from './trace-facts.ts'

export const outcomes = [
  'answered',
  'closed',
  'refused',
  'not-sent',
  'lost',
  'taken',
  'unanswered',
  'answer-lost',
  'untold',
] as const
/**
 * answered: there and back. closed: it arrived, and nothing listens at the port. refused: an ICMP error came back. not-sent: the sender's kernel
 * did not send it. lost: on the way there. taken: a process has the datagram, and did not answer in time. unanswered: it arrived, and no answer was
 * sent. answer-lost: on the way back. untold: nobody saw.
 */
export type Outcome = (typeof outcomes)[number]

export type Verdict = {
  readonly outcome: Outcome
  readonly text: string
  /** Of the problem in docs/problems.md. */
  readonly code?: string
  readonly remedy?: string
  /** Of the predicted step that is in its way. */
  readonly kind?: StepKind
  /** Where the packet was last seen, and where it then was not. */
  readonly last?: Hop
  readonly next?: Hop
  readonly direction?: Direction
  /** Where the kernel dropped it; other drops are of copies, or of what has arrived. */
  readonly drop?: Sighting
}

export type Trace = {
  readonly hops: Readonly<Record<Direction, readonly Hop[]>>
  readonly verdict: Verdict
}

const nameOf = ({ addr, pod, node }: End): string =>
  pod === undefined ? (node === undefined ? addr : `${node} (${addr})`) : `pod ${pod}`

function lossIn(
  direction: Direction,
  hops: readonly Hop[],
  { predictions: { there, back }, from, to }: TraceFacts,
  sightings: readonly Sighting[],
): Loss {
  const ways = direction === 'there' ? { own: there, opposite: back } : { own: back, opposite: there }
  const pods = [from.pod, to.pod].filter((each) => each !== undefined)
  return lossBetween(hops, { ...ways, pods }, sightings)
}

function packetOf({ bytes, startsAt }: Sighting) {
  return readPacket(Uint8Array.fromHex(bytes), startsAt)?.packet
}

/** Of the words for what comes where a packet is larger than a link, and may not be cut. */
const tooBig = /too big|needed/

function answeredVerdict(facts: TraceFacts, kind: AnswerKind, answer: Sighting): Verdict {
  const { port, from, to, protocol, sightings } = facts
  if (kind.kind === 'answer') return { outcome: 'answered', text: `${nameOf(to)} answers ${nameOf(from)}` }
  if (kind.kind === 'closed' && isForged(facts))
    return {
      outcome: 'refused',
      text: `a firewall refuses the probe in the name of ${nameOf(to)}`,
      last: hopAt(answer),
    }
  if (kind.kind === 'closed') {
    const arrived = `the probe arrived at ${nameOf(to)} and was answered`
    if (port === undefined) return { outcome: 'answered', text: arrived }
    const drop = sightings.find((each) => each.role === 'probe' && each.drop?.reason === 'NO_SOCKET')
    return {
      outcome: 'closed',
      ...(drop && { drop }),
      text: `${arrived}: no process listens at ${protocol.toUpperCase()} port ${port}`,
      remedy: `start what is to listen there, or ask for another port; the way itself is whole in both directions`,
    }
  }
  const { by, type, code, mtuBytes } = kind
  const words = icmpWords(by.family, type, code) ?? `ICMP type ${type} code ${code}`
  const mtu = mtuBytes > 0 && tooBig.test(words) ? `, MTU ${mtuBytes}` : ''
  return { outcome: 'refused', text: `${by} refuses the probe: ${words}${mtu}`, last: hopAt(answer) }
}

/** Somebody else has the receiver's address, and answers: the probe never came to the receiver, whose node was watched. */
function takenElsewhere(
  facts: TraceFacts,
  hops: readonly Hop[],
  there: readonly Sighting[],
  kind: AnswerKind,
): Verdict | undefined {
  const { to, sightings, blind } = facts
  const isWatched = to.node !== undefined && blind.every(({ node }) => node !== to.node)
  if (!isWatched || sightings.some((each) => isAtEnd(each, to))) return undefined
  const taker = there.findLast(({ place, drop }) => place === 'read' || drop?.reason === 'NO_SOCKET')
  // a firewall refuses what it has dropped
  const isDropped = there.some(({ drop }) => drop !== undefined && drop.reason !== 'NO_SOCKET')
  if (taker === undefined || (kind.kind === 'closed' && isDropped)) return undefined
  const onWay = there.filter((each) => each !== taker)
  const loss = lossIn('there', hops, facts, onWay)
  const cause = loss.obstacle === undefined ? '' : `: ${loss.obstacle.text}`
  return {
    outcome: 'lost',
    text: `the probe never came to ${nameOf(to)}: ${placeName(taker)} takes it for its own, and answers${cause}`,
    ...lostPart(loss, 'there'),
  }
}

function hopAt({ node, pod, device = '', place }: Sighting): Hop {
  return { node, device, place, isExpected: true, ...(pod !== undefined && { pod }) }
}

/** Who sends an ICMP error is where it was seen first, unless it came in there from outside: what was in the probe's way is there too. */
function refusedBy(facts: TraceFacts, verdict: Verdict, back: readonly Sighting[], there: readonly Hop[]): Verdict {
  const ofIcmp = back.filter(({ role }) => role === 'probe-error')
  const errors = ofIcmp.length > 0 ? ofIcmp : back
  const loss = lossIn(
    'there',
    there,
    facts,
    facts.sightings.filter((each) => directionOf(each) === 'there'),
  )
  const { last } = loss
  const cause = loss.obstacle === undefined ? '' : `: ${loss.obstacle.text}`
  // the clock of the node that the probe came to last, or else of the sender's
  const first = errors.find(({ node }) => node === (loss.drop?.node ?? last?.node)) ?? errors[0]
  if (first === undefined) return { ...verdict, direction: 'there' }
  if (first.place === 'receive' && first.pod === undefined) {
    const left = last === undefined ? '' : `, after it left ${last.node} by ${last.device}`
    return {
      ...verdict,
      ...(last && { last }),
      direction: 'there',
      ...(isTooBig(first) && facts.to.node !== undefined && narrowPart),
      ...obstaclePart(loss),
      text: `${verdict.text}${left}${cause}`,
    }
  }
  return { ...verdict, ...lostPart(loss, 'there'), text: `${verdict.text}, at ${placeName(first)}${cause}` }
}

/** A router between nodes takes less than the sender's kernel was told: no node knows of it beforehand. */
const narrowPart: Pick<Verdict, 'code' | 'remedy'> = { code: 'CW8101', remedy: problemCatalogue.CW8101.remedy }

function isTooBig(error: Sighting): boolean {
  const packet = packetOf(error)
  const kind = packet && answerKind(packet)
  return kind?.kind === 'refused' && tooBig.test(icmpWords(kind.by.family, kind.type, kind.code) ?? '')
}

/** What is known to be in its way, and what mends it. */
function obstaclePart(loss: Loss): Pick<Verdict, 'kind' | 'code' | 'remedy'> {
  const { obstacle, drop } = loss
  const remedy = lossRemedy(loss)
  const code = obstacle?.code ?? (obstacle === undefined && drop?.drop ? reasonWords(drop.drop)?.code : undefined)
  return {
    ...(obstacle && { kind: obstacle.kind }),
    ...(code !== undefined && { code }),
    ...(remedy !== undefined && { remedy }),
  }
}

function lostPart(loss: Loss, direction: Direction): Omit<Verdict, 'outcome' | 'text'> {
  const { last, next, drop } = loss
  return { direction, ...(drop && { drop }), ...(last && { last }), ...(next && { next }), ...obstaclePart(loss) }
}

function notSent({ from, to, refused, predictions, sizeBytes }: TraceFacts): Verdict {
  const { code, mtuBytes } = refused!
  const [own] = predictions.there
  const obstacle = own?.steps.find((each: Step) => each.isObstacle && each.pod === from.pod)
  const mtu =
    mtuBytes === undefined
      ? ''
      : `, which is ${mtuBytes} bytes${sizeBytes === undefined ? '' : `, and the packet has ${sizeBytes}`}`
  const why = obstacle?.text ?? `${refusalWords(code)}${mtu}`
  const remedy =
    obstacle?.remedy ?? (mtuBytes === undefined ? undefined : `--size ${mtuBytes} is the largest that fits`)
  return {
    outcome: 'not-sent',
    text: `the kernel of ${nameOf(from)} does not send it to ${nameOf(to)}: ${why}${why.includes(code) ? '' : ` (${code})`}`,
    direction: 'there',
    ...(obstacle && { kind: obstacle.kind }),
    ...(obstacle?.code !== undefined && { code: obstacle.code }),
    ...(remedy !== undefined && { remedy }),
  }
}

/** The node that was not watched, and that has the packet as far as is known. */
function blindNode(
  { blind }: TraceFacts,
  { last, next, drop, deaf }: Loss,
  goal: End,
): TraceFacts['blind'][number] | undefined {
  if (drop !== undefined || deaf !== undefined) return undefined
  // where that node does not say either what it would do, no place of it is known
  const hasLeft = last?.place === 'transmit' && last.pod === undefined && !isTunnel(last.device)
  // a way that ends at an obstacle goes on at the next node, to which the packet has not come
  if (last !== undefined && next !== undefined && next.node !== last.node && !hasLeft) return undefined
  const isGone = hasLeft && next === undefined && goalNode(goal) !== last.node
  return blind.find(({ node }) => node === (isGone ? goalNode(goal) : next?.node))
}

/** The verdict where the packet went to a node that was not watched. */
function untold(loss: Loss, { node, why }: TraceFacts['blind'][number], what: string, direction: Direction): Verdict {
  const { last, next } = loss
  const place = last === undefined ? '' : `${what} left ${last.device} of ${placeName(last)}; `
  return {
    outcome: 'untold',
    text: `${place}what became of it on ${node} is not known: ${why}`,
    direction,
    ...(last && { last }),
    ...(next && { next }),
  }
}

function lost(facts: TraceFacts, hops: readonly Hop[], there: readonly Sighting[]): Verdict {
  if (there.length === 0 && facts.blind.length > 0)
    return {
      outcome: 'untold',
      text: `nobody saw the probe: ${facts.blind.map(({ node, why }) => `${node}: ${why}`).join('; ')}`,
    }
  const loss = lossIn('there', hops, facts, there)
  const blind = blindNode(facts, loss, facts.to)
  if (blind !== undefined) return untold(loss, blind, 'the probe', 'there')
  return { outcome: 'lost', text: lossText(loss, 'the probe'), ...lostPart(loss, 'there') }
}

/** Whether what comes back is a refusal that the receiver did not send. */
function isRefusalForged(facts: TraceFacts, back: readonly Sighting[]): boolean {
  const packet = back[0] && packetOf(back[0])
  return packet !== undefined && answerKind(packet).kind === 'closed' && isForged(facts)
}

/** A firewall has refused the probe, and its refusal is lost too: the first of the two is what ends the probe. */
function refusalLost(facts: TraceFacts, hops: Trace['hops'], back: readonly Sighting[], loss: Loss): Verdict {
  const refused = refusedBy(
    facts,
    answeredVerdict(facts, { kind: 'closed', by: packetOf(back[0]!)!.src }, back[0]!),
    back,
    hops.there,
  )
  return {
    ...refused,
    text: `${refused.text}; ${lossText(loss, 'the refusal itself')}`,
  }
}

function takenText({ to, port }: TraceFacts, there: readonly Sighting[]): string {
  const isRead = there.some((each) => each.place === 'read' && isAtEnd(each, to))
  const at = port === undefined ? '' : ` at UDP port ${port}`
  return `the probe arrived at ${nameOf(to)}, and a process${at} ${isRead ? 'has read it' : 'has it'}, and did not answer in time: the way there is whole`
}

function unanswered(
  facts: TraceFacts,
  hops: Trace['hops'],
  there: readonly Sighting[],
  back: readonly Sighting[],
): Verdict {
  const { to, predictions, protocol } = facts
  if (back.length > 0) {
    const loss = lossIn('back', hops.back, facts, back)
    const blind = blindNode(facts, loss, facts.from)
    if (blind !== undefined) return untold(loss, blind, 'the answer', 'back')
    if (isRefusalForged(facts, back)) return refusalLost(facts, hops, back, loss)
    return { outcome: 'answer-lost', text: lossText(loss, 'the answer'), ...lostPart(loss, 'back') }
  }
  const arrived = `the probe arrived at ${nameOf(to)}`
  // what the receiver's own namespace did with it, and what it would do with an answer
  const drop = there.findLast((each) => each.place === 'drop' && isAtEnd(each, to))
  const last = hops.there.findLast(({ sighting }) => sighting !== undefined)
  const at = last === undefined ? {} : { last }
  const ofAnswer = predictions.back
    .filter(({ node }) => to.node === undefined || node === to.node)
    .flatMap(({ steps }) => steps)
    .filter((step) => step.isObstacle && step.pod === to.pod)
  const obstacles = [...obstaclesAtEnd(to, predictions.there, hops.there), ...ofAnswer]
  if (drop?.drop !== undefined && drop.drop.reason !== 'NO_SOCKET') {
    const loss = { ...at, drop, ...(obstacles[0] && { obstacle: obstacles[0] }) }
    return { outcome: 'unanswered', text: `${arrived}; ${lossText(loss, 'it')}`, ...lostPart(loss, 'there') }
  }
  const [obstacle] = obstacles
  if (obstacle !== undefined)
    return {
      outcome: 'unanswered',
      text: `${arrived}, and no answer left it: ${obstacle.text}`,
      ...lostPart({ ...at, obstacle }, 'back'),
    }
  // a datagram that the kernel neither drops nor refuses waits for the process that has the port
  if (protocol === 'udp' && drop === undefined) return { outcome: 'taken', text: takenText(facts, there), ...at }
  const why =
    protocol === 'udp'
      ? 'no process listens there; its kernel does not say so, as it limits how often it does (net.ipv4.icmp_ratelimit, net.ipv6.icmp.ratelimit)'
      : protocol === 'icmp'
        ? 'its kernel sends no answer'
        : 'neither a process nor its kernel sends an answer'
  const remedy =
    protocol === 'icmp'
      ? 'look there at the sysctls icmp_echo_ignore_all of net.ipv4 and net.ipv6; or ask for a port that something listens at: NAME:PORT'
      : undefined
  return {
    outcome: 'unanswered',
    text: `${arrived}, and ${why}`,
    direction: 'back',
    ...at,
    ...(remedy !== undefined && { remedy }),
  }
}

function verdictOf(facts: TraceFacts, hops: Trace['hops']): Verdict {
  const { refused, sightings } = facts
  const there = sightings.filter((each) => directionOf(each) === 'there')
  const back = sightings.filter((each) => directionOf(each) === 'back')
  if (refused !== undefined) return notSent(facts)
  const answer = arrivedAnswer(facts, hops.back, back)
  if (answer !== undefined) {
    const packet = packetOf(answer)
    const kind = packet === undefined ? ({ kind: 'answer' } as const) : answerKind(packet)
    const elsewhere = kind.kind === 'refused' ? undefined : takenElsewhere(facts, hops.there, there, kind)
    if (elsewhere !== undefined) return elsewhere
    const verdict = answeredVerdict(facts, kind, answer)
    return verdict.outcome === 'refused' ? refusedBy(facts, verdict, back, hops.there) : verdict
  }
  const isError = back.some(({ role }) => role === 'probe-error')
  if (hasArrived(facts, hops.there, there) || (back.length > 0 && !isError)) return unanswered(facts, hops, there, back)
  return lost(facts, hops.there, there)
}

/** Joins what was seen and what was to be seen. */
export function judgeTrace(all: TraceFacts): Trace {
  const facts = { ...all, sightings: all.sightings.filter((each) => !isRedirect(each)) }
  const ends = [facts.from.node, goalNode(facts.to)].filter((each) => each !== undefined)
  const of = (direction: Direction): readonly Hop[] =>
    mergeWay(
      facts.predictions[direction],
      facts.sightings.filter((each) => directionOf(each) === direction),
      direction === 'there' ? ends : ends.toReversed(),
    )
  const hops = { there: of('there'), back: of('back') }
  return { hops, verdict: verdictOf(facts, hops) }
}

/** A node tells a neighbour of a shorter way: it quotes the packet, which goes on all the same. */
function isRedirect(sighting: Sighting): boolean {
  if (sighting.role !== 'probe-error' && sighting.role !== 'answer-error') return false
  const packet = packetOf(sighting)
  return packet?.icmp !== undefined && packet.icmp.type === redirect[packet.src.family]
}

/** The probe came there, and an answer back: that nothing listens is one. */
export const isWhole = ({ outcome }: Verdict): boolean => outcome === 'answered' || outcome === 'closed'

/** The exit status that a verdict is told by. */
export function exitStatus({ outcome }: Verdict): 0 | 1 | 3 | 4 {
  if (outcome === 'answered') return 0
  if (outcome === 'taken') return 4
  return outcome === 'untold' ? 3 : 1
}
