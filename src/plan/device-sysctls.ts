// The sysctls that a device of ours needs to carry pods' packets. A device gets the values of "default" when it is made, and those are the
// administrator's. Pure.
import { type Family } from '#/lib/addr.ts'
import { type DesiredSysctl } from '#/model/network.ts'

/** The sysctls of a device of ours through which packets of these families are routed. */
export function routedSysctls(device: string, families: readonly Family[]): DesiredSysctl[] {
  const v4 = `net/ipv4/conf/${device}`
  const v6 = `net/ipv6/conf/${device}`
  return [
    ...(families.includes(4)
      ? [
          { path: `${v4}/forwarding`, value: '1' },
          // a packet that names its own way passes the rules with the address of a node on that way, and not of the pod at its end
          { path: `${v4}/accept_source_route`, value: '0' },
        ]
      : []),
    // whoever sends router advertisements there is a pod (CVE-2020-10749), also where pods have no IPv6; a kernel without it takes none
    { path: `${v6}/accept_ra`, value: '0', isOptional: !families.includes(6) },
    ...(families.includes(6)
      ? [
          { path: `${v6}/disable_ipv6`, value: '0' },
          { path: `${v6}/forwarding`, value: '1' },
        ]
      : []),
  ]
}
