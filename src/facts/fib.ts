// Looks a packet up in rules and routing tables as the kernel does: rules by priority, in each table the longest prefix, of equal ones the lowest
// metric. net/core/fib_rules.c, net/ipv4/fib_trie.c, net/ipv6/route.c and fib6_rules.c say how.
import { type Addr } from '#/lib/addr.ts'
import { type AnyRoute, type NextHop, RT_TABLE_LOCAL } from '#/wire/netlink/route.ts'
import { type PortRange, type Rule } from '#/wire/netlink/rule.ts'

export type FibPacket = {
  readonly dst: Addr
  readonly src?: Addr
  /** The name of the device that it comes by; `lo`: of this namespace itself. */
  readonly iif: string
  /** Of that device; absent: the packet is of this namespace itself. */
  readonly iifIndex?: number
  readonly oif?: { readonly index: number; readonly name: string }
  readonly ipProtocol?: number
  readonly sourcePort?: number
  readonly destinationPort?: number
}

export type FibAnswer =
  /** `hops` are those that may be taken now: the kernel chooses one by a hash. */
  | { readonly kind: 'route'; readonly route: AnyRoute; readonly hops: readonly NextHop[] }
  | { readonly kind: 'refused'; readonly code: FibRefusal }
type Found = { readonly route: AnyRoute; readonly hops: readonly NextHop[] }
export type FibRefusal = 'ENETUNREACH' | 'EHOSTUNREACH' | 'EACCES' | 'EINVAL'

const refusals = { unreachable: 'EHOSTUNREACH', prohibit: 'EACCES', blackhole: 'EINVAL' } as const
const ruleRefusals = { ...refusals, unreachable: 'ENETUNREACH' } as const

/** The tables of one namespace. */
export class Fib {
  readonly #rules: readonly Rule[]
  /** By family and table, the best routes first. */
  readonly #tables: ReadonlyMap<string, readonly AnyRoute[]>

  constructor(rules: readonly Rule[], routes: readonly AnyRoute[]) {
    // sorting is stable: rules of one priority stay in the order in which they were told
    this.#rules = rules.toSorted((a, b) => a.priority - b.priority)
    const tables = Map.groupBy(routes, ({ table, dst }) => `${dst.family} ${table}`)
    this.#tables = new Map(tables.entries().map(([key, each]) => [key, each.toSorted(better)]))
  }

  lookUp(packet: FibPacket): FibAnswer {
    const { family } = packet.dst
    let from = 0
    for (const rule of this.#rules) {
      if (rule.family !== family || rule.priority < from || !isFor(rule, packet)) continue
      if (rule.goto !== undefined) {
        // without a rule of that priority the kernel goes on with the next one
        if (this.#rules.some((each) => each.family === family && each.priority === rule.goto)) from = rule.goto
        continue
      }
      if (rule.dead) return { kind: 'refused', code: ruleRefusals[rule.dead] }
      if (rule.table === undefined) continue
      const found = this.#find(rule.table, packet)
      // a route of the type throw ends the look-up in its table alone
      if (found === undefined || found.route.type === 'throw') continue
      const { type, dst } = found.route
      if (type === 'blackhole' || type === 'prohibit' || type === 'unreachable')
        return { kind: 'refused', code: refusals[type] }
      if (rule.suppressLength !== undefined && dst.length <= rule.suppressLength) continue
      return { kind: 'route', ...found }
    }
    return { kind: 'refused', code: 'ENETUNREACH' }
  }

  /** Whether it is an address of this namespace. */
  isLocal(dst: Addr): boolean {
    return this.#find(RT_TABLE_LOCAL, { dst, iif: 'lo' })?.route.type === 'local'
  }

  #find(table: number, packet: FibPacket): Found | undefined {
    let best: Found | undefined
    for (const route of this.#tables.get(`${packet.dst.family} ${table}`) ?? []) {
      if (best && !isEqual(best.route, route)) break
      const hops = hopsFor(route, packet)
      if (hops === undefined) continue
      const found = { route, hops }
      if (packet.dst.family === 4) return found
      if (best === undefined || score(found, packet) > score(best, packet)) best = found
    }
    return best
  }

