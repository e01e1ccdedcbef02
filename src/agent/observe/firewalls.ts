// What firewalls of a node with flannel do to packets of pods and of the tunnel: as an agent looks at them, but that nothing is put before them.
import { families, type Family, type Prefix } from '#/lib/addr.ts'
import { flannelDevice } from '#/model/flannel.ts'
import { type NeededPassage } from '#/model/network.ts'
import { oneOfEach, type Problem } from '#/model/problems.ts'
import { inspect } from '#/obstacles/firewall/inspect.ts'
import { type FlannelWay } from '#/plan/flannel-ways.ts'
import { filteredFamilies } from '#/reconcile/forward-driver.ts'
import { podBridge } from '#/reconcile/flannel/own-state.ts'
import { LiveFirewalls } from '../report/predict/live-firewalls.ts'

export type FirewallFacts = {
  readonly ways: readonly FlannelWay[]
  readonly podCIDRs: readonly Prefix[]
  readonly clusterCIDRs: readonly Prefix[]
  readonly vni: number
  readonly port: number
  /** The devices with addresses of the node. */
  readonly underlayDevices: readonly string[]
}

/** What packets of one family need; each family has a tunnel's device of its own. */
function neededBy(
  { ways, podCIDRs, clusterCIDRs, vni, port, underlayDevices }: FirewallFacts,
  family: Family,
): NeededPassage {
  const isOf = (cidr: Prefix): boolean => cidr.family === family
  const own = ways.filter(({ cidr }) => isOf(cidr))
  const ends = own.flatMap((way) => (way.kind === 'vxlan' ? [way.remote] : []))
  return {
    podDevices: [podBridge],
    podCIDRs: podCIDRs.filter(isOf),
    clusterCIDRs: clusterCIDRs.filter(isOf),
    isNative: own.some(({ kind }) => kind === 'direct'),
    underlayDevices,
    ...(ends.length > 0 && { tunnel: { device: flannelDevice(family, vni), port, ends } }),
  }
}

/** Rejects with KernelError. */
export async function firewallProblems(facts: FirewallFacts): Promise<Problem[]> {
  using firewalls = new LiveFirewalls(undefined)
  const chains = await firewalls.chains
  const filtered = filteredFamilies()
  const found: Problem[] = []
  for (const family of families) {
    const blockades = await inspect(chains, neededBy(facts, family), filtered)
    found.push(...blockades.map(({ problem }) => problem))
  }
  return oneOfEach(found)
}
