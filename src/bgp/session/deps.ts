// What a speaker's sessions need from outside: interfaces, so that tests run them without sockets, real time or a node.
import { type Addr } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { type BfdSettings, type PeerStatus } from '#/model/bgp.ts'
import { type SpeakerClock, type RouteSink, type Transport } from '../contract.ts'

export type BfdState = NonNullable<PeerStatus['bfd']>

export interface BfdWatch extends Disposable {
  readonly state: BfdState
}

/** Watches over paths to neighbours (RFC 5880). */
export interface BfdService {
  /** Before a restart: see bfd/service.ts. */
  rest(restartMs: number): void
  /** `onState` is called on later turns, never from within the call, and no more after the watch was disposed of. */
  watch(
    peer: { readonly addr: Addr; readonly localAddr: Addr; readonly device?: string },
    settings: BfdSettings,
    onState: (state: BfdState) => void,
  ): BfdWatch
}

/** What is the speaker's own, the same for all peers. */
export type SpeakerIdentity = {
  readonly routerId: Addr
  readonly localAddrs: readonly Addr[]
}

export type SessionDeps = {
  readonly transport: Transport
  readonly clock: SpeakerClock
  readonly log: Logger
  readonly routes: RouteSink
  readonly bfd?: BfdService
  /** The router at the other end of a link, as the kernel knows it; undefined: none seen yet. */
  readonly linkLocalOf?: (device: string) => Addr | undefined
  /** Why nobody can be at the other end of a link; undefined: somebody can. */
  readonly linkTroubleOf?: (device: string) => string | undefined
  /** Further addresses of the interface that has `localAddr`, for next hops of the other family. */
  readonly localAddrsOf?: (localAddr: Addr, device: string | undefined) => readonly Addr[]
  /** Gives a number in [0, 1). */
  readonly random: () => number
  /** Calls back on a later turn of the event loop, after I/O. */
  readonly defer: (call: () => void) => void
}
