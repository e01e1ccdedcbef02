// The values of the state machine: what it is in, what happens to it, what it wants done.
// RFC 4271 section 8 has one machine for each connection and says when two of them collide. Here a peer's connections are one state, so
// that "never two established" can be read from it, and ConnectRetryTimer, which is the peer's, is not there twice.
import { type Addr } from '#/lib/addr.ts'
import { type SessionState } from '#/model/bgp.ts'
import { type Notification } from '#/wire/bgp/values.ts'

/** States of a connection that TCP has made. */
export type Phase = Extract<SessionState, 'OpenSent' | 'OpenConfirm' | 'Established'>

/** What the peer's OPEN, which was found good, has for the machine. */
export type Agreed = {
  readonly routerId: Addr
  readonly asn: number
  /** Negotiated; 0: neither timer runs. */
  readonly holdTimeSeconds: number
  readonly keepaliveSeconds: number
  /** RFC 4724 was agreed on: routes outlive the connection. */
  readonly keepsRoutes: boolean
}

export type ConnectionState = {
  readonly id: number
  /** We connected, not the peer. */
  readonly isOurs: boolean
  readonly phase: Phase
  /** From OpenConfirm on. */
  readonly agreed?: Agreed
  /** Its OPEN is not answered yet: another connection, whose OPEN may be on its way, would win over it. */
  readonly isWithheld?: boolean
  /** The peer's KEEPALIVE came to it meanwhile. */
  readonly isConfirmed?: boolean
}

export type FsmState = {
  /** Between start and stop. */
  readonly isRunning: boolean
  readonly isConnecting: boolean
  /** ConnectRetryTimer runs; always while it connects. */
  readonly isWaiting: boolean
  /** An OPEN was refused, here or there: nothing is tried before the retry timer is due. */
  readonly isHeld: boolean
  /** At most one of ours, one of the peer's that is not yet established, and one established. */
  readonly connections: readonly ConnectionState[]
}

export type FsmSettings = {
  readonly routerId: Addr
  readonly asn: number
  /** False for a passive peer. */
  readonly connects: boolean
}

export type FsmEvent =
  | { readonly kind: 'start' }
  /** Without a notification connections just end, as a restart ends them. `isHard`: see `drop`. */
  | { readonly kind: 'stop'; readonly notification?: Notification; readonly isHard?: boolean }
  | { readonly kind: 'retryDue' }
  | { readonly kind: 'connected'; readonly id: number }
  | { readonly kind: 'connectFailed' }
  | { readonly kind: 'accepted'; readonly id: number }
  | ConnectionEvent

/** Of one connection; of one that is no more they are ignored. */
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
  /** A connection of the peer's, which restarted, has taken its place (RFC 4724 section 4.2). */
  | { readonly kind: 'replaced' }
  | { readonly kind: 'stopped' | 'bfdDown' | 'maxPrefixes' }
  | { readonly kind: 'sent' | 'received'; readonly notification: Notification }

export type FsmAction =
  | { readonly kind: 'connect' | 'abortConnect' | 'stopRetry' }
  /** Why tells how long: it was not reached, an OPEN was refused here or there, or an established session was lost. */
  | { readonly kind: 'startRetry'; readonly after: 'failed' | 'refused' | 'lost' }
  | { readonly kind: 'sendOpen' | 'sendKeepalive'; readonly id: number }
  /** Starts it, or starts it anew. 0: it is not to run. */
  | { readonly kind: 'setHold' | 'setKeepalive'; readonly id: number; readonly seconds: number }
  /** A message of the peer has come that keeps the session alive. */
  | { readonly kind: 'touchHold'; readonly id: number }
  /**
   * Sends the notification and closes. `isHard`: as Hard Reset, where the peer would keep routes over a notification (RFC 8538
   * section 3).
   */
  | { readonly kind: 'drop'; readonly id: number; readonly notification?: Notification; readonly isHard?: boolean }
  | { readonly kind: 'established'; readonly id: number }
  /** Before it is dropped. */
  | { readonly kind: 'down'; readonly id: number; readonly cause: DownCause }

export type FsmStep = { readonly state: FsmState; readonly actions: readonly FsmAction[] }

export const initialState: FsmState = {
  isRunning: false,
  isConnecting: false,
  isWaiting: false,
  isHeld: false,
  connections: [],
}

/** The state's name in the RFC: of the connection that has come furthest. */
export function nameOf(state: FsmState): SessionState {
  for (const phase of ['Established', 'OpenConfirm', 'OpenSent'] as const)
    if (state.connections.some((connection) => connection.phase === phase)) return phase
  if (state.isConnecting) return 'Connect'
  return state.isRunning && !state.isHeld ? 'Active' : 'Idle'
}
