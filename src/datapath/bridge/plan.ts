// The kernel objects of the bridge datapath: one bridge per node, which has the gateway addresses of all pods. Pure.
import { deviceMac } from '#/model/names.ts'
import { type DatapathInput, type DatapathObjects } from '#/plan/datapath-plan.ts'

/** The bridge's name; model/names.ts lists it too, so that a restarted agent knows the bridge as its own. */
export const bridgeName = 'cw-br0'

export function planBridge({ nodeName, families, served }: DatapathInput): DatapathObjects {
  return {
    sysctls: families.includes(6)
      ? // with accept_dad, the bridge's link-local address would be tentative for a second, and the bridge could resolve no pod
        [{ path: `net/ipv6/conf/${bridgeName}/accept_dad`, value: '0' }]
      : [],
    links: [{ kind: 'bridge', name: bridgeName, mac: deviceMac(bridgeName, nodeName) }],
    addresses: served.map((cidr) => ({ device: bridgeName, addr: cidr.at(1), prefixLength: cidr.length })),
  }
}
