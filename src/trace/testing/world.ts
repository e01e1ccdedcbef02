// Small worlds of data: one or two nodes, what a packet passes on them, and what becomes of it. A model of packet flow makes sightings and predictions
// of such a world, and says what a verdict has to say of them.
import fc from 'fast-check'
import { type End, type TraceFacts } from '../trace-facts.ts'
import { type Direction, type Sighting, type Step } from '../types.ts'
import { from as podFrom, type Place, predictionsOf, sightingAt, to as podTo, tunnelled } from './scene.ts'

/** What becomes of the packet behind a place. */
export type FateKind =
  /** Nobody sees it again. */
  | 'silent'
  /** The kernel drops it, at the device of the place. */
  | 'dropped'
  /** The kernel drops it at the next place, before it is seen there. */
  | 'dropped-ahead'
  /** It goes on by a device that is not its way. */
  | 'stray'

type Fate = {
  readonly direction: Direction
  /** Which of the places of that direction it passes last: a part of them, from 0 to 1. */
  readonly part: number
  readonly kind: FateKind
  /** Whether the node predicts what stops it, and whether its way ends there then. */
  readonly isPredicted: boolean
  readonly isCut: boolean
}

export type World = {
  readonly isOneNode: boolean
  readonly isFromPod: boolean
  readonly isToPod: boolean
  readonly isTunnel: boolean
  /** Devices between the pod's and the underlay's, on each node. */
  readonly middle: number
  readonly fate?: Fate
  /** Clocks of the two nodes, ms since 1970. */
  readonly clocksMs: readonly [number, number]
  readonly stepMs: number
  /** Places, by their numbers, that the kernel does not show. */
  readonly hidden: readonly number[]
  /** The node that is not watched. One that is dead predicts nothing either, and sends none. */
  readonly blind?: { readonly node: 'node-1' | 'node-2'; readonly isDead: boolean }
  /** Behind which places a bridge gives copies to other pods, which drop them. */
  readonly copies: readonly number[]
  /** About which devices that a packet passes something is told to be in the way: places, by their numbers. */
  readonly lies: readonly number[]
  /** In which order sightings are told. */
  readonly seed: number
}

const parts = fc.double({ min: 0, max: 1, noNaN: true })
const numbers = fc.array(fc.nat({ max: 30 }), { maxLength: 4 })

export const anyWorld: fc.Arbitrary<World> = fc.record(
  {
    isOneNode: fc.boolean(),
    isFromPod: fc.boolean(),
    isToPod: fc.boolean(),
    isTunnel: fc.boolean(),
    middle: fc.nat({ max: 3 }),
    fate: fc.record({
      direction: fc.constantFrom<Direction>('there', 'back'),
      part: parts,
      kind: fc.constantFrom<FateKind>('silent', 'dropped', 'dropped-ahead', 'stray'),
      isPredicted: fc.boolean(),
      isCut: fc.boolean(),
    }),
    clocksMs: fc.tuple(fc.nat({ max: 1_000_000 }), fc.nat({ max: 1_000_000 })),
    stepMs: fc.constantFrom(0.001, 0.01, 0.3),
    hidden: numbers,
    blind: fc.constantFrom(
      { node: 'node-1', isDead: false } as const,
      { node: 'node-2', isDead: false } as const,
      { node: 'node-2', isDead: true } as const,
    ),
    copies: numbers,
    lies: numbers,
    seed: fc.nat(),
  },
  {
    requiredKeys: [
      'isOneNode',
      'isFromPod',
      'isToPod',
      'isTunnel',
      'middle',
      'clocksMs',
      'stepMs',
      'hidden',
      'copies',
      'lies',
      'seed',
    ],
  },
)

/** What steps say: of what stops the packet, and of what it has passed. */
export const truth = 'what stops it'
export const lie = 'what it has passed'

type Side = { readonly node: string; readonly pod?: string; readonly port: string }

function middleOf({ middle }: World): string[] {
  return ['cw-br0', 'br1', 'br2'].slice(0, middle)
}

/** From the end to the devices of the underlay, or of the other end on the same node. */
function sends(world: World, { node, pod, port }: Side): Place[] {
  const own: Place[] =
    pod === undefined
      ? []
      : [
          { node, place: 'queue', device: 'eth0', pod },
          { node, place: 'transmit', device: 'eth0', pod },
          { node, place: 'receive', device: port },
          ...middleOf(world).map((device): Place => ({ node, place: 'receive', device })),
        ]
  if (world.isOneNode) return own
  const tunnel: Place[] = world.isTunnel ? [{ node, place: 'transmit', device: 'cw-vxlan' }] : []
  return [...own, ...tunnel, { node, place: 'queue', device: 'eth0' }, { node, place: 'transmit', device: 'eth0' }]
}

function receives(world: World, { node, pod, port }: Side): Place[] {
  const outer: Place[] = world.isOneNode
    ? []
    : [
        { node, place: 'receive', device: 'eth0' },
        ...(world.isTunnel ? [{ node, place: 'receive', device: 'cw-vxlan' } as const] : []),
      ]
  if (pod === undefined) return outer
  return [
    ...outer,
    ...middleOf(world).map((device): Place => ({ node, place: 'transmit', device: `${device}-out` })),
    { node, place: 'transmit', device: port },
    { node, place: 'receive', device: 'eth0', pod },
  ]
}

