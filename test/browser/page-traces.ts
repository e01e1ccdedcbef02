// Traces for pages, made of the scene of two nodes: with the bytes of every header, as they are in the tunnel, and what was expected.
import { type Foretold } from '#/cli/trace-foretold.ts'
import { foretoldJson } from '#/cli/trace-foretold-text.ts'
import { type SizedRun } from '#/cli/trace-sizes.ts'
import { traceJson } from '#/cli/trace-json.ts'
import { Addr } from '#/lib/addr.ts'
import { type TraceProtocol } from '#/model/trace.ts'
import { from, type Place, predictionsOf, sightingAt, to, tunnelWay } from '#/trace/testing/scene.ts'
import { type Direction, type Sighting, type Step } from '#/trace/types.ts'
import { judgeTrace, type TraceFacts } from '#/trace/verdict.ts'
import { encodeProbe } from '#/wire/probe/packet.ts'

export type NodeStep = Step & { readonly node: string }
export type Trace = ReturnType<typeof traceJson>
type ForetoldTrace = ReturnType<typeof foretoldJson>

const cookie = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8])
const ethernetHeader = Uint8Array.fromHex('0243e4ba7f370243e5ba80ca0800')
/** IPv4 from 172.30.1.11 to 172.30.1.12, UDP to port 8472, VXLAN with VNI 1. */
const outerHeaders = Uint8Array.fromHex('450000860000000040110000ac1e010bac1e010cac412118007200000800000000000100')

const joined = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]))

/** Of what it carries, agents tell eight bytes. */
const toldBytes = 14 + 20 + 8 + 8

function packetOf(direction: Direction, timeToLive: number): Uint8Array {
  const [src, dst] = direction === 'there' ? [from, to] : [to, from]
  const bytes = encodeProbe(
    { src: Addr.parse(src.addr), dst: Addr.parse(dst.addr), isWhole: false, protocol: 'icmp', id: 7, seq: 1, cookie },
    1,
  )
  bytes[8] = timeToLive
  if (direction === 'back') bytes[20] = 0
  return joined(ethernetHeader, bytes)
}

const isTunnelled = ({ device, pod }: Place): boolean => device === 'eth0' && pod === undefined

/** As it is seen at a place of the way: in the tunnel on the underlay's devices, and with one hop less behind each node's routing. */
function sighted(place: Place, index: number, direction: Direction): Sighting {
  const packet = packetOf(direction, index < 4 ? 64 : index < 9 ? 63 : 62)
  const headers = isTunnelled(place) ? joined(ethernetHeader, outerHeaders) : new Uint8Array()
  const bytes = joined(headers, packet.subarray(0, toldBytes))
  const of = place.device.startsWith('cwv') ? { devicePod: place.device === 'cwv1' ? from.pod : to.pod } : {}
  return sightingAt(place, index + (direction === 'back' ? 100 : 0), direction, {
    startsAt: 'link',
    lengthBytes: headers.length + packet.length,
    bytes: bytes.toHex(),
    ...of,
  })
}

const sightedAll = (direction: Direction, count = Infinity): Sighting[] =>
  tunnelWay[direction].slice(0, count).map((place, index) => sighted(place, index, direction))

const step = (node: string, kind: Step['kind'], text: string, more: Partial<Step> = {}): NodeStep => ({
  node,
  kind,
  text,
  isObstacle: false,
  ...more,
})

const usualSteps: readonly NodeStep[] = [
  step('node-1', 'route', 'route 10.244.0.0/16 via 10.244.1.1 dev eth0', { pod: 'default/a', device: 'eth0' }),
  step('node-1', 'neighbour', 'the gateway (10.244.1.1) is at 02:43:91:78:ab:a0', { pod: 'default/a', device: 'eth0' }),
  step('node-1', 'route', "route 10.244.2.0/24 dev cw-vxlan, Causeway's", { device: 'cw-br0', next: 'cw-vxlan' }),
  step('node-1', 'nftables', '1 chain lets it pass'),
  step('node-1', 'tunnel', 'VXLAN to 172.30.1.12 (node node-2), VNI 1', { device: 'cw-vxlan' }),
  step('node-1', 'mtu', '84 and 50 bytes of outer headers fit in 1500', { device: 'eth0' }),
  step('node-2', 'tunnel', 'VXLAN from 172.30.1.11 is taken out', { device: 'eth0' }),
  step('node-2', 'deliver', 'it reaches pod default/b, whose kernel answers', { pod: 'default/b' }),
]

type More = {
  readonly facts?: Partial<TraceFacts>
  readonly run?: Partial<SizedRun>
  readonly protocol?: TraceProtocol
}

function traceOf(sightings: readonly Sighting[], steps: readonly NodeStep[], { facts: more, run }: More = {}): Trace {
  const facts: TraceFacts = {
    from,
    to,
    protocol: 'icmp',
    predictions: { there: predictionsOf(tunnelWay.there, steps), back: predictionsOf(tunnelWay.back) },
    sightings,
    blind: [],
    ...more,
  }
  return traceJson({
    probe: {
      pair: { from: facts.from, to: facts.to },
      wish: { protocol: 'icmp' },
      request: { src: facts.from.addr, dst: facts.to.addr, protocol: 'icmp' },
    },
    facts,
    sent: { node: 'node-1', sentAtMs: Date.UTC(2026, 10, 30, 9, 42) },
    ...judgeTrace(facts),
    blind: [],
    notes: [],
    ...run,
  })
}

