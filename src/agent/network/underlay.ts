// The underlay as this node has it: which devices carry the node's own addresses, their MTU, and what else is connected to it.
import { type Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type DeviceAddress, listAddresses } from '#/kernel/addresses.ts'
import { type Link, listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { isOurLink, vxlanName } from '#/model/names.ts'
import { type ConnectedSubnet, type NetworkSettings, type UnderlayMtu } from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { readSysctl } from '#/sys/sysctl.ts'

export type Underlay = {
  readonly mtuBytes: UnderlayMtu
  /** Connected subnets, sorted, without pods' networks and link-local ones. */
  readonly connected: readonly ConnectedSubnet[]
  /** Devices with node addresses that drop packets whose way back leads over another device (RFC 3704 section 2.2). */
  readonly strictDevices: readonly string[]
  /** Devices on which the node forwards no IPv4 packets although it does on others. */
  readonly stoppedDevices: readonly string[]
  /**
   * Devices with node addresses on which the node accepts router advertisements only until it forwards packets (ip-sysctl.rst,
   * accept_ra). On other devices, such as container bridges, the node should not accept any.
   */
  readonly raDevices: readonly string[]
  /** Whether the VXLAN device exists. */
  readonly hasTunnel: boolean
  readonly problems: readonly Problem[]
}

export const unknownUnderlay: Underlay = {
  mtuBytes: {},
  connected: [],
  strictDevices: [],
  stoppedDevices: [],
  raDevices: [],
  hasTunnel: false,
  problems: [],
}

/** `addrs` are the node's addresses from its Node object. */
export function readUnderlay(
  netlink: Netlink,
  nodeName: string,
  addrs: readonly Addr[],
  { underlayMtuBytes }: NetworkSettings,
): Underlay {
  const links = new Map(listLinks(netlink).map((link) => [link.index, link]))
  const addresses = listAddresses(netlink)
  const deviceOf = new Map(addresses.map(({ addr, index }) => [String(addr), index]))
  const mtuBytes: { [F in Family]?: number } = {}
  const problems: Problem[] = []
  for (const addr of addrs) {
    if (mtuBytes[addr.family] !== undefined) continue
    const link = links.get(deviceOf.get(String(addr)) ?? 0)
    if (link) mtuBytes[addr.family] = underlayMtuBytes ?? link.mtuBytes
    else problems.push(problem('CW1108', `node/${nodeName}`, `no device of this node has its address ${addr}`))
  }
  const connected = connectedSubnets(addresses, links, addrs)
  const nodeDevices = connected.flatMap(({ device, isNodeAddress, addr }) =>
    isNodeAddress && addr.family === 4 ? [device] : [],
  )
  return {
    mtuBytes,
    connected,
    strictDevices: [...new Set(nodeDevices)].filter(isStrict),
    stoppedDevices: stoppedDevices(connected),
    raDevices: raDevices(connected),
    hasTunnel: [...links.values()].some(({ name }) => name === vxlanName),
    problems,
  }
}

function connectedSubnets(
  addresses: readonly DeviceAddress[],
  links: ReadonlyMap<number, Link>,
  nodeAddrs: readonly Addr[],
): ConnectedSubnet[] {
  const subnets = addresses.flatMap(({ addr, index, prefixLength }): ConnectedSubnet[] => {
    const link = links.get(index)
    if (!link?.isUp || isOurLink(link.name) || addr.isLinkLocal || addr.isLoopback) return []
    const isNodeAddress = nodeAddrs.some((each) => each.equals(addr))
    return [{ device: link.name, addr, prefix: new Prefix(addr, prefixLength), isNodeAddress }]
  })
  return subnets.toSorted((a, b) => a.addr.compare(b.addr) || (a.device < b.device ? -1 : 1))
}

/** The kernel uses the larger of both settings; 1 is strict and 2 is loose (ip-sysctl.rst, rp_filter). */
function isStrict(device: string): boolean {
  const values = ['all', device].map((each) => Number(readSysctl(`net/ipv4/conf/${each}/rp_filter`) ?? 0))
  return Math.max(...values) === 1
}

/** Until the node forwards at all, which is the agent's to set, each device says no. */
function stoppedDevices(connected: readonly ConnectedSubnet[]): string[] {
  if (readSysctl('net/ipv4/ip_forward') !== '1') return []
  const devices = new Set(connected.flatMap(({ device, addr }) => (addr.family === 4 ? [device] : [])))
  return [...devices].filter((device) => readSysctl(`net/ipv4/conf/${device}/forwarding`) === '0').toSorted()
}

function raDevices(connected: readonly ConnectedSubnet[]): string[] {
  if (readSysctl('net/ipv6/conf/all/forwarding') !== '0') return []
  const devices = new Set(connected.flatMap(({ device, isNodeAddress }) => (isNodeAddress ? [device] : [])))
  return [...devices].filter((device) => readSysctl(`net/ipv6/conf/${device}/accept_ra`) === '1').toSorted()
}
