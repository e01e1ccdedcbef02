// The network that pods get, as the plan has it. Pure.
import { type PodNetworkState } from '#/datapath/datapath.ts'
import { type NetworkSettings } from '#/model/network.ts'
import { type Plan } from '#/plan/network.ts'

/** Pods get the underlay's MTU on their device and, while there is a tunnel, the tunnel's MTU on the routes to other pods. */
export function podNetworkOf(plan: Plan, settings: NetworkSettings): PodNetworkState {
  const { podCIDRs, podMtuBytes, deviceMtuBytes } = plan
  if (podCIDRs.length === 0)
    return { kind: 'absent', why: 'no pod CIDR of this node can be used: "causeway status" says why' }
  const overlay = settings.clusterCIDRs.flatMap((dst) => {
    const mtuBytes = podMtuBytes[dst.family]
    return mtuBytes === undefined ? [] : [{ dst, mtuBytes }]
  })
  return { kind: 'there', network: { podCIDRs, overlay, deviceMtuBytes } }
}
