// Reads the kernel's notifications: decides what each of them makes dirty, and how soon a pass is needed.
import { type Prefix } from '#/lib/addr.ts'
import { type Link } from '#/kernel/links.ts'
import { type Notification } from '#/kernel/notifications.ts'
import { isOurDevice, isOurTable, policyTableName, portPrefix, routeProtocol, vxlanName } from '#/model/names.ts'
import { type ObjectKind, takenWith } from '#/model/object-kinds.ts'
import { RT_TABLE_LOCAL, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { type DirtySet } from './dirty-set.ts'
import { type Urgency } from './reconcile-loop.ts'

/** Whether the name says that a device is a pod's host end, of which no more need be known. */
export function isPort(name: string): boolean {
  return name.startsWith(portPrefix)
}

type Knowledge = {
  /** Whether this node wants a route to that prefix, given as text. */
  readonly wantsRoute: (prefix: string) => boolean
  /** Whether another's route may change the way of packets to pods. */
  readonly mayDivert: (route: Route) => boolean
  /** Whether another's route to the prefix may be the way to a node. */
  readonly mayLeadToNodes: (prefix: Prefix) => boolean
  /** Whether native routes of ours, which avoid the tunnel, lead over that device. */
  readonly leadsOver: (device: string) => boolean
  /** Called when the tables of network policy may be others: they are no part of a pass. */
  readonly notePolicyTable: () => void
}

/** Ignores what does not concern this node's network: packets cause neighbour notifications, and a router has thousands of routes. */
export class NotificationReader {
  readonly #dirt: DirtySet
  readonly #knowledge: Knowledge
  /** Our devices as last notified, to compare with: a bridge notifies for every port, mostly without a change of its own. */
  readonly #ours = new Map<string, Link>()
  /** Names, by index, of devices that are neither our own nor pod veths. */
  readonly #others = new Map<number, string>()
  /** Indexes of pod veths: the link-local address that each one gets is ignored. */
  readonly #ports = new Set<number>()

  constructor(dirt: DirtySet, knowledge: Knowledge) {
    this.#dirt = dirt
    this.#knowledge = knowledge
  }

  /** Takes note of the devices that exist before the first notification. */
  learn(links: readonly Link[]): void {
    for (const link of links) {
      if (isOurDevice(link.name)) this.#ours.set(link.name, link)
      else if (isPort(link.name)) this.#ports.add(link.index)
      else this.#others.set(link.index, link.name)
    }
  }

  /** Marks what the notification makes dirty; returns how soon a pass is needed, or undefined when none is. */
  read(notification: Notification): Urgency | undefined {
    switch (notification.kind) {
      case 'lost':
        this.#dirt.markEverything()
        this.#knowledge.notePolicyTable()
        return 'soon'
      case 'link':
        return this.#readLink(notification.link, notification.isGone)
      case 'named link':
        return this.#readPort(notification.deviceIndex, notification.isGone)
      case 'address':
        return this.#readAddress(notification.deviceIndex)
      case 'netconf':
        return this.#readNetconf(notification.deviceIndex)
      case 'neighbour':
        return this.#markIf(notification.neighbour.index === this.#ours.get(vxlanName)?.index, 'neighbour')
      case 'route':
        return this.#readRoute(notification.route)
      case 'rule':
        // programs that make rules make several at a time
        this.#dirt.markUnderlay()
        this.#dirt.markWays()
        return 'later'
      case 'qdisc':
        // programs of ours may be gone, which only a whole pass looks for at every device; this is rare
        if (notification.hasLostFilters) {
          this.#dirt.markEverything()
          return 'soon'
        }
        // a pod's limit hangs on its device; not urgent, as with all that concerns one pod
        if (!this.#ports.has(notification.deviceIndex)) return undefined
        this.#dirt.mark('port', 'attachment', 'pod-map')
        return 'later'
      case 'table':
        if (notification.name === policyTableName) {
          this.#knowledge.notePolicyTable()
          return undefined
        }
        if (isOurTable(notification.name)) return this.#markIf(true, 'table')
        // kube-proxy and others write their tables all the time, so these are not urgent
        this.#dirt.mark('forward')
        return 'later'
      default:
        return notification satisfies never
    }
  }

  /** An address of any device but a pod's matters: the device may be ours or belong to the underlay, or a pod may have that address. */
  #readAddress(deviceIndex: number): Urgency | undefined {
    if (this.#ports.has(deviceIndex)) return undefined
    this.#dirt.markUnderlay()
    this.#dirt.markWays()
    this.#dirt.mark('address')
    // with IPv6 switched off a device loses all its addresses of it, and only these are notified
    if (this.#isOurs(deviceIndex)) this.#dirt.mark('sysctl', ...takenWith('address'))
    else this.#markRoutesOver(this.#others.get(deviceIndex))
    return 'soon'
  }

  #readNetconf(deviceIndex: number): Urgency | undefined {
    // every pod's device causes such notifications, and no sysctl of it matters
    if (this.#ports.has(deviceIndex)) return undefined
    if (this.#others.has(deviceIndex)) this.#dirt.markUnderlay()
    this.#dirt.mark('sysctl')
    return 'later'
  }

  #readRoute(route: Route): Urgency | undefined {
    const { protocol, dst, table } = route
    const isOurs = protocol === routeProtocol && table === RT_TABLE_MAIN
    // a route by others to one of our prefixes matters too: it may have replaced ours
    const urgency = this.#markIf(isOurs || this.#knowledge.wantsRoute(String(dst)), 'route')
    if (isOurs) return urgency
    const leadsToNodes = table !== RT_TABLE_LOCAL && this.#knowledge.mayLeadToNodes(dst)
    if (leadsToNodes) this.#dirt.markUnderlay()
    const diverts = this.#knowledge.mayDivert(route)
    if (diverts || leadsToNodes) this.#dirt.markWays()
    return urgency ?? (diverts || leadsToNodes ? 'later' : undefined)
  }

  #isOurs(deviceIndex: number): boolean {
    return this.#ours.values().some(({ index }) => index === deviceIndex)
  }

  #markIf(matters: boolean, kind: ObjectKind): Urgency | undefined {
    if (matters) this.#dirt.mark(kind)
    return matters ? 'soon' : undefined
  }

  #readPort(deviceIndex: number, isGone: boolean): Urgency {
    if (isGone) this.#ports.delete(deviceIndex)
    else this.#ports.add(deviceIndex)
    // not urgent: each pod that comes or goes causes several, and the store of pods knows of it already
    this.#dirt.mark('port')
    return 'later'
  }

  #readLink(link: Link, isGone: boolean): Urgency | undefined {
    const { name } = link
    if (isPort(name)) return this.#readPort(link.index, isGone)
    if (isOurDevice(name)) {
      const before = this.#ours.get(name)
      if (isGone) this.#ours.delete(name)
      else this.#ours.set(name, link)
      if (!isGone && before && isUnchanged(before, link)) return undefined
      this.#dirt.markEverything()
      return 'soon'
    }
    // one of our devices that was renamed no longer exists under its name
    const renamed = [...this.#ours].find(([, { index }]) => index === link.index)
    if (renamed) {
      this.#ours.delete(renamed[0])
      this.#dirt.markEverything()
      return 'soon'
    }
    if (this.#ports.delete(link.index)) this.#dirt.mark('port')
    if (isGone) this.#others.delete(link.index)
    else this.#others.set(link.index, name)
    // with its device another's route goes without a notification
    if (isGone || !link.isUp) this.#dirt.markWays()
    this.#dirt.markUnderlay()
    // GRO of the tunnel's device follows that of the underlay's
    this.#dirt.mark('link')
    this.#markRoutesOver(name)
    return 'soon'
  }

  /**
   * Marks routes dirty when ours lead over the device. A device that goes down, or loses its last address, loses its IPv4 routes
   * without a route notification (fib_table_flush of net/ipv4/fib_trie.c), and no notification tells later that they are missing.
   */
  #markRoutesOver(device: string | undefined): void {
    if (device !== undefined && this.#knowledge.leadsOver(device)) this.#dirt.mark('route')
  }
}

function isUnchanged(a: Link, b: Link): boolean {
  const isSameDevice = a.index === b.index && a.kind === b.kind && a.mac === b.mac && a.mtuBytes === b.mtuBytes
  const isSameBridge =
    a.bridge?.hasSpanningTree === b.bridge?.hasSpanningTree && a.bridge?.filtersVlans === b.bridge?.filtersVlans
  return isSameDevice && a.isUp === b.isUp && a.hasNoArp === b.hasNoArp && isSameBridge
}
