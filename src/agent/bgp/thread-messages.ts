// What the agent and its speaker's thread tell each other. Values with addresses travel as JSON (model/bgp-json.ts): a message port
// takes an object's class away.
import { type Level } from '#/lib/log.ts'
import { type AdvertisedStatus, type PathStatus, type PeerStatus, type RouteFilter } from '#/model/bgp.ts'
import { type PortService } from './compose.ts'

/** How a speaker ends: its neighbours are to wait for it, or not (RFC 4724, RFC 8538). */
export type StopKind = 'restart' | 'shutdown'

/** 'soft' asks the neighbour for its routes again, 'hard' ends the session. */
export type ResetKind = 'soft' | 'hard'

export type Questions = {
  readonly peers: { readonly argument: undefined; readonly answer: readonly PeerStatus[] }
  readonly reset: { readonly argument: { readonly peer: string; readonly how: ResetKind }; readonly answer: boolean }
}
export type Question = keyof Questions

/** What comes in slices, each when it is asked for: a thread that makes a long list at once would be late for its neighbours. */
export type Lists = { readonly paths: PathStatus; readonly advertised: AdvertisedStatus }
export type ListName = keyof Lists

export type Slice<Item> = { readonly items: readonly Item[]; readonly isLast: boolean }

export type ToSpeaker =
  /** The first one starts it. */
  | { readonly kind: 'configure'; readonly config: string }
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question; readonly argument: unknown }
  | { readonly kind: 'list'; readonly id: number; readonly list: ListName; readonly filter: RouteFilter }
  /** Answered with a Slice. */
  | { readonly kind: 'more'; readonly id: number }
  /** Nobody wants the rest of the list. */
  | { readonly kind: 'enough'; readonly id: number }
  | { readonly kind: 'stop'; readonly how: StopKind; readonly text: string }

export type FromSpeaker =
  | { readonly kind: 'routes'; readonly changes: string }
  /** Every neighbour has sent its End-of-RIB, or has had its time (RFC 4724 section 4.1). */
  | { readonly kind: 'ready' }
  /** Whether any session is established, when that changes. */
  | { readonly kind: 'sessions'; readonly hasAny: boolean }
  /** Why nothing comes in by the port of the service; absent: it does. */
  | { readonly kind: 'port'; readonly service: PortService; readonly trouble?: string }
  | { readonly kind: 'answer'; readonly id: number; readonly value?: unknown; readonly error?: string }
  | { readonly kind: 'log'; readonly level: Level; readonly message: string; readonly fields: Record<string, unknown> }
  | { readonly kind: 'failed'; readonly error: string }
  | { readonly kind: 'stopped' }
