// Takes the first bytes of a packet apart: every header with its fields, also in the tunnel and in the quotation of an ICMP error. Pure. Packets
// may be cut short anywhere and hold anything: nothing here throws.
import { CutShort, type Field, Header } from './header.ts'
import { icmp, icmpv6 } from './icmp.ts'
import { ah, ipv4, ipv6, ipv6Fragment, ipv6Options, ipv6Routing } from './ip.ts'
import { type Next, type Wishes } from './layers.ts'
import { arp, ethernet, vlan } from './link.ts'
import { type LayerName } from './names.ts'
import { sctp, tcp, udp, vxlan } from './transport.ts'

export { type Field } from './header.ts'
export { type LayerName } from './names.ts'

export type Layer = {
  readonly name: LayerName
  /** From the beginning of the bytes. */
  readonly offset: number
  readonly lengthBytes: number
  readonly fields: readonly Field[]
  /** It is of the packet that an ICMP error is about. */
  readonly isQuoted?: true
  /** The bytes ended within it; the fields are those before. */
  readonly isCut?: true
}

type Reader = (header: Header, wishes: Wishes) => Next | undefined

const readers: Readonly<Record<Exclude<LayerName, 'payload'>, Reader>> = {
  ethernet,
  vlan,
  arp,
  ipv4,
  ipv6,
  'ipv6 options': ipv6Options,
  'ipv6 routing': ipv6Routing,
  'ipv6 fragment': ipv6Fragment,
  ah,
  icmp,
  icmpv6,
  udp,
  tcp,
  sctp,
  vxlan,
}

/** More headers than anything has that is meant seriously. */
const mostLayers = 24
/** The port of the tunnel that Linux has used since before there was a standard; Causeway's and flannel's default. */
const usualVxlanPort = 8472

/** `startsAt`: with which header the bytes begin. What is behind the last header that can be read is a layer named payload. */
export function decodeFrame(bytes: Uint8Array, startsAt: 'link' | 'network', wishes: Wishes = {}): Layer[] {
  const layers: Layer[] = []
  const version = (bytes[0] ?? 0) >> 4
  const first: LayerName =
    startsAt === 'link' ? 'ethernet' : version === 4 ? 'ipv4' : version === 6 ? 'ipv6' : 'payload'
  let next: Next | undefined = { layer: first }
  let [at, end, isQuoted] = [0, bytes.length, false]
  while (next !== undefined && layers.length < mostLayers) {
    const name: LayerName = next.layer
    end = Math.max(at, Math.min(end, next.end ?? end))
    isQuoted ||= next.isQuoted === true
    const flag = isQuoted ? { isQuoted } : {}
    if (name === 'payload') {
      if (end > at) layers.push({ name, offset: at, lengthBytes: end - at, fields: [], ...flag })
      break
    }
    const header = new Header(bytes, at, end)
    const { next: following, isCut } = readHeader(name, header, { vxlanPort: usualVxlanPort, ...wishes })
    const lengthBytes = (isCut ? end : header.at) - at
    if (lengthBytes > 0)
      layers.push({ name, offset: at, lengthBytes, fields: header.fields, ...flag, ...(isCut && { isCut }) })
    at += lengthBytes
    next = following
  }
  return layers
}

function readHeader(
  name: Exclude<LayerName, 'payload'>,
  header: Header,
  wishes: Wishes,
): { readonly next?: Next | undefined; readonly isCut?: true } {
  try {
    return { next: readers[name](header, wishes) }
  } catch (error) {
    if (error instanceof CutShort) return { isCut: true }
    throw error
  }
}
