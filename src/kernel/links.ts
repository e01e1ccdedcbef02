// Network devices: reading them all, and the operations on them. Every operation carries the `ip` command that does the same.
import { type Addr } from '#/lib/addr.ts'
import { bytesOf } from '#/wire/netlink/attr.ts'
import {
  ARPHRD_ETHER,
  BR_STATE_DISABLED,
  BR_STATE_FORWARDING,
  bridgeData,
  bridgePortData,
  decodeLink,
  encodeAddrGenMode,
  encodeLink,
  indexOfLink,
  IF_OPER_UP,
  IFF_LOWER_UP,
  IFF_NOARP,
  IFF_UP,
  type LinkMessage,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
  vethData,
  vxlanData,
} from '#/wire/netlink/link.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '#/wire/netlink/message.ts'
import { decodeNsid, encodeNsidRequest, RTM_GETNSID } from '#/wire/netlink/nsid.ts'
import { isNoDevice, type Netlink, type Operation } from './netlink.ts'

export type Link = {
  readonly index: number
  readonly name: string
  /** "veth", "bridge", "vxlan"; "" for hardware and loopback. */
  readonly kind: string
  readonly mac: string
  readonly mtuBytes: number
  readonly isUp: boolean
  /** Whether there is something at the other end, as far as the device can tell. */
  readonly hasCarrier: boolean
  /** IFLA_LINK: for a veth, the index of its other end, valid in the namespace of that end. */
  readonly peerIndex?: number
  /** IFLA_LINK_NETNSID: the number by which this namespace knows that of the other end; absent: it is this one, or none. */
  readonly peerNetns?: number
  /** The index of the bridge that this device is a port of. */
  readonly master?: number
  readonly alias?: string
  /** The device group; absent for the default one. */
  readonly group?: number
  readonly vxlan?: {
    readonly id: number
    readonly port: number
    readonly external: boolean
    /** The own tunnel end, where the device has one and not each route. */
    readonly local?: Addr
  }
  /** The XDP program that sees what comes in by the device. */
  readonly xdpProgramId?: number
  /** Whether a queueing discipline holds what is sent by the device. */
  readonly hasQueue: boolean
  /** IFF_NOARP: the kernel asks for no neighbour's MAC on the device. */
  readonly hasNoArp: boolean
  /** Whether its packets have Ethernet headers. */
  readonly isEthernet: boolean
  readonly bridge?: BridgeSettings
  /** For a bridge port: whether every frame goes in and out of it, and whether the bridge holds back all of them. */
  readonly port?: { readonly isOpen: boolean; readonly isBlocked: boolean }
}

/** What keeps a bridge from forwarding every frame by its MAC alone. */
export type BridgeSettings = { readonly hasSpanningTree: boolean; readonly filtersVlans: boolean }

/** The disciplines of a device that has no queue, or is not up yet. */
const withoutQueue = new Set([undefined, 'noqueue', 'noop'])

/** The settings of a bridge port that lets every frame pass, back out of it too (hairpin). */
const openPort = {
  hairpin: 1,
  learning: 1,
  unicastFlood: 1,
  mcastFlood: 1,
  bcastFlood: 1,
  neighSuppress: 0,
  isolated: 0,
  locked: 0,
} as const

type PortSettings = ReturnType<typeof bridgePortData.decode>

/** A setting that the kernel does not tell is one that it does not have. */
function isOpen(settings: PortSettings): boolean {
  return Object.entries(openPort).every(([name, value]) => (settings[name as keyof PortSettings] ?? value) === value)
}

/** A port without a carrier is disabled by the kernel itself. */
function isBlocked({ state = BR_STATE_FORWARDING }: PortSettings, operState: number | undefined): boolean {
  return state !== BR_STATE_FORWARDING && (state !== BR_STATE_DISABLED || operState === IF_OPER_UP)
}

function bridgeSettings(data: Uint8Array): BridgeSettings {
  const { stp = 0, vlanFiltering = 0 } = bridgeData.decode(data)
  return { hasSpanningTree: stp !== 0, filtersVlans: vlanFiltering !== 0 }
}

function vxlanSettings({ id = 0, port = 0, external, local4, local6 }: ReturnType<typeof vxlanData.decode>) {
  const local = local4 ?? local6
  return { id, port, external: external === 1, ...(local && { local }) }
}

