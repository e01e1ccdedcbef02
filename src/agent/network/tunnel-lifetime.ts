// When the tunnel of a node may go that no node needs any more, as far as is known. Others may not know yet, and send VXLAN once more
// on the strength of what this one told last; so it goes only a while after the opposite stands on its Node object.
import { plainVxlan, type RoutingState } from '#/model/routing.ts'

/** How long an unneeded tunnel stays: longer than a watch lags at worst. */
export const tunnelLingerMs = 30_000

export type TunnelFacts = {
  readonly isNeeded: boolean
  /** Whether all nodes are known. */
  readonly isComplete: boolean
  readonly hasDevice: boolean
  /** The routing state this node has published. */
  readonly published: RoutingState | undefined
}

export class TunnelLifetime {
  readonly #nowMs: () => number
  /** Since when all can know that nothing is to come. */
  #refusedSinceMs: number | undefined

  /** `nowMs` is a monotonic clock. */
  constructor({ nowMs }: { readonly nowMs: () => number }) {
    this.#nowMs = nowMs
  }

  /** Whether there must be a tunnel. */
  isDue({ isNeeded, isComplete, hasDevice, published = plainVxlan }: TunnelFacts): boolean {
    if (isNeeded || !isComplete || published.accepts.includes('vxlan')) {
      this.#refusedSinceMs = undefined
      // as long as not all nodes are known, what an earlier agent had is what is known best
      return isNeeded || isComplete || hasDevice
    }
    this.#refusedSinceMs ??= this.#nowMs()
    return hasDevice && this.#nowMs() - this.#refusedSinceMs < tunnelLingerMs
  }
}
