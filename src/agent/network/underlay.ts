// The underlay as this node has it: how packets leave for other nodes, the MTU, and what else is connected to it.
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type DeviceAddress, listAddresses } from '#/kernel/addresses.ts'
import { type Link, listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { isOurLink, vxlanName } from '#/model/names.ts'
import { type ConnectedSubnet, type NetworkSettings, type NodeWay, type UnderlayMtu } from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { NodeWays } from '#/plan/node-ways.ts'
import { readSysctl } from '#/sys/sysctl.ts'
import { carriesPackets } from './kernel-ways.ts'

export type Underlay = {
  /**
   * The MTU where no way to another node is known: nothing is known of nodes yet, or the kernel has no route to one. Without it in a family,
   * packets of that family do not leave, or their answers find no address here.
   */
  readonly mtuBytes: UnderlayMtu
  /** The ways by which packets leave, sorted; without what says nothing new. */
  readonly ways: readonly NodeWay[]
  /** Connected subnets, sorted, without pods' networks and link-local ones. */
  readonly connected: readonly ConnectedSubnet[]
  /** Devices with node addresses that drop packets whose way back leads over another device (RFC 3704 section 2.2). */
  readonly strictDevices: readonly string[]
  /** Devices on which the node forwards no IPv4 packets although it does on others. */
  readonly stoppedDevices: readonly string[]
  /** Devices by which nothing leaves or comes, sorted. */
  readonly deadDevices: readonly DeadDevice[]
  /**
   * Devices with node addresses on which the node accepts router advertisements only until it forwards packets (ip-sysctl.rst,
   * accept_ra). On other devices, such as container bridges, the node should not accept any.
   */
  readonly raDevices: readonly string[]
  /** Whether the VXLAN device exists. */
  readonly hasTunnel: boolean
  readonly problems: readonly Problem[]
}

/** `isUp`: it is up, and has no carrier. */
export type DeadDevice = { readonly device: string; readonly isUp: boolean; readonly isOfNode: boolean }

export const unknownUnderlay: Underlay = {
  mtuBytes: {},
  ways: [],
  connected: [],
  strictDevices: [],
  stoppedDevices: [],
  deadDevices: [],
  raDevices: [],
  hasTunnel: false,
  problems: [],
}

/** `addrs` are the node's addresses from its Node object, `ways` what readNodeWays found. */
export function readUnderlay(
  netlink: Netlink,
  nodeName: string,
  addrs: readonly Addr[],
  settings: NetworkSettings,
  ways: readonly NodeWay[],
): Underlay {
  const links = new Map(listLinks(netlink).map((link) => [link.index, link]))
  const addresses = listAddresses(netlink)
  const connected = connectedSubnets(addresses, links, addrs)
  /** The devices with addresses of the node, and those by which packets from them leave: the addresses may be on lo. */
  const devicesOfNode = (families: readonly Family[]): string[] => {
    const bearing = connected.filter(
      ({ isNodeAddress, addr, device }) => isNodeAddress && device !== 'lo' && families.includes(addr.family),
    )
    const leading = ways.filter(({ isFromNode, prefix }) => isFromNode && families.includes(prefix.family))
    return [...new Set([...bearing, ...leading].map(({ device }) => device))]
  }
  const { mtuBytes, problems } = judgeMtu(nodeName, addrs, settings, { links, addresses, ways })
  return {
    mtuBytes,
    ways,
    connected,
    strictDevices: devicesOfNode([4]).filter(isStrict),
    stoppedDevices: stoppedDevices(connected),
    deadDevices: deadDevices(links, addresses, addrs),
    raDevices: raDevices(devicesOfNode([4, 6])),
    hasTunnel: [...links.values()].some(({ name }) => name === vxlanName),
    problems,
  }
}

const anywhere = { 4: Addr.parse('0.0.0.0'), 6: Addr.parse('::') } as const

/** The MTU for other nodes of which no way is known: that of the device with the node's address, or of the default route. */
function judgeMtu(
  nodeName: string,
  addrs: readonly Addr[],
  { underlayMtuBytes: told }: NetworkSettings,
  kernel: {
    readonly links: ReadonlyMap<number, Link>
    readonly addresses: readonly DeviceAddress[]
    readonly ways: readonly NodeWay[]
  },
): { readonly mtuBytes: UnderlayMtu; readonly problems: readonly Problem[] } {
  const { links, addresses, ways } = kernel
  const table = new NodeWays(ways)
  const mtuBytes: { [F in Family]?: number } = {}
  const problems: Problem[] = []
  const object = `node/${nodeName}`
  for (const addr of addrs) {
    const { family } = addr
    if (mtuBytes[family] !== undefined) continue
    const bearers = addresses.flatMap((each) => (each.addr.equals(addr) ? (links.get(each.index) ?? []) : []))
    if (bearers.length === 0) {
      problems.push(problem('CW1108', object, `no device of this node has its address ${addr}`))
      continue
    }
    const leaving = ways.filter(({ prefix }) => prefix.family === family)
    const usual = bearers.find((link) => link.isUp && carriesPackets(link)) ?? table.find(anywhere[family])
    const least = leaving.length > 0 ? Math.min(...leaving.map((each) => each.mtuBytes)) : undefined
    // a device that is down for a moment is no reason to tear anything down
    const own = told ?? usual?.mtuBytes ?? bearers.find(carriesPackets)?.mtuBytes ?? least
    if (own !== undefined) mtuBytes[family] = own
    else {
      const what = `its address ${addr} is on ${bearers[0]!.name}, and no IPv${family} route leads out of this node`
      problems.push(problem('CW1207', object, what))
    }
    const widest = Math.max(usual?.mtuBytes ?? 0, ...leaving.map((each) => each.mtuBytes))
    if (told !== undefined && widest > 0 && told > widest)
      problems.push(
        problem(
          'CW1207',
          object,
          `CAUSEWAY_MTU is ${told}, but no way out of this node for IPv${family} carries more than ${widest} bytes`,
          {
            remedy: `set CAUSEWAY_MTU to ${widest} or less, or unset it; or raise the MTU of the device that leads to other nodes`,
          },
        ),
      )
  }
  return { mtuBytes, problems }
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

const isDead = (link: Link): boolean => carriesPackets(link) && !(link.isUp && link.hasCarrier)

/** A device that is down on purpose is none: it leads nowhere, or another one has the node's address too. */
function deadDevices(
  links: ReadonlyMap<number, Link>,
  addresses: readonly DeviceAddress[],
  nodeAddrs: readonly Addr[],
): DeadDevice[] {
  const bearers = nodeAddrs.map((each) =>
    addresses.flatMap(({ addr, index }) => (addr.equals(each) ? (links.get(index) ?? []) : [])),
  )
  const own = new Set(bearers.filter((all) => all.every(isDead)).flat())
  const others = addresses.flatMap(({ addr, index }) => {
    const link = links.get(index)
    return link?.isUp && isDead(link) && !addr.isLinkLocal && !bearers.flat().includes(link) ? [link] : []
  })
  return [...own, ...new Set(others)]
    .map((link) => ({ device: link.name, isUp: link.isUp, isOfNode: own.has(link) }))
    .toSorted((a, b) => (a.device < b.device ? -1 : 1))
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

function raDevices(devices: readonly string[]): string[] {
  if (readSysctl('net/ipv6/conf/all/forwarding') !== '0') return []
  return devices.filter((device) => readSysctl(`net/ipv6/conf/${device}/accept_ra`) === '1').toSorted()
}
