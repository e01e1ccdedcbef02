// Capabilities (RFC 5492): what a speaker offers in its OPEN. Each has a code, a length and a value.
import { type Family } from '#/lib/addr.ts'
import { afiOf, familyAt, writeFamily } from './family.ts'
import {
  type Capabilities,
  type GracefulRestartCapability,
  type LongLivedFamily,
  type RestartFamily,
} from './values.ts'

/** IANA registry "Capability Codes". */
const CapabilityCode = {
  multiprotocol: 1,
  routeRefresh: 2,
  extendedNextHop: 5,
  gracefulRestart: 64,
  fourOctetAsn: 65,
  enhancedRouteRefresh: 70,
  longLivedRestart: 71,
} as const

const restarting = 0x80
const onNotification = 0x40
const forwarding = 0x80

/** Collects the capabilities of one OPEN. */
export class CapabilityReader {
  #families: Family[] | undefined
  #routeRefresh = false
  #enhancedRouteRefresh = false
  #asn: number | undefined
  readonly #extendedNextHop: Family[] = []
  #gracefulRestart: GracefulRestartCapability | undefined
  #longLivedRestart: LongLivedFamily[] | undefined
  readonly #unknown: number[] = []

  /**
   * Reads the capabilities of one optional parameter. Returns in words what is malformed: the list itself, or a capability without which
   * the session's bytes cannot be understood. Other malformed capabilities count as unknown.
   */
  read(list: Buffer): string | undefined {
    for (let at = 0; at < list.length;) {
      const code = list[at]!
      const end = at + 2 + (list[at + 1] ?? list.length)
      if (end > list.length) return `capability ${code} beyond its parameter`
      const problem = this.#capability(code, list.subarray(at + 2, end))
      if (problem !== undefined) return problem
      at = end
    }
    return undefined
  }

