// What a datapath of pods does: the only interface between "a pod has these addresses" and the devices that carry its packets.
// docs/datapath.md tells how a datapath is added, and how one is changed under pods that run.
import { type Link } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type Prefix } from '#/lib/addr.ts'
import { type DatapathName } from '#/model/datapath.ts'
import { type PodAddress } from '#/model/network.ts'
import { type PlannedDatapath } from '#/plan/datapath-plan.ts'
import { type Change } from '#/reconcile/driver.ts'
import { type Attachment, type Bandwidth, type CniResult } from '#/wire/cni/index.ts'
import { type Announcer } from './announcer.ts'
import { type EbpfState } from './ebpf/state.ts'
import { type VethRemoval } from './veth-removal.ts'

/** The part of the network that is the same for all pods of the node at one time. */
export type PodNetwork = {
  readonly podCIDRs: readonly Prefix[]
  /** Routes besides the default one, which lower the MTU for what may go through the tunnel. */
  readonly overlay: readonly { readonly dst: Prefix; readonly mtuBytes: number }[]
  readonly deviceMtuBytes: number
}

/** The network that pods get now, or why they get none. */
export type PodNetworkState =
  | { readonly kind: 'there'; readonly network: PodNetwork }
  | { readonly kind: 'absent'; readonly why: string }

/** Whether an MTU is lower than before, so that packets that fitted before may not fit any more. */
export function isLower(network: PodNetwork, before: PodNetwork): boolean {
  const isNarrower = ({ dst, mtuBytes }: PodNetwork['overlay'][number]): boolean =>
    before.overlay.some((other) => other.dst.equals(dst) && mtuBytes < other.mtuBytes)
  return network.deviceMtuBytes < before.deviceMtuBytes || network.overlay.some(isNarrower)
}

/** What a datapath needs to know of one pod's interface; an endpoint of the agent's store has all of it. */
export type PodInterface = Attachment & {
  /** A path at which this process can open the pod's namespace in this turn of the event loop. */
  readonly netns: string
  /** "namespace/name", or the container's id when the runtime named no pod. */
  readonly pod: string
  /** Name of the veth's end on the host. */
  readonly hostDevice: string
  readonly addrs: readonly PodAddress[]
  /** The MAC address of the pod's end. */
  readonly mac: string
  readonly bandwidth: Bandwidth
}

/** A pod's network cannot be made, changed or read; the message says why. */
export class PodNetworkError extends Error {
  override name = 'PodNetworkError'
}

/** The pod's namespace has an interface of the wanted name already. */
export class InterfaceTakenError extends PodNetworkError {
  override name = 'InterfaceTakenError'
}

/** The node has as many pods as its datapath can serve. */
export class NodeFullError extends PodNetworkError {
  override name = 'NodeFullError'
}

/** How the host ends of pod veths are attached on the node now, and how to attach one as it should be. */
export type HostSide = {
  /** Why no pod's device can be attached now; undefined when devices can be. */
  readonly obstacle: string | undefined
  isAttached(device: Link): boolean
  /**
   * The change that attaches `device`, as it is now; its work may be a call, e.g. to load a program. The port's name is the device's
   * and the change's key; its `pod` is "namespace/name".
   */
  attach(port: { readonly name: string; readonly pod: string }, device: Link): Change
}

/** One datapath at work on this node. Each call is about one pod and runs from start to end within one turn of the event loop. */
export interface Datapath {
  readonly name: DatapathName
  /**
   * Makes the pod's network, replacing what an earlier attempt left. Throws PodNetworkError when the namespace is gone,
   * InterfaceTakenError when the interface exists already, NodeFullError when there is no room for another pod, and KernelError when the kernel refuses; nothing
   * stays behind then.
   */
  wire(pod: PodInterface, network: PodNetwork): void
  /** Returns what differs from what `wire` made and `told` says, each fault as one phrase. Throws when it cannot enter the namespace. */
  check(pod: PodInterface, network: PodNetwork, told: CniResult): string[]
  /** Sets the MTUs of `network` in a running pod; true when any changed. Throws KernelError, and an errno when the namespace is gone. */
  refresh(pod: PodInterface, network: PodNetwork): boolean
  /** Cuts the pod off within the call; its devices are removed soon after. No error when there are none. Throws KernelError. */
  unplug(pod: Pick<PodInterface, 'hostDevice' | 'ifName'> & { readonly netns: string | undefined }): void
  /** Removes the pod's devices within the call. No error when there are none. Throws KernelError. */
  unwire(pod: Pick<PodInterface, 'hostDevice'>): void
}

export type DatapathDeps = {
  /** The netlink client for synchronous calls. */
  readonly netlink: Netlink
  readonly removal: Pick<VethRemoval, 'unplug'> & Partial<Pick<VethRemoval, 'makeWay'>>
  readonly announcer: Pick<Announcer, 'announce'>
  /** Absent where the eBPF datapath is not used. */
  readonly ebpf?: EbpfState
}

/** A datapath as the registry knows it: nothing is open yet. */
export type DatapathKind = PlannedDatapath & {
  readonly name: DatapathName
  /** How many pods a node can have with this datapath, and what sets the limit; absent: only addresses and memory do. */
  readonly limit?: { readonly pods: number; readonly why: string }
  /** Reads from the kernel, once for all pods, what the host side of its pods depends on. `links` are all devices by name. */
  readonly hostSide: (netlink: Netlink, links: ReadonlyMap<string, Link>) => HostSide | Promise<HostSide>
  /** Makes the datapath's devices, in a namespace to be thrown away, to find out whether this kernel can. Throws KernelError. */
  readonly tryOut: (netlink: Netlink) => void
  /** The configuration names of the kernel options that are missing when `tryOut` fails. */
  readonly kernelConfig: string
  readonly open: (deps: DatapathDeps) => Datapath
}
