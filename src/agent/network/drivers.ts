// The order in which kernel objects are made; they are deleted in the opposite order. Each driver comes after those it refers to.
import { PortDriver, type PodPorts } from '#/datapath/port-driver.ts'
import { type EbpfState, programDrivers } from '#/datapath/programs.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { AddressDriver, NeighbourDriver } from '#/reconcile/address-drivers.ts'
import { type Driver } from '#/reconcile/driver.ts'
import { LinkDriver } from '#/reconcile/link-driver.ts'
import { ForwardDriver } from '#/reconcile/forward-driver.ts'
import { RouteDriver } from '#/reconcile/route-driver.ts'
import { SysctlDriver } from '#/reconcile/sysctl-driver.ts'
import { TableDriver } from '#/reconcile/table-driver.ts'

/** Without `ebpf` nothing of the eBPF datapath is looked at. */
export function allDrivers(netlink: Netlink, nftables: NftClient, pods: PodPorts, ebpf?: EbpfState): Driver[] {
  return [
    new LinkDriver(netlink),
    // after the links: some sysctls belong to a device
    new SysctlDriver(),
    new PortDriver(netlink, pods),
    new AddressDriver(netlink),
    new NeighbourDriver(netlink),
    // tables must open the overlay before routes lead other nodes to use it, and masquerade before pods can send
    new TableDriver(nftables, pods.areKnown),
    new ForwardDriver(nftables),
    new RouteDriver(netlink),
    ...(ebpf ? programDrivers(netlink, ebpf, pods.isInUse) : []),
  ]
}
