// Tells what others changed in the kernel. A notification names the kind of object only; its new state must be read anew.
import { setTimeout as sleep } from 'node:timers/promises'
import { WireError } from '#/lib/bytes.ts'
import { NETLINK_NETFILTER, NETLINK_ROUTE, NotificationSocket } from '#/sys/netlink-socket.ts'
import { decodeAddr, RTM_DELADDR, RTM_NEWADDR } from '#/wire/netlink/addr.ts'
import { indexOfLink, nameOfLink, RTM_DELLINK, RTM_NEWLINK } from '#/wire/netlink/link.ts'
import { decodeMessages, type Message } from '#/wire/netlink/message.ts'
import { decodeNeigh, type Neighbour, RTM_DELNEIGH, RTM_NEWNEIGH } from '#/wire/netlink/neigh.ts'
import { decodeRoute, type Route, RTM_DELROUTE, RTM_NEWROUTE } from '#/wire/netlink/route.ts'
import { RTM_DELRULE, RTM_NEWRULE } from '#/wire/netlink/rule.ts'
import { decodeNetconf, RTM_DELNETCONF, RTM_NEWNETCONF } from '#/wire/netlink/netconf.ts'
import { TC_H_CLSACT } from '#/wire/netlink/filter.ts'
import { decodeQdisc, RTM_DELQDISC, RTM_NEWQDISC } from '#/wire/netlink/qdisc.ts'
import { NFNLGRP_NFTABLES, nftTableOf } from '#/wire/nftables/messages.ts'
import { type Link, toLink } from './links.ts'

const RTNLGRP_LINK = 1
const RTNLGRP_NEIGH = 3
/** Of traffic control: disciplines, and also filters and more, which do not matter here. */
const RTNLGRP_TC = 4
const RTNLGRP_IPV4_IFADDR = 5
const RTNLGRP_IPV4_ROUTE = 7
const RTNLGRP_IPV4_RULE = 8
const RTNLGRP_IPV6_IFADDR = 9
const RTNLGRP_IPV6_ROUTE = 11
const RTNLGRP_IPV6_RULE = 19
/** The only group that notifies of sysctls: forwarding, rp_filter and a few more. */
const RTNLGRP_IPV4_NETCONF = 24
const RTNLGRP_IPV6_NETCONF = 25

const routeGroups = [
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
  RTNLGRP_TC,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV4_RULE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_IPV6_RULE,
  RTNLGRP_IPV4_NETCONF,
  RTNLGRP_IPV6_NETCONF,
]

export type Notification =
  | { readonly kind: 'link'; readonly link: Link; readonly isGone: boolean }
  /** Of a device whose name says all that matters: see `isKnownByName` of watchKernel. */
  | { readonly kind: 'named link'; readonly deviceIndex: number; readonly isGone: boolean }
  | { readonly kind: 'address'; readonly deviceIndex: number }
  | { readonly kind: 'neighbour'; readonly neighbour: Neighbour }
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'rule' }
  /** A queueing discipline of the device came, went or changed; `hasLostFilters`: the one that held its filters is gone, and they with it. */
  | { readonly kind: 'qdisc'; readonly deviceIndex: number; readonly hasLostFilters: boolean }
  /** Forwarding or a similar sysctl changed, for one device, for all (-1) or for those to come (-2). */
  | { readonly kind: 'netconf'; readonly deviceIndex: number }
  | { readonly kind: 'table'; readonly family: string; readonly name: string }
  /** The socket overflowed (ENOBUFS), or a message could not be decoded: anything may have changed. */
  | { readonly kind: 'lost' }

const datagramsPerTurn = 200
/** What comes within this time is read together: to be woken takes longer than to read one, and an ADD that runs goes first. */
const gatherMs = 2

/** Gives undefined for messages without news: other families, cached copies, generations of rulesets. */
type Decoder = (message: Message) => Notification | undefined

export function decodeRouteNotification(
  message: Message,
  isKnownByName: (name: string) => boolean = () => false,
): Notification | undefined {
  const { type, payload } = message
  switch (type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      const isGone = type === RTM_DELLINK
      if (isKnownByName(nameOfLink(payload))) return { kind: 'named link', deviceIndex: indexOfLink(payload), isGone }
      return { kind: 'link', link: toLink(payload), isGone }
    }
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return { kind: 'address', deviceIndex: decodeAddr(payload).index }
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: {
      const neighbour = decodeNeigh(payload)
      return neighbour && { kind: 'neighbour', neighbour }
    }
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const route = decodeRoute(payload)
      return route && { kind: 'route', route }
    }
    case RTM_NEWRULE:
    case RTM_DELRULE:
      return { kind: 'rule' }
    case RTM_NEWQDISC:
    case RTM_DELQDISC: {
      const { index: deviceIndex, parent } = decodeQdisc(payload)
      return { kind: 'qdisc', deviceIndex, hasLostFilters: type === RTM_DELQDISC && parent === TC_H_CLSACT }
    }
    case RTM_NEWNETCONF:
    case RTM_DELNETCONF:
      return { kind: 'netconf', deviceIndex: decodeNetconf(payload) }
    default:
      return undefined
  }
}

function decodeTableNotification(message: Message): Notification | undefined {
  const table = nftTableOf(message)
  return table && { kind: 'table', ...table }
}

/** Decodes a datagram, leaving out changes made through the sockets with these port ids. */
export function readNotifications(
  datagram: Uint8Array,
  decode: Decoder,
  ownPortIds: ReadonlySet<number>,
): Notification[] {
  try {
    return decodeMessages(datagram)
      .filter(({ portId }) => !ownPortIds.has(portId))
      .flatMap((message) => decode(message) ?? [])
  } catch (error) {
    if (error instanceof WireError) return [{ kind: 'lost' }]
    throw error
  }
}

/**
 * Calls `onChange` for every change to devices, addresses, neighbours, routes, qdiscs, forwarding and nftables in the calling thread's
 * namespace, except those made through the sockets with these port ids. `onError` gets the error that ends the watching. Of devices that
 * `isKnownByName` only names and indexes are read: each pod that comes or goes causes a dozen notifications of its device.
 */
export function watchKernel(
  ownPortIds: ReadonlySet<number>,
  onChange: (notification: Notification) => void,
  onError: (error: unknown) => void,
  isKnownByName?: (name: string) => boolean,
): Disposable {
  const routes = new NotificationSocket(NETLINK_ROUTE, routeGroups)
  const tables = new NotificationSocket(NETLINK_NETFILTER, [NFNLGRP_NFTABLES])
  const take = (datagram: Uint8Array | 'overflow', decode: Decoder): void => {
    if (datagram === 'overflow') return onChange({ kind: 'lost' })
    for (const notification of readNotifications(datagram, decode, ownPortIds)) onChange(notification)
  }
  const follow = async (socket: NotificationSocket, decode: Decoder): Promise<void> => {
    for (;;) {
      let datagram = await socket.receive()
      if (datagram === undefined) return
      // notifications come by the thousand, most of our own changes: give the event loop a turn in between
      for (let turn = 0; datagram !== undefined && turn < datagramsPerTurn; turn++) {
        take(datagram, decode)
        datagram = socket.receiveNow()
      }
      if (datagram !== undefined) take(datagram, decode)
      else await sleep(gatherMs)
    }
  }
  follow(routes, (message) => decodeRouteNotification(message, isKnownByName)).catch(onError)
  follow(tables, decodeTableNotification).catch(onError)
  return {
    [Symbol.dispose]() {
      for (const socket of [routes, tables]) socket[Symbol.dispose]()
    },
  }
}
