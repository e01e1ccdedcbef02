// The kernel objects of the bridge datapath: one bridge per node, which has the gateway addresses of all pods. Pure.
import { bridgeName, deviceMac, linkLocalOf } from '#/model/names.ts'
import { type DesiredAddress } from '#/model/network.ts'
import { type DatapathInput, type DatapathObjects } from '#/plan/datapath-plan.ts'
import { routedSysctls } from '#/plan/device-sysctls.ts'

export function planBridge({ nodeName, families, served }: DatapathInput): DatapathObjects {
  const mac = deviceMac(bridgeName, nodeName)
  // the bridge asks for pods' MACs from its link-local address: without one, no IPv6 packet reaches a pod
  const linkLocal: DesiredAddress = { device: bridgeName, addr: linkLocalOf(mac), prefixLength: 64 }
  return {
    sysctls: [
      ...routedSysctls(bridgeName, families),
      ...(families.includes(6)
        ? // with accept_dad, the bridge's link-local address would be tentative for a second, and the bridge could resolve no pod
          [{ path: `net/ipv6/conf/${bridgeName}/accept_dad`, value: '0' }]
        : []),
    ],
    links: [{ kind: 'bridge', name: bridgeName, mac }],
    addresses: [
      ...(families.includes(6) ? [linkLocal] : []),
      ...served.map((cidr) => ({ device: bridgeName, addr: cidr.at(1), prefixLength: cidr.length })),
    ],
  }
}
