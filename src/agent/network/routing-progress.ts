// How far this node is on its way from one routing to another: whether its tunnel must exist, whether it does, and by which ways packets
// travel. docs/routing.md tells the order of such a change: accept both ways, send by the new one, then drop the old one.
import { type ObjectKind } from '#/model/object-kinds.ts'
import { type RoutingState } from '#/model/routing.ts'
import { type RemoteNodes } from '#/plan/remote-nodes.ts'
import { routingStateFor } from '#/plan/routing-state.ts'
import { TunnelLifetime } from './tunnel-lifetime.ts'

export type RoutingFacts = {
  readonly remoteNodes: Pick<RemoteNodes, 'needsOverlay' | 'routing' | 'wayCounts'>
  /** Whether all nodes are known. */
  readonly isComplete: boolean
  /** The routing state that this node has published. */
  readonly published: RoutingState | undefined
}

export class RoutingProgress {
  readonly #lifetime: TunnelLifetime
  #isTunnelDue = true
  #hasTunnel = false
  #state: RoutingState | undefined

  /** `nowMs` is a monotonic clock. */
  constructor(clock: { readonly nowMs: () => number }) {
    this.#lifetime = new TunnelLifetime(clock)
  }

  /** Whether the tunnel must exist now. */
  get isTunnelDue(): boolean {
    return this.#isTunnelDue
  }

  /** Whether the last plan that was applied has the tunnel. */
  get hasTunnel(): boolean {
    return this.#hasTunnel
  }

  /** How packets travel, as the kernel is set up; undefined until all nodes are known. */
  get state(): RoutingState | undefined {
    return this.#state
  }

  /** Decides whether the tunnel must exist; true when that has changed. `hasDevice`: the tunnel's device was found in the kernel. */
  decideTunnel({ remoteNodes, isComplete, published }: RoutingFacts, hasDevice: boolean): boolean {
    const isDue = this.#lifetime.isDue({
      // a route that could not be changed still leads through the tunnel
      isNeeded: remoteNodes.needsOverlay || this.#state?.sends.includes('vxlan') === true,
      isComplete,
      hasDevice: this.#hasTunnel || hasDevice,
      published,
    })
    const hasChanged = isDue !== this.#isTunnelDue
    this.#isTunnelDue = isDue
    return hasChanged
  }

  /** Takes in that a plan was applied. */
  tunnelApplied(hasTunnel: boolean): void {
    this.#hasTunnel = hasTunnel
  }

  /** Takes in the outcome of a pass: the kinds of object that failed in it. */
  settle({ remoteNodes, isComplete, published }: RoutingFacts, failedKinds: ReadonlySet<ObjectKind>): void {
    if (!isComplete) return
    this.#state = routingStateFor({
      mode: remoteNodes.routing,
      counts: remoteNodes.wayCounts,
      needsOverlay: remoteNodes.needsOverlay,
      hasOverlay: this.#hasTunnel,
      failedKinds,
      before: this.#state ?? published,
    })
  }
}
