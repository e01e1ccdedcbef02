// Asks the kernel which route a packet would take (RTM_GETROUTE), and which rules of policy routing there are.
import { decodeRoute, decodeWay, encodeRouteLookup, encodeWayLookup, RTM_GETROUTE } from '#/wire/netlink/route.ts'
import {
  type Lookup,
  type LookupAnswer,
  lookupCommand,
  type WayAnswer,
  type WayLookup,
} from '#/wire/netlink/route-lookup.ts'
import { decodeRule, RTM_GETRULE, RTM_NEWRULE, type Rule } from '#/wire/netlink/rule.ts'
import { KernelError, type Netlink, type Operation } from './netlink.ts'

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

/** Asks which way one packet takes. The socket's namespace is the one that is asked. Throws KernelError only when it cannot be asked at all. */
export function lookUpWay(netlink: Netlink, lookup: WayLookup): WayAnswer {
  const { dst, src, iif, ...more } = lookup
  const what = lookupCommand(lookup)
  const packet = { dst, ...(src && { src }), ...(iif && { iif: iif.index }), ...more }
  try {
    const chosen = netlink.get({
      what: what.replace(' fibmatch', ''),
      type: RTM_GETROUTE,
      payload: encodeWayLookup(packet),
    })
    const matching = netlink.get({ what, type: RTM_GETROUTE, payload: encodeWayLookup(packet, true) })
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
