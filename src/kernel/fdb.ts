// The forwarding databases of bridges and VXLAN devices: which device, or which tunnel end, frames to a MAC leave by.
import { decodeFdb, encodeFdbLookup, type FdbEntry, RTM_GETNEIGH, RTM_NEWNEIGH } from '#/wire/netlink/neigh.ts'
import { KernelError, type Netlink } from './netlink.ts'

export { type FdbEntry } from '#/wire/netlink/neigh.ts'

/** All entries of all devices of the socket's namespace, read in turns of the event loop. Throws KernelError. */
export async function listFdb(netlink: Netlink): Promise<FdbEntry[]> {
  const messages = await netlink.dumpInTurns({
    what: 'bridge fdb show',
    type: RTM_GETNEIGH,
    payload: encodeFdbLookup(),
  })
  return messages.flatMap(({ type, payload }) => (type === RTM_NEWNEIGH ? (decodeFdb(payload) ?? []) : []))
}

/** The bridge's entry of a MAC; undefined: it has none, and sends frames to the MAC to all of its ports. Throws KernelError. */
export function findFdb(
  netlink: Netlink,
  bridge: { readonly index: number; readonly name: string },
  mac: string,
): FdbEntry | undefined {
  const what = `bridge fdb get ${mac} br ${bridge.name}`
  try {
    const payload = encodeFdbLookup({ bridge: bridge.index, mac })
    return decodeFdb(netlink.get({ what, type: RTM_GETNEIGH, payload }).payload)
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENOENT') return undefined
    throw error
  }
}
