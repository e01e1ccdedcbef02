// A netlink client for changes that take the kernel long, such as deleting devices: the event loop goes on meanwhile.
import { InOrder } from '#/lib/in-order.ts'
import { NETLINK_ROUTE, RequestSocket } from '#/sys/netlink-socket.ts'
import { type Netns } from '#/sys/netns.ts'
import { acknowledged, Channel, type Operation } from './netlink.ts'

export class AsyncNetlink implements Disposable {
  readonly #channel: Channel
  readonly #order = new InOrder()

  /** Opens the client in the namespace of the calling thread, or in the one given. */
  constructor(netns?: Netns) {
    const open = (): RequestSocket => new RequestSocket(NETLINK_ROUTE)
    this.#channel = new Channel(netns ? netns.run(open) : open())
  }

  /** The socket's port id. A kernel notification carries that of the socket through which the change was made. */
  get portId(): number {
    return this.#channel.portId
  }

  /** Carries out one operation on a thread of libuv's pool, after all operations given before. Throws KernelError. */
  async execute(operation: Operation): Promise<void> {
    return this.#order.run(async () => {
      const first = await this.#channel.sendAside([acknowledged(operation)])
      const [error] = this.#channel.acknowledgements([operation], first)
      if (error) throw error
    })
  }

  /** Closes the socket after the operations given so far are done. */
  [Symbol.dispose](): void {
    void this.#order.run(async () => this.#channel[Symbol.dispose]())
  }
}
