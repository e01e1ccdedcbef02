// A made-up cluster of two nodes with a pod each, and traces in it: where packets are to be seen, and sightings of them.
import { Addr } from '#/lib/addr.ts'
import { encodeProbe } from '#/wire/probe/packet.ts'
import { type TraceFacts } from '../verdict.ts'
import { type Direction, type Prediction, type Sighting, type Step, type WayPlace } from '../types.ts'

export const from = { addr: '10.244.1.2', pod: 'default/a', node: 'node-1' }
export const to = { addr: '10.244.2.2', pod: 'default/b', node: 'node-2' }
const cookie = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8])

export type Place = WayPlace & { readonly node: string }

function sends(pod: string, port: string, node: string): Place[] {
  return [
    { node, place: 'queue', device: 'eth0', pod },
    { node, place: 'transmit', device: 'eth0', pod },
    { node, place: 'receive', device: port },
    { node, place: 'receive', device: 'cw-br0' },
    { node, place: 'transmit', device: 'cw-vxlan' },
    { node, place: 'queue', device: 'eth0' },
    { node, place: 'transmit', device: 'eth0' },
  ]
}

function receives(pod: string, port: string, node: string): Place[] {
  return [
    { node, place: 'receive', device: 'eth0' },
    { node, place: 'receive', device: 'cw-vxlan' },
    { node, place: 'transmit', device: 'cw-br0' },
    { node, place: 'transmit', device: port },
    { node, place: 'receive', device: 'eth0', pod },
  ]
}

/** The way through the tunnel from one pod to the other, and back. */
export const tunnelWay: Readonly<Record<Direction, readonly Place[]>> = {
  there: [...sends('default/a', 'cwv1', 'node-1'), ...receives('default/b', 'cwv2', 'node-2')],
  back: [...sends('default/b', 'cwv2', 'node-2'), ...receives('default/a', 'cwv1', 'node-1')],
}

function ipPacket(direction: Direction): Uint8Array {
  const [src, dst] = direction === 'there' ? [from, to] : [to, from]
  const bytes = encodeProbe(
    { src: Addr.parse(src.addr), dst: Addr.parse(dst.addr), isWhole: false, protocol: 'icmp', id: 7, seq: 1, cookie },
    1,
  )
  if (direction === 'back') bytes[20] = 0
  return bytes
}

/** A RST with ACK from the receiver's address. */
export function resetBytes(): string {
  const bytes = new Uint8Array(40)
  bytes.set([0x45, 0, 0, 40])
  bytes[9] = 6
  bytes.set(Addr.parse(to.addr).toBytes(), 12)
  bytes.set(Addr.parse(from.addr).toBytes(), 16)
  bytes.set([0x50, 0x14], 32)
  return bytes.toHex()
}

/** An IP packet as the tunnel between the nodes carries it. */
export function tunnelled(inner: string): string {
  const packet = Uint8Array.fromHex(inner)
  const bytes = new Uint8Array(20 + 8 + 8 + 14 + packet.length)
  bytes.set([0x45, 0, bytes.length >> 8, bytes.length & 0xff, 0, 0, 0, 0, 64, 17, 0, 0, 172, 30, 1, 11, 172, 30, 1, 12])
  bytes.set([0xc0, 0, 0x21, 0x18, 0, bytes.length - 20], 20)
  bytes.set([8, 0, 0, 0, 0, 0, 1, 0], 28)
  bytes.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0], 36)
  bytes.set(packet, 50)
  return bytes.toHex()
}

/** The clock of each node is its own. */
const clockMs: Readonly<Record<string, number>> = { 'node-1': 1_000_000, 'node-2': 400_000 }

export function sightingAt(
  place: Place | (Omit<Place, 'place'> & { place: 'drop' }),
  index: number,
  direction: Direction,
  more: Partial<Sighting> = {},
): Sighting {
  const { node, device, pod } = place
  return {
    node,
    timeMs: (clockMs[node] ?? 0) + index * 0.01,
    place: place.place,
    role: direction === 'there' ? 'probe' : 'answer',
    ...(pod !== undefined && { pod }),
    device,
    lengthBytes: 98,
    skb: `${direction} ${node}`,
    startsAt: 'network',
    bytes: ipPacket(direction).toHex(),
    ...more,
  }
}

/** A prediction for each node that the places are on. */
export function predictionsOf(
  places: readonly Place[],
  steps: readonly (Step & { readonly node: string })[] = [],
): Prediction[] {
  return [...new Set(places.map(({ node }) => node))].map((node) => ({
    node,
    steps: steps.filter((each) => each.node === node),
    way: places
      .filter((each) => each.node === node)
      .map(({ place, device, pod }) => ({ place, device, ...(pod !== undefined && { pod }) })),
  }))
}

/** The facts of a trace in which all is as it is to be. */
export function healthy(): TraceFacts {
  return {
    from,
    to,
    protocol: 'icmp',
    predictions: { there: predictionsOf(tunnelWay.there), back: predictionsOf(tunnelWay.back) },
    sightings: [
      ...tunnelWay.there.map((place, index) => sightingAt(place, index, 'there')),
      ...tunnelWay.back.map((place, index) => sightingAt(place, 100 + index, 'back')),
    ],
    blind: [],
  }
}

export type NodeStep = Step & { readonly node: string }

/** A trace that ends behind the first `seen` places of a direction. */
export function cut(
  direction: Direction,
  seen: number,
  more: readonly Sighting[] = [],
  steps: readonly NodeStep[] = [],
): TraceFacts {
  const all = healthy()
  const there = tunnelWay.there.map((place, index) => sightingAt(place, index, 'there'))
  const back = tunnelWay.back.map((place, index) => sightingAt(place, 100 + index, 'back'))
  return {
    ...all,
    predictions: { there: predictionsOf(tunnelWay.there, steps), back: predictionsOf(tunnelWay.back, steps) },
    sightings: direction === 'there' ? [...there.slice(0, seen), ...more] : [...there, ...back.slice(0, seen), ...more],
  }
}
