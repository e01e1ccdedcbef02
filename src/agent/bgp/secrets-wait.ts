// Plans wait for passwords that have not been read yet. Without, a session that is there would end, and one that is not would count
// as one that cannot be: nobody waits for its routes, and those that an earlier agent left in the kernel are swept.
import { type Clock } from '#/cluster/clock.ts'
import { type SecretRef, secretKey } from '#/model/bgp-sections.ts'
import { type Secrets } from '#/plan/bgp-passwords.ts'

/** An API that gives all objects but a Secret keeps the other sessions from being configured no longer than this. */
const longestMs = 30_000

export class SecretsWait {
  readonly #deps: { readonly clock: Clock; readonly onOver: () => void }
  #sinceMs: number | undefined
  #cancel: (() => void) | undefined

  constructor(deps: { readonly clock: Clock; readonly onOver: () => void }) {
    this.#deps = deps
  }

  /** Whether a plan that wants these is to wait; `onOver` is called when it has for long enough. */
  isOn(wanted: readonly SecretRef[], known: Secrets): boolean {
    if (wanted.every((ref) => known.has(secretKey(ref)))) {
      this.cancel()
      return false
    }
    const { clock, onOver } = this.#deps
    const nowMs = clock.monotonicMs()
    this.#sinceMs ??= nowMs
    this.#cancel ??= clock.after(longestMs, onOver)
    return nowMs - this.#sinceMs < longestMs
  }

  cancel(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#sinceMs = undefined
  }
}
