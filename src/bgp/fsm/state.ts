// The values of the state machine: its states, its events and its actions. RFC 4271 section 8 has one machine for each connection and says
// when two of them collide. Here all connections of a peer are in one state, so that "never two established" can be read from it, and
// ConnectRetryTimer, which belongs to the peer, exists once.
import { type Addr } from '#/lib/addr.ts'
import { type SessionState } from '#/model/bgp.ts'
import { type Notification } from '#/wire/bgp/values.ts'

/** The states of a connection after TCP has established it. */
export type Phase = Extract<SessionState, 'OpenSent' | 'OpenConfirm' | 'Established'>

/** What the machine needs from the peer's OPEN, after it was found good. */
export type Agreed = {
  readonly routerId: Addr
  readonly asn: number
  /** The negotiated hold time; 0: neither the hold nor the keepalive timer runs. */
  readonly holdTimeSeconds: number
  readonly keepaliveSeconds: number
  /** Graceful restart (RFC 4724) was agreed on: routes outlive the connection. */
  readonly keepsRoutes: boolean
}

export type ConnectionState = {
  readonly id: number
  /** This side connected, not the peer. */
  readonly isOurs: boolean
  readonly phase: Phase
  /** Set from OpenConfirm on. */
  readonly agreed?: Agreed
  /**
   * The peer's OPEN on this connection is not answered yet, because another connection, whose OPEN may be on its way, would win the
   * collision.
   */
  readonly isWithheld?: boolean
  /** The peer's KEEPALIVE arrived while this connection was withheld. */
  readonly isConfirmed?: boolean
}

export type FsmState = {
  /** True between the start and stop events. */
  readonly isRunning: boolean
  readonly isConnecting: boolean
  /** ConnectRetryTimer runs. It always runs while a connection attempt is under way. */
  readonly isWaiting: boolean
  /** An OPEN was refused by one side: there is no new attempt before the retry timer is due. */
  readonly isHeld: boolean
  /** At most one connection of ours, one of the peer's that is not yet established, and one established. */
  readonly connections: readonly ConnectionState[]
}

export type FsmSettings = {
  readonly routerId: Addr
  readonly asn: number
  /** Whether this side connects; false for a passive peer. */
  readonly connects: boolean
}

export type FsmEvent =
  | { readonly kind: 'start' }
  /** Without a notification the connections just close, as in a restart. `isHard`: see `drop`. */
  | { readonly kind: 'stop'; readonly notification?: Notification; readonly isHard?: boolean }
  | { readonly kind: 'retryDue' }
  | { readonly kind: 'connected'; readonly id: number }
  | { readonly kind: 'connectFailed' }
  | { readonly kind: 'accepted'; readonly id: number }
  | ConnectionEvent

/** An event of one connection; ignored when that connection no longer exists. */
export type ConnectionEvent = { readonly id: number } & (
  | { readonly kind: 'opened'; readonly agreed: Agreed }
  | { readonly kind: 'openRefused' | 'malformed'; readonly notification: Notification }
  | { readonly kind: 'notified'; readonly notification: Notification }
  | { readonly kind: 'keepalive' | 'update' | 'refresh' }
  | { readonly kind: 'holdExpired' | 'keepaliveDue' | 'sendHoldExpired' | 'closed' | 'bfdDown' | 'maxPrefixes' }
)

/** How an established session ended. */
export type DownCause =
  | { readonly kind: 'closed' }
  /** The session was replaced by a new connection of the peer, which restarted (RFC 4724 section 4.2). */
  | { readonly kind: 'replaced' }
  | { readonly kind: 'stopped' | 'bfdDown' | 'maxPrefixes' }
  | { readonly kind: 'sent' | 'received'; readonly notification: Notification }

export type FsmAction =
  | { readonly kind: 'connect' | 'abortConnect' | 'stopRetry' }
  /** `after` decides the length: the peer was not reached, an OPEN was refused by one side, or an established session was lost. */
  | { readonly kind: 'startRetry'; readonly after: 'failed' | 'refused' | 'lost' }
  | { readonly kind: 'sendOpen' | 'sendKeepalive'; readonly id: number }
  /** Starts the timer, or starts it anew; 0 stops it. */
  | { readonly kind: 'setHold' | 'setKeepalive'; readonly id: number; readonly seconds: number }
  /** Restarts the hold timer, because a message of the peer arrived that keeps the session alive. */
  | { readonly kind: 'touchHold'; readonly id: number }
  /**
   * Sends the notification and closes. `isHard`: sends it as Hard Reset, for a peer that would otherwise keep routes over a notification
   * (RFC 8538 section 3).
   */
  | { readonly kind: 'drop'; readonly id: number; readonly notification?: Notification; readonly isHard?: boolean }
  | { readonly kind: 'established'; readonly id: number }
  /** Sent before the connection is dropped. */
  | { readonly kind: 'down'; readonly id: number; readonly cause: DownCause }

export type FsmStep = { readonly state: FsmState; readonly actions: readonly FsmAction[] }

export const initialState: FsmState = {
  isRunning: false,
  isConnecting: false,
  isWaiting: false,
  isHeld: false,
  connections: [],
}

/** The RFC's name for the state of the connection that has come furthest. */
export function nameOf(state: FsmState): SessionState {
  for (const phase of ['Established', 'OpenConfirm', 'OpenSent'] as const)
    if (state.connections.some((connection) => connection.phase === phase)) return phase
  if (state.isConnecting) return 'Connect'
  return state.isRunning && !state.isHeld ? 'Active' : 'Idle'
}
