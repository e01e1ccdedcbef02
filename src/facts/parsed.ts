// What was told of a namespace, in the values that a look-up works with. What is no address or prefix is an error: facts come from files.
import { type NamespaceFacts, type RouteFacts, type RuleFacts } from '#/api/schemas/facts.ts'
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { anyRouteTypes } from '#/model/facts.ts'
import { type AnyRoute } from '#/wire/netlink/route.ts'
import { type Rule } from '#/wire/netlink/rule.ts'

/** The facts cannot be: an address that is none, a rule of no family. */
export class FactsError extends Error {
  override name = 'FactsError'
}

export const addrIn = (text: string): Addr => {
  const addr = Addr.tryParse(text)
  if (addr === undefined) throw new FactsError(`"${text}" is no address`)
  return addr
}

export const prefixIn = (text: string): Prefix => {
  const prefix = Prefix.tryParse(text)
  if (prefix === undefined) throw new FactsError(`"${text}" is no prefix`)
  return prefix
}

/** Devices by name and number. A device that is named and not told gets a number of its own. */
export class Indices {
  readonly #byName: Map<string, number>
  readonly #names: Map<number, string>

  constructor(links: NamespaceFacts['links']) {
    this.#byName = new Map(links.map(({ index, name }) => [name, index]))
    this.#names = new Map(links.map(({ index, name }) => [index, name]))
  }

  of(name: string): number {
    const found = this.#byName.get(name)
    if (found !== undefined) return found
    // indices are positive: these meet none
    const made = -this.#byName.size - 1
    this.#byName.set(name, made)
    this.#names.set(made, name)
    return made
  }

  name(index: number): string {
    return this.#names.get(index) ?? `if${index}`
  }
}

const routeScope = 0

export function routeOf(told: RouteFacts, indices: Indices): AnyRoute {
  const { encap, tos = 0 } = told
  return {
    dst: prefixIn(told.dst),
    type: anyRouteTypes.find((each) => each === told.type) ?? 'unicast',
    protocol: told.protocol,
    table: told.table,
    metric: told.metric,
    scope: routeScope,
    nextHops: told.nextHops.map(({ device, gateway, isOnlink }) => ({
      ...(device !== undefined && { oif: indices.of(device) }),
      ...(gateway !== undefined && { gateway: addrIn(gateway) }),
      ...(isOnlink && { onlink: true }),
    })),
    ...(told.src !== undefined && { preferredSource: addrIn(told.src) }),
    ...(told.mtuBytes !== undefined && { mtuBytes: told.mtuBytes }),
    ...(encap && {
      encap: {
        vni: encap.vni,
        src: addrIn(encap.src ?? (encap.dst.includes(':') ? '::' : '0.0.0.0')),
        dst: addrIn(encap.dst),
      },
    }),
    ...(told.from !== undefined && { from: prefixIn(told.from) }),
    tos,
    ...(told.preference && { preference: told.preference }),
    deadHops: told.nextHops.flatMap(({ isDead }, index) => (isDead ? [index] : [])),
  }
}

function familyOf(family: number): Family {
  if (family !== 4 && family !== 6) throw new FactsError(`a rule of family ${family}`)
  return family
}

export function ruleOf(told: RuleFacts): Rule {
  const { priority, table, action, isInverted, src, dst, iif, oif, mark, ipProtocol, sourcePorts, destinationPorts } =
    told
  const dead = action === 'blackhole' || action === 'prohibit' || action === 'unreachable' ? action : undefined
  const isNarrow = told.isNarrow || [ipProtocol, sourcePorts, destinationPorts].some((each) => each !== undefined)
  return {
    family: familyOf(told.family),
    priority,
    table,
    ...(dead && { dead }),
    isInverted,
    ...(dst !== undefined && { dst: prefixIn(dst) }),
    ...(src !== undefined && { src: prefixIn(src) }),
    ...(iif !== undefined && { iif }),
    ...(oif !== undefined && { oif }),
    ...(mark && { mark: mark.value, mask: mark.mask }),
    ...(ipProtocol !== undefined && { ipProtocol }),
    ...(sourcePorts && { sourcePorts }),
    ...(destinationPorts && { destinationPorts }),
    ...(told.goto !== undefined && { goto: told.goto }),
    ...(told.suppressLength !== undefined && { suppressLength: told.suppressLength }),
    ...(told.isNarrow && { isBeyond: true as const }),
    isNarrow,
  }
}
