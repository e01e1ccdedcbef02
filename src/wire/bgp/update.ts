// Decodes UPDATE (RFC 4271 section 4.3) by RFC 7606: withdrawn prefixes, attributes, announced prefixes. IPv6 prefixes, and IPv4 ones with
// an IPv6 next hop, are in attributes of RFC 4760.
import { type AttributeCache } from './attribute-cache.ts'
import { type AttributeBlock, AttributeType, type Fault } from './attributes.ts'
import { type Multiprotocol, readMultiprotocol } from './multiprotocol.ts'
import { nextHopProblem } from './next-hop.ts'
import { isMulticast, readNlri } from './nlri.ts'
import { BgpError, ErrorCode, notificationOf, UpdateSubcode } from './notification.ts'
import {
  type Announcement,
  type Nlri,
  type PathNextHop,
  type Update,
  type WireSettings,
  type Withdrawal,
} from './values.ts'

/** Announced prefixes whose next hop may be missing. */
type Reach = Omit<Announcement, 'nextHop'> & { readonly nextHop: PathNextHop | undefined }

function refused(subcode: number, what: string, data?: Uint8Array): BgpError {
  return new BgpError(notificationOf(ErrorCode.update, subcode, data), what)
}

/**
 * `body` is a message without its header. A prefix both withdrawn and announced is announced: apply the withdrawals first. Throws BgpError
 * for a fault that ends the session. Keeps no reference to `body`.
 */
export function decodeUpdate(body: Buffer, settings: WireSettings, cache: AttributeCache): Update {
  const withdrawnEnd = 2 + body.readUInt16BE(0)
  if (withdrawnEnd + 2 > body.length)
    throw refused(UpdateSubcode.malformedAttributes, 'withdrawn routes beyond the end')
  const attributesAt = withdrawnEnd + 2
  const nlriAt = attributesAt + body.readUInt16BE(withdrawnEnd)
  if (nlriAt > body.length) throw refused(UpdateSubcode.malformedAttributes, 'attributes beyond the end')

  const gone = prefixes(body, 2, withdrawnEnd, 'withdrawn routes')
  const plain = prefixes(body, nlriAt, body.length, 'NLRI')
  const multiprotocol = readMultiprotocol(body, attributesAt, nlriAt, settings)
  const { reach, unreach, rest } = multiprotocol

  const isOurs = settings.families.includes(4)
  const withdrawn: Withdrawal[] = []
  if (isOurs && gone.length > 0) withdrawn.push({ family: 4, nlri: gone })
  if (unreach?.routes !== undefined && unreach.routes.nlri.length > 0) withdrawn.push(unreach.routes)

  if (rest === '' && plain.length === 0 && reach === undefined) {
    const endOfRib = gone.length === 0 ? endOfRibOf(unreach, isOurs) : undefined
    return { withdrawn, announced: [], ...(endOfRib === undefined ? {} : { endOfRib }), faults: [] }
  }
  const block = cache.decode(rest, settings)
  const { nextHop } = block
  const announced: Reach[] = []
  if (isOurs && plain.length > 0) {
    announced.push({ family: 4, nextHop: nextHop === undefined ? undefined : { addr: nextHop }, nlri: plain })
  }
  if (reach?.routes !== undefined && reach.routes.nlri.length > 0) announced.push(reach.routes)
  const hasReachable = plain.length > 0 || reach?.hasPrefixes === true
  return judge(block, withdrawn, announced, hasReachable, settings)
}

function prefixes(body: Buffer, start: number, end: number, field: string): readonly Nlri[] {
  const nlri = readNlri(body, start, end, 4)
  if (nlri === undefined) throw refused(UpdateSubcode.invalidNetwork, `${field} syntactically incorrect`)
  return nlri
}

/** The family whose End-of-RIB this is (RFC 4724 section 2): an empty UPDATE, or one with only an MP_UNREACH_NLRI without prefixes. */
function endOfRibOf(unreach: Multiprotocol['unreach'], isOurs: boolean): Update['endOfRib'] {
  if (unreach === undefined) return isOurs ? 4 : undefined
  return unreach.routes?.nlri.length === 0 ? unreach.routes.family : undefined
}

/** The strongest approach that any fault calls for (RFC 7606 section 3 (h)). */
function judge(
  block: AttributeBlock,
  withdrawn: readonly Withdrawal[],
  announced: readonly Reach[],
  hasReachable: boolean,
  settings: WireSettings,
): Update {
  const found = hasReachable ? [...block.faults, ...absences(block, announced, settings)] : block.faults
  const faults = found.map(({ approach, what }) => `${approach}: ${what}`)
  const worst = found.find(({ approach }) => approach === 'treat as withdraw')
  if (worst === undefined) {
    const usable = announced.flatMap((reach) => withoutMulticast(reach, faults))
    const { attributes } = block
    if (usable.length === 0 || attributes === undefined) return { withdrawn, announced: [], faults }
    return { withdrawn, announced: usable, attributes, faults }
  }
  // RFC 7606 section 5.2: there are attributes but no prefixes, so the prefixes they belong to may have been lost
  if (!hasReachable) throw refused(worst.subcode, `${worst.what}, with no prefixes to withdraw`, worst.data)
  const routes = announced.map(({ family, nlri }) => ({ family, nlri }))
  return {
    withdrawn: [...withdrawn, ...routes],
    announced: [],
    ...(routes.length > 0 && { treatedAsWithdrawn: { routes, because: worst.what } }),
    faults,
  }
}

/** Faults of the UPDATE as a whole (RFC 7606 section 3 (d)): missing attributes, and next hops that no host can have. */
function absences(block: AttributeBlock, announced: readonly Reach[], settings: WireSettings): Fault[] {
  const approach = 'treat as withdraw'
  const missing = (type: number, name: string): Fault => ({
    approach,
    what: `${name} missing`,
    subcode: UpdateSubcode.missingWellKnown,
    data: Uint8Array.of(type),
  })
  const found: Fault[] = []
  if (block.missing !== undefined) {
    found.push(missing(block.missing, block.missing === AttributeType.origin ? 'ORIGIN' : 'AS_PATH'))
  }
  for (const { family, nextHop } of announced) {
    if (nextHop === undefined) {
      found.push(missing(AttributeType.nextHop, 'NEXT_HOP'))
      continue
    }
    // RFC 8950 section 4. The length gives the start of the prefixes, so they can be withdrawn.
    const isUnexpected = family === 4 && nextHop.addr.family === 6 && !settings.extendedNextHop
    const what = isUnexpected ? `IPv6 next hop ${nextHop.addr} that was not agreed on` : nextHopProblem(nextHop)
    if (what !== undefined) {
      found.push({ approach, what, subcode: UpdateSubcode.invalidNextHop, data: new Uint8Array(0) })
    }
  }
  return found
}

function withoutMulticast(reach: Reach, faults: string[]): Announcement[] {
  const { family, nextHop, nlri } = reach
  if (nextHop === undefined) return []
  if (!nlri.some((one) => isMulticast(one, family))) return [{ family, nextHop, nlri }]
  const unicast = nlri.filter((one) => !isMulticast(one, family))
  faults.push(`ignored: ${nlri.length - unicast.length} multicast prefixes (RFC 4271 section 6.3)`)
  return unicast.length === 0 ? [] : [{ family, nextHop, nlri: unicast }]
}
