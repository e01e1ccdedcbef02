// Checks whether this machine can run a lab (or an agent) by trying in a namespace of its own, not by guessing from versions.
import { Addr, Prefix } from '#/lib/addr.ts'
import { datapathKinds } from '#/datapath/registry.ts'
import { messageOf } from '#/lib/log.ts'
import { addressAdd } from '#/kernel/addresses.ts'
import { findLink, vxlanAdd } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { routeAdd } from '#/kernel/routes.ts'
import { datapathNames } from '#/model/datapath.ts'
import { deviceMac, routeProtocol, vtepGateways, vxlanName } from '#/model/names.ts'
import { takeInTable } from '#/plan/filter.ts'
import { createNetns, type Netns, removeNetns } from '#/sys/netns.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN } from '#/wire/netlink/route.ts'
import { LabError, netnsPrefix } from './spec.ts'

type Check = { readonly what: string; readonly needs: string; readonly run: () => void }

const anyMtuBytes = 1400
/** The default datapath of nodes. */
const datapath = datapathKinds[datapathNames[0]]
const loopback = Addr.parse('127.0.0.1')

function checks(netns: Netns, netlink: Netlink): Check[] {
  return [
    {
      what: `what the datapath ${datapath.name} needs`,
      needs: datapath.kernelConfig,
      run: () => datapath.tryOut(netlink),
    },
    {
      what: 'a VXLAN device in external mode',
      needs: 'CONFIG_VXLAN',
      run: () => netlink.execute(vxlanAdd(vxlanName, deviceMac('b', 'b'), anyMtuBytes, 8472)),
    },
    {
      what: 'a route that encapsulates',
      needs: 'CONFIG_LWTUNNEL and CONFIG_NET_IP_TUNNEL',
      run: () => {
        const { index } = findLink(netlink, vxlanName)!
        netlink.execute(addressAdd(findLink(netlink, datapath.podDevice)!, Addr.parse('10.244.1.1'), 24))
        const route = {
          dst: Prefix.parse('10.244.2.0/24'),
          type: 'unicast',
          protocol: routeProtocol,
          table: RT_TABLE_MAIN,
          metric: 0,
          scope: RT_SCOPE_UNIVERSE,
          nextHops: [{ oif: index, gateway: Addr.parse(vtepGateways[4]), onlink: true }],
          encap: { vni: 1, src: loopback, dst: loopback },
        } as const
        netlink.execute(routeAdd(route, () => vxlanName))
      },
    },
    {
      what: 'nftables with ingress hooks',
      needs: 'CONFIG_NF_TABLES_NETDEV and CONFIG_NETFILTER_INGRESS',
      run: () => {
        using nftables = new NftClient(netns)
        nftables.replaceTable(takeInTable)
      },
    },
  ]
}

/**
 * Throws LabError with one line about the first missing feature. What it is tried in has a name of the lab, so that `down` removes it when
 * this process is killed.
 */
export function preflight(lab: string): void {
  if (process.getuid?.() !== 0) throw new LabError('must run as root: it makes network namespaces; try again with sudo')
  const name = `${netnsPrefix(lab)}preflight`
  let netns: Netns
  try {
    removeNetns(name)
    netns = createNetns(name)
  } catch (error) {
    throw new LabError(
      `cannot make a network namespace: ${messageOf(error)}; this needs CAP_SYS_ADMIN and CONFIG_NET_NS`,
    )
  }
  try {
    using netlink = new Netlink(NETLINK_ROUTE, netns)
    for (const { what, needs, run } of checks(netns, netlink)) {
      try {
        run()
      } catch (error) {
        throw new LabError(`this kernel cannot make ${what}: ${messageOf(error)}; it needs ${needs}`)
      }
    }
  } finally {
    netns[Symbol.dispose]()
    removeNetns(name)
  }
}
