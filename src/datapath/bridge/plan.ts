// The kernel objects of the bridge datapath: one bridge per node, which has the gateways of all pods. Pure.
import { deviceMac } from '#/model/names.ts'
import { type DatapathInput, type DatapathObjects } from '#/plan/datapath-plan.ts'

/** Listed among our devices in model/names.ts, by which an agent without memory knows it. */
export const bridgeName = 'cw-br0'

export function planBridge({ nodeName, families, served }: DatapathInput): DatapathObjects {
  return {
    sysctls: families.includes(6)
      ? // without this the bridge's link-local address is tentative for a second and no pod can be resolved
        [{ path: `net/ipv6/conf/${bridgeName}/accept_dad`, value: '0' }]
      : [],
    links: [{ kind: 'bridge', name: bridgeName, mac: deviceMac(bridgeName, nodeName) }],
    addresses: served.map((cidr) => ({ device: bridgeName, addr: cidr.at(1), prefixLength: cidr.length })),
  }
}
