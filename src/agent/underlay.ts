// The underlay as this node has it: which devices carry the node's own addresses, and their MTU.
import { type Addr, type Family } from '#/lib/addr.ts'
import { listAddresses } from '#/kernel/addresses.ts'
import { listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type NetworkSettings, type Problem, type UnderlayMtu } from '#/model/network.ts'

export type Underlay = { readonly mtuBytes: UnderlayMtu; readonly problems: readonly Problem[] }

/** `addrs` are the node's addresses as its Node object tells them. */
export function readUnderlay(
  netlink: Netlink,
  nodeName: string,
  addrs: readonly Addr[],
  { underlayMtuBytes }: NetworkSettings,
): Underlay {
  const links = new Map(listLinks(netlink).map((link) => [link.index, link]))
  const deviceOf = new Map(listAddresses(netlink).map(({ addr, index }) => [String(addr), index]))
  const mtuBytes: { [F in Family]?: number } = {}
  const problems: Problem[] = []
  for (const addr of addrs) {
    if (mtuBytes[addr.family] !== undefined) continue
    const link = links.get(deviceOf.get(String(addr)) ?? 0)
    if (link) mtuBytes[addr.family] = underlayMtuBytes ?? link.mtuBytes
    else
      problems.push({
        object: `node/${nodeName}`,
        message: `no device of this node has its address ${addr}: correct status.addresses of the Node object or the device`,
      })
  }
  return { mtuBytes, problems }
}
