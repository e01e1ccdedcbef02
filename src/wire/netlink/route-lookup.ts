// Questions for the way of a packet, and their answers. Pure.
import { type Addr } from '#/lib/addr.ts'
import { type PacketLookup, type Route } from './route.ts'

/** A question; `iif` is the device that the packet comes from, absent for a packet of the node itself. */
export type Lookup = {
  readonly dst: Addr
  readonly src?: Addr
  readonly iif?: { readonly index: number; readonly name: string }
}

export type LookupAnswer =
  /** The route that matches, with its table; undefined for types of route that this program does not know. */
  | { readonly kind: 'route'; readonly route: Route | undefined }
  /** The kernel would drop the packet; `code` is the errno's name. */
  | { readonly kind: 'refused'; readonly code: string }

/** The question as a command of ip-route(8). */
export function lookupCommand({ dst, src, iif }: Lookup): string {
  const words = [`ip route get fibmatch ${dst}`, src && `from ${src}`, iif && `iif ${iif.name}`]
  return words.filter(Boolean).join(' ')
}

/** A packet of which all is known that a lookup may ask for. */
export type WayLookup = Lookup & Pick<PacketLookup, 'oif' | 'ipProtocol' | 'sourcePort' | 'destinationPort'>

export type WayAnswer =
  | {
      readonly kind: 'way'
      /** The route that matches; undefined for types of route that this program does not know. */
      readonly route: Route | undefined
      /** What the kernel makes of it for this packet: one next hop, the source address, and the MTU where one is known that is not the device's. */
      readonly chosen: Route | undefined
    }
  /** `words` are the kernel's own. */
  | { readonly kind: 'refused'; readonly code: string; readonly words: string }
