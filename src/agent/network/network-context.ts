// The context in which this node's network is planned: its own Node object, the underlay as the kernel has it, the requested routing,
// and former pod CIDRs that pods still use. The table of all other nodes holds for one context and is planned anew when that changes.
import { setImmediate } from 'node:timers/promises'
import { type Netlink } from '#/kernel/netlink.ts'
import { type Prefix } from '#/lib/addr.ts'
import { type NetworkSettings, type NodeState, type PortState } from '#/model/network.ts'
import { type Problem } from '#/model/problems.ts'
import { type Routing } from '#/model/routing.ts'
import { problemsOfCIDRs } from '#/plan/network.ts'
import { NodeWays } from '#/plan/node-ways.ts'
import { type RemoteContext } from '#/plan/remote-plan.ts'
import { RemoteNodes } from '#/plan/remote-nodes.ts'
import { routingProblems } from '#/plan/routing-problems.ts'
import { readNodeWays } from './kernel-ways.ts'
import { readUnderlay, type Underlay, unknownUnderlay } from './underlay.ts'

/** How many nodes are planned, or routes taken over, before other work on the event loop gets its turn. */
export const nodesPerTurn = 50

export type ContextInput = {
  readonly self: NodeState
  readonly routing: Routing
  readonly ports: readonly PortState[]
  /** Whether devices or addresses of the underlay may have changed. */
  readonly isUnderlayDirty: boolean
}

export class NetworkContext {
  readonly #netlink: Netlink
  readonly #settings: NetworkSettings
  readonly #keptCIDRs: () => readonly Prefix[]
  #underlay: Underlay = unknownUnderlay
  #self: NodeState | undefined
  #former: readonly Prefix[] = []
  #remoteNodes: RemoteNodes | undefined

  /** `keptCIDRs`: pod CIDRs of which pods may have addresses though no port says so. */
  constructor(netlink: Netlink, settings: NetworkSettings, keptCIDRs: () => readonly Prefix[]) {
    this.#netlink = netlink
    this.#settings = settings
    this.#keptCIDRs = keptCIDRs
  }

  get underlay(): Underlay {
    return this.#underlay
  }

  /** The table of all other nodes; undefined until the first `update`. */
  get remoteNodes(): RemoteNodes | undefined {
    return this.#remoteNodes
  }

  /** Pod CIDRs that this node has lost but its pods still use: whether they are served depends on which node has them now. */
  get formerCIDRs(): readonly Prefix[] {
    return this.#former
  }

  /**
   * What is wrong with the underlay, with the routing that it carries, and with pod CIDRs. `ports`: of this node's pods. `isSettled`: all nodes and all
   * of BGP's routes are known.
   */
  problems(remoteNodes: RemoteNodes, ports: readonly PortState[], isSettled: boolean): Problem[] {
    const { problems, strictDevices, stoppedDevices, deadDevices, connected } = this.#underlay
    const isOfNode = (name: string): boolean => connected.some((each) => each.isNodeAddress && each.device === name)
    const stopped = stoppedDevices.filter((device) => isOfNode(device) || remoteNodes.leadsOver(device))
    const dead = deadDevices.filter(({ device, isOfNode: isOwn }) => isOwn || remoteNodes.leadsOver(device))
    const circumstances = { strictDevices, stoppedDevices: stopped, deadDevices: dead, isSettled }
    const ofCIDRs = problemsOfCIDRs({ remoteNodes, ports, formerCIDRs: this.#former, settings: this.#settings })
    return [...problems, ...routingProblems(remoteNodes, circumstances), ...ofCIDRs]
  }

  /** Returns the table of other nodes for this node's present context. Throws KernelError when the underlay cannot be read. */
  async update(input: ContextInput): Promise<{ readonly remoteNodes: RemoteNodes; readonly isNew: boolean }> {
    const { self, routing, ports, isUnderlayDirty } = input
    const before = this.#underlay
    if (isUnderlayDirty || self !== this.#self) {
      const nodes = this.#remoteNodes
      const ways = await readNodeWays(this.#netlink, self.addrs, (prefix) => nodes?.mayHoldNodes(prefix) ?? true)
      this.#underlay = readUnderlay(this.#netlink, self.name, self.addrs, this.#settings, ways)
    }
    const { mtuBytes, connected, ways } = this.#underlay
    const former = formerCIDRs([...ports.flatMap(({ podCIDRs }) => podCIDRs), ...this.#keptCIDRs()], self)
    const isSame =
      self === this.#self &&
      routing === this.#remoteNodes?.routing &&
      isSameText(former, this.#former) &&
      isSameUnderlay(before, this.#underlay)
    this.#self = self
    this.#former = former
    if (this.#remoteNodes && isSame) return { remoteNodes: this.#remoteNodes, isNew: false }
    const settings = this.#settings
    const context: RemoteContext = {
      self,
      underlay: mtuBytes,
      ways: new NodeWays(ways),
      connected,
      routing,
      settings,
      formerCIDRs: former,
    }
    if (this.#remoteNodes === undefined) this.#remoteNodes = new RemoteNodes(context)
    else for (const _ of this.#remoteNodes.changeContext(context, nodesPerTurn)) await setImmediate()
    return { remoteNodes: this.#remoteNodes, isNew: true }
  }
}

function formerCIDRs(held: readonly Prefix[], self: NodeState): Prefix[] {
  const former = held.filter((cidr) => !self.podCIDRs.some((each) => each.equals(cidr)))
  return [...new Map(former.map((cidr) => [String(cidr), cidr])).values()].toSorted((a, b) => a.compare(b))
}

function isSameUnderlay(a: Underlay, b: Underlay): boolean {
  return (
    a.mtuBytes[4] === b.mtuBytes[4] &&
    a.mtuBytes[6] === b.mtuBytes[6] &&
    isSameText(a.connected, b.connected) &&
    isSameText(a.ways, b.ways)
  )
}

function isSameText(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b)
}