  /** Whether the kernel looks at protocol and ports of packets that come in, which it does where a rule needs them. */
  get looksAtPorts(): boolean {
    return this.#rules.some(
      ({ family, iif, ipProtocol, sourcePorts, destinationPorts }) =>
        family === 4 && iif !== 'lo' && [ipProtocol, sourcePorts, destinationPorts].some((each) => each !== undefined),
    )
  }

  /** Whether IPv4 has other rules than those of every namespace, or local routes that somebody made. */
  get isCustom(): boolean {
    return (
      this.#rules.some(({ family, priority }) => family === 4 && !usualPriorities.has(priority)) ||
      this.#tables
        .values()
        .some((routes) =>
          routes.some(({ dst, type, protocol }) => dst.family === 4 && type === 'local' && protocol !== kernelProtocol),
        )
    )
  }
}

/** RTPROT_KERNEL of linux/rtnetlink.h: the kernel made the route itself, for an address of a device. */
const kernelProtocol = 2
const usualPriorities = new Set([0, 32_766, 32_767])
/** What of a route may be taken now, by this packet; undefined: nothing. */
function hopsFor(route: AnyRoute, { dst, src, oif: wanted }: FibPacket): readonly NextHop[] | undefined {
  if (!route.dst.contains(dst) || route.tos !== 0) return undefined
  if (route.from && (src === undefined || !route.from.contains(src))) return undefined
  if (leadNowhere.has(route.type)) return []
  const hops = route.nextHops.filter(
    ({ oif }, index) => !route.deadHops.includes(index) && (wanted === undefined || wanted.index === oif),
  )
  return hops.length > 0 ? hops : undefined
}

const isEqual = (a: AnyRoute, b: AnyRoute): boolean =>
  a.dst.equals(b.dst) && a.from?.length === b.from?.length && a.metric === b.metric

/** IPv6 may have several routes to a prefix with one metric: that of the better router counts, then one by the device that the packet came by. */
function score({ route, hops }: Found, { iifIndex }: FibPacket): number {
  const isBack = iifIndex === undefined || hops.some(({ oif }) => oif === iifIndex)
  return preferences[route.preference ?? 'medium'] * 2 + (isBack ? 1 : 0)
}

const leadNowhere = new Set(['blackhole', 'unreachable', 'prohibit', 'throw'])
const preferences = { high: 2, medium: 1, low: 0 } as const

function better(a: AnyRoute, b: AnyRoute): number {
  return b.dst.length - a.dst.length || (b.from?.length ?? 0) - (a.from?.length ?? 0) || a.metric - b.metric
}

function isFor(rule: Rule, packet: FibPacket): boolean {
  return matches(rule, packet) !== rule.isInverted
}

function matches(rule: Rule, { dst, src, iif, oif, ipProtocol, sourcePort, destinationPort }: FibPacket): boolean {
  const { mark = 0, mask = 0 } = rule
  // a packet that is looked up here has no mark, no user and no DSCP
  if (rule.isBeyond || (mark & mask) !== 0) return false
  if (rule.iif !== undefined && rule.iif !== iif) return false
  if (rule.oif !== undefined && rule.oif !== oif?.name) return false
  if (rule.dst && !rule.dst.contains(dst)) return false
  if (rule.src && !(src !== undefined && rule.src.contains(src))) return false
  if (rule.ipProtocol !== undefined && rule.ipProtocol !== ipProtocol) return false
  return isIn(rule.sourcePorts, sourcePort) && isIn(rule.destinationPorts, destinationPort)
}

const isIn = (range: PortRange | undefined, port = 0): boolean =>
  range === undefined || (range.first <= port && port <= range.last)
