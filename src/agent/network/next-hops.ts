// Asks the kernel how it reaches BGP's next hops (RTM_GETROUTE): node addresses may have no subnet, and routers may be some hops away. Our
// own routes are no answer: a route that BGP brought must not decide about its own next hop. Asked once for each next hop, however many
// routes lead over it, and again when routes of others change.
import { setImmediate } from 'node:timers/promises'
import { listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { lookUpRoutes } from '#/kernel/route-lookup.ts'
import { type LookupAnswer } from '#/wire/netlink/route-lookup.ts'
import { visitRoutesInTurns } from '#/kernel/routes.ts'
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { type LearnedRouteChange, type Reach } from '#/model/bgp.ts'
import { isOurLink, routeProtocol } from '#/model/names.ts'
import { type ConnectedSubnet, type DesiredHop, type KernelWay } from '#/model/network.ts'
import { subnetOf } from '#/plan/guard.ts'
import { isRouteOf, type NextHop, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'

const askedPerTurn = 100

/** By address; undefined: nobody needs it any more. */
type Changes = ReadonlyMap<string, KernelWay | undefined>

export type NextHopNews = {
  readonly learned: readonly LearnedRouteChange[]
  readonly connected: readonly ConnectedSubnet[]
  readonly inUse?: Iterable<Addr> | undefined
}

export class NextHops {
  readonly #netlink: Netlink
  readonly #ways = new Map<string, { readonly addr: Addr; readonly way: KernelWay }>()
  /** Routes by others in the main table that may lead to a next hop. */
  #others: readonly Route[] = []
  /** By device, the networks that these have on its link. */
  #onLink: ReadonlyMap<string, readonly Prefix[]> = new Map()
  #reach: Reach = { links: [], routed: [] }

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  /** Where next hops are reached, as of the last time that routes of others were read. */
  get reach(): Reach {
    return this.#reach
  }

  /** Whether a route to the prefix, by others, may change the way to a next hop. */
  concerns(prefix: Prefix): boolean {
    return this.#ways.values().some(({ addr }) => prefix.contains(addr))
  }

  /**
   * Asks about next hops that are new, and with `inUse`, which has all that are in use, about these again. Returns the ways that are new or
   * changed. An error of the kernel is returned too: what is learned must not be lost with it. The next time has to be one with `inUse` then.
   */
  async update(news: NextHopNews): Promise<{ readonly ways: Changes; readonly error?: unknown }> {
    try {
      return { ways: await this.#update(news) }
    } catch (error) {
      // some may have been found, and nobody was told
      this.#ways.clear()
      return { ways: new Map(), error }
    }
  }

  async #update({ learned, connected, inUse }: NextHopNews): Promise<Changes> {
    const refreshed = inUse ? await this.#refresh(inUse, connected) : []
    const fresh = new Map<string, Addr>()
    for (const { route } of learned)
      for (const { addr } of route?.nextHops ?? [])
        if (this.#isAsked(addr, connected) && !this.#ways.has(String(addr))) fresh.set(String(addr), addr)
    return new Map([...refreshed, ...(await this.#ask(fresh))])
  }

  async #refresh(inUse: Iterable<Addr>, connected: readonly ConnectedSubnet[]): Promise<Changes> {
    await this.#readOthers(connected)
    const asked = new Map<string, Addr>()
    for (const addr of inUse) if (this.#isAsked(addr, connected)) asked.set(String(addr), addr)
    const gone = [...this.#ways.keys()].filter((key) => !asked.has(key))
    for (const key of gone) this.#ways.delete(key)
    return new Map([...gone.map((key) => [key, undefined] as const), ...(await this.#ask(asked))])
  }

  async #ask(asked: ReadonlyMap<string, Addr>): Promise<Changes> {
    if (asked.size === 0) return new Map()
    const nameOf = namesOf(this.#netlink)
    const addrs = [...asked.values()]
    const changes = new Map<string, KernelWay>()
    for (let start = 0; start < addrs.length; start += askedPerTurn) {
      const some = addrs.slice(start, start + askedPerTurn)
      const answers = lookUpRoutes(
        this.#netlink,
        some.map((dst) => ({ dst })),
        () => false,
      )
      for (const [index, addr] of some.entries()) {
        const key = String(addr)
        const way = kernelWayOf(addr, answers[index]!, { others: this.#others, nameOf })
        if (JSON.stringify(this.#ways.get(key)?.way) === JSON.stringify(way)) continue
        this.#ways.set(key, { addr, way })
        changes.set(key, way)
      }
      await setImmediate()
    }
    return changes
  }

  /**
   * Neither what is on a subnet of this node nor what is on one link needs an answer of the kernel. That an address has the length of a subnet
   * does not say that the subnet is on the link: the route to it may be missing, or in another table than the one that the kernel looks next
   * hops up in.
   */
  #isAsked(addr: Addr, connected: readonly ConnectedSubnet[]): boolean {
    if (addr.isLinkLocal) return false
    const subnet = subnetOf(addr, connected)
    return subnet === undefined || this.#onLink.get(subnet.device)?.some((prefix) => prefix.contains(addr)) !== true
  }

  async #readOthers(connected: readonly ConnectedSubnet[]): Promise<void> {
    const nameOf = namesOf(this.#netlink)
    const others: Route[] = []
    await visitRoutesInTurns(
      this.#netlink,
      (route) => {
        const isOverOurs = route.nextHops.some(({ oif }) => oif !== undefined && isOurLink(nameOf(oif)))
        if (route.table === RT_TABLE_MAIN && route.type === 'unicast' && !isOverOurs) others.push(route)
      },
      (payload) => isRouteOf(payload, routeProtocol, RT_TABLE_MAIN),
    )
    this.#others = others
    const isOnLink = ({ nextHops, dst }: Route): boolean =>
      !dst.addr.isLinkLocal && nextHops.every(({ gateway }) => !gateway)
    const onLink = others.filter(isOnLink)
    const links = [...connected.map(({ prefix }) => prefix), ...onLink.map(({ dst }) => dst)]
    const byDevice = Map.groupBy(onLink, ({ nextHops }) => nameOf(nextHops[0]?.oif ?? 0))
    this.#onLink = new Map([...byDevice].map(([device, routes]) => [device, outermost(routes.map(({ dst }) => dst))]))
    const routed = others.filter(({ nextHops }) => nextHops.some(({ gateway }) => gateway)).map(({ dst }) => dst)
    this.#reach = { links: outermost(links), routed: outermost(routed) }
  }
}

/** Sorted, without those within others. */
function outermost(prefixes: readonly Prefix[]): Prefix[] {
  const found: Prefix[] = []
  // a containing prefix sorts before those that it contains
  for (const prefix of prefixes.toSorted((a, b) => a.compare(b)))
    if (found.at(-1)?.contains(prefix) !== true) found.push(prefix)
  return found
}

function namesOf(netlink: Netlink): (index: number) => string {
  const names = new Map(listLinks(netlink).map(({ index, name }) => [index, name]))
  return (index) => names.get(index) ?? `if${index}`
}

type Surroundings = {
  /** Routes by others in the main table. */
  readonly others: readonly Route[]
  readonly nameOf: (index: number) => string
}

const refusals: Readonly<Record<string, string>> = {
  ENETUNREACH: 'this node has no route to it',
  EHOSTUNREACH: 'a route of this node makes it unreachable',
  EACCES: 'a route of this node prohibits it',
  EINVAL: 'a route of this node drops packets to it',
}

/** What the kernel's answer says of a next hop. */
export function kernelWayOf(addr: Addr, answer: LookupAnswer, { others, nameOf }: Surroundings): KernelWay {
  if (answer.kind === 'refused')
    return { kind: 'not reached', why: refusals[answer.code] ?? `the kernel answers ${answer.code}` }
  const isOurs = answer.route?.protocol === routeProtocol && answer.route.table === RT_TABLE_MAIN
  const route = isOurs ? longestOf(addr, others) : answer.route
  if (route === undefined) return { kind: 'not reached', why: refusals.ENETUNREACH! }
  if (route.type === 'local') return { kind: 'not reached', why: 'it is an address of this node itself' }
  const hops = route.nextHops.flatMap((hop) => hopOf(addr, hop, nameOf) ?? [])
  const ours = hops.find(({ device }) => isOurLink(device))
  if (ours) return { kind: 'not reached', why: `it is on ${ours.device}, where pods are` }
  if (route.type !== 'unicast' || hops.length === 0) return { kind: 'not reached', why: refusals.ENETUNREACH! }
  // the kernel looks for the gateway in the main table, and would find our own route there, or none
  const isElsewhere = isOurs || route.table !== RT_TABLE_MAIN
  return { kind: 'reached', hops: isElsewhere ? hops.map((hop) => ({ ...hop, onlink: true })) : hops }
}

function hopOf(addr: Addr, { oif, gateway = addr, onlink }: NextHop, nameOf: (index: number) => string) {
  if (oif === undefined) return undefined
  const hop: DesiredHop = { device: nameOf(oif), gateway, ...(onlink === true && { onlink: true }) }
  return hop
}

function longestOf(addr: Addr, routes: readonly Route[]): Route | undefined {
  const matching = routes.filter(({ dst }) => dst.contains(addr))
  return matching.toSorted((a, b) => b.dst.length - a.dst.length || a.metric - b.metric)[0]
}
