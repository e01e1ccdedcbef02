// Tells the pods of a bridge which MAC an address has now. Whoever talked to the pod that had it before would go on sending to that pod's
// MAC, for up to a minute.
import { type Logger, messageOf } from '#/lib/log.ts'
import { type Addr } from '#/lib/addr.ts'
import { type Netns } from '#/sys/netns.ts'
import { PacketSocket } from '#/sys/packet-socket.ts'
import { announcementOf } from '#/wire/ethernet/announcement.ts'

export class Announcer implements Disposable {
  readonly #log: Logger
  readonly #netns: Netns | undefined
  #socket: PacketSocket | undefined
  #lastError = ''

  /** Sends in the namespace of the calling thread, or in the one given. */
  constructor(deps: { readonly log: Logger; readonly netns?: Netns }) {
    this.#log = deps.log
    this.#netns = deps.netns
  }

  /**
   * Sends a frame for each address out of the device. Does not throw: without it the pod works, and others find it a little later. The log
   * says once why not.
   */
  announce(deviceIndex: number, mac: string, addrs: readonly Addr[]): void {
    try {
      this.#socket ??= this.#netns ? this.#netns.run(() => new PacketSocket()) : new PacketSocket()
      for (const addr of addrs) this.#socket.send(deviceIndex, announcementOf(addr, mac))
      this.#lastError = ''
    } catch (error) {
      const text = messageOf(error)
      if (text !== this.#lastError)
        this.#log.warn(
          "a new pod's address cannot be announced: who talked to the pod that had it before may not reach it for a minute",
          {
            error: text,
          },
        )
      this.#lastError = text
    }
  }

  [Symbol.dispose](): void {
    this.#socket?.[Symbol.dispose]()
  }
}
