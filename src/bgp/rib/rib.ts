// The routing information base: all routes of all neighbours, what is chosen of them, and who is told (RFC 4271 section 3.2).
import { type Family } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { type AdvertisedStatus, type LearnedRouteChange, type PathStatus, type SpeakerConfig } from '#/model/bgp.ts'
import { type RouteRefresh, type Update } from '#/wire/bgp/values.ts'
import { type Neighbour, type Outlet, type RouteSink, type SessionEnd } from '../contract.ts'

export type RibDeps = {
  readonly log: Logger
  /** Calls back on a later turn of the event loop, after I/O. */
  readonly defer: (work: () => void) => void
  /** What is chosen for prefixes that are not our own: only what differs from what was told before. */
  readonly onRoutes: (changes: readonly LearnedRouteChange[]) => void
  /** Monotonic. */
  readonly nowMs: () => number
}

/** What is absent matches everything. `prefix` is in canonical text. */
export type PathFilter = { readonly prefix?: string; readonly family?: Family; readonly peer?: string }

export class Rib implements RouteSink {
  readonly #deps: RibDeps
  #config: SpeakerConfig

  constructor(config: SpeakerConfig, deps: RibDeps) {
    this.#config = config
    this.#deps = deps
  }

  configure(config: SpeakerConfig): void {
    this.#config = config
  }

  up(_neighbour: Neighbour, _outlet: Outlet): { readonly onDrain: () => void } {
    this.#deps.log.debug('up', { asn: this.#config.asn })
    return { onDrain: () => {} }
  }

  down(_neighbour: Neighbour, _end: SessionEnd): void {}

  update(_neighbour: Neighbour, _update: Update): void {}

  refresh(_neighbour: Neighbour, _refresh: RouteRefresh): void {}

  sweepStale(_peer: string, _family: Family, _options?: { readonly toLongLived: boolean }): void {}

  counts(_peer: string): { readonly received: number; readonly accepted: number; readonly advertised: number } {
    return { received: 0, accepted: 0, advertised: 0 }
  }

  /** Every path that is held, also refused ones, with the reason for its place. */
  paths(_filter: PathFilter = {}): PathStatus[] {
    return []
  }

  /** What a neighbour has been told, or is being told. */
  advertised(_peer: string): AdvertisedStatus[] {
    return []
  }
}
