// The state machine of RFC 4271 section 8 as a pure function: event in, next state and actions out. It knows neither time nor sockets. It
// includes FSM error subcodes (RFC 6608), the send hold timer (RFC 9687), equal router ids in two ASes (RFC 6286), and connections of a
// peer that restarted (RFC 4724 section 5).
import { type Notification } from '#/wire/bgp/values.ts'
import {
  bfdWentDown,
  collisionResolved,
  holdTimerExpired,
  isCollision,
  maxPrefixesReached,
  sendHoldTimerExpired,
  unexpectedMessage,
} from './notices.ts'
import {
  type Agreed,
  type ConnectionEvent,
  type ConnectionState,
  type DownCause,
  type FsmAction,
  type FsmEvent,
  type FsmSettings,
  type FsmState,
  type FsmStep,
  initialState,
} from './state.ts'

/** How long to wait for an OPEN: the "large value" that the RFC suggests. */
export const openHoldSeconds = 240

/** How long a connection waits for the OPEN of another connection that would win the collision. */
export const collisionWaitSeconds = 1

const stay = (state: FsmState, ...actions: FsmAction[]): FsmStep => ({ state, actions })

/** Handles every event in every state; an event that does not fit the state changes nothing. */
export function step(settings: FsmSettings, state: FsmState, event: FsmEvent): FsmStep {
  switch (event.kind) {
    case 'start':
      return start(settings, state)
    case 'stop':
      return stop(state, event)
    case 'retryDue':
      return retry(settings, state)
    case 'connected':
      return connected(state, event.id)
    case 'connectFailed':
      if (!state.isConnecting) return stay(state)
      return stay({ ...state, isConnecting: false, isWaiting: true }, { kind: 'startRetry', after: 'failed' })
    case 'accepted':
      return accepted(state, event.id)
    default: {
      const connection = state.connections.find(({ id }) => id === event.id)
      return connection === undefined ? stay(state) : onConnection(settings, state, connection, event)
    }
  }
}

function start(settings: FsmSettings, state: FsmState): FsmStep {
  if (state.isRunning) return stay(state)
  const running = { ...state, isRunning: true }
  return settings.connects ? connect(running) : stay(running)
}

function connect(state: FsmState): FsmStep {
  const abort: FsmAction[] = state.isConnecting ? [{ kind: 'abortConnect' }] : []
  return {
    state: { ...state, isConnecting: true, isWaiting: true, isHeld: false },
    actions: [...abort, { kind: 'connect' }, { kind: 'startRetry', after: 'failed' }],
  }
}

function stop(state: FsmState, event: FsmEvent & { kind: 'stop' }): FsmStep {
  if (!state.isRunning) return stay(state)
  const { notification, isHard } = event
  const cause: DownCause = notification === undefined || isHard ? { kind: 'stopped' } : { kind: 'sent', notification }
  const actions = state.connections.flatMap((connection) =>
    end(connection, cause, { ...(notification && { notification }), ...(isHard && { isHard }) }),
  )
  if (state.isConnecting) actions.push({ kind: 'abortConnect' })
  actions.push({ kind: 'stopRetry' })
  return { state: initialState, actions }
}

function retry(settings: FsmSettings, state: FsmState): FsmStep {
  if (!state.isRunning) return stay(state)
  const isOurTurn = settings.connects && !hasHope(state.connections)
  return isOurTurn ? connect(state) : stay({ ...state, isWaiting: false, isHeld: false })
}

/**
 * Whether any connection may still be established. A connection that the peer began and that has sent no OPEN may be dead, so it does not
 * count.
 */
function hasHope(connections: readonly ConnectionState[]): boolean {
  return connections.some(({ isOurs, phase }) => isOurs || phase !== 'OpenSent')
}

function connected(state: FsmState, id: number): FsmStep {
  if (!state.isConnecting) return stay(state, { kind: 'drop', id })
  const next = { ...state, isConnecting: false, isWaiting: false }
  return opening(next, { id, isOurs: true, phase: 'OpenSent' }, [{ kind: 'stopRetry' }])
}

