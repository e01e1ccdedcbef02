// What a speaker has to know of its node's links: its own addresses on them, and who is at their other end.
import { Netlink } from '#/kernel/netlink.ts'
import { listAddresses } from '#/kernel/addresses.ts'
import { listLinks } from '#/kernel/links.ts'
import { type Addr } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { findLinkLocal } from './link-local.ts'

export class Links implements Disposable {
  readonly #netlink = new Netlink()
  readonly #log: Logger
  readonly #found = new Map<string, Addr>()
  readonly #asking = new Set<string>()

  constructor(deps: { log: Logger }) {
    this.#log = deps.log
  }

  /** The other addresses of the device that has `localAddr`, or of `device`: link-local ones belong to no one device. */
  localAddrsOf(localAddr: Addr, device: string | undefined): readonly Addr[] {
    try {
      return this.#addrsBeside(localAddr, device)
    } catch (error) {
      // without these addresses the session can still tell of routes of its own address family
      this.#log.warn('the addresses of this node cannot be read', { error: messageOf(error) })
      return []
    }
  }

  #addrsBeside(localAddr: Addr, device: string | undefined): readonly Addr[] {
    const all = listAddresses(this.#netlink)
    const index =
      device === undefined
        ? all.find(({ addr }) => addr.equals(localAddr))?.index
        : listLinks(this.#netlink).find(({ name }) => name === device)?.index
    return all.flatMap((each) => (each.index === index && !each.addr.equals(localAddr) ? [each.addr] : []))
  }

  /** Why nobody can be at the other end of a device; undefined: somebody can, as far as this node knows. */
  troubleOf(device: string): string | undefined {
    try {
      const link = listLinks(this.#netlink).find(({ name }) => name === device)
      return link === undefined
        ? `this node has no device ${device}`
        : link.isUp
          ? undefined
          : `device ${device} is down`
    } catch (error) {
      return `the devices of this node cannot be read: ${messageOf(error)}`
    }
  }

  /** Who answered last on the device; asks again for the next time. */
  linkLocalOf(device: string): Addr | undefined {
    if (this.troubleOf(device) !== undefined) return undefined
    if (!this.#asking.has(device)) void this.#ask(device)
    return this.#found.get(device)
  }

  async #ask(device: string): Promise<void> {
    this.#asking.add(device)
    try {
      const own = listAddresses(this.#netlink).map(({ addr }) => addr)
      const found = await findLinkLocal(device, own)
      if (found) this.#found.set(device, found)
      else this.#found.delete(device)
    } catch (error) {
      this.#log.warn('the neighbour on a link cannot be looked for', { device, error: messageOf(error) })
    } finally {
      this.#asking.delete(device)
    }
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]()
  }
}
