// Facts to which many nodes contribute, such as the smallest tunnel MTU: each node's share is added and removed with the node. Pure.
import { type Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type DesiredHop, type NetworkSettings, type NodeState } from '#/model/network.ts'
import { plainVxlan } from '#/model/routing.ts'
import { type FamilyMtu, type RemotePlan } from './remote-plan.ts'

type MtuByFamily = { readonly [F in Family]?: number }

export type WayCounts = { readonly vxlan: number; readonly native: number }

/** Values that exist as long as at least one node contributes them. `isChanged`: whether any appeared or vanished since `begin`. */
class Shared<T> {
  readonly #counts = new Map<string, { readonly value: T; count: number }>()
  readonly #before = new Map<string, boolean>()

  begin(): void {
    this.#before.clear()
  }

  get isChanged(): boolean {
    return [...this.#before].some(([key, wasThere]) => wasThere !== this.#counts.has(key))
  }

  add(key: string, value: T): void {
    this.#touch(key)
    const use = this.#counts.get(key)
    if (use) use.count++
    else this.#counts.set(key, { value, count: 1 })
  }

  remove(key: string): void {
    const use = this.#counts.get(key)
    if (use === undefined) return
    this.#touch(key)
    if (--use.count === 0) this.#counts.delete(key)
  }

  has(key: string): boolean {
    return this.#counts.has(key)
  }

  #touch(key: string): void {
    if (!this.#before.has(key)) this.#before.set(key, this.#counts.has(key))
  }

  *values(): Generator<T, void> {
    for (const { value } of this.#counts.values()) yield value
  }
}

export class RemoteTally {
  /** Pod CIDRs outside of the cluster CIDRs. The masquerade rules must know each. */
  readonly #outside = new Shared<Prefix>()
  /** Addresses of nodes within the cluster CIDRs, which BGP's routes might cover. Hardly any cluster has one. */
  readonly #inside = new Shared<Addr>()
  /** The tunnel MTUs in use by pod family. All pods of a family get the smallest. */
  readonly #mtus = new Shared<FamilyMtu>()
  /** The underlay's MTUs on the ways to other nodes, by the family of their addresses. */
  readonly #underlayMtus = new Shared<FamilyMtu>()
  /** Networks that hold addresses of other nodes: few, however many nodes there are. */
  readonly #places = new Shared<Prefix>()
  /** The devices of native routes' next hops. */
  readonly #devices = new Shared<string>()
  readonly #overlayUsers = new Set<string>()
  readonly #nativeSenders = new Set<string>()
  readonly #ways = { vxlan: 0, native: 0 }

  get outsideCIDRs(): Prefix[] {
    return [...this.#outside.values()].toSorted((a, b) => a.compare(b))
  }

  get insideAddrs(): Iterable<Addr> {
    return this.#inside.values()
  }

  get overlayMtuBytes(): MtuByFamily {
    return smallestOf(this.#mtus.values())
  }

  get underlayMtuBytes(): MtuByFamily {
    return smallestOf(this.#underlayMtus.values())
  }

  /** The largest packet that any tunnel carries; 0 without tunnels. */
  get widestTunnelBytes(): number {
    return Math.max(0, ...[...this.#mtus.values()].map(({ mtuBytes }) => mtuBytes))
  }

  get wayCounts(): WayCounts {
    return this.#ways
  }

  /** Whether another node may send VXLAN now, or may start to when its routing is changed. */
  get mayUseOverlay(): boolean {
    return this.#overlayUsers.size > 0
  }

  get hasNativeSenders(): boolean {
    return this.#nativeSenders.size > 0
  }

  /** Whether there may be addresses of other nodes within a prefix; never false where there are. */
  mayHoldNodes(prefix: Prefix): boolean {
    const length = placeLengths[prefix.family]
    if (prefix.length >= length) return this.#places.has(String(new Prefix(prefix.addr, length)))
    return this.#places.values().some((place) => prefix.contains(place))
  }

  /** Whether a native route has a next hop on the device. */
  leadsOver(device: string): boolean {
    return this.#devices.has(device)
  }

  /** Starts to watch for changes. */
  begin(): void {
    for (const shared of [this.#outside, this.#inside, this.#mtus, this.#underlayMtus, this.#devices]) shared.begin()
  }

  /** Tells which facts have changed since `begin`. */
  end(): { readonly isOutsideChanged: boolean; readonly isInsideChanged: boolean; readonly isMtuChanged: boolean } {
    return {
      isOutsideChanged: this.#outside.isChanged,
      isInsideChanged: this.#inside.isChanged,
      isMtuChanged: this.#mtus.isChanged || this.#underlayMtus.isChanged,
    }
  }

  add(node: NodeState, plan: RemotePlan, { clusterCIDRs }: NetworkSettings): void {
    for (const verdict of plan.verdicts) {
      if (verdict.way === 'none') continue
      const { dst, way } = verdict
      this.#ways[way]++
      if (verdict.way === 'native') this.addHops(verdict.nextHops)
      if (!clusterCIDRs.some((cidr) => cidr.contains(dst))) this.#outside.add(String(dst), dst)
    }
    for (const each of plan.tunnels) this.#mtus.add(mtuKey(each), each)
    for (const each of plan.underlay) this.#underlayMtus.add(mtuKey(each), each)
    for (const addr of plan.tunnelEnds) {
      if (clusterCIDRs.some((cidr) => cidr.contains(addr))) this.#inside.add(String(addr), addr)
      const place = placeOf(addr)
      this.#places.add(String(place), place)
    }
    const { mode, sends } = node.routingState ?? plainVxlan
    // a node without pod CIDRs or agent, or still starting, sends no pods' packets. If it counted, a node that joins a cluster without a tunnel
    // would bring the tunnel back on all other nodes until it announces its state
    if (node.podCIDRs.length === 0 || node.isStarting || node.lacksAgent !== undefined) return
    if (mode !== 'native' || sends.includes('vxlan')) this.#overlayUsers.add(node.name)
    if (sends.includes('native')) this.#nativeSenders.add(node.name)
  }

  /** `plan` must be the plan that was added for the node. */
  remove(name: string, plan: RemotePlan): void {
    for (const verdict of plan.verdicts) {
      if (verdict.way === 'none') continue
      this.#ways[verdict.way]--
      if (verdict.way === 'native') this.removeHops(verdict.nextHops)
      this.#outside.remove(String(verdict.dst))
    }
    for (const each of plan.tunnels) this.#mtus.remove(mtuKey(each))
    for (const each of plan.underlay) this.#underlayMtus.remove(mtuKey(each))
    for (const addr of plan.tunnelEnds) {
      this.#inside.remove(String(addr))
      this.#places.remove(String(placeOf(addr)))
    }
    this.#overlayUsers.delete(name)
    this.#nativeSenders.delete(name)
  }

  /** Counts the next hops of a native route, including a route that belongs to no node. */
  addHops(nextHops: readonly DesiredHop[]): void {
    for (const { device } of nextHops) this.#devices.add(device, device)
  }

  removeHops(nextHops: readonly DesiredHop[]): void {
    for (const { device } of nextHops) this.#devices.remove(device)
  }
}

const placeLengths = { 4: 16, 6: 48 } as const

function placeOf(addr: Addr): Prefix {
  return new Prefix(addr, placeLengths[addr.family])
}

function smallestOf(mtus: Iterable<FamilyMtu>): MtuByFamily {
  const smallest: { [F in Family]?: number } = {}
  for (const { family, mtuBytes } of mtus) smallest[family] = Math.min(smallest[family] ?? Infinity, mtuBytes)
  return smallest
}

function mtuKey({ family, mtuBytes }: FamilyMtu): string {
  return `IPv${family} ${mtuBytes}`
}