export function answered(): Trace {
  return traceOf([...sightedAll('there'), ...sightedAll('back')], usualSteps, { run: { fullBytes: 1450 } })
}

const rule = step('node-2', 'nftables', 'table ip fw drops the packet of the tunnel: rule 1 of chain input', {
  isObstacle: true,
  device: 'eth0',
  code: 'CW7002',
  remedy: 'let them pass before it: nft insert rule ip fw input udp dport 8472 accept',
})

/** A firewall of the second node drops the tunnel's packet. */
export function dropped(): Trace {
  const seen = sightedAll('there', 8)
  const drop: Sighting = {
    ...seen.at(-1)!,
    timeMs: seen.at(-1)!.timeMs + 0.02,
    place: 'drop',
    drop: { reason: 'NETFILTER_DROP', function: 'nft_do_chain+0x12' },
  }
  return traceOf([...seen, drop], [...usualSteps, rule])
}

export const lostBetween = (): Trace => traceOf(sightedAll('there', 7), usualSteps)

export const answerLost = (): Trace => traceOf([...sightedAll('there'), ...sightedAll('back', 7)], usualSteps)

/** The other node does not watch. */
export function untold(): Trace {
  const blind = [{ node: 'node-2', why: 'its agent does not answer' }]
  const predictions = { there: predictionsOf(tunnelWay.there.slice(0, 7), usualSteps), back: [] }
  return traceOf(sightedAll('there', 7), [], { facts: { blind, predictions }, run: { blind } })
}

export const notSent = (): Trace =>
  traceOf([], usualSteps, { facts: { refused: { code: 'EMSGSIZE', mtuBytes: 1450 }, sizeBytes: 1500 } })

/** Both pods are on one node. */
export function sameNode(): Trace {
  const onOne = (places: readonly Place[]): Place[] =>
    [...places.slice(0, 4), ...places.slice(-3)].map((each) => ({ ...each, node: 'node-1' }))
  const ways = { there: onOne(tunnelWay.there), back: onOne(tunnelWay.back) }
  const sightings = (['there', 'back'] as const).flatMap((direction) =>
    ways[direction].map((place, index) => sighted(place, index, direction)),
  )
  const predictions = { there: predictionsOf(ways.there), back: predictionsOf(ways.back) }
  return traceOf(sightings, [], { facts: { to: { ...to, node: 'node-1' }, predictions } })
}

/** Several probes took two ways, of which one is broken. */
export function severalWays(): Trace {
  const ways: SizedRun['ways'] = [
    { way: 'eth0 of node-1 → eth0 of node-2', outcome: 'answered', sourcePorts: [40_001, 40_003] },
    { way: 'as far as eth1 of node-1', outcome: 'lost', sourcePorts: [40_002] },
  ]
  return traceOf(sightedAll('there', 7), usualSteps, { run: { ways } })
}

/** What the nodes of a bundle would do: there was no packet. */
function foretold(steps: readonly NodeStep[], more: Partial<Foretold>): ForetoldTrace {
  const predictions = { there: predictionsOf(tunnelWay.there, steps), back: predictionsOf(tunnelWay.back) }
  return foretoldJson({
    probe: {
      pair: { from, to },
      wish: { protocol: 'icmp' },
      request: { src: from.addr, dst: to.addr, protocol: 'icmp' },
    },
    madeAtMs: Date.UTC(2026, 10, 30),
    predictions,
    outcome: 'arrives',
    text: 'it would arrive and be answered: nothing that node-1 and node-2 told is in its way',
    silences: [],
    ...more,
  })
}

export const wouldArrive = (): ForetoldTrace => foretold(usualSteps, {})

export const wouldEnd = (): ForetoldTrace =>
  foretold([...usualSteps.slice(0, 6), rule, ...usualSteps.slice(6)], {
    outcome: 'ends',
    text: `it would end on node-2, eth0: ${rule.text}`,
    obstacle: { node: 'node-2', direction: 'there', step: rule },
  })

/** To an address that no node has. */
export function outside(): Trace {
  const way = tunnelWay.there.slice(0, 7)
  const end = { addr: '9.9.9.9' }
  const sightings = way.map((place, index) => sighted(place, index, 'there'))
  return traceOf(sightings, [], { facts: { to: end, predictions: { there: predictionsOf(way), back: [] } } })
}

/** Everything that is text is markup, very long, or turns what stands around it. */
export function hostile(): Trace {
  const evil = (name: string): string =>
    `<img src=x onerror="window.broken='${name}'">"'&amp;<script>window.broken=1</script>\u202e${name.repeat(60)}`
  const text = JSON.stringify(dropped(), (key, value: unknown) =>
    typeof value === 'string' &&
    ['node', 'pod', 'device', 'text', 'remedy', 'code', 'reason', 'devicePod', 'addr'].includes(key)
      ? evil(value)
      : value,
  )
  const trace = JSON.parse(text) as Trace
  return { ...trace, notes: [evil('note')] }
}