export function toLink(payload: Uint8Array): Link {
  const { index, hardwareType, flags, attrs } = decodeLink(payload)
  const kind = attrs.info?.kind ?? ''
  const vxlan = kind === 'vxlan' && attrs.info?.data ? vxlanData.decode(attrs.info.data) : undefined
  const port =
    attrs.info?.portKind === 'bridge' && attrs.info.portData ? bridgePortData.decode(attrs.info.portData) : undefined
  return {
    index,
    name: attrs.name ?? '',
    kind,
    mac: attrs.mac ?? '',
    mtuBytes: attrs.mtu ?? 0,
    isUp: (flags & IFF_UP) !== 0,
    hasCarrier: (flags & IFF_LOWER_UP) !== 0,
    ...(attrs.link !== undefined && { peerIndex: attrs.link }),
    ...(attrs.linkNetnsid !== undefined && { peerNetns: attrs.linkNetnsid }),
    ...(attrs.master !== undefined && { master: attrs.master }),
    ...(attrs.alias !== undefined && { alias: attrs.alias }),
    ...(attrs.group && { group: attrs.group }),
    ...(vxlan && { vxlan: vxlanSettings(vxlan) }),
    ...(attrs.xdp?.programId && { xdpProgramId: attrs.xdp.programId }),
    hasQueue: !withoutQueue.has(attrs.qdisc),
    hasNoArp: (flags & IFF_NOARP) !== 0,
    isEthernet: hardwareType === ARPHRD_ETHER,
    ...(kind === 'bridge' && attrs.info?.data && { bridge: bridgeSettings(attrs.info.data) }),
    ...(port && { port: { isOpen: isOpen(port), isBlocked: isBlocked(port, attrs.operState) } }),
  }
}

/** The number by which the socket's namespace knows another one, as in `peerNetns`; undefined: it does not know it. */
export function numberOfNetns(netlink: Netlink, fd: number): number | undefined {
  return decodeNsid(
    netlink.get({ type: RTM_GETNSID, payload: encodeNsidRequest(fd), what: 'ip netns list-id' }).payload,
  )
}

/** All devices of the socket's namespace. */
export function listLinks(netlink: Netlink): Link[] {
  return netlink
    .dump({ what: 'ip link show', type: RTM_GETLINK, payload: encodeLink({ attrs: {} }) })
    .filter(({ type }) => type === RTM_NEWLINK)
    .map(({ payload }) => toLink(payload))
}

/** The device of that name, or undefined. */
export function findLink(netlink: Netlink, name: string): Link | undefined {
  try {
    const what = `ip link show dev ${name}`
    return toLink(netlink.get({ what, type: RTM_GETLINK, payload: encodeLink({ attrs: { name } }) }).payload)
  } catch (error) {
    if (isNoDevice(error)) return undefined
    throw error
  }
}

/** The index of the device of that name, or undefined: for who needs no more, as most of reading a device is reading its attributes. */
export function findLinkIndex(netlink: Netlink, name: string): number | undefined {
  try {
    const what = `ip link show dev ${name}`
    return indexOfLink(netlink.get({ what, type: RTM_GETLINK, payload: encodeLink({ attrs: { name } }) }).payload)
  } catch (error) {
    if (isNoDevice(error)) return undefined
    throw error
  }
}

function create(what: string, message: LinkMessage): Operation {
  return { what, type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, payload: encodeLink(message) }
}

const up = { flags: IFF_UP, change: IFF_UP }

export function bridgeAdd(name: string, mac: string): Operation {
  return create(`ip link add name ${name} address ${mac} up type bridge`, {
    ...up,
    attrs: { name, mac, info: { kind: 'bridge' } },
  })
}

/** A VXLAN device in external mode: routes say where each packet goes, so one device serves all nodes and both families. */
export function vxlanAdd(name: string, mac: string, mtuBytes: number, port: number): Operation {
  return create(`ip link add name ${name} address ${mac} mtu ${mtuBytes} up type vxlan external dstport ${port}`, {
    ...up,
    attrs: {
      name,
      mac,
      mtu: mtuBytes,
      info: { kind: 'vxlan', data: bytesOf(vxlanData, { external: 1, learning: 0, port }) },
    },
  })
}