function accepted(state: FsmState, id: number): FsmStep {
  if (!state.isRunning) return stay(state, { kind: 'drop', id })
  // A peer that connects again has given up its earlier connection.
  const earlier = state.connections.filter(({ isOurs, phase }) => !isOurs && phase === 'OpenSent')
  const actions = earlier.flatMap((connection) =>
    end(connection, { kind: 'replaced' }, { notification: collisionResolved }),
  )
  // A peer that died without a FIN answers this KEEPALIVE with RST, so it is back at once instead of after the hold time.
  const established = state.connections.find(({ phase }) => phase === 'Established')
  if (established !== undefined) actions.push({ kind: 'sendKeepalive', id: established.id })
  const others = state.connections.filter((connection) => !earlier.includes(connection))
  const next = { ...state, isHeld: false, connections: others }
  return opening(next, { id, isOurs: false, phase: 'OpenSent' }, actions)
}

function opening(state: FsmState, connection: ConnectionState, before: readonly FsmAction[]): FsmStep {
  const { id } = connection
  return {
    state: { ...state, connections: [...state.connections, connection] },
    actions: [...before, { kind: 'sendOpen', id }, { kind: 'setHold', id, seconds: openHoldSeconds }],
  }
}

function onConnection(
  settings: FsmSettings,
  state: FsmState,
  connection: ConnectionState,
  event: ConnectionEvent,
): FsmStep {
  const { id, phase } = connection
  const fail = (notification: Notification): FsmStep =>
    lose(settings, state, connection, { kind: 'sent', notification }, { notification })
  switch (event.kind) {
    case 'opened':
      return phase === 'OpenSent' ? opened(settings, state, connection, event.agreed) : fail(unexpectedMessage(phase))
    case 'openRefused':
      return fail(phase === 'OpenSent' ? event.notification : unexpectedMessage(phase))
    case 'malformed':
      return fail(event.notification)
    case 'notified':
      // A NOTIFICATION is never answered by another one (section 6.4), though section 8.2.2 lists it with FSM errors of OpenSent.
      return lose(settings, state, connection, { kind: 'received', notification: event.notification }, {})
    case 'keepalive':
      if (phase === 'OpenSent') return fail(unexpectedMessage(phase))
      if (connection.isWithheld === true) return stay(withConnection(state, { ...connection, isConfirmed: true }))
      return phase === 'OpenConfirm' ? establish(state, connection) : stay(state, { kind: 'touchHold', id })
    case 'update':
      if (phase !== 'Established') return fail(unexpectedMessage(phase))
      return stay(state, { kind: 'touchHold', id })
    case 'refresh':
      return phase === 'Established' ? stay(state) : fail(unexpectedMessage(phase))
    case 'holdExpired':
      return connection.isWithheld === true ? release(state, connection) : fail(holdTimerExpired)
    case 'keepaliveDue':
      return phase === 'OpenSent' ? stay(state) : stay(state, { kind: 'sendKeepalive', id })
    case 'sendHoldExpired':
      return fail(sendHoldTimerExpired)
    case 'closed':
      return lose(settings, state, connection, { kind: 'closed' }, undefined)
    case 'bfdDown':
      return phase === 'Established'
        ? lose(settings, state, connection, { kind: 'bfdDown' }, { notification: bfdWentDown })
        : stay(state)
    case 'maxPrefixes':
      return phase === 'Established' ? overLimit(state, connection) : stay(state)
  }
}

/** Handles a good OPEN: collisions are resolved now (section 6.8). */
function opened(settings: FsmSettings, state: FsmState, connection: ConnectionState, agreed: Agreed): FsmStep {
  const lost = (): FsmStep =>
    lose(
      settings,
      state,
      connection,
      { kind: 'sent', notification: collisionResolved },
      { notification: collisionResolved },
    )
  const rival = state.connections.find(({ id, phase }) => id !== connection.id && phase !== 'OpenSent')
  const actions: FsmAction[] = []
  if (rival?.phase === 'Established') {
    const isRestart = !connection.isOurs && rival.agreed?.keepsRoutes === true
    if (!isRestart) return lost()
    actions.push(...end(rival, { kind: 'replaced' }, {}))
  } else if (rival !== undefined) {
    if (connection.isOurs !== winsOver(settings, agreed)) return lost()
    actions.push(...end(rival, { kind: 'replaced' }, { notification: collisionResolved }))
  }
  const { id } = connection
  if (state.isConnecting) actions.push({ kind: 'abortConnect' })
  actions.push({ kind: 'stopRetry' })
  const connections = state.connections.filter((other) => other.id !== rival?.id)
  const next = { ...state, isConnecting: false, isWaiting: false, isHeld: false, connections }
  const confirmed = { ...connection, phase: 'OpenConfirm' as const, agreed }
  const isWithheld = connections.some(
    (other) => other.id !== id && other.phase === 'OpenSent' && other.isOurs === winsOver(settings, agreed),
  )
  if (!isWithheld) return { state: withConnection(next, confirmed), actions: [...actions, ...confirmation(confirmed)] }
  actions.push({ kind: 'setHold', id, seconds: collisionWaitSeconds })
  return { state: withConnection(next, { ...confirmed, isWithheld }), actions }
}

