// Tells when somebody changed kernel state that may be ours. It says only that: what changed is read anew.
import { NETLINK_NETFILTER, NETLINK_ROUTE, NotificationSocket } from '#/sys/netlink-socket.ts'
import { decodeMessages, type Message } from '#/wire/netlink/message.ts'
import { decodeNeigh, type Neighbour, RTM_DELNEIGH, RTM_NEWNEIGH } from '#/wire/netlink/neigh.ts'
import { decodeRoute, type Route, RTM_DELROUTE, RTM_NEWROUTE } from '#/wire/netlink/route.ts'

const RTNLGRP_LINK = 1
const RTNLGRP_NEIGH = 3
const RTNLGRP_IPV4_IFADDR = 5
const RTNLGRP_IPV4_ROUTE = 7
const RTNLGRP_IPV6_IFADDR = 9
const RTNLGRP_IPV6_ROUTE = 11
/** Of all sysctls these alone are told: forwarding, rp_filter and a few more. */
const RTNLGRP_IPV4_NETCONF = 24
const RTNLGRP_IPV6_NETCONF = 25
const NFNLGRP_NFTABLES = 7

const routeGroups = [
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_IPV4_NETCONF,
  RTNLGRP_IPV6_NETCONF,
]

/** What of the kernel's chatter matters: neighbours come with every packet, and routes by the thousand on a router. */
export type Concern = {
  readonly route: (route: Route) => boolean
  readonly neighbour: (neighbour: Neighbour) => boolean
}

function concerns(message: Message, { route, neighbour }: Concern): boolean {
  if (message.type === RTM_NEWNEIGH || message.type === RTM_DELNEIGH) {
    const found = decodeNeigh(message.payload)
    return found !== undefined && neighbour(found)
  }
  if (message.type === RTM_NEWROUTE || message.type === RTM_DELROUTE) {
    const found = decodeRoute(message.payload)
    return found !== undefined && route(found)
  }
  return true
}

/**
 * Calls `onChange` soon after every change to devices, addresses, forwarding, nftables, and those routes and neighbours that are of `concern`, in the
 * calling thread's namespace, and when notifications were lost. `onError` gets what ends the watching.
 */
export function watchKernel(concern: Concern, onChange: () => void, onError: (error: unknown) => void): Disposable {
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
  follow(sockets[0]!, (message) => concerns(message, concern)).catch(onError)
  follow(sockets[1]!, () => true).catch(onError)
  return {
    [Symbol.dispose]() {
      for (const socket of sockets) socket[Symbol.dispose]()
    },
  }
}
