// From where this node's network is planned: its own Node object, the underlay as the kernel has it, the routing that is asked for, and
// former pod CIDRs that pods still have. The table of all other nodes is kept for that context, and planned anew when it changes.
import { setImmediate } from 'node:timers/promises'
import { type Netlink } from '#/kernel/netlink.ts'
import { type Prefix } from '#/lib/addr.ts'
import { type NetworkSettings, type NodeState, type PortState } from '#/model/network.ts'
import { type Routing } from '#/model/routing.ts'
import { type RemoteContext } from '#/plan/remote-plan.ts'
import { RemoteNodes } from '#/plan/remote-nodes.ts'
import { readUnderlay, type Underlay, unknownUnderlay } from './underlay.ts'

/** Nodes that are planned, and routes that are written, before others on the event loop get their turn. */
export const nodesPerTurn = 50

export type ContextInput = {
  readonly self: NodeState
  readonly routing: Routing
  readonly ports: readonly PortState[]
  /** Whether devices or addresses of the underlay may be others than they were. */
  readonly isUnderlayDirty: boolean
}

export class NetworkContext {
  readonly #netlink: Netlink
  readonly #settings: NetworkSettings
  #underlay: Underlay = unknownUnderlay
  #self: NodeState | undefined
  #former: readonly Prefix[] = []
  #remoteNodes: RemoteNodes | undefined

  constructor(netlink: Netlink, settings: NetworkSettings) {
    this.#netlink = netlink
    this.#settings = settings
  }

  get underlay(): Underlay {
    return this.#underlay
  }

  /** All other nodes; undefined until there was a first context. */
  get remoteNodes(): RemoteNodes | undefined {
    return this.#remoteNodes
  }

  /** CIDRs of pods that this node has no more: whether they are served depends on who has them now. */
  get formerCIDRs(): readonly Prefix[] {
    return this.#former
  }

  /** The table of other nodes as seen from this node as it is now. Throws KernelError when the underlay cannot be read. */
  async update(input: ContextInput): Promise<{ readonly remoteNodes: RemoteNodes; readonly isNew: boolean }> {
    const { self, routing, ports, isUnderlayDirty } = input
    const before = this.#underlay
    if (isUnderlayDirty || self !== this.#self)
      this.#underlay = readUnderlay(this.#netlink, self.name, self.addrs, this.#settings)
    const { mtuBytes, connected } = this.#underlay
    const former = formerCIDRs(ports, self)
    const isSame =
      self === this.#self &&
      routing === this.#remoteNodes?.routing &&
      isSameText(former, this.#former) &&
      isSameUnderlay(before, this.#underlay)
    this.#self = self
    this.#former = former
    if (this.#remoteNodes && isSame) return { remoteNodes: this.#remoteNodes, isNew: false }
    const settings = this.#settings
    const context: RemoteContext = { self, underlay: mtuBytes, connected, routing, settings, formerCIDRs: former }
    if (this.#remoteNodes === undefined) this.#remoteNodes = new RemoteNodes(context)
    else for (const _ of this.#remoteNodes.changeContext(context, nodesPerTurn)) await setImmediate()
    return { remoteNodes: this.#remoteNodes, isNew: true }
  }
}

function formerCIDRs(ports: readonly PortState[], self: NodeState): Prefix[] {
  const held = ports.flatMap(({ podCIDRs }) => podCIDRs)
  const former = held.filter((cidr) => !self.podCIDRs.some((each) => each.equals(cidr)))
  return [...new Map(former.map((cidr) => [String(cidr), cidr])).values()].toSorted((a, b) => a.compare(b))
}

function isSameUnderlay(a: Underlay, b: Underlay): boolean {
  return a.mtuBytes[4] === b.mtuBytes[4] && a.mtuBytes[6] === b.mtuBytes[6] && isSameText(a.connected, b.connected)
}

function isSameText(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b)
}
