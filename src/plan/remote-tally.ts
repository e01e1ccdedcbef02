// What many nodes have a part in: counted in and out with each of them. Pure.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type DesiredHop, type NetworkSettings, type NodeState } from '#/model/network.ts'
import { plainVxlan } from '#/model/routing.ts'
import { type RemotePlan } from './remote-plan.ts'

export type WayCounts = { readonly vxlan: number; readonly native: number }

/** Things that are there as long as at least one node has them, and which of them came or went since `begin`. */
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
  /** Pod CIDRs outside of the cluster's: masquerade must know each. */
  readonly #outside = new Shared<Prefix>()
  /** Addresses of nodes inside of the cluster CIDRs, where BGP's routes may be: hardly ever one. */
  readonly #inside = new Shared<Addr>()
  /** Which tunnel MTUs there are for which family of pods: the smallest is every pod's. */
  readonly #mtus = new Shared<{ readonly family: Family; readonly mtuBytes: number }>()
  /** Devices of native routes' next hops. */
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

  get overlayMtuBytes(): { readonly [F in Family]?: number } {
    const smallest: { [F in Family]?: number } = {}
    for (const { family, mtuBytes } of this.#mtus.values()) {
      smallest[family] = Math.min(smallest[family] ?? Infinity, mtuBytes)
    }
    return smallest
  }

  get wayCounts(): WayCounts {
    return this.#ways
  }

  /** Whether a node may send VXLAN, or be given another routing and send it then. */
  get mayUseOverlay(): boolean {
    return this.#overlayUsers.size > 0
  }

  get hasNativeSenders(): boolean {
    return this.#nativeSenders.size > 0
  }

  /** Whether a native route leads over the device. */
  leadsOver(device: string): boolean {
    return this.#devices.has(device)
  }

  /** Begins to watch for changes. */
  begin(): void {
    for (const shared of [this.#outside, this.#inside, this.#mtus, this.#devices]) shared.begin()
  }

  /** What is different since. */
  end(): { readonly isOutsideChanged: boolean; readonly isInsideChanged: boolean; readonly isMtuChanged: boolean } {
    return {
      isOutsideChanged: this.#outside.isChanged,
      isInsideChanged: this.#inside.isChanged,
      isMtuChanged: this.#mtus.isChanged,
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
    for (const addr of plan.tunnelEnds)
      if (clusterCIDRs.some((cidr) => cidr.contains(addr))) this.#inside.add(String(addr), addr)
    const { mode, sends } = node.routingState ?? plainVxlan
    // from where no pods are, or no network yet, no packets come. A node that joins would else bring back, on all others, the tunnel
    // that all have done without, until it has told its state
    if (node.podCIDRs.length === 0 || node.isStarting) return
    if (mode !== 'native' || sends.includes('vxlan')) this.#overlayUsers.add(node.name)
    if (sends.includes('native')) this.#nativeSenders.add(node.name)
  }

  /** The same plan that was added. */
  remove(name: string, plan: RemotePlan): void {
    for (const verdict of plan.verdicts) {
      if (verdict.way === 'none') continue
      this.#ways[verdict.way]--
      if (verdict.way === 'native') this.removeHops(verdict.nextHops)
      this.#outside.remove(String(verdict.dst))
    }
    for (const each of plan.tunnels) this.#mtus.remove(mtuKey(each))
    for (const addr of plan.tunnelEnds) this.#inside.remove(String(addr))
    this.#overlayUsers.delete(name)
    this.#nativeSenders.delete(name)
  }

  /** Next hops of a native route, also of one that belongs to no node. */
  addHops(nextHops: readonly DesiredHop[]): void {
    for (const { device } of nextHops) this.#devices.add(device, device)
  }

  removeHops(nextHops: readonly DesiredHop[]): void {
    for (const { device } of nextHops) this.#devices.remove(device)
  }
}

function mtuKey({ family, mtuBytes }: RemotePlan['tunnels'][number]): string {
  return `IPv${family} ${mtuBytes}`
}
