// Why a packet that was seen at one place was not seen at the next: what the kernel says of it, what it would meet there, and in words where that is.
import { gapIn, type Gap, type Hop } from './way.ts'
import { kernelWords, reasonWords } from './reasons.ts'
import { type Prediction, type Sighting, type Step } from './types.ts'

export type Loss = Gap & {
  /** The sighting in which the kernel dropped it. */
  readonly drop?: Sighting
  /** What is known to be in its way there. */
  readonly obstacle?: Step
}

/** A drop is of this loss when nothing of the packet was seen later on that node, and it is where the packet was last. */
function dropIn({ last, next }: Gap, sightings: readonly Sighting[]): Sighting | undefined {
  const nodes = [last?.node, next?.node].filter((each) => each !== undefined)
  const seen = last?.sighting
  const drops = sightings
    .filter(({ place, node }) => place === 'drop' && nodes.includes(node))
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
  if (!at.includes(step.pod)) return false
  if (step.device === undefined || last === undefined) return true
  const passed = hops.slice(0, hops.indexOf(last)).filter(({ node, pod }) => node === last.node && pod === step.pod)
  const ahead = hops.slice(hops.indexOf(last))
  const isAhead = ahead.some(({ device, pod }) => device === step.device && pod === step.pod)
  return isAhead || !passed.some(({ device }) => device === step.device)
}

/**
 * The step that stops it there. Of several it is that of the kind that the kernel's reason speaks of; where the kernel gives a reason that is of
 * none of them, it is none.
 */
function obstacleIn(
  gap: Gap,
  hops: readonly Hop[],
  predictions: readonly Prediction[],
  drop: Sighting | undefined,
): Step | undefined {
  const { last, next } = gap
  const node = drop?.node ?? (last === undefined || next?.node === last.node ? (next ?? last)?.node : undefined)
  const steps = predictions
    .filter((each) => each.node === node)
    .flatMap(({ steps: all }) => all)
    .filter((step) => step.isObstacle && mayBeAt(step, gap, hops, drop))
  if (drop?.drop === undefined) return steps[0]
  const kinds = reasonWords(drop.drop)?.kinds
  return kinds === undefined ? steps[0] : steps.find(({ kind }) => kinds.includes(kind))
}

/** Where and why the packet of these hops was lost. `sightings` are of its direction. */
export function lossIn(hops: readonly Hop[], predictions: readonly Prediction[], sightings: readonly Sighting[]): Loss {
  const gap = gapIn(hops)
  const drop = dropIn(gap, sightings)
  const obstacle = obstacleIn(gap, hops, predictions, drop)
  return { ...gap, ...(drop && { drop }), ...(obstacle && { obstacle }) }
}

/** The namespace of a hop, as the reader knows it. */
export function placeName({ node, pod }: Pick<Hop, 'node' | 'pod'>): string {
  return pod === undefined ? node : `pod ${pod}`
}

const isTunnel = (device: string): boolean => /vxlan|flannel\./.test(device)

/** What is known of the place from where the packet was last seen and where it was not. */
function gapText({ last, next }: Gap, what: string): string {
  if (last === undefined)
    return next === undefined
      ? `${what} was seen nowhere`
      : `${what} was not seen at all: not even at ${next.device} of ${placeName(next)}`
  const at = `${last.device} of ${placeName(last)}`
  if (next === undefined) return `${what} came as far as ${at}`
  if (next.node !== last.node)
    return `${what} left ${last.node} by ${last.device} and never came to ${next.device} of ${next.node}: it was lost between the nodes`
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
export function lossRemedy({ last, next, drop, obstacle }: Loss): string | undefined {
  if (obstacle?.remedy !== undefined) return obstacle.remedy
  const words = drop?.drop && reasonWords(drop.drop)
  if (words?.remedy !== undefined) return words.remedy.replaceAll('DEVICE', drop?.device ?? 'DEVICE')
  if (drop === undefined && last !== undefined && next !== undefined && last.node !== next.node)
    return `look at what is between ${last.node} and ${next.node}: firewalls, security groups, routers, the MTU of the links`
  return undefined
}