  #capability(code: number, value: Buffer): string | undefined {
    switch (code) {
      case CapabilityCode.multiprotocol: {
        if (value.length !== 4) return `multiprotocol capability of length ${value.length}`
        this.#families ??= []
        add(this.#families, familyAt(value, 0, 3))
        return undefined
      }
      case CapabilityCode.fourOctetAsn: {
        if (value.length !== 4) return `four-octet AS number capability of length ${value.length}`
        this.#asn = value.readUInt32BE(0)
        return undefined
      }
      case CapabilityCode.routeRefresh: {
        this.#routeRefresh = true
        return undefined
      }
      case CapabilityCode.enhancedRouteRefresh: {
        this.#enhancedRouteRefresh = true
        return undefined
      }
      case CapabilityCode.extendedNextHop: {
        if (value.length % 6 !== 0) break
        for (let at = 0; at < value.length; at += 6) {
          // AFI and SAFI in two octets each, then the AFI of next hops (RFC 8950 section 4)
          if (value[at + 2] === 0 && value.readUInt16BE(at + 4) === afiOf(6)) {
            add(this.#extendedNextHop, familyAt(value, at, at + 3))
          }
        }
        return undefined
      }
      case CapabilityCode.gracefulRestart: {
        if (value.length < 2 || value.length % 4 !== 2) break
        // RFC 4724 section 3: the last one counts if there are several
        this.#gracefulRestart = readGracefulRestart(value)
        return undefined
      }
      case CapabilityCode.longLivedRestart: {
        if (value.length % 7 !== 0) break
        this.#longLivedRestart = readLongLived(value)
        return undefined
      }
      default:
    }
    if (!this.#unknown.includes(code)) this.#unknown.push(code)
    return undefined
  }

  get capabilities(): Capabilities {
    return {
      // RFC 4760 section 8: a speaker without this capability speaks IPv4 unicast
      families: this.#families ?? [4],
      routeRefresh: this.#routeRefresh,
      enhancedRouteRefresh: this.#enhancedRouteRefresh,
      ...(this.#asn === undefined ? {} : { asn: this.#asn }),
      extendedNextHop: this.#extendedNextHop,
      ...(this.#gracefulRestart === undefined ? {} : { gracefulRestart: this.#gracefulRestart }),
      // RFC 9494 section 3.1: ignored without the graceful restart capability
      ...(this.#longLivedRestart === undefined || this.#gracefulRestart === undefined
        ? {}
        : { longLivedRestart: this.#longLivedRestart }),
      unknown: this.#unknown,
    }
  }
}

function add(families: Family[], family: Family | undefined): void {
  if (family !== undefined && !families.includes(family)) families.push(family)
}

function readGracefulRestart(value: Buffer): GracefulRestartCapability {
  const families = new Map<Family, RestartFamily>()
  for (let at = 2; at < value.length; at += 4) {
    const family = familyAt(value, at)
    if (family !== undefined) families.set(family, { family, keptForwarding: (value[at + 3]! & forwarding) !== 0 })
  }
  return {
    isRestarting: (value[0]! & restarting) !== 0,
    onNotification: (value[0]! & onNotification) !== 0,
    restartTimeSeconds: value.readUInt16BE(0) & 0xfff,
    families: [...families.values()],
  }
}

function readLongLived(value: Buffer): LongLivedFamily[] {
  const families = new Map<Family, LongLivedFamily>()
  for (let at = 0; at < value.length; at += 7) {
    const family = familyAt(value, at)
    if (family === undefined) continue
    const keptForwarding = (value[at + 3]! & forwarding) !== 0
    families.set(family, { family, keptForwarding, staleTimeSeconds: value.readUIntBE(at + 4, 3) })
  }
  return [...families.values()]
}

/** Encodes all capabilities for one optional parameter (RFC 5492 section 4), except those in `unknown`. */
export function encodeCapabilities(capabilities: Capabilities): Buffer {
  const { gracefulRestart, longLivedRestart, extendedNextHop, asn } = capabilities
  const parts = capabilities.families.map((family) => {
    const value = Buffer.alloc(4)
    writeFamily(value, 0, family, 3)
    return capability(CapabilityCode.multiprotocol, value)
  })
  if (capabilities.routeRefresh) parts.push(capability(CapabilityCode.routeRefresh, Buffer.alloc(0)))
  if (extendedNextHop.length > 0)
    parts.push(capability(CapabilityCode.extendedNextHop, encodeExtendedNextHop(extendedNextHop)))
  if (gracefulRestart !== undefined) {
    parts.push(capability(CapabilityCode.gracefulRestart, encodeGracefulRestart(gracefulRestart)))
  }
  if (asn !== undefined) {
    const value = Buffer.alloc(4)
    value.writeUInt32BE(asn)
    parts.push(capability(CapabilityCode.fourOctetAsn, value))
  }
  if (capabilities.enhancedRouteRefresh) parts.push(capability(CapabilityCode.enhancedRouteRefresh, Buffer.alloc(0)))
  if (longLivedRestart !== undefined)
    parts.push(capability(CapabilityCode.longLivedRestart, encodeLongLived(longLivedRestart)))
  return Buffer.concat(parts)
}

function capability(code: number, value: Buffer): Buffer {
  return Buffer.concat([Uint8Array.of(code, value.length), value])
}

function encodeExtendedNextHop(families: readonly Family[]): Buffer {
  const value = Buffer.alloc(6 * families.length)
  families.forEach((family, index) => {
    writeFamily(value, index * 6, family, index * 6 + 3)
    value.writeUInt16BE(afiOf(6), index * 6 + 4)
  })
  return value
}

function encodeGracefulRestart(restart: GracefulRestartCapability): Buffer {
  const value = Buffer.alloc(2 + 4 * restart.families.length)
  value.writeUInt16BE(restart.restartTimeSeconds & 0xfff)
  value[0]! |= (restart.isRestarting ? restarting : 0) | (restart.onNotification ? onNotification : 0)
  restart.families.forEach(({ family, keptForwarding }, index) => {
    writeFamily(value, 2 + index * 4, family)
    value[5 + index * 4] = keptForwarding ? forwarding : 0
  })
  return value
}

function encodeLongLived(families: readonly LongLivedFamily[]): Buffer {
  const value = Buffer.alloc(7 * families.length)
  families.forEach(({ family, keptForwarding, staleTimeSeconds }, index) => {
    writeFamily(value, index * 7, family)
    value[3 + index * 7] = keptForwarding ? forwarding : 0
    value.writeUIntBE(staleTimeSeconds & 0xffffff, 4 + index * 7, 3)
  })
  return value
}
