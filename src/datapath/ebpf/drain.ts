// Gives running connections back to the kernel's own stack, before programs go or carry packets of a node no more. Connection tracking did not see what programs carried: to it
// the next packet of such a connection would be outside of the window, INVALID, and kube-proxy drops what is INVALID. So every packet goes
// to the stack first, and connection tracking is told to check the window of these connections no more. Programs end the entry of a packet
// that comes in between; the stack takes such a connection up anew (nf_conntrack_tcp_loose).
import { join } from 'node:path'
import { BpfMap } from '#/kernel/bpf/map.ts'
import { connectionLiberal, listConnections } from '#/kernel/conntrack.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Addr, families, type Family, Prefix } from '#/lib/addr.ts'
import { errorCode } from '#/lib/error-code.ts'
import { PrefixSet } from '#/lib/prefix-union.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { configFlags, indexStruct, mapLayouts, type MapName } from '#/wire/bpf/maps.ts'
import { type Connection } from '#/wire/netlink/conntrack.ts'
import { drainingNode } from './entries.ts'
import { generationsIn } from './generation.ts'
import { type Present } from './map-changes.ts'

const IPPROTO_TCP = 6

/** Opens a map of a generation that may have been made by an agent with other layouts. */
function openMap(folder: string, generation: string, map: MapName): BpfMap | undefined {
  try {
    return BpfMap.openPinned(join(folder, generation, 'maps', map))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Sets or clears the flag in the settings of every generation. The flags are the first field in every layout. */
export function setDraining(folder: string, isDraining: boolean): void {
  for (const generation of generationsIn(folder)) {
    using map = openMap(folder, generation, 'cw_config')
    const key = indexStruct.encode({ index: 0 })
    const value = map?.get(key)
    if (map === undefined || value === undefined) continue
    const view = new DataView(value.buffer, value.byteOffset, value.length)
    const flags = view.getUint32(0, true)
    view.setUint32(0, isDraining ? flags | configFlags.draining : flags & ~configFlags.draining, true)
    map.set(key, value)
  }
}

/** The addresses of the pods that programs know, as text. */
function podAddrs(folder: string): Set<string> {
  const addrs = new Set<string>()
  for (const generation of generationsIn(folder)) {
    for (const name of ['cw_pods4', 'cw_pods6'] as const) {
      using map = openMap(folder, generation, name)
      for (const [key] of map?.entries() ?? []) addrs.add(String(Addr.fromBytes(key)))
    }
  }
  return addrs
}

/** Whether a program may have carried the connection's packets, given which addresses' packets programs carry. */
function mayBeCarried({ protocol, src, dst, isTranslated }: Connection, isCarried: (addr: Addr) => boolean): boolean {
  return protocol === IPPROTO_TCP && !isTranslated && (isCarried(src) || isCarried(dst))
}

/** Has connection tracking take what comes of some connections as it comes. Throws KernelError. */
async function takeAsItComes(ofFamilies: readonly Family[], isOf: (connection: Connection) => boolean): Promise<void> {
  using conntrack = new Netlink(NETLINK_NETFILTER)
  for (const family of ofFamilies) {
    const connections = await listConnections(conntrack, family)
    // one that is gone by now is no failure
    await conntrack.executeMany(connections.filter(isOf).map(connectionLiberal))
  }
}

/** Has every packet go to the stack from now on, which takes it whatever programs carried before. Throws BpfError and KernelError. */
export async function drain(folder: string): Promise<void> {
  setDraining(folder, true)
  const pods = podAddrs(folder)
  const isOfPod = (addr: Addr): boolean => pods.has(String(addr))
  await takeAsItComes(families, (connection) => mayBeCarried(connection, isOfPod))
}

/** Does the same for what goes to some prefixes, and comes from there: before their entries go, or their way. Throws BpfError and KernelError. */
export async function drainNodes(
  map: BpfMap,
  name: 'cw_nodes4' | 'cw_nodes6',
  entries: readonly Present[],
): Promise<void> {
  const prefixes = new PrefixSet<true>()
  for (const { key, value } of entries) {
    map.set(key, drainingNode(value))
    const { length, addr } = mapLayouts[name].key.decode(key)
    prefixes.set(new Prefix(Addr.fromBytes(addr), length), true)
  }
  const isWithin = (addr: Addr): boolean => prefixes.holderOf(Prefix.host(addr), false) !== undefined
  await takeAsItComes([name === 'cw_nodes4' ? 4 : 6], (connection) => mayBeCarried(connection, isWithin))
}
