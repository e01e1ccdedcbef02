// The bridge datapath: each pod's veth is a port of one bridge, and everything else is the host's own forwarding.
import { listAddresses } from '#/kernel/addresses.ts'
import { bridgeAdd, bridgePortOpen, bridgePortSet, findLink, type Link, linkSet, vethAdd } from '#/kernel/links.ts'
import { neighbourDelete } from '#/kernel/neighbours.ts'
import { KernelError, type Netlink } from '#/kernel/netlink.ts'
import { tbfReplace } from '#/kernel/qdiscs.ts'
import { messageOf } from '#/lib/log.ts'
import { deviceMac, isOwnLink } from '#/model/names.ts'
import { podLimits } from '#/plan/bandwidth.ts'
import { changeOf } from '#/reconcile/driver.ts'
import { Netns } from '#/sys/netns.ts'
import { faultsOf } from '../check.ts'
import {
  type Datapath,
  type DatapathDeps,
  type DatapathKind,
  type HostSide,
  NodeFullError,
  type PodInterface,
  type PodNetwork,
  PodNetworkError,
} from '../datapath.ts'
import { configurePod } from '../pod-side.ts'
import { refreshPod } from '../refresh.ts'
import { hostMacOf, unwirePod } from '../veth.ts'
import { bridgeName, planBridge } from './plan.ts'

/** BR_MAX_PORTS of net/bridge/br_private.h is 1024, and port 0 is never given (find_portno). */
const limit = { pods: 1023, why: `the kernel allows bridge ${bridgeName} no more than 1023 ports` }

/**
 * Has the other pods and the node find the pod where another one had its address. It comes before the pod's end is up: the kernel of a pod
 * that hears of its own address takes it for somebody else's, and logs it (net/ipv6/ndisc.c, ndisc_recv_na).
 */
function announce({ netlink, announcer }: DatapathDeps, bridge: Link, { mac, addrs }: PodInterface): void {
  announcer.announce(
    bridge.index,
    mac,
    addrs.map(({ addr }) => addr),
  )
  // the node does not hear itself; mostly there is no such entry
  netlink.executeAll(addrs.map(({ addr }) => neighbourDelete(bridge, addr)))
}

/** What another datapath does with the host end of a pod's veth before the pod can send. */
export type PrepareHost = (host: Link) => void

/** Makes a pod's veth, with its host end as a port of the bridge. */
export function wirePort(deps: DatapathDeps, pod: PodInterface, network: PodNetwork, prepare?: PrepareHost): void {
  const { netlink } = deps
  const bridge = findLink(netlink, bridgeName)
  if (bridge === undefined || !isOwnLink(bridge)) throw new PodNetworkError(`bridge ${bridgeName} is not there yet`)
  unwirePod(netlink, pod)
  using netns = new Netns(pod.netns)
  try {
    netlink.execute(
      vethAdd({
        name: pod.hostDevice,
        mac: hostMacOf(pod),
        bridgeIndex: bridge.index,
        peerName: pod.ifName,
        peerMac: pod.mac,
        peerNetnsFd: netns.fd,
        mtuBytes: network.deviceMtuBytes,
      }),
    )
    const { ingress } = podLimits(pod.bandwidth)
    const host = ingress || prepare ? findLink(netlink, pod.hostDevice) : undefined
    netlink.execute(
      ...bridgePortSet(pod.hostDevice, pod.pod, bridge),
      ...(host && ingress ? [tbfReplace(host, ingress)] : []),
    )
    if (host) prepare?.(host)
    announce(deps, bridge, pod)
    configurePod(netns, pod, network)
  } catch (error) {
    try {
      unwirePod(netlink, pod)
    } catch (second) {
      throw new PodNetworkError(`${messageOf(error)}; and what was made of it stays: ${messageOf(second)}`)
    }
    // net/bridge/br_if.c, find_portno: no port number is free
    if (error instanceof KernelError && error.code === 'EXFULL') throw new NodeFullError(limit.why)
    throw error
  }
}

/** Whether frames do not pass a port of the bridge. The kernel itself disables the ports of a bridge that is down. */
function holdsBack({ port }: Link, bridge: Link): boolean {
  return port?.isOpen !== true || (port.isBlocked && bridge.isUp)
}

/** Finds faults of the port, beyond the checks for every veth. */
export function portFaults(netlink: Netlink, host: Link, pod: PodInterface): string[] {
  const bridge = findLink(netlink, bridgeName)
  if (bridge === undefined) return [`bridge ${bridgeName} is gone`]
  const faults: string[] = []
  if (host.master !== bridge.index) faults.push(`${host.name} is no port of ${bridgeName}`)
  else if (holdsBack(host, bridge))
    faults.push(`port ${host.name} of ${bridgeName} holds frames back: bridge -d link show dev ${host.name}`)
  if (!bridge.isUp) faults.push(`bridge ${bridgeName} is down`)
  const present = new Set(
    listAddresses(netlink).flatMap(({ index, addr }) => (index === bridge.index ? [String(addr)] : [])),
  )
  for (const { cidr } of pod.addrs) {
    if (!present.has(String(cidr.at(1)))) faults.push(`gateway ${cidr.at(1)} is not on ${bridgeName}`)
  }
  return faults
}

/** Needs no kernel read of its own: the listed devices show what each port is attached to. */
function hostSide(_: Netlink, links: ReadonlyMap<string, Link>): HostSide {
  const found = links.get(bridgeName)
  const bridge = found && isOwnLink(found) ? found : undefined
  const index = bridge?.index ?? 0
  return {
    obstacle: bridge ? undefined : `bridge ${bridgeName} is missing`,
    isAttached: (device) => {
      const isPort = bridge !== undefined && device.isUp && device.master === bridge.index
      return isPort && !holdsBack(device, bridge) && bridge.mtuBytes <= device.mtuBytes
    },
    attach: ({ name, pod }, device) =>
      changeOf('change', name, [
        ...bridgePortSet(name, pod, { name: bridgeName, index }),
        ...(device.master === index ? bridgePortOpen(device) : []),
        // a bridge whose MTU somebody has set follows its ports no longer, and the node's larger packets would be lost at this one
        ...(bridge && bridge.mtuBytes > device.mtuBytes ? [linkSet(bridgeName, { mtuBytes: device.mtuBytes })] : []),
      ]),
  }
}

function openBridge(deps: DatapathDeps): Datapath {
  const { netlink, removal } = deps
  return {
    name: 'bridge',
    wire: (pod, network) => wirePort(deps, pod, network),
    check: (pod, network, told) => faultsOf(netlink, { pod, network, told, ofHost: portFaults }),
    refresh: (pod, network) => refreshPod(netlink, pod, network),
    unplug: (pod) => removal.unplug(pod),
    unwire: (pod) => unwirePod(netlink, pod),
  }
}

export const bridgeDatapath: DatapathKind = {
  name: 'bridge',
  podDevice: bridgeName,
  limit,
  plan: planBridge,
  hostSide,
  kernelConfig: 'CONFIG_BRIDGE',
  tryOut: (netlink) => netlink.execute(bridgeAdd(bridgeName, deviceMac('a', 'a'))),
  open: openBridge,
}
