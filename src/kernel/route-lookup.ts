// Asks the kernel which route a packet would take (RTM_GETROUTE), and which rules of policy routing there are.
import { type Addr } from '#/lib/addr.ts'
import {
  decodeRoute,
  decodeWay,
  encodeRouteLookup,
  encodeWayLookup,
  type PacketLookup,
  type Route,
  RTM_GETROUTE,
} from '#/wire/netlink/route.ts'
import { decodeRule, RTM_GETRULE, RTM_NEWRULE, type Rule } from '#/wire/netlink/rule.ts'
import { KernelError, type Netlink, type Operation } from './netlink.ts'

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

/** A class, because an object with getters of its own is many times as large, and thousands are asked. */
class LookupOperation implements Operation {
  readonly #lookup: Lookup

  constructor(lookup: Lookup) {
    this.#lookup = lookup
  }

  get what(): string {
    return lookupCommand(this.#lookup)
  }

  get type(): number {
    return RTM_GETROUTE
  }

  get payload(): Uint8Array {
    const { dst, src, iif } = this.#lookup
    return encodeRouteLookup(dst, src, iif?.index)
  }
}

/**
 * The answers in the order of the questions; undefined for one whose message `isExpected` recognises, which is then not decoded: of
 * thousands nearly all are. Blocks until the last has come.
 */
export function lookUpRoutes(
  netlink: Netlink,
  lookups: readonly Lookup[],
  isExpected: (payload: Uint8Array, index: number) => boolean,
): (LookupAnswer | undefined)[] {
  const answers: (LookupAnswer | undefined)[] = Array.from({ length: lookups.length })
  netlink.getEach(
    lookups.map((lookup) => new LookupOperation(lookup)),
    (index, reply) => {
      if (reply instanceof KernelError) answers[index] = { kind: 'refused', code: reply.code }
      else if (!isExpected(reply.payload, index)) answers[index] = { kind: 'route', route: decodeRoute(reply.payload) }
    },
  )
  return answers
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

/** Asks which way one packet takes. The socket's namespace is the one that is asked. Throws KernelError only when it cannot be asked at all. */
export function lookUpWay(netlink: Netlink, lookup: WayLookup): WayAnswer {
  const { dst, src, iif, ...more } = lookup
  const what = lookupCommand(lookup)
  try {
    const chosen = netlink.get({
      what: what.replace(' fibmatch', ''),
      type: RTM_GETROUTE,
      payload: encodeWayLookup({ dst, ...(src && { src }), ...(iif && { iif: iif.index }), ...more }),
    })
    const matching = netlink.get({ what, type: RTM_GETROUTE, payload: encodeRouteLookup(dst, src, iif?.index) })
    return { kind: 'way', route: decodeRoute(matching.payload), chosen: decodeWay(chosen.payload) }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    return { kind: 'refused', code: error.code, words: error.explanation ?? error.code }
  }
}

/** All rules of both families, in the order in which the kernel looks at them. */
export function listRules(netlink: Netlink): Rule[] {
  // a rule's header is as long as a route's; family 0 asks for all families
  return netlink
    .dump({ what: 'ip rule show', type: RTM_GETRULE, payload: new Uint8Array(12) })
    .flatMap(({ type, payload }) => (type === RTM_NEWRULE ? (decodeRule(payload) ?? []) : []))
}
