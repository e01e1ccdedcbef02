// The headers of a packet as a bar: each as long as it has bytes, so that a tunnel is seen to be added and taken off.
import { type LayerName } from '#/wire/frames/names.ts'
import { markup, type Markup } from './markup.ts'
import { type Station } from './ladder.ts'

type Kind = 'link' | 'network' | 'transport' | 'tunnel' | 'payload'

/** A name of no more has room in the segment of the smallest header. */
const mostLetters = 4

type Layer = Station['layers'][number]

export type Segment = {
  readonly name: string
  /** Where the name has no room. */
  readonly short: string
  readonly kind: Kind
  readonly lengthBytes: number
  /** How many of them are drawn. */
  readonly drawnBytes: number
  readonly isOuter: boolean
  readonly isQuoted: boolean
}

/** What a packet carries is drawn no longer than this: it may be a hundred times as long as its headers. */
const mostDrawnBytes = 24

const kinds: Readonly<Record<LayerName, readonly [kind: Kind, name: string, short: string]>> = {
  ethernet: ['link', 'Ethernet', 'Eth'],
  vlan: ['link', 'VLAN', ''],
  arp: ['network', 'ARP', ''],
  ipv4: ['network', 'IPv4', ''],
  ipv6: ['network', 'IPv6', ''],
  'ipv6 options': ['network', 'IPv6 options', 'opt'],
  'ipv6 routing': ['network', 'IPv6 routing', 'rt'],
  'ipv6 fragment': ['network', 'IPv6 fragment', 'fr'],
  ah: ['network', 'AH', ''],
  icmp: ['transport', 'ICMP', ''],
  icmpv6: ['transport', 'ICMPv6', 'ICMP'],
  udp: ['transport', 'UDP', ''],
  tcp: ['transport', 'TCP', ''],
  sctp: ['transport', 'SCTP', ''],
  vxlan: ['tunnel', 'VXLAN', 'VX'],
  payload: ['payload', 'payload', ''],
}

export const kindOf = ({ name }: Layer): Kind => kinds[name][0]

export function nameOf({ name, isQuoted }: Layer): string {
  return `${isQuoted ? 'quoted ' : ''}${kinds[name][1]}`
}

function segment(layer: Layer, lengthBytes: number, isOuter: boolean): Segment {
  const [kind, name, short] = kinds[layer.name]
  return {
    name,
    short,
    kind,
    lengthBytes,
    drawnBytes: kind === 'payload' ? Math.min(lengthBytes, mostDrawnBytes) : lengthBytes,
    isOuter,
    isQuoted: layer.isQuoted === true,
  }
}

/** The headers of the tunnel come first; all are those of a packet of this many bytes. */
export function segmentsOf(layers: readonly Layer[], lengthBytes: number): Segment[] {
  const outer = layers.findLastIndex(({ name }) => name === 'vxlan')
  const headers = layers
    .filter(({ name }) => name !== 'payload')
    .map((layer) => segment(layer, layer.lengthBytes, layers.indexOf(layer) <= outer))
  const rest = lengthBytes - headers.reduce((sum, each) => sum + each.lengthBytes, 0)
  const carried: Layer = { name: 'payload', offset: lengthBytes - rest, lengthBytes: rest, fields: [] }
  return rest > 0 ? [...headers, segment(carried, rest, false)] : headers
}

export const drawnBytes = (segments: readonly Segment[]): number =>
  segments.reduce((sum, each) => sum + each.drawnBytes, 0)

export function segmentsText(segments: readonly Segment[]): string {
  return segments
    .map(({ name, lengthBytes, isQuoted }) => `${isQuoted ? 'quoted ' : ''}${name} ${lengthBytes}`)
    .join(', ')
}

function segmentHtml({ name, short, kind, lengthBytes, drawnBytes: drawn, isQuoted }: Segment): Markup {
  const isCut = drawn < lengthBytes
  const label = kind === 'payload' ? `${lengthBytes} B` : name
  const look = `seg ${kind} b${drawn}${isCut ? ' cut' : ''}${isQuoted ? ' quoted' : ''}`
  const fit = label.length > mostLetters ? 'long' : 'long brief'
  return markup`<span class="${look}"><span class="${fit}">${label}</span><span class="short">${short}</span></span>`
}

/** `mostDrawn`: of the longest bar of the page, which has the whole width. */
export function stackHtml(segments: readonly Segment[], lengthBytes: number, mostDrawn: number): Markup {
  const share = Math.round((drawnBytes(segments) / mostDrawn) * 100)
  const outer = segments.filter(({ isOuter }) => isOuter)
  const inner = segments.filter(({ isOuter }) => !isOuter)
  const text = `${lengthBytes} bytes: ${segmentsText(segments)}`
  return markup`<span class="bar" role="img" aria-label="${text}"><span class="stack w${share}">
    ${outer.length > 0 && markup`<span class="outer b${drawnBytes(outer)}">${outer.map(segmentHtml)}</span>`}
    <span class="inner b${drawnBytes(inner)}">${inner.map(segmentHtml)}</span>
  </span></span>`
}

/** The rules for the lengths of all these bars: a page that allows no style attributes has a class for each length. */
export function lengthRules(all: readonly (readonly Segment[])[], mostDrawn: number): string {
  const lengths = all.flatMap((segments) => [
    ...segments.map((each) => each.drawnBytes),
    drawnBytes(segments.filter(({ isOuter }) => isOuter)),
    drawnBytes(segments.filter(({ isOuter }) => !isOuter)),
  ])
  const shares = all.map((segments) => Math.round((drawnBytes(segments) / mostDrawn) * 100))
  return [
    ...[...new Set(lengths)].map((bytes) => `.b${bytes}{flex-grow:${bytes}}`),
    ...[...new Set(shares)].map((share) => `.w${share}{width:${share}%}`),
  ].join('')
}
