// Tells when somebody changed kernel state that may be ours. It says only that: what changed is read anew.
import { NETLINK_ROUTE, NotificationSocket } from '#/sys/netlink-socket.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { decodeMessages, type Message } from '#/wire/netlink/message.ts'
import { decodeNeigh, NUD_PERMANENT, RTM_DELNEIGH, RTM_NEWNEIGH } from '#/wire/netlink/neigh.ts'
import { decodeRoute, RTM_DELROUTE, RTM_NEWROUTE } from '#/wire/netlink/route.ts'

const RTNLGRP_LINK = 1
const RTNLGRP_NEIGH = 3
const RTNLGRP_IPV4_IFADDR = 5
const RTNLGRP_IPV4_ROUTE = 7
const RTNLGRP_IPV6_IFADDR = 9
const RTNLGRP_IPV6_ROUTE = 11
const NFNLGRP_NFTABLES = 7

const routeGroups = [
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
]

/** Neighbours come and go with every packet, and routes by the thousand on a router: only what can be ours counts. */
function concerns(message: Message, protocol: number): boolean {
  if (message.type === RTM_NEWNEIGH || message.type === RTM_DELNEIGH) {
    const neighbour = decodeNeigh(message.payload)
    return neighbour !== undefined && (neighbour.state & NUD_PERMANENT) !== 0
  }
  if (message.type === RTM_NEWROUTE || message.type === RTM_DELROUTE) {
    return decodeRoute(message.payload)?.protocol === protocol
  }
  return true
}

/**
 * Calls `onChange` soon after every change to devices, addresses, permanent neighbours, routes of `protocol` and nftables in
 * the calling thread's namespace, and when notifications were lost. `onError` gets what ends the watching.
 */
export function watchKernel(protocol: number, onChange: () => void, onError: (error: unknown) => void): Disposable {
  const sockets = [
    new NotificationSocket(NETLINK_ROUTE, routeGroups),
    new NotificationSocket(NETLINK_NETFILTER, [NFNLGRP_NFTABLES]),
  ]
  const follow = async (socket: NotificationSocket, isRelevant: (message: Message) => boolean): Promise<void> => {
    for (;;) {
      const datagram = await socket.receive()
      if (datagram === undefined) return
      if (datagram === 'overflow' || decodeMessages(datagram).some(isRelevant)) onChange()
    }
  }
  follow(sockets[0]!, (message) => concerns(message, protocol)).catch(onError)
  follow(sockets[1]!, () => true).catch(onError)
  return {
    [Symbol.dispose]() {
      for (const socket of sockets) socket[Symbol.dispose]()
    },
  }
}
