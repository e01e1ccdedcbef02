// Why a packet that was seen at one place was not seen at the next: what the kernel says of it, what it would meet there, and in words where that is.
import { gapIn, type Gap, type Hop } from './way.ts'
import { kernelWords, reasonWords } from './reasons.ts'
import { type Prediction, type Sighting, type Step } from './types.ts'

export type Loss = Gap & {
  /** The next node, which cannot receive it. */
  readonly deaf?: string
  /** Where it went instead of to the next place. */
  readonly stray?: Sighting
  /** The sighting in which the kernel dropped it. */
  readonly drop?: Sighting
  /** What is known to be in its way there. */
  readonly obstacle?: Step
  /** The node that sent it to where it was dropped, in the namespace of a node. */
  readonly sender?: string
}

/**
 * A bridge that does not know where a MAC is gives a copy to every port: what other pods than the two ends make of those says nothing. The way that
 * is expected may end before it comes to an end.
 */
function isOnWay({ pod }: Sighting, hops: readonly Hop[], { pods }: Ways): boolean {
  return pod === undefined || pods.includes(pod) || hops.some((hop) => hop.isExpected && hop.pod === pod)
}

/** A drop is of this loss when nothing of the packet was seen later on that node, and it is where the packet was last. */
function dropIn(
  { last, next }: Gap,
  hops: readonly Hop[],
  ways: Ways,
  sightings: readonly Sighting[],
): Sighting | undefined {
  const nodes = [last?.node, next?.node].filter((each) => each !== undefined)
  const seen = last?.sighting
  const drops = sightings
    // one that was seen nowhere else may have been dropped on any node before the next place
    .filter(({ place, node }) => place === 'drop' && (last === undefined || nodes.includes(node)))
    .filter((each) => isOnWay(each, hops, ways))
    // of the node where it was last seen, what was dropped before that is a copy
    .filter(({ node, timeMs }) => seen === undefined || node !== seen.node || timeMs >= seen.timeMs)
    .toSorted((a, b) => a.timeMs - b.timeMs)
  // a bridge or a tap makes copies, and what becomes of those says nothing: the packet itself is known by its skb, until it is copied
  const own = drops.findLast(({ skb, node }) => seen !== undefined && node === seen.node && skb === seen.skb)
  // one at the node to come is further on the way
  const further =
    next !== undefined && next.node !== last?.node ? drops.findLast(({ node }) => node === next.node) : undefined
  return further ?? own ?? drops.at(-1)
}

/** Whether a step may be where the packet is: not in another namespace, and not before a device that it has passed. */
function mayBeAt(step: Step, { last, next }: Gap, hops: readonly Hop[], drop: Sighting | undefined): boolean {
  const at = drop ? [drop.pod] : [last?.pod, next?.pod]
  const isAnywhere = drop === undefined && last === undefined && next === undefined
  if (!isAnywhere && !at.includes(step.pod)) return false
  // a policy of the sender is told at the pod's device, and enforced where the node forwards, behind its bridge
  if (step.device === undefined || step.kind === 'policy' || last === undefined) return true
  const passed = hops.slice(0, hops.indexOf(last)).filter(({ node, pod }) => node === last.node && pod === step.pod)
  const ahead = hops.slice(hops.indexOf(last)).filter(({ node }) => node === last.node)
  const isAhead = ahead.some(({ device, pod }) => device === step.device && pod === step.pod)
  return isAhead || !passed.some(({ device }) => device === step.device)
}

/** Whether what a device sends goes on in the node, in a tunnel's packet. */
export const isTunnel = (device: string): boolean => /vxlan|^flannel/.test(device)

/** Whether it was last seen as it left a node for another one. A way that ends at an obstacle goes on at the next node. */
function hasLeft({ last, next }: Gap): boolean {
  if (last?.place !== 'transmit' || last.pod !== undefined || isTunnel(last.device)) return false
  return next !== undefined && next.node !== last.node
}

/** The node that a packet was sent to and that has no place to receive it: what is in its way is there. */
function deafNode({ last, next }: Gap, predictions: readonly Prediction[]): Prediction | undefined {
  if (last?.place !== 'transmit' || last.pod !== undefined || next !== undefined) return undefined
  const place = predictions.findIndex(({ node }) => node === last.node)
  const behind = predictions[place + 1]
  return behind?.way.length === 0 ? behind : undefined
}

/** Where it was seen on the node of the last place, behind that, though it was not to be. */
function strayIn(
  { last }: Gap,
  hops: readonly Hop[],
  ways: Ways,
  sightings: readonly Sighting[],
): Sighting | undefined {
  const seen = last?.sighting
  if (seen === undefined) return undefined
  return sightings
    .filter(
      ({ node, timeMs, place }) => node === seen.node && timeMs > seen.timeMs && place !== 'drop' && place !== 'read',
    )
    .filter((each) => isOnWay(each, hops, ways))
    .findLast(
      ({ device, pod }) =>
        !hops.some((hop) => hop.isExpected && hop.device === device && hop.pod === pod && hop.node === seen.node),
    )
}

