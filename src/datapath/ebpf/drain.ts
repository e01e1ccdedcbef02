// Gives running connections back to the kernel's own stack before programs go. Connection tracking did not see what programs carried: to it
// the next packet of such a connection would be outside of the window, INVALID, and kube-proxy drops what is INVALID. So every packet goes
// to the stack first, and connection tracking is told to check the window of these connections no more. Programs end the entry of a packet
// that comes in between; the stack takes such a connection up anew (nf_conntrack_tcp_loose).
import { join } from 'node:path'
import { BpfMap } from '#/kernel/bpf/map.ts'
import { connectionLiberal, listConnections } from '#/kernel/conntrack.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Addr, families } from '#/lib/addr.ts'
import { errorCode } from '#/lib/error-code.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { configFlags, indexStruct, type MapName } from '#/wire/bpf/maps.ts'
import { type Connection } from '#/wire/netlink/conntrack.ts'
import { generationsIn } from './generation.ts'

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

/** Whether a program may have carried the connection's packets. */
function mayBeCarried({ protocol, src, dst, isTranslated }: Connection, pods: ReadonlySet<string>): boolean {
  return protocol === IPPROTO_TCP && !isTranslated && (pods.has(String(src)) || pods.has(String(dst)))
}

/** Has every packet go to the stack from now on, which takes it whatever programs carried before. Throws BpfError and KernelError. */
export async function drain(folder: string): Promise<void> {
  setDraining(folder, true)
  const pods = podAddrs(folder)
  using conntrack = new Netlink(NETLINK_NETFILTER)
  for (const family of families) {
    const connections = await listConnections(conntrack, family)
    // one that is gone by now is no failure
    await conntrack.executeMany(connections.filter((each) => mayBeCarried(each, pods)).map(connectionLiberal))
  }
}
