// The maps of a node's programs, written as the agent would.
import { type LoadedObject } from '#/kernel/bpf/object.ts'
import { PerCpuMap, TypedMap } from '../typed-map.ts'
import { type configStruct, mapLayouts, type nodeStruct, trafficKinds, trafficKindsPerPod } from '#/wire/bpf/maps.ts'
import { dropReasonName } from '#/wire/bpf/reasons.ts'
import { addrOf, zeros } from './frames.ts'

type Config = Parameters<typeof configStruct.encode>[0]
type Node = Parameters<typeof nodeStruct.encode>[0]

export type PodEntry = {
  readonly device: number
  readonly slot: number
  readonly mtu: number
  readonly flags: number
  readonly mac: Uint8Array
  readonly addrs: readonly Uint8Array[]
}

function mapsOf({ maps }: LoadedObject) {
  const map = (name: keyof typeof mapLayouts) => maps.get(name)!
  return {
    config: new TypedMap(map('cw_config'), mapLayouts.cw_config),
    pods4: new TypedMap(map('cw_pods4'), mapLayouts.cw_pods4),
    pods6: new TypedMap(map('cw_pods6'), mapLayouts.cw_pods6),
    ports: new TypedMap(map('cw_ports'), mapLayouts.cw_ports),
    nodes4: new TypedMap(map('cw_nodes4'), mapLayouts.cw_nodes4),
    nodes6: new TypedMap(map('cw_nodes6'), mapLayouts.cw_nodes6),
    ends: new TypedMap(map('cw_ends'), mapLayouts.cw_ends),
    traffic: new PerCpuMap(map('cw_traffic'), mapLayouts.cw_traffic),
    budgets: new PerCpuMap(map('cw_budgets'), mapLayouts.cw_budgets),
    drops: new PerCpuMap(map('cw_drops'), mapLayouts.cw_drops),
  }
}

const prefix4 = (number: number) => ({ length: 24, addr: addrOf(`10.244.${number}.0`) })
const prefix6 = (number: number) => ({ length: 64, addr: addrOf(`fd10:244:0:${number}::`) })
const packetsOf = (values: readonly { readonly packets: bigint }[]): number =>
  values.reduce((sum, { packets }) => sum + Number(packets), 0)

export class NodeMaps {
  readonly #maps: ReturnType<typeof mapsOf>
  #config: Config = {
    flags: 0,
    bridge_device: 0,
    tunnel_device: 0,
    vni: 0,
    tcp_timeout_s: 432_000,
    udp_timeout_s: 120,
    vxlan_port: 0,
    jiffies_hz: 0,
    bridge_mac: zeros(6),
    tunnel_mac: zeros(6),
  }

  constructor(object: LoadedObject) {
    this.#maps = mapsOf(object)
  }

  configure(change: Partial<Config>): void {
    this.#config = { ...this.#config, ...change }
    this.#maps.config.set({ index: 0 }, this.#config)
  }

  tellPod({ addrs, ...pod }: PodEntry): void {
    const { device, slot, flags, mac } = pod
    this.#maps.ports.set({ index: device }, { slot, flags, mac })
    for (const addr of addrs) (addr.length === 4 ? this.#maps.pods4 : this.#maps.pods6).set({ addr }, pod)
  }

  /** The pod CIDRs 10.244.N.0/24 and fd10:244:0:N::/64. */
  tellNode({
    number,
    ends,
    node,
  }: {
    readonly number: number
    readonly ends: readonly Uint8Array[]
    readonly node: Node
  }): void {
    this.#maps.nodes4.set(prefix4(number), node)
    this.#maps.nodes6.set(prefix6(number), node)
    for (const addr of ends) this.#maps.ends.set({ addr }, { owner: node.owner })
  }

  forgetNode(number: number): void {
    this.#maps.nodes4.delete(prefix4(number))
    this.#maps.nodes6.delete(prefix6(number))
  }

  clearDrops(): void {
    for (const [key] of this.#maps.drops.entries()) this.#maps.drops.delete(key)
  }

  /** Dropped packets by reason. */
  drops(): Map<string, number> {
    const found = new Map<string, number>()
    for (const [{ reason }, values] of this.#maps.drops.entries()) {
      const name = dropReasonName(reason) ?? String(reason)
      found.set(name, (found.get(name) ?? 0) + packetsOf(values))
    }
    return found
  }

  /** Packets of the pod with this slot, by how they went; those that are none are left out. */
  traffic(slot: number): Record<string, number> {
    const entries = Object.entries(trafficKinds).map(([name, kind]): [string, number] => [
      name,
      packetsOf(this.#maps.traffic.get({ index: slot * trafficKindsPerPod + kind })!),
    ])
    return Object.fromEntries(entries.filter(([, packets]) => packets > 0))
  }

  clearTraffic(slot: number): void {
    for (const kind of Object.values(trafficKinds))
      this.#maps.traffic.clear({ index: slot * trafficKindsPerPod + kind })
  }

  clearBudget(slot: number): void {
    this.#maps.budgets.clear({ index: slot })
  }
}
