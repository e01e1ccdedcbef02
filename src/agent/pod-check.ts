// CNI CHECK: whether a pod's network is as the ADD and the plugins after it told, and as this node needs it.
// What later plugins added is none of our business; what they changed (tuning: MAC and MTU) they told in prevResult.
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { type DeviceAddress, listAddresses } from '#/kernel/addresses.ts'
import { findLink, type Link } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { listRootTbfs } from '#/kernel/qdiscs.ts'
import { listRoutes } from '#/kernel/routes.ts'
import { bridgeName } from '#/model/names.ts'
import { podLimits } from '#/plan/bandwidth.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { Netns } from '#/sys/netns.ts'
import { type CniInterface, type CniResult } from '#/wire/cni/index.ts'
import { type Tbf } from '#/wire/netlink/qdisc.ts'
import { RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { type Endpoint } from './endpoints.ts'
import { type PodNetwork, podRoutes } from './pod-network.ts'

/** The kernel keeps a burst in ticks, which rounds it. */
const burstTolerance = 0.01

function limitFaults(netlink: Netlink, device: Link, wanted: Tbf | undefined): string[] {
  if (wanted === undefined) return []
  const limit = `${device.name} does not hold ${wanted.rateBytesPerSecond * 8} bit/s`
  const found = listRootTbfs(netlink).get(device.index)
  if (found === undefined) return [`${limit}: its token bucket is gone`]
  if (found.rateBytesPerSecond !== wanted.rateBytesPerSecond) return [`${limit} but ${found.rateBytesPerSecond * 8}`]
  const isOff = Math.abs(found.burstBytes - wanted.burstBytes) > wanted.burstBytes * burstTolerance
  return isOff ? [`${device.name} has a burst of ${found.burstBytes} bytes instead of ${wanted.burstBytes}`] : []
}

function addrText({ addr, prefixLength }: Pick<DeviceAddress, 'addr' | 'prefixLength'>): string {
  return `${addr}/${prefixLength}`
}

/** An MTU that prevResult does not tell (none does before 1.1.0) may be a later plugin's. */
function deviceFaults(link: Link, told: CniInterface, { deviceMtuBytes }: PodNetwork): string[] {
  const faults: string[] = []
  const wantedMac = told.mac?.toLowerCase() ?? link.mac
  if (link.mac !== wantedMac) faults.push(`${link.name} has MAC ${link.mac} instead of ${wantedMac}`)
  // the agent brings living pods to a changed MTU, which prevResult cannot know of
  if (told.mtu !== undefined && link.mtuBytes !== told.mtu && link.mtuBytes !== deviceMtuBytes)
    faults.push(`${link.name} has MTU ${link.mtuBytes} instead of ${told.mtu}`)
  if (!link.isUp) faults.push(`${link.name} is down`)
  return faults
}

function hostFaults(netlink: Netlink, endpoint: Endpoint, told: CniInterface, network: PodNetwork): string[] {
  const host = findLink(netlink, endpoint.hostDevice)
  if (host === undefined) return [`host device ${endpoint.hostDevice} is gone`]
  const { ingress } = podLimits(endpoint.bandwidth)
  const faults = [...deviceFaults(host, told, network), ...limitFaults(netlink, host, ingress)]
  const bridge = findLink(netlink, bridgeName)
  if (bridge === undefined) return [...faults, `bridge ${bridgeName} is gone`]
  if (host.master !== bridge.index) faults.push(`${host.name} is no port of ${bridgeName}`)
  if (!bridge.isUp) faults.push(`bridge ${bridgeName} is down`)
  const present = new Set(
    listAddresses(netlink).flatMap(({ index, addr }) => (index === bridge.index ? [String(addr)] : [])),
  )
  for (const { cidr } of endpoint.addrs) {
    if (!present.has(String(cidr.at(1)))) faults.push(`gateway ${cidr.at(1)} is not on ${bridgeName}`)
  }
  return faults
}

/** Without a gateway or an MTU any will do. */
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

function podFaults(inside: Netlink, endpoint: Endpoint, told: ToldOfPod, network: PodNetwork): string[] {
  const { ifName, addrs } = endpoint
  const pod = findLink(inside, ifName)
  if (pod === undefined) return [`${ifName} is gone from ${endpoint.netns}`]
  const { egress } = podLimits(endpoint.bandwidth)
  const faults = [...deviceFaults(pod, told.device, network), ...limitFaults(inside, pod, egress)]
  const present = new Set(listAddresses(inside).flatMap((each) => (each.index === pod.index ? [addrText(each)] : [])))
  const wanted = new Set([...addrs.map(({ addr, cidr }) => `${addr}/${cidr.length}`), ...told.addrs])
  for (const addr of wanted) if (!present.has(addr)) faults.push(`address ${addr} is gone from ${ifName}`)
  const routes = listRoutes(inside)
  const overPod = routes.filter(({ nextHops }) => nextHops.some(({ oif }) => oif === pod.index))
  const missing = [
    ...podRoutes(addrs, network).filter((route) => !hasRoute(overPod, route)),
    ...told.routes.filter((route) => !hasRoute(routes, route)),
  ].map(routeWords)
  return [...faults, ...new Set(missing)]
}

/** What is wrong, each fault one phrase; none when all is well. Throws when the namespace cannot be entered. */
export function faultsOf(netlink: Netlink, endpoint: Endpoint, network: PodNetwork, prevResult: CniResult): string[] {
  const { interfaces, ips, routes } = prevResult
  const faults: string[] = []
  const hostIndex = interfaces.findIndex(({ name, sandbox }) => name === endpoint.hostDevice && !sandbox)
  const podIndex = interfaces.findIndex(({ name, sandbox }) => name === endpoint.ifName && sandbox)
  if (hostIndex < 0) faults.push(`prevResult lacks the interface ${endpoint.hostDevice}`)
  if (podIndex < 0) faults.push(`prevResult lacks the interface ${endpoint.ifName}`)
  const told = ips.filter(({ interface: index }) => index === undefined || index === podIndex)
  const toldAddrs = told.map(({ address, prefixLength }) => `${address}/${prefixLength}`)
  for (const { addr, cidr } of endpoint.addrs) {
    if (!toldAddrs.includes(`${addr}/${cidr.length}`))
      faults.push(`prevResult lacks the address ${addr}/${cidr.length}`)
  }
  faults.push(...hostFaults(netlink, endpoint, interfaces[hostIndex] ?? { name: endpoint.hostDevice }, network))
  using netns = new Netns(endpoint.netns)
  using inside = new Netlink(NETLINK_ROUTE, netns)
  const ofPod: ToldOfPod = {
    device: { name: endpoint.ifName, mac: endpoint.mac, ...interfaces[podIndex] },
    addrs: toldAddrs,
    // the MTUs told then may be others now, and routes of other tables belong to the plugin that made them
    routes: routes.flatMap(({ dst, gw, table = RT_TABLE_MAIN }) =>
      table === RT_TABLE_MAIN ? [{ dst, ...(gw && { gateway: gw }) }] : [],
    ),
  }
  return [...faults, ...podFaults(inside, endpoint, ofPod, network)]
}
