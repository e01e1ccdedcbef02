// Tells when somebody changed kernel state that may be ours. It says only that: what changed is read anew.
import { NETLINK_NETFILTER, NETLINK_ROUTE, NotificationSocket } from '#/sys/netlink-socket.ts'
import { decodeMessages, type Message } from '#/wire/netlink/message.ts'
import { decodeNeigh, RTM_DELNEIGH, RTM_NEWNEIGH } from '#/wire/netlink/neigh.ts'
import { decodeRoute, RTM_DELROUTE, RTM_NEWROUTE } from '#/wire/netlink/route.ts'

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

export type Concern = {
  /** rtm_protocol of our routes. */
  readonly routeProtocol: number
  /** Addresses of our neighbour entries. */
  readonly neighbours: readonly string[]
}

/** Neighbours come and go with every packet, and routes by the thousand on a router: only what can be ours counts. */
function concerns(message: Message, { routeProtocol, neighbours }: Concern): boolean {
  if (message.type === RTM_NEWNEIGH || message.type === RTM_DELNEIGH) {
    const neighbour = decodeNeigh(message.payload)
    return neighbour !== undefined && neighbours.includes(String(neighbour.addr))
  }
  if (message.type === RTM_NEWROUTE || message.type === RTM_DELROUTE) {
    return decodeRoute(message.payload)?.protocol === routeProtocol
  }
  return true
}

/**
 * Calls `onChange` soon after every change to devices, addresses, our neighbours and routes, forwarding and nftables in the
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