/** The model: what a packet passes, and what a verdict has to say. */
export class Flow {
  readonly world: World
  readonly from: End
  readonly to: End
  readonly ways: Readonly<Record<Direction, readonly Place[]>>

  constructor(world: World) {
    this.world = world
    const [first, second] = ['node-1', world.isOneNode ? 'node-1' : 'node-2']
    // two ends of one node without a pod are one host
    const isToPod = world.isToPod || (world.isOneNode && !world.isFromPod)
    this.from = world.isFromPod ? podFrom : { addr: podFrom.addr, node: first }
    this.to = isToPod ? { ...podTo, node: second } : { addr: podTo.addr, node: second }
    const sideOf = ({ node, pod }: End, port: string): Side => ({
      node: node!,
      port,
      ...(pod !== undefined && { pod }),
    })
    const [a, b] = [sideOf(this.from, 'cwv1'), sideOf(this.to, 'cwv2')]
    this.ways = {
      there: [...sends(world, a), ...receives(world, b)],
      back: [...sends(world, b), ...receives(world, a)],
    }
  }

  /** How many places of a direction the packet passes. */
  passed(direction: Direction): number {
    const { fate } = this.world
    const { length } = this.ways[direction]
    if (fate === undefined) return length
    if (fate.direction === 'there' && direction === 'back') return 0
    return fate.direction === direction ? this.#fateAt(fate) : length
  }

