// How the veths of deleted pods go. To delete a device takes the kernel some 20 ms, in which it waits for every processor to let go
// of it, but many at once take no longer than one. So DEL only unplugs: the device is down and out of the bridge when it is
// answered, and a moment later all that are unplugged are deleted together, aside of the event loop. What a kill leaves behind
// is a veth that no pod has, which the next pass sweeps.
import { setTimeout as sleep } from 'node:timers/promises'
import { groupDelete, linkUnplug } from '#/kernel/links.ts'
import { KernelError, type Netlink } from '#/kernel/netlink.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { unpluggedGroup } from '#/model/names.ts'

/** DELs that come within this time share one deletion. */
const gatherMs = 20

function unlessGone(error: unknown): void {
  if (!(error instanceof KernelError) || error.code !== 'ENODEV') throw error
}

export class VethRemoval implements AsyncDisposable {
  readonly #netlink: Netlink
  readonly #aside: Netlink
  readonly #log: Logger
  #isWaiting = false
  #running: Promise<void> | undefined

  /** `aside` is a client for this alone: it is busy for as long as a deletion takes. It is closed along with this. */
  constructor(deps: { netlink: Netlink; aside: Netlink; log: Logger }) {
    this.#netlink = deps.netlink
    this.#aside = deps.aside
    this.#log = deps.log
  }

  get portId(): number {
    return this.#aside.portId
  }

  /** The pod is cut off when this returns; its device goes soon after. No error when there is none. Throws KernelError. */
  unplug(hostDevice: string): void {
    try {
      this.#netlink.execute(linkUnplug(hostDevice, unpluggedGroup))
    } catch (error) {
      unlessGone(error)
      return
    }
    this.#isWaiting = true
    this.#running ??= this.#deleteSoon()
  }

  /** Deletes now what is unplugged: somebody needs the name inside of a namespace. Throws KernelError. */
  flush(): void {
    try {
      this.#netlink.execute(groupDelete(unpluggedGroup))
    } catch (error) {
      unlessGone(error)
    }
  }

  /** Never rejects. */
  async #deleteSoon(): Promise<void> {
    while (this.#isWaiting) {
      await sleep(gatherMs)
      this.#isWaiting = false
      try {
        await this.#aside.executeAside(groupDelete(unpluggedGroup))
      } catch (error) {
        // the next pass of the reconciler finds them, as veths that no pod has
        if (!(error instanceof KernelError) || error.code !== 'ENODEV')
          this.#log.error('unplugged veths stay for now', { error: messageOf(error) })
      }
    }
    this.#running = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running
    this.#aside[Symbol.dispose]()
  }
}
