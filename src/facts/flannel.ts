// What an observer's status tells of flannel's ways, as a prediction without a kernel needs it.
import { type AgentStatus, type VerdictStatus } from '#/api/schemas/status.ts'
import { flannelDevice } from '#/model/flannel.ts'
import { type FlannelWay } from '#/plan/flannel-ways.ts'
import { type FlannelView } from '#/predict/flannel.ts'
import { addrIn, prefixIn } from './parsed.ts'

function wayOf({ podCIDR, node, reason, tunnel, nextHops = [] }: VerdictStatus, vni: number): FlannelWay {
  const cidr = prefixIn(podCIDR)
  const [hop] = nextHops
  if (tunnel?.vtepMac !== undefined) {
    const { src, dst, gateway, vtepMac: mac } = tunnel
    const ends = { gateway: addrIn(gateway), local: addrIn(src), remote: addrIn(dst) }
    return { kind: 'vxlan', node, cidr, device: flannelDevice(cidr.family, vni), mac, ...ends }
  }
  if (hop) return { kind: 'direct', node, cidr, remote: addrIn(hop.gateway) }
  return { kind: 'unknown', node, cidr, why: reason }
}

/** Undefined for a node with Causeway. Throws FactsError for a status that cannot be. */
export function flannelViewOf({ observes, verdicts }: AgentStatus): FlannelView | undefined {
  if (observes === undefined) return undefined
  const { vni } = observes
  const ways = verdicts.map((verdict) => wayOf(verdict, vni))
  return { ways: () => ways, device: (family) => flannelDevice(family, vni) }
}