  #fateAt({ direction, part }: Fate): number {
    return Math.min(Math.round(part * this.ways[direction].length), this.ways[direction].length)
  }

  isBlind(node: string): boolean {
    return this.world.blind?.node === node
  }

  /** Whether the kernel shows a place: it always does the last of a direction, and the one by which a packet leaves a node. */
  isShown(direction: Direction, index: number): boolean {
    const way = this.ways[direction]
    const place = way[index]!
    const mayBeHidden = way[index + 1]?.node === place.node
    return !this.isBlind(place.node) && !(mayBeHidden && this.world.hidden.includes(index))
  }

  /** The last place that was shown, of those that the packet passed; -1: none. */
  lastShown(direction: Direction): number {
    for (let index = this.passed(direction) - 1; index >= 0; index--) if (this.isShown(direction, index)) return index
    return -1
  }

  /** Where its end is, when it is dropped, or seen elsewhere. */
  get fatePlace(): Omit<Place, 'place'> | undefined {
    const { fate } = this.world
    if (fate === undefined || fate.kind === 'silent') return undefined
    const at = this.#fateAt(fate)
    const way = this.ways[fate.direction]
    const [last, next] = [way[at - 1], way[at]]
    if (fate.kind === 'stray') {
      const mayStray = last !== undefined && last.pod === undefined && next?.node === last.node
      return mayStray && this.isShown(fate.direction, at - 1) ? { node: last.node, device: 'tun0' } : undefined
    }
    const place = fate.kind === 'dropped-ahead' ? (next ?? last) : (last ?? next)
    if (place === undefined) return undefined
    const { node, device, pod } = place
    return { node, device, ...(pod !== undefined && { pod }) }
  }

  #timeMs(node: string, tick: number): number {
    const [first, second] = this.world.clocksMs
    return (node === 'node-1' ? first : second) + tick * this.world.stepMs
  }

  /** The underlay sees packets of the tunnel. */
  #inTunnel(sighting: Sighting): Sighting {
    const isOuter =
      this.world.isTunnel && !this.world.isOneNode && sighting.device === 'eth0' && sighting.pod === undefined
    return isOuter ? { ...sighting, bytes: tunnelled(sighting.bytes) } : sighting
  }

  #sightingsOf(direction: Direction, start: number): Sighting[] {
    const { world } = this
    const told: Sighting[] = []
    for (let index = 0; index < this.passed(direction); index++) {
      const place = this.ways[direction][index]!
      const timeMs = this.#timeMs(place.node, start + 4 * index)
      if (this.isShown(direction, index))
        told.push(this.#inTunnel(sightingAt(place, 0, direction, { timeMs, skb: `${direction} ${place.node}` })))
      if (world.copies.includes(index) && !this.isBlind(place.node))
        told.push(...copiesAt(place, direction, this.#timeMs(place.node, start + 4 * index + 1), index))
    }
    return told
  }

  /** What is told of the end of the packet itself. */
  get end(): Sighting | undefined {
    const { fate } = this.world
    const place = this.fatePlace
    if (fate === undefined || place === undefined || this.isBlind(place.node)) return undefined
    const { direction, kind } = fate
    const start = direction === 'there' ? 0 : 1_000
    const timeMs = this.#timeMs(place.node, start + 4 * this.#fateAt(fate) - 1)
    const skb = `${direction} ${place.node}`
    if (kind === 'stray') return sightingAt({ ...place, place: 'transmit' }, 0, direction, { timeMs, skb })
    const drop = { reason: 'NETFILTER_DROP', function: 'nft_do_chain+0x1' }
    return this.#inTunnel(sightingAt({ ...place, place: 'drop' }, 0, direction, { timeMs, skb, drop }))
  }

  /** What stops the packet, and what does not. */
  #stepsOf(direction: Direction): (Step & { readonly node: string })[] {
    const { fate, lies } = this.world
    const way = this.ways[direction]
    const steps = lies.flatMap((index) => {
      const place = way[index]
      if (place === undefined || !(this.#isBehind(direction, index) || this.#isElsewhere(direction, index))) return []
      return [{ ...stepAt(place, lie), code: 'CW0000' }]
    })
    const place = fate?.direction === direction && fate.isPredicted ? this.#stoppedAt(fate) : undefined
    return place === undefined ? steps : [...steps, stepAt(place, truth)]
  }

  /** Where a node can say what stops the packet: between nodes nobody can. */
  #stoppedAt(fate: Fate): Omit<Place, 'place'> | undefined {
    if (fate.kind === 'stray') return undefined
    if (fate.kind !== 'silent') return this.fatePlace
    const at = this.#fateAt(fate)
    const [last, next] = [this.ways[fate.direction][at - 1], this.ways[fate.direction][at]]
    return next !== undefined && (last ?? next).node === next.node ? (last ?? next) : undefined
  }

  /** Whether a place is on a node that the packet has not come to, or has left. */
  #isElsewhere(direction: Direction, index: number): boolean {
    const way = this.ways[direction]
    const { node } = way[index]!
    const nodes = [way[this.lastShown(direction)]?.node ?? way[0]?.node, this.fatePlace?.node]
    return this.world.fate?.direction === direction && !nodes.includes(node)
  }

  /** Whether the packet leaves the device of a place behind, and was seen behind it on the same node. */
  #isBehind(direction: Direction, index: number): boolean {
    const way = this.ways[direction]
    const place = way[index]!
    const last = this.lastShown(direction)
    return (
      index < last &&
      way[last]!.node === place.node &&
      !way
        .slice(last)
        .some(({ node, device, pod }) => node === place.node && device === place.device && pod === place.pod)
    )
  }

  /** Whether a node can say what stops the packet. */
  get #isTruthTold(): boolean {
    return this.#stepsOf(this.world.fate?.direction ?? 'there').some(({ text }) => text === truth)
  }

  #predictionsOf(direction: Direction): TraceFacts['predictions'][Direction] {
    const { fate, blind } = this.world
    const isCut = fate?.isCut === true && fate.direction === direction && this.#isTruthTold
    const at = fate === undefined ? 0 : this.#fateAt(fate)
    const way = this.ways[direction]
    const { length } = way.slice(0, at).filter(({ node }) => node === way[Math.max(0, at - 1)]?.node)
    // a node whose kernel sends it nowhere says so too
    const all = predictionsOf(way, this.#stepsOf(direction)).map((each) =>
      isCut && each.node === way[Math.max(0, at - 1)]?.node ? { ...each, way: each.way.slice(0, length) } : each,
    )
    if (blind?.isDead !== true) return all
    // who is asked about the answer is asked last: nobody is, when one before it says nothing
    if (direction === 'back') return this.isBlind(this.from.node!) || this.isBlind(this.to.node!) ? [] : all
    const dead = all.findIndex((each) => this.isBlind(each.node))
    return dead < 0 ? all : all.slice(0, dead)
  }

  get facts(): TraceFacts {
    const { blind, seed } = this.world
    const sightings = [...this.#sightingsOf('there', 0), ...this.#sightingsOf('back', 1_000)]
    const { end } = this
    if (end) sightings.push(end)
    const nodes = new Set([this.from.node, this.to.node])
    return {
      from: this.from,
      to: this.to,
      protocol: 'icmp',
      predictions: { there: this.#predictionsOf('there'), back: this.#predictionsOf('back') },
      sightings: shuffled(sightings, seed),
      blind: blind !== undefined && nodes.has(blind.node) ? [{ node: blind.node, why: 'its agent is away' }] : [],
    }
  }
}

function stepAt({ node, device, pod }: Omit<Place, 'place'>, text: string): Step & { readonly node: string } {
  return { node, kind: 'nftables', text, isObstacle: true, device, ...(pod !== undefined && { pod }) }
}

/** A copy in another pod, which is not its end. */
function copiesAt(place: Place, direction: Direction, timeMs: number, index: number): Sighting[] {
  const { node } = place
  const at = { node, device: 'eth0', pod: `default/other-${index}` }
  const skb = `copy ${index}`
  const drop = { reason: 'OTHERHOST', function: 'ip_rcv_core+0x1' }
  return [
    sightingAt({ ...at, place: 'receive' }, 0, direction, { timeMs, skb }),
    sightingAt({ ...at, place: 'drop' }, 0, direction, { timeMs: timeMs + 0.0001, skb, drop }),
  ]
}

/** Another order of the same, by a seed. */
function shuffled<T>(list: readonly T[], seed: number): T[] {
  let state = seed >>> 0
  const next = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0)
  return list
    .map((value) => ({ value, key: next() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ value }) => value)
}
