// Passwords on the listener (RFC 2385): the kernel has them by address, peers come and go.
import { type Addr } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { type Listener } from '../contract.ts'

type Password = { readonly addr: Addr; readonly password: string }

export class Passwords {
  readonly #deps: { readonly listener: Listener; readonly log: Logger }
  readonly #set = new Map<string, Password>()

  constructor(deps: { readonly listener: Listener; readonly log: Logger }) {
    this.#deps = deps
  }

  /** All there are; what was set before and is not among them is taken back. */
  set(wanted: readonly Password[]): void {
    const kept = new Set(wanted.map(({ addr }) => String(addr)))
    for (const [key, { addr }] of this.#set) {
      if (kept.has(key)) continue
      this.#tell(addr, undefined)
      this.#set.delete(key)
    }
    for (const { addr, password } of wanted) {
      const key = String(addr)
      if (this.#set.get(key)?.password === password) continue
      if (this.#tell(addr, password)) this.#set.set(key, { addr, password })
    }
  }

  /** Whether connections from there are taken with that password alone. */
  guards(addr: Addr, password: string): boolean {
    return this.#set.get(String(addr))?.password === password
  }

  /** One that the kernel refuses is tried again with the next change, and keeps no other from being set. */
  #tell(addr: Addr, password: string | undefined): boolean {
    try {
      this.#deps.listener.setPassword(addr, password)
      return true
    } catch (error) {
      this.#deps.log.error('could not set the password of a peer', { addr, error })
      return false
    }
  }
}