export type VethSpec = {
  readonly name: string
  readonly mac: string
  readonly bridgeIndex: number
  readonly peerName: string
  readonly peerMac: string
  readonly peerNetnsFd: number
  readonly mtuBytes: number
}

/** The kernel's own default is a queue for each processor that there may be, which only XDP and GRO on a veth use, and which takes long. */
const oneQueue = { txQueues: 1, rxQueues: 1 } as const

/**
 * A veth whose one end is a bridge port here and whose other end is in the pod's namespace: one message. Both are down. (veth_open refuses
 * an end whose peer is not linked yet, so the far end cannot come up in it.)
 */
export function vethAdd(spec: VethSpec): Operation {
  const { name, mac, peerName, peerMac, mtuBytes } = spec
  const peer = { attrs: { name: peerName, mac: peerMac, mtu: mtuBytes, netnsFd: spec.peerNetnsFd, ...oneQueue } }
  const queues = 'numtxqueues 1 numrxqueues 1'
  return create(
    `ip link add name ${name} address ${mac} mtu ${mtuBytes} ${queues} type veth peer name ${peerName} address ${peerMac} ${queues}`,
    {
      attrs: {
        name,
        mac,
        mtu: mtuBytes,
        master: spec.bridgeIndex,
        info: { kind: 'veth', data: vethData(peer) },
        ...oneQueue,
      },
    },
  )
}

/** A veth between two namespaces, both ends down: for the lab's cables. */
export function cableAdd(ends: readonly [CableEnd, CableEnd], mtuBytes: number): Operation {
  const [near, far] = ends
  const attrs = (end: CableEnd) => ({
    name: end.name,
    mtu: mtuBytes,
    netnsFd: end.netnsFd,
    ...(end.mac && { mac: end.mac }),
  })
  return create(`ip link add name ${near.name} type veth peer name ${far.name}`, {
    attrs: { ...attrs(near), info: { kind: 'veth', data: vethData({ attrs: attrs(far) }) } },
  })
}

export type CableEnd = { readonly name: string; readonly netnsFd: number; readonly mac?: string }

function change(what: string, name: string, message: LinkMessage): Operation {
  return { what, type: RTM_NEWLINK, payload: encodeLink({ ...message, attrs: { ...message.attrs, name } }) }
}

export type LinkChange = {
  readonly isUp?: boolean
  readonly mac?: string
  readonly mtuBytes?: number
  readonly master?: string
  readonly hasArp?: true
}

/** `masterIndex` is the index of the device that `wanted.master` names. */
export function linkSet(name: string, wanted: LinkChange, masterIndex = 0): Operation {
  const words = [
    wanted.mac && `address ${wanted.mac}`,
    wanted.mtuBytes !== undefined && `mtu ${wanted.mtuBytes}`,
    wanted.master && `master ${wanted.master}`,
    wanted.hasArp && 'arp on',
    wanted.isUp !== undefined && (wanted.isUp ? 'up' : 'down'),
  ].filter(Boolean)
  return change(`ip link set dev ${name} ${words.join(' ')}`, name, {
    flags: wanted.isUp === true ? IFF_UP : 0,
    change: (wanted.isUp === undefined ? 0 : IFF_UP) | (wanted.hasArp ? IFF_NOARP : 0),
    attrs: {
      ...(wanted.mac && { mac: wanted.mac }),
      ...(wanted.mtuBytes !== undefined && { mtu: wanted.mtuBytes }),
      ...(wanted.master && { master: masterIndex }),
    },
  })
}

/** Cuts an alias to what the kernel takes: IFALIASZ is 256 with the NUL, and a pod's name can be that long. */
function shortAlias(alias: string): string {
  const bytes = new TextEncoder().encode(alias)
  return bytes.length < 256 ? alias : `${new TextDecoder().decode(bytes.subarray(0, 250)).replace(/\uFFFD$/, '')}…`
}

/**
 * Makes a device a port of the bridge, up, with an alias that names its pod. Hairpin lets the bridge send a packet out of
 * the port it came in by: a pod that reaches itself through a service needs that.
 */
export function bridgePortSet(name: string, alias: string, bridge: { index: number; name: string }): Operation[] {
  const info = { portKind: 'bridge', portData: bytesOf(bridgePortData, { hairpin: 1 }) }
  return [
    linkSet(name, { master: bridge.name, isUp: true }, bridge.index),
    change(`ip link set dev ${name} type bridge_slave hairpin on`, name, { attrs: { info } }),
    linkAlias(name, alias),
  ]
}

