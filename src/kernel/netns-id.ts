// The number by which a namespace knows another one: that of the other end of a veth tells whether a namespace is that end's.
import { decodeNetnsId, encodeNetnsLookup, RTM_GETNSID } from '#/wire/netlink/netns-id.ts'
import { type Netlink } from './netlink.ts'

/** The number of the namespace that a descriptor is open on, in the socket's namespace; undefined: it knows it by none. Throws KernelError. */
export function netnsIdOf(netlink: Netlink, fd: number): number | undefined {
  return decodeNetnsId(
    netlink.get({ what: 'ip netns list-id', type: RTM_GETNSID, payload: encodeNetnsLookup(fd) }).payload,
  )
}
