// Decides when a node may delete a tunnel that no node seems to need any more. Other nodes may still send VXLAN because of what this
// node published last, so the tunnel stays for a while after the Node object says that this node no longer accepts VXLAN.
import { plainVxlan, type RoutingState } from '#/model/routing.ts'

/** How long an unneeded tunnel stays: longer than the worst lag of a watch. */
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
  /** When all nodes could first know that this node no longer accepts VXLAN. */
  #refusedSinceMs: number | undefined

  /** `nowMs` is a monotonic clock. */
  constructor({ nowMs }: { readonly nowMs: () => number }) {
    this.#nowMs = nowMs
  }

  /** Whether the tunnel must exist now. */
  isDue({ isNeeded, isComplete, hasDevice, published = plainVxlan }: TunnelFacts): boolean {
    if (isNeeded || !isComplete || published.accepts.includes('vxlan')) {
      this.#refusedSinceMs = undefined
      // until all nodes are known, the best guess is what an earlier agent left: its tunnel stays
      return isNeeded || isComplete || hasDevice
    }
    this.#refusedSinceMs ??= this.#nowMs()
    return hasDevice && this.#nowMs() - this.#refusedSinceMs < tunnelLingerMs
  }
}