function withConnection(state: FsmState, connection: ConnectionState): FsmState {
  return { ...state, connections: state.connections.map((each) => (each.id === connection.id ? connection : each)) }
}

function confirmation({ id, agreed }: ConnectionState): FsmAction[] {
  if (agreed === undefined) return []
  return [
    { kind: 'sendKeepalive', id },
    { kind: 'setHold', id, seconds: agreed.holdTimeSeconds },
    { kind: 'setKeepalive', id, seconds: agreed.keepaliveSeconds },
  ]
}

/**
 * Answers the OPEN of a connection that was withheld, because the connection that would have won has ended. If both sides answered the OPEN
 * that each sees first, each could find a connection established that the other one, seeing the collision, has just closed.
 */
function release(state: FsmState, withheld: ConnectionState): FsmStep {
  const { isWithheld: _, isConfirmed, ...connection } = withheld
  const actions = confirmation(connection)
  if (isConfirmed !== true) return { state: withConnection(state, connection), actions }
  const established = establish(state, connection)
  return { state: established.state, actions: [...actions, ...established.actions] }
}

/** Whether the connection that we began is the one to keep. Two ASes may use one router id (RFC 6286 section 2.3). */
function winsOver(settings: FsmSettings, remote: Agreed): boolean {
  const order = settings.routerId.compare(remote.routerId)
  return order === 0 ? settings.asn > remote.asn : order > 0
}

function establish(state: FsmState, connection: ConnectionState): FsmStep {
  const { id } = connection
  const others = state.connections.filter((other) => other.id !== id)
  const actions = others.flatMap((other) => end(other, { kind: 'replaced' }, { notification: collisionResolved }))
  actions.push({ kind: 'touchHold', id }, { kind: 'established', id })
  return { state: { ...state, connections: [{ ...connection, phase: 'Established' }] }, actions }
}

/**
 * The peer sent more prefixes than its limit. The session stays down until it is started again, else it would be over the limit again in a
 * moment.
 */
function overLimit(state: FsmState, connection: ConnectionState): FsmStep {
  const others = state.connections.filter(({ id }) => id !== connection.id)
  return {
    state: initialState,
    actions: [
      ...end(connection, { kind: 'maxPrefixes' }, { notification: maxPrefixesReached, isHard: true }),
      ...others.flatMap((other) => end(other, { kind: 'stopped' }, { notification: maxPrefixesReached })),
      { kind: 'stopRetry' },
    ],
  }
}

type Farewell = { readonly notification?: Notification; readonly isHard?: boolean }

/** Ends a connection. `farewell` is undefined when TCP has closed it already. */
function end(connection: ConnectionState, cause: DownCause, farewell: Farewell | undefined): FsmAction[] {
  const { id } = connection
  const actions: FsmAction[] = []
  if (connection.phase === 'Established') actions.push({ kind: 'down', id, cause })
  if (farewell !== undefined) actions.push({ kind: 'drop', id, ...farewell })
  return actions
}

/** Ends a connection; when no other one may still be established, starts the wait for another attempt. */
function lose(
  settings: FsmSettings,
  state: FsmState,
  connection: ConnectionState,
  cause: DownCause,
  farewell: Farewell | undefined,
): FsmStep {
  const connections = state.connections.filter(({ id }) => id !== connection.id)
  const actions = end(connection, cause, farewell)
  const withheld = connections.find(({ isWithheld }) => isWithheld === true)
  if (withheld !== undefined) {
    const released = release({ ...state, connections }, withheld)
    return { state: released.state, actions: [...actions, ...released.actions] }
  }
  if (!settings.connects || state.isWaiting || hasHope(connections))
    return { state: { ...state, connections }, actions }
  const after = retryAfter(connection, cause)
  actions.push({ kind: 'startRetry', after })
  const isHeld = after === 'refused' && connections.length === 0
  return { state: { ...state, connections, isWaiting: true, isHeld }, actions }
}

function retryAfter(connection: ConnectionState, cause: DownCause): 'failed' | 'refused' | 'lost' {
  if (connection.phase === 'Established') return 'lost'
  const isRefusal = 'notification' in cause && !isCollision(cause.notification)
  return isRefusal ? 'refused' : 'failed'
}
