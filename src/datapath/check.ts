// CNI CHECK: whether a pod's network is as the ADD and the plugins after it reported, and as this node needs it.
// What later plugins added is not checked; what they changed (tuning: MAC and MTU) they reported in prevResult.
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { type DeviceAddress, listAddresses } from '#/kernel/addresses.ts'
import { findLink, type Link } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { listRootQdiscs } from '#/kernel/qdiscs.ts'
import { listRoutes } from '#/kernel/routes.ts'
import { podLimits } from '#/plan/bandwidth.ts'
import { Netns } from '#/sys/netns.ts'
import { type CniInterface, type CniResult } from '#/wire/cni/index.ts'
import { type Tbf } from '#/wire/netlink/qdisc.ts'
import { RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { type PodInterface, type PodNetwork } from './datapath.ts'
import { podRoutes } from './pod-side.ts'

/** The relative error allowed for a burst: the kernel keeps bursts in ticks, which rounds them. */
const burstTolerance = 0.01

function limitFaults(netlink: Netlink, device: Link, wanted: Tbf | undefined): string[] {
  if (wanted === undefined) return []
  const limit = `${device.name} does not hold ${wanted.rateBytesPerSecond * 8} bit/s`
  const found = listRootQdiscs(netlink).get(device.index)?.tbf
  if (found === undefined) return [`${limit}: its token bucket is gone`]
  if (found.rateBytesPerSecond !== wanted.rateBytesPerSecond) return [`${limit} but ${found.rateBytesPerSecond * 8}`]
  const isOff = Math.abs(found.burstBytes - wanted.burstBytes) > wanted.burstBytes * burstTolerance
  return isOff ? [`${device.name} has a burst of ${found.burstBytes} bytes instead of ${wanted.burstBytes}`] : []
}

function addrText({ addr, prefixLength }: Pick<DeviceAddress, 'addr' | 'prefixLength'>): string {
  return `${addr}/${prefixLength}`
}

/**
 * An MTU that prevResult does not contain (it has none before 1.1.0) is not checked: a later plugin may have set it. `told` does not say
 * when a later plugin has lowered the MTU of the pod's end, as tuning does: where `mayBeLower`, a lower one is right.
 */
function deviceFaults(link: Link, told: CniInterface, { deviceMtuBytes }: PodNetwork, mayBeLower: boolean): string[] {
  const faults: string[] = []
  const wantedMac = told.mac?.toLowerCase() ?? link.mac
  if (link.mac !== wantedMac) faults.push(`${link.name} has MAC ${link.mac} instead of ${wantedMac}`)
  // the agent may have changed the MTU of a running pod since, which prevResult cannot contain
  const isRight = link.mtuBytes === told.mtu || link.mtuBytes === deviceMtuBytes
  if (told.mtu !== undefined && !isRight && !(mayBeLower && link.mtuBytes < told.mtu))
    faults.push(`${link.name} has MTU ${link.mtuBytes} instead of ${told.mtu}`)
  if (!link.isUp) faults.push(`${link.name} is down`)
  return faults
}

/** Finds faults of a pod's veth on the host that only the datapath can check, beyond the checks for every veth. */
type HostFaults = (netlink: Netlink, host: Link, pod: PodInterface) => string[]

/** A wanted route; when `gateway` or `mtuBytes` is absent, any value will do. */
type WantedRoute = { readonly dst: Prefix; readonly gateway?: Addr; readonly mtuBytes?: number }

function hasRoute(routes: readonly Route[], wanted: WantedRoute): boolean {
  const { gateway: wantedGateway } = wanted
  return routes.some(
    ({ dst, nextHops, mtuBytes }) =>
      dst.equals(wanted.dst) &&
      (wantedGateway === undefined || nextHops.some(({ gateway }) => gateway?.equals(wantedGateway))) &&
      (wanted.mtuBytes === undefined || wanted.mtuBytes === mtuBytes),
  )
}

function routeWords({ dst, gateway, mtuBytes }: WantedRoute): string {
  const via = gateway === undefined ? '' : ` via ${gateway}`
  return `the route to ${dst}${via}${mtuBytes === undefined ? '' : ` with MTU ${mtuBytes}`} is gone`
}

type ToldOfPod = {
  readonly device: CniInterface
  readonly addrs: readonly string[]
  readonly routes: readonly WantedRoute[]
}

function podFaults(inside: Netlink, pod: PodInterface, told: ToldOfPod, network: PodNetwork): string[] {
  const { ifName, addrs } = pod
  const device = findLink(inside, ifName)
  if (device === undefined) return [`${ifName} is gone from its namespace`]
  const { egress } = podLimits(pod.bandwidth)
  const faults = [...deviceFaults(device, told.device, network, true), ...limitFaults(inside, device, egress)]
  const present = new Set(
    listAddresses(inside).flatMap((each) => (each.index === device.index ? [addrText(each)] : [])),
  )
  const wanted = new Set([...addrs.map(({ addr, cidr }) => `${addr}/${cidr.length}`), ...told.addrs])
  for (const addr of wanted) if (!present.has(addr)) faults.push(`address ${addr} is gone from ${ifName}`)
  const routes = listRoutes(inside)
  const overPod = routes.filter(({ nextHops }) => nextHops.some(({ oif }) => oif === device.index))
  const missing = [
    ...podRoutes(addrs, network).filter((route) => !hasRoute(overPod, route)),
    ...told.routes.filter((route) => !hasRoute(routes, route)),
  ].map(routeWords)
  return [...faults, ...new Set(missing)]
}

export type CheckInput = {
  readonly pod: PodInterface
  readonly network: PodNetwork
  /** The prevResult that the runtime passed. */
  readonly told: CniResult
  readonly ofHost: HostFaults
}

/** Returns the faults, each as one phrase; none when all is well. Throws when the namespace cannot be entered. */
export function faultsOf(netlink: Netlink, { pod, network, told, ofHost }: CheckInput): string[] {
  const { interfaces, ips, routes } = told
  const faults: string[] = []
  const hostIndex = interfaces.findIndex(({ name, sandbox }) => name === pod.hostDevice && !sandbox)
  const podIndex = interfaces.findIndex(({ name, sandbox }) => name === pod.ifName && sandbox)
  if (hostIndex < 0) faults.push(`prevResult lacks the interface ${pod.hostDevice}`)
  if (podIndex < 0) faults.push(`prevResult lacks the interface ${pod.ifName}`)
  const toldIps = ips.filter(({ interface: index }) => index === undefined || index === podIndex)
  const toldAddrs = toldIps.map(({ address, prefixLength }) => `${address}/${prefixLength}`)
  for (const { addr, cidr } of pod.addrs) {
    if (!toldAddrs.includes(`${addr}/${cidr.length}`))
      faults.push(`prevResult lacks the address ${addr}/${cidr.length}`)
  }
  const host = findLink(netlink, pod.hostDevice)
  if (host === undefined) faults.push(`host device ${pod.hostDevice} is gone`)
  else {
    faults.push(...deviceFaults(host, interfaces[hostIndex] ?? { name: pod.hostDevice }, network, false))
    faults.push(...limitFaults(netlink, host, podLimits(pod.bandwidth).ingress), ...ofHost(netlink, host, pod))
  }
  using netns = new Netns(pod.netns)
  using inside = Netlink.brief(netns)
  const ofPod: ToldOfPod = {
    device: { name: pod.ifName, mac: pod.mac, ...interfaces[podIndex] },
    addrs: toldAddrs,
    // MTUs are left out, since they may have changed since the ADD; routes of other tables belong to the plugin that made them
    routes: routes.flatMap(({ dst, gw, table = RT_TABLE_MAIN }) =>
      table === RT_TABLE_MAIN ? [{ dst, ...(gw && { gateway: gw }) }] : [],
    ),
  }
  return [...faults, ...podFaults(inside, pod, ofPod, network)]
}
