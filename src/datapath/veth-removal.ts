// Removes the veths of deleted pods. The kernel takes some 20 ms to delete a device, as it waits for every processor to let go of it,
// but many devices at once take no longer than one. So DEL only unplugs the veth: it is down and out of the bridge when DEL is
// answered, and a second later all unplugged veths are deleted together, off the event loop. When the agent is killed in between,
// the next pass sweeps the veths that belong to no pod.
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AsyncNetlink } from '#/kernel/async-netlink.ts'
import { findLink, findLinkIndex, groupDelete, linkRename, linkSet, linkUnplug } from '#/kernel/links.ts'
import { isNoDevice, Netlink } from '#/kernel/netlink.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { portPrefix, unpluggedGroup } from '#/model/names.ts'
import { Netns } from '#/sys/netns.ts'

/**
 * DELs that come within this time share one deletion. Deletions should be rare, since nobody can change devices while one runs. Mostly
 * none is needed: the runtime has removed the pod's namespace meanwhile, and the kernel has removed the veth with it.
 */
const gatherMs = 1000

/** The veth to cut off: its end on the host and its end in the pod, where its namespace is known and there. */
export type Unplugged = { readonly hostDevice: string; readonly netns: string | undefined; readonly ifName: string }

/** A number of eleven hexadecimal digits that no agent before this one began with; counted up from there, as random ones take long. */
let lastName = randomBytes(6).readUIntBE(0, 6) % 16 ** 11

/** A name for a device that needs none any more. */
function anyName(): string {
  lastName = (lastName + 1) % 16 ** 11
  return portPrefix + lastName.toString(16).padStart(11, '0')
}

function unlessGone(error: unknown): void {
  if (!isNoDevice(error)) throw error
}

export class VethRemoval implements AsyncDisposable {
  readonly #netlink: Netlink
  readonly #aside: AsyncNetlink
  readonly #log: Logger
  /** Veths that are unplugged and not deleted yet. */
  #waiting = new Set<string>()
  #deleting: ReadonlySet<string> = new Set()
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined

  /** Takes over `aside`, and closes it when disposed. */
  constructor(deps: { netlink: Netlink; aside: AsyncNetlink; log: Logger }) {
    this.#netlink = deps.netlink
    this.#aside = deps.aside
    this.#log = deps.log
  }

  get portId(): number {
    return this.#aside.portId
  }

  /**
   * Cuts the pod off and frees the name of its interface within the call; the device is deleted soon after. No error when there is no
   * device. Throws KernelError.
   */
  unplug({ hostDevice, netns, ifName }: Unplugged): void {
    const hostIndex = findLinkIndex(this.#netlink, hostDevice)
    if (hostIndex === undefined) return
    const [failed] = this.#netlink.executeAll([linkUnplug(hostDevice, unpluggedGroup)])
    if (failed) return unlessGone(failed)
    this.#waiting.add(hostDevice)
    this.#running ??= this.#deleteSoon()
    if (netns !== undefined) this.#freeName(netns, ifName, hostIndex)
  }

  /** Renames the pod's end, since another plugin may want the name of the pod's interface at once. */
  #freeName(path: string, ifName: string, hostIndex: number): void {
    try {
      using netns = new Netns(path)
      using inside = Netlink.brief(netns)
      const link = findLink(inside, ifName)
      // the interface is ours only if it is the other end of our veth
      if (link?.kind !== 'veth' || link.peerIndex !== hostIndex) return
      inside.execute(linkSet(ifName, { isUp: false }), linkRename(link, anyName()))
    } catch (error) {
      // harmless: the pod is cut off and the device will be deleted; the namespace may have ended in between
      this.#log.warn('the interface of a deleted pod keeps its name for now', { error: messageOf(error) })
    }
  }

  /** Renames a device that waits for its deletion, for a caller that needs its name now. Nothing else frees it in less than 20 ms. */
  makeWay(hostDevice: string): void {
    const index = this.#waiting.has(hostDevice) ? findLinkIndex(this.#netlink, hostDevice) : undefined
    if (index === undefined) return
    const name = anyName()
    const [failed] = this.#netlink.executeAll([linkRename({ index, name: hostDevice }, name)])
    if (failed) return unlessGone(failed)
    this.#waiting.delete(hostDevice)
    this.#waiting.add(name)
  }

  /** Whether a device is unplugged and about to be deleted here, so that no other code needs to remove it. */
  has(hostDevice: string): boolean {
    return this.#waiting.has(hostDevice) || this.#deleting.has(hostDevice)
  }

  /** Deletes all unplugged devices now, for a caller that needs their name in a namespace. Throws KernelError. */
  flush(): void {
    try {
      this.#netlink.execute(groupDelete(unpluggedGroup))
    } catch (error) {
      unlessGone(error)
    }
  }

  /** Deletes waiting devices in rounds until none waits. Never rejects. */
  async #deleteSoon(): Promise<void> {
    while (this.#waiting.size > 0) {
      await sleep(gatherMs, undefined, { signal: this.#stop.signal }).catch(() => undefined)
      const deleted = this.#waiting
      this.#waiting = new Set()
      this.#deleting = deleted
      try {
        await this.#aside.execute(groupDelete(unpluggedGroup))
      } catch (error) {
        // the next pass of the reconciler sweeps these devices, as veths that belong to no pod
        if (!isNoDevice(error)) this.#log.error('unplugged veths stay for now', { error: messageOf(error) })
      } finally {
        this.#deleting = new Set()
      }
    }
    this.#running = undefined
  }

  /** Deletes all waiting devices, and resolves when they are gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
    this.#aside[Symbol.dispose]()
  }
}