/** Sets a new port of a bridge up, has it send frames back out of it too (see bridgePortSet), and names its pod in its alias. */
export function bridgePortUp(name: string, alias: string): Operation {
  const short = shortAlias(alias)
  const info = { portKind: 'bridge', portData: bytesOf(bridgePortData, { hairpin: 1 }) }
  return change(`ip link set dev ${name} up alias "${short}" type bridge_slave hairpin on`, name, {
    ...up,
    attrs: { alias: short, info },
  })
}

/** IN6_ADDR_GEN_MODE_NONE of include/uapi/linux/if_link.h. */
const noAddress = 1

/** Keeps a device that is not up yet from getting an IPv6 link-local address. EAFNOSUPPORT where the kernel has no IPv6. */
export function linkLocalOff(name: string): Operation {
  const what = `ip link set dev ${name} addrgenmode none`
  return { what, type: RTM_NEWLINK, payload: encodeAddrGenMode(name, noAddress) }
}

/** Undoes what somebody set on a bridge port that keeps frames from passing it. A port in a spanning tree cannot be unblocked. */
export function bridgePortOpen({ name, port }: Pick<Link, 'name' | 'port'>): Operation[] {
  const set = (what: string, data: PortSettings): Operation =>
    change(`ip link set dev ${name} type bridge_slave ${what}`, name, {
      attrs: { info: { portKind: 'bridge', portData: bytesOf(bridgePortData, data) } },
    })
  const words =
    'learning on flood on mcast_flood on bcast_flood on neigh_suppress off isolated off locked off hairpin on'
  return [
    ...(port?.isOpen === false ? [set(words, openPort)] : []),
    ...(port?.isBlocked === true ? [set(`state ${BR_STATE_FORWARDING}`, { state: BR_STATE_FORWARDING })] : []),
  ]
}

/** Undoes what keeps the bridge from forwarding frames by MAC alone; nothing when it does. A kernel without VLAN filters refuses a word on them. */
export function bridgeOpen({ name, bridge }: Pick<Link, 'name' | 'bridge'>): Operation[] {
  const data = { ...(bridge?.hasSpanningTree && { stp: 0 }), ...(bridge?.filtersVlans && { vlanFiltering: 0 }) }
  if (Object.keys(data).length === 0) return []
  const words = [bridge?.hasSpanningTree && 'stp_state 0', bridge?.filtersVlans && 'vlan_filtering 0'].filter(Boolean)
  return [
    change(`ip link set dev ${name} type bridge ${words.join(' ')}`, name, {
      attrs: { info: { kind: 'bridge', data: bytesOf(bridgeData, data) } },
    }),
  ]
}

/** Takes a device off its bridge and down, and puts it into a group that is deleted later; ENODEV when there is no such device. */
export function linkUnplug(name: string, group: number): Operation {
  return change(`ip link set dev ${name} down nomaster group ${group}`, name, {
    flags: 0,
    change: IFF_UP,
    attrs: { master: 0, group },
  })
}

/** Gives a device an alias, a text for people, which "ip link" shows. The kernel takes none in the message that makes a device. */
export function linkAlias(name: string, alias: string): Operation {
  const short = shortAlias(alias)
  return change(`ip link set dev ${name} alias "${short}"`, name, { attrs: { alias: short } })
}

/** Renames a device, which must be down: kernels before 6.2 do not rename one that is up. */
export function linkRename(device: { index: number; name: string }, name: string): Operation {
  return {
    what: `ip link set dev ${device.name} name ${name}`,
    type: RTM_NEWLINK,
    payload: encodeLink({ index: device.index, attrs: { name } }),
  }
}

/** Deletes all devices of a group in the time of one: most of a deletion is waiting until nothing in the kernel uses the device. */
export function groupDelete(group: number): Operation {
  return { what: `ip link delete group ${group}`, type: RTM_DELLINK, payload: encodeLink({ attrs: { group } }) }
}

/** Deletes a device by name, so that no look-up is needed; ENODEV when there is none. */
export function linkDelete(name: string): Operation {
  return { what: `ip link delete dev ${name}`, type: RTM_DELLINK, payload: encodeLink({ attrs: { name } }) }
}
