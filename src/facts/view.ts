// A namespace as a prediction sees it, from what was told of it. Of what only a kernel can find out by trying, such as whether a neighbour answers
// now, it says what was known.
import { type NamespaceFacts, type NodeFacts } from '#/api/schemas/facts.ts'
import { Addr } from '#/lib/addr.ts'
import { routeProtocol } from '#/model/names.ts'
import { type BaseChain } from '#/obstacles/firewall/inspect.ts'
import {
  type Device,
  type KernelView,
  type ViewEntry,
  type ViewLink,
  type ViewNeighbour,
} from '#/predict/kernel-view.ts'
import { neighbourStates, type NeighbourState } from '#/wire/netlink/neigh.ts'
import { RT_TABLE_MAIN, type Route, routeTypes } from '#/wire/netlink/route.ts'
import { type WayAnswer, type WayLookup } from '#/wire/netlink/route-lookup.ts'
import { type Rule } from '#/wire/netlink/rule.ts'
import { chainsOf } from './firewall.ts'
import { type NamespaceState, stateOf } from './namespace-state.ts'
import { addrIn } from './parsed.ts'
import { wayOf } from './way.ts'

const isState = (word: string): word is NeighbourState => neighbourStates.some((each) => each === word)

function linkOf(told: NamespaceFacts['links'][number], { indices }: NamespaceState): ViewLink {
  const { index, name, kind, mac, mtuBytes, isUp, hasCarrier, master, vxlan, hasNoArp = false, isEthernet, port } = told
  return {
    index,
    name,
    kind,
    mac,
    mtuBytes,
    isUp,
    hasCarrier,
    ...(master !== undefined && { master: indices.of(master) }),
    ...(vxlan && {
      vxlan: { id: vxlan.vni, port: vxlan.port, ...(vxlan.local !== undefined && { local: addrIn(vxlan.local) }) },
    }),
    hasNoArp,
    isEthernet,
    ...(port && { port }),
  }
}

export class FactsView implements KernelView {
  readonly #facts: NamespaceFacts
  readonly #programs: NodeFacts['programs']
  readonly #state: NamespaceState
  readonly links: readonly ViewLink[]

  /** `programs`: those at devices of the namespace. Throws FactsError. */
  constructor(facts: NamespaceFacts, programs: NodeFacts['programs'] = []) {
    this.#facts = facts
    this.#programs = programs
    this.#state = stateOf(facts)
    this.links = facts.links.map((each) => linkOf(each, this.#state))
  }

  addresses(): NamespaceState['addresses'] {
    return this.#state.addresses
  }

  rules(): readonly Rule[] {
    return this.#state.rules
  }

  lookUp(lookup: WayLookup): WayAnswer {
    return wayOf(lookup, this.#state)
  }

  async droppingRoutes(): Promise<readonly Route[]> {
    return this.#state.routes.flatMap(({ type, from: _from, tos: _tos, preference: _p, deadHops: _d, ...rest }) => {
      const isKnown = Object.hasOwn(routeTypes, type)
      const drops = isKnown && type !== 'unicast' && type !== 'local'
      const isOurs = rest.protocol === routeProtocol && rest.table === RT_TABLE_MAIN
      return drops && !isOurs ? [{ ...rest, type: type as Route['type'] }] : []
    })
  }

  async neighbour(device: Device, addr: Addr): Promise<ViewNeighbour | undefined> {
    return this.neighbourNow(device, addr)
  }

  neighbourNow({ name }: Device, addr: Addr): ViewNeighbour | undefined {
    const text = String(addr)
    const found = this.#facts.neighbours.find((each) => each.device === name && each.addr === text)
    if (found === undefined) return undefined
    const { state, mac } = found
    return { state: isState(state) ? state : 'none', ...(mac !== undefined && { mac }) }
  }

  async tunnelEnds({ name }: Device, mac: string): Promise<readonly Addr[]> {
    return this.#facts.bridgeEntries.flatMap((each) =>
      each.device === name && each.mac === mac && each.dst !== undefined ? [addrIn(each.dst)] : [],
    )
  }

  fdb({ name }: Device, mac: string): ViewEntry | undefined {
    const found = this.#facts.bridgeEntries.find((each) => each.bridge === name && each.mac === mac)
    return found && { index: this.#state.indices.of(found.device), origin: found.origin }
  }

  sysctl(path: string): string | undefined {
    return this.#state.sysctl(path)
  }

  async chains(): Promise<readonly BaseChain[]> {
    return chainsOf(this.#facts)
  }

  tables(): ReturnType<KernelView['tables']> {
    return this.#facts.chains.flatMap(({ tool, family, table }) => (tool === 'nft' ? [{ family, name: table }] : []))
  }

  isWaitedFor(protocol: 'tcp' | 'udp', port: number, addr: Addr): boolean {
    return this.#facts.listeners.some((each) => {
      if (each.protocol !== protocol || each.port !== port) return false
      const own = addrIn(each.addr)
      // a socket of IPv6 takes packets of IPv4 as well, unless it says not, which is not told
      const isAny = own.isUnspecified && (own.family === addr.family || own.family === 6)
      return isAny || own.equals(addr) || (addr.family === 4 && own.equals(mapped(addr)))
    })
  }

  programsOfOthers({ name }: Device, hook: 'ingress' | 'egress'): readonly string[] {
    return this.#programs.flatMap((each) =>
      each.device === name && each.hook === hook && !each.isOurs ? [each.name ?? `program ${each.id}`] : [],
    )
  }

  /** The connections of a node are not told: they are those of its users. */
  async trackedEnd(): Promise<undefined> {
    return undefined
  }

  async pause(): Promise<void> {}

  [Symbol.dispose](): void {}
}

const mapped = (addr: Addr): Addr => new Addr(6, (0xffffn << 32n) | addr.value)
