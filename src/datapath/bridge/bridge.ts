// The bridge datapath: each pod's veth is a port of one bridge, and everything else is the host's own forwarding.
import { listAddresses } from '#/kernel/addresses.ts'
import {
  bridgeAdd,
  bridgePortOpen,
  bridgePortSet,
  bridgePortUp,
  findLink,
  findLinkIndex,
  type Link,
  linkLocalOff,
  linkSet,
  vethAdd,
} from '#/kernel/links.ts'
import { neighbourDelete } from '#/kernel/neighbours.ts'
import { KernelError, type Netlink, type Operation } from '#/kernel/netlink.ts'
import { tbfReplace } from '#/kernel/qdiscs.ts'
import { messageOf } from '#/lib/log.ts'
import { bridgeName, deviceMac, isOwnLink } from '#/model/names.ts'
import { podLimits } from '#/plan/bandwidth.ts'
import { changeOf } from '#/reconcile/driver.ts'
import { Netns } from '#/sys/netns.ts'
import { faultsOf } from '../check.ts'
import {
  type Datapath,
  type DatapathDeps,
  type DatapathKind,
  type HostSide,
  InterfaceTakenError,
  NodeFullError,
  type PodInterface,
  type PodNetwork,
  PodNetworkError,
} from '../datapath.ts'
import { configurePod } from '../pod-side.ts'
import { refreshPod } from '../refresh.ts'
import { hostMacOf, unwirePod } from '../veth.ts'
import { planBridge } from './plan.ts'

/** BR_MAX_PORTS of net/bridge/br_private.h is 1024, and port 0 is never given (find_portno). */
const limit = { pods: 1023, why: `the kernel allows bridge ${bridgeName} no more than 1023 ports` }

/** The bridge as it was found last. An index names no other device as long as this one is there, so mostly nobody need ask for it again. */
const bridges = new WeakMap<Netlink, Link>()

function findBridge(netlink: Netlink): Link {
  const bridge = findLink(netlink, bridgeName)
  if (bridge === undefined || !isOwnLink(bridge)) throw new PodNetworkError(`bridge ${bridgeName} is not there yet`)
  bridges.set(netlink, bridge)
  return bridge
}

/** What another datapath does with the host end of a pod's veth before the pod can send. */
export type PrepareHost = (host: Pick<Link, 'index' | 'name'>) => void

/** Makes a pod's veth, with its host end as a port of the bridge. */
export function wirePort(deps: DatapathDeps, pod: PodInterface, network: PodNetwork, prepare?: PrepareHost): void {
  const { netlink } = deps
  const known = bridges.get(netlink)
  using netns = new Netns(pod.netns)
  if (known === undefined) return wireTo(findBridge(netlink), deps, { pod, netns, network }, prepare)
  try {
    wireTo(known, deps, { pod, netns, network }, prepare)
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    const bridge = findBridge(netlink)
    if (bridge.index === known.index) throw error
    // it was made anew meanwhile
    wireTo(bridge, deps, { pod, netns, network }, prepare)
  }
}

type Wiring = { readonly pod: PodInterface; readonly netns: Netns; readonly network: PodNetwork }

/** As wirePort, to the bridge that is given. Nothing stays behind when it throws. */
function wireTo(bridge: Link, deps: DatapathDeps, { pod, netns, network }: Wiring, prepare?: PrepareHost): void {
  const { netlink } = deps
  const creation = vethAdd({
    name: pod.hostDevice,
    mac: hostMacOf(pod),
    bridgeIndex: bridge.index,
    peerName: pod.ifName,
    peerMac: pod.mac,
    peerNetnsFd: netns.fd,
    mtuBytes: network.deviceMtuBytes,
  })
  makeVeth(deps, creation, { pod, netns })
  try {
    const { ingress } = podLimits(pod.bandwidth)
    // what hangs on the device comes before it is up: that takes less time, and nothing passes without it
    const index = ingress || prepare ? findLinkIndex(netlink, pod.hostDevice) : undefined
    const host = index === undefined ? undefined : { index, name: pod.hostDevice }
    if (host && ingress) netlink.execute(tbfReplace(host, ingress))
    if (host) prepare?.(host)
    const [failed] = netlink.executeAll([
      bridgePortUp(pod.hostDevice, pod.pod),
      // the bridge has one; detecting a duplicate of the port's own would send the pod packets, and take time of all who change devices
      { ...linkLocalOff(pod.hostDevice), mayFail: true as const },
      // the node does not hear its own announcement; mostly it has no such entry
      ...pod.addrs.map(({ addr }) => ({ ...neighbourDelete(bridge, addr), mayFail: true as const })),
    ])
    if (failed) throw failed
    // Other pods and the node find the pod where another one had its address. It comes before the pod's end is up: the kernel of a pod that
    // hears of its own address takes it for somebody else's, and logs it (net/ipv6/ndisc.c, ndisc_recv_na).
    deps.announcer.announce(
      bridge.index,
      pod.mac,
      pod.addrs.map(({ addr }) => addr),
    )
    configurePod(netns, pod, network)
  } catch (error) {
    throw undone(netlink, pod, error)
  }
}

/**
 * Makes a pod's veth. A device that has its name was left by an earlier attempt and gives way. Mostly there is none, and to look for it each
 * time would take longer.
 */
function makeVeth(
  { netlink, removal }: DatapathDeps,
  creation: Operation,
  { pod, netns }: Pick<Wiring, 'pod' | 'netns'>,
): void {
  const attempt = (): KernelError | undefined => {
    try {
      netlink.execute(creation)
      return undefined
    } catch (error) {
      if (error instanceof KernelError) return error
      throw error
    }
  }
  let failed = attempt()
  if (failed?.code === 'EEXIST') {
    removal.makeWay?.(pod.hostDevice)
    unwirePod(netlink, pod)
    failed = attempt()
  }
  if (failed === undefined) return
  if (failed.code === 'EEXIST') throw new InterfaceTakenError(`${pod.ifName} exists already in ${pod.netns}`)
  // net/bridge/br_if.c, find_portno: no port number is free
  if (failed.code === 'EXFULL') throw new NodeFullError(limit.why)
  // a namespace that cannot be entered says so in better words
  netns.run(() => {})
  throw failed
}

/** Removes what was made of a pod's veth; returns the error to throw. */
function undone(netlink: Netlink, pod: PodInterface, error: unknown): unknown {
  try {
    unwirePod(netlink, pod)
    return error
  } catch (second) {
    return new PodNetworkError(`${messageOf(error)}; and what was made of it stays: ${messageOf(second)}`)
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