const ofOtherEnd = new Set<Step['kind']>(['mtu', 'deliver'])

/** Reasons that are about the way back to the packet's source. */
const ofSource = new Set(['IP_RPFILTER', 'IP_INVALID_SOURCE', 'IP_LOCAL_SOURCE'])

const obstaclesAt = (predictions: readonly Prediction[], node: string | undefined): Step[] =>
  predictions
    .filter((each) => each.node === node)
    .flatMap(({ steps }) => steps)
    .filter(({ isObstacle }) => isObstacle)

/** Where no drop is told and nothing is in its way just here, it waits for what is further on, on the same node: a MAC that nobody tells. */
function aheadIn(steps: readonly Step[], { next }: Gap, hops: readonly Hop[]): Step | undefined {
  const rest = next === undefined ? [] : hops.slice(hops.indexOf(next)).filter(({ node }) => node === next.node)
  return steps.find((step) => rest.some(({ pod, device }) => pod === step.pod && (step.device ?? device) === device))
}

/** Whether it sends a packet out of the node, and elsewhere than to where it should: an end of the tunnel, or a route that is not of the network. */
function leadsAstray({ kind, device, pod }: Step, own: readonly Prediction[], { node, device: left }: Hop): boolean {
  if (kind === 'fdb') return device !== undefined && isTunnel(device)
  // where a route stops it, no way leads to the device by which it left
  const goesOn = own.some(
    (each) => each.node === node && each.way.some((place) => place.device === left && place.pod === undefined),
  )
  return kind === 'route' && pod === undefined && goesOn
}

/**
 * The step that stops it there. Of several it is that of the kind that the kernel's reason speaks of; where the kernel gives a reason that is of
 * none of them, it is none.
 */
function obstacleIn(
  gap: Gap,
  hops: readonly Hop[],
  { own, opposite }: Ways,
  drop: Sighting | undefined,
): Step | undefined {
  const deaf = drop === undefined ? deafNode(gap, own) : undefined
  if (deaf !== undefined) return deaf.steps.find(({ isObstacle }) => isObstacle)
  const { last, next } = gap
  // what was seen nowhere is with the first node still, which may have no place for it to be seen at
  const first = own[0]?.node ?? next?.node
  const node = drop?.node ?? (hasLeft(gap) ? undefined : (last?.node ?? first))
  // what left the node for another end than that of the next one is lost by that, wherever it is now
  if (drop === undefined && hasLeft(gap))
    return obstaclesAt(own, last?.node).find((step) => leadsAstray(step, own, last!))
  const all = obstaclesAt(own, node)
  const steps = all.filter((step) => mayBeAt(step, gap, hops, drop))
  if (drop?.drop === undefined) return steps[0] ?? aheadIn(all, gap, hops)
  if (ofSource.has(drop.drop.reason)) {
    const back = obstaclesAt(opposite, node).find(({ kind, pod }) => kind === 'route' && pod === drop.pod)
    if (back) return back
  }
  const kinds = reasonWords(drop.drop)?.kinds
  if (kinds === undefined) return steps[0]
  // a device drops what its other end, in the namespace behind it, would not take
  const atOtherEnd = all.filter(({ kind, pod }) => ofOtherEnd.has(kind) && pod !== undefined && pod === next?.pod)
  const isMeant = ({ kind }: Step): boolean => kinds.includes(kind)
  const here = [...steps, ...atOtherEnd].find(isMeant)
  if (here !== undefined || drop.drop.reason !== 'OTHERHOST') return here
  if (drop.pod !== undefined) return all.find((step) => step.pod !== drop.pod && isMeant(step))
  return obstaclesAt(own, nodeBefore(own, node)).find((step) => step.pod === undefined && isMeant(step))
}

/** The MAC that is not the receiver's is what the node before has for it; of a pod's, what its own node has, or another pod there. */
function nodeBefore(own: readonly Prediction[], node: string | undefined): string | undefined {
  return own[own.findIndex((each) => each.node === node) - 1]?.node
}

/** What nodes say of the packet's own direction, and of the other one. */
export type Ways = {
  readonly own: readonly Prediction[]
  readonly opposite: readonly Prediction[]
  /** The pods that are ends. */
  readonly pods: readonly string[]
}

/** What was seen nowhere, and has no place on its first node, has not come to the next one. */
function startIn(gap: Gap, { own: [first] }: Ways): Gap {
  return gap.last === undefined && first?.way.length === 0 ? {} : gap
}

const isSamePlace = (one: Sighting, other: Sighting): boolean =>
  one.node === other.node && one.pod === other.pod && one.device === other.device

