// The connections to the server of the page, which are so many at most. All users of a computer may connect to its loopback addresses, and do so without
// the token too: their connections give way, the oldest first, so that who has the token gets through.
import { type Socket } from 'node:net'

export class Connections {
  readonly #most: number
  /** Those that have not shown the token, in the order in which they came. */
  readonly #strangers = new Set<Socket>()
  readonly #known = new Set<Socket>()

  constructor(most: number) {
    this.#most = most
  }

  add(socket: Socket): void {
    this.#strangers.add(socket)
    socket.once('close', () => this.#forget(socket))
    if (this.#strangers.size + this.#known.size <= this.#most) return
    const [oldest] = this.#strangers
    if (oldest === undefined) return
    this.#forget(oldest)
    oldest.destroy()
  }

  /** It has shown the token. */
  know(socket: Socket): void {
    if (this.#strangers.delete(socket)) this.#known.add(socket)
  }

  #forget(socket: Socket): void {
    this.#strangers.delete(socket)
    this.#known.delete(socket)
  }
}
