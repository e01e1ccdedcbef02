// Reads the kernel's notifications: what each of them makes dirty, and how soon that matters.
import { type Link } from '#/kernel/links.ts'
import { type Notification } from '#/kernel/notifications.ts'
import { isOurDevice, portPrefix, routeProtocol, tableName, vxlanName } from '#/model/names.ts'
import { type ObjectKind } from '#/model/object-kinds.ts'
import { type DirtySet } from './dirty-set.ts'
import { type Urgency } from './reconcile-loop.ts'

type Knowledge = {
  /** Whether we want a route to that prefix, by its text. */
  readonly wantsRoute: (prefix: string) => boolean
  /** Whether routes of ours lead over that device beside those through the tunnel. */
  readonly leadsOver: (device: string) => boolean
}

/** Neighbours come with every packet, and routes by the thousand on a router: only what concerns this node's network counts. */
export class NotificationReader {
  readonly #dirt: DirtySet
  readonly #knowledge: Knowledge
  /** Our devices as last told: a bridge speaks up with every port, mostly to say that nothing changed. */
  readonly #ours = new Map<string, Link>()
  /** The names, by index, of devices that are neither ours nor pods'. */
  readonly #others = new Map<number, string>()
  /** Indexes of pod veths: they get a link-local address each, which is no news. */
  readonly #ports = new Set<number>()

  constructor(dirt: DirtySet, knowledge: Knowledge) {
    this.#dirt = dirt
    this.#knowledge = knowledge
  }

  /** The devices there are before the first notification. */
  learn(links: readonly Link[]): void {
    for (const link of links) {
      if (isOurDevice(link.name)) this.#ours.set(link.name, link)
      else if (link.name.startsWith(portPrefix)) this.#ports.add(link.index)
      else this.#others.set(link.index, link.name)
    }
  }

  /** How soon it matters; undefined when not at all. */
  read(notification: Notification): Urgency | undefined {
    switch (notification.kind) {
      case 'lost':
        this.#dirt.markEverything()
        return 'soon'
      case 'link':
        return this.#readLink(notification.link, notification.isGone)
      case 'address':
        if (this.#ports.has(notification.deviceIndex)) return undefined
        // also another device's: it may be the underlay's
        this.#dirt.markUnderlay()
        this.#dirt.mark('address')
        this.#markRoutesOver(this.#others.get(notification.deviceIndex))
        return 'soon'
      case 'netconf':
        // every new device brings some
        this.#dirt.mark('sysctl')
        return 'later'
      case 'neighbour':
        return this.#markIf(notification.neighbour.index === this.#ours.get(vxlanName)?.index, 'neighbour')
      case 'route': {
        const { protocol, dst } = notification.route
        // also another's route to one of our prefixes: it may have taken the place of ours
        return this.#markIf(protocol === routeProtocol || this.#knowledge.wantsRoute(String(dst)), 'route')
      }
      case 'table':
        if (notification.name === tableName) return this.#markIf(true, 'table')
        // kube-proxy and its like write theirs all the time
        this.#dirt.mark('forward')
        return 'later'
      default:
        return notification satisfies never
    }
  }

  #markIf(matters: boolean, kind: ObjectKind): Urgency | undefined {
    if (matters) this.#dirt.mark(kind)
    return matters ? 'soon' : undefined
  }

  #readLink(link: Link, isGone: boolean): Urgency | undefined {
    const { name } = link
    if (name.startsWith(portPrefix)) {
      if (isGone) this.#ports.delete(link.index)
      else this.#ports.add(link.index)
      // each pod that comes or goes brings several, and the store knows of it
      this.#dirt.mark('port')
      return 'later'
    }
    if (isOurDevice(name)) {
      const before = this.#ours.get(name)
      if (isGone) this.#ours.delete(name)
      else this.#ours.set(name, link)
      if (!isGone && before && isUnchanged(before, link)) return undefined
      this.#dirt.markEverything()
      return 'soon'
    }
    // one of ours under another name is not there any more
    const renamed = [...this.#ours].find(([, { index }]) => index === link.index)
    if (renamed) {
      this.#ours.delete(renamed[0])
      this.#dirt.markEverything()
      return 'soon'
    }
    if (this.#ports.delete(link.index)) this.#dirt.mark('port')
    if (isGone) this.#others.delete(link.index)
    else this.#others.set(link.index, name)
    this.#dirt.markUnderlay()
    this.#markRoutesOver(name)
    return 'soon'
  }

  /**
   * A device that goes down, or loses its last address, loses its IPv4 routes, and of that nobody is told (fib_table_flush of
   * net/ipv4/fib_trie.c). When it is back as it was, nothing else tells that they are missing.
   */
  #markRoutesOver(device: string | undefined): void {
    if (device !== undefined && this.#knowledge.leadsOver(device)) this.#dirt.mark('route')
  }
}

function isUnchanged(a: Link, b: Link): boolean {
  return a.index === b.index && a.isUp === b.isUp && a.mtuBytes === b.mtuBytes && a.mac === b.mac && a.kind === b.kind
}