/** Where and why the packet of these hops was lost. `sightings` are of its direction. */
export function lossIn(hops: readonly Hop[], ways: Ways, sightings: readonly Sighting[]): Loss {
  const gap = startIn(gapIn(hops, ways.pods), ways)
  const stray = strayIn(gap, hops, ways, sightings)
  const dropped = dropIn(gap, hops, ways, sightings)
  // somebody has led it to a device where nobody has its MAC: that is what ended it
  const isLedAway = stray !== undefined && dropped?.drop?.reason === 'OTHERHOST' && isSamePlace(dropped, stray)
  const drop = isLedAway ? undefined : dropped
  const obstacle = obstacleIn(gap, hops, ways, drop)
  const deaf = drop === undefined ? deafNode(gap, ways.own)?.node : undefined
  const sender = drop !== undefined && drop.pod === undefined ? nodeBefore(ways.own, drop.node) : undefined
  return {
    ...gap,
    ...(drop && { drop }),
    ...(obstacle && { obstacle }),
    ...(stray && { stray }),
    ...(deaf !== undefined && { deaf }),
    ...(sender !== undefined && { sender }),
  }
}

/** The namespace of a hop, as the reader knows it. */
export function placeName({ node, pod }: Pick<Hop, 'node' | 'pod'>): string {
  return pod === undefined ? node : `pod ${pod}`
}

/** What is known of the place from where the packet was last seen and where it was not. */
function gapText(loss: Loss, what: string): string {
  const { last, next, stray, deaf } = loss
  if (last === undefined)
    return next === undefined
      ? `${what} was seen nowhere`
      : `${what} was not seen at all: not even at ${next.device} of ${placeName(next)}`
  const at = `${last.device} of ${placeName(last)}`
  if (stray !== undefined) {
    const instead = next === undefined || next.node !== last.node ? 'which is not its way' : `instead of ${next.device}`
    return `${what} came to ${at} and went on by ${stray.device}, ${instead}`
  }
  if (deaf !== undefined) return `${what} left ${last.node} by ${last.device}, and ${deaf} cannot receive it`
  if (next === undefined) return `${what} came as far as ${at}`
  if (!hasLeft(loss) && next.node !== last.node) return `${what} came to ${at} and did not go on`
  if (next.node !== last.node)
    return `${what} left ${last.node} by ${last.device} and never came to ${next.device} of ${next.node}${loss.obstacle ? '' : ': it was lost between the nodes'}`
  if (last.place === 'queue' && next.place === 'transmit' && last.device === next.device)
    return `${what} was given to ${at} to be sent, and did not leave it`
  if (last.pod !== next.pod) return `${what} left ${at} and never came to ${next.device} of ${placeName(next)}`
  if (last.place === 'receive' && next.place === 'receive' && isTunnel(next.device))
    return `${what} came to ${at} and was not taken out of the tunnel by ${next.device}`
  if (next.place === 'read') return `${what} came to ${at} and no process has read it`
  return `${what} came to ${at} and did not go on to ${next.device}`
}

function droppedText({ node, pod, device }: Sighting, what: string): string {
  const where = pod === undefined ? node : `pod ${pod}`
  return `${what} was dropped ${device === undefined || device === '' ? 'in' : `at ${device} of`} ${where}`
}

/** "the probe was dropped at eth0 of node-2: a rule of a firewall dropped it (NETFILTER_DROP in nft_do_chain)" */
export function lossText(loss: Loss, what: string): string {
  const { drop, obstacle } = loss
  const why = drop?.drop
  const place = drop ? droppedText(drop, what) : gapText(loss, what)
  const kernel = why === undefined ? '' : ` (${kernelWords(why)})`
  const cause = obstacle?.text ?? (why && reasonWords(why)?.text)
  return `${place}${cause === undefined ? '' : `: ${cause}`}${kernel}`
}

/** What mends it, where that is known. */
export function lossRemedy({ last, next, drop, obstacle, sender, stray }: Loss): string | undefined {
  if (obstacle?.remedy !== undefined) return obstacle.remedy
  const words = drop?.drop && reasonWords(drop.drop)
  if (words?.remedy !== undefined)
    return words.remedy
      .replaceAll('DEVICE', drop?.device ?? 'DEVICE')
      .replaceAll('NODE', sender ?? last?.node ?? 'NODE')
  if (drop === undefined && last !== undefined && stray !== undefined && stray.node === last.node)
    return `look for what leads it there: tc filter show dev ${last.device} ingress, and egress; bpftool net; ip rule show; nft list ruleset`
  if (drop === undefined && hasLeft({ ...(last && { last }), ...(next && { next }) }))
    return `look at what is between ${last!.node} and ${next!.node}: firewalls, security groups, routers, the MTU of the links`
  return undefined
}
