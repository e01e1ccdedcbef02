// A BFD session as a pure function: event in, state and what to send out. It does asynchronous mode without echo and authentication (RFC
// 5880 section 6.8). The RFC's state variables are named beside ours. The caller runs the timers; their lengths follow from the state.
import { type BfdSettings } from '#/model/bgp.ts'
import { type BfdPacket, type BfdState, Diagnostic } from '#/wire/bfd/packet.ts'

/** The shortest transmit interval of a session that is not up (section 6.8.3). */
const slowUs = 1_000_000
/** The greatest detection multiplier: Detect Mult is an octet. */
const mostMultiplier = 255
/**
 * The Required Min RX assumed when a session is taken up: what the neighbour was told before the restart is not known, but is less in
 * practice.
 */
const unknownMinRxUs = 2_000_000

export type BfdMachineState = {
  readonly settings: BfdSettings
  /** bfd.SessionState, bfd.RemoteSessionState, bfd.LocalDiag */
  readonly local: BfdState
  readonly remote: BfdState
  readonly diagnostic: number
  /** bfd.LocalDiscr, bfd.RemoteDiscr; 0: nothing was heard within the detection time. */
  readonly localDiscriminator: number
  readonly remoteDiscriminator: number
  /** bfd.DesiredMinTxInterval and bfd.RequiredMinRxInterval, as packets carry them. */
  readonly desiredMinTxUs: number
  readonly requiredMinRxUs: number
  /**
   * The same intervals as this session acts on them: a slower transmission or a faster detection waits for the end of the Poll Sequence.
   */
  readonly usedMinTxUs: number
  readonly usedMinRxUs: number
  /** A Poll Sequence is going on (section 6.5). */
  readonly isPolling: boolean
  /** From the last packet received: bfd.RemoteMinRxInterval, Desired Min TX Interval, Detect Mult, bfd.RemoteDemandMode. */
  readonly remoteMinRxUs: number
  readonly remoteDesiredMinTxUs: number
  readonly remoteMultiplier: number
  readonly remoteIsDemand: boolean
}

export type BfdEvent =
  /** A packet that belongs to this session, by its address or discriminator. */
  | { readonly kind: 'packet'; readonly packet: BfdPacket }
  /** Nothing was heard for `detectionTimeUs`. */
  | { readonly kind: 'detectionExpired' }
  /** A packet for the session as it was before this end restarted: see `adopted`. */
  | { readonly kind: 'adopt'; readonly packet: BfdPacket }
  | { readonly kind: 'rest'; readonly restartMs: number }
  | { readonly kind: 'configure'; readonly settings: BfdSettings }
  | { readonly kind: 'disable' }
  | { readonly kind: 'enable' }

export type BfdStep = {
  readonly state: BfdMachineState
  /** What to send at once: 'final' answers a Poll (section 6.8.7), 'news' tells of a change. */
  readonly send?: 'final' | 'news'
}

const nothingHeard = {
  remoteDiscriminator: 0,
  remoteMinRxUs: 1,
  remoteDesiredMinTxUs: 0,
  remoteMultiplier: 0,
  remoteIsDemand: false,
} as const

export function initialBfdState(localDiscriminator: number, settings: BfdSettings): BfdMachineState {
  const wanted = wantedIntervals(settings, 'Down')
  return {
    settings,
    local: 'Down',
    remote: 'Down',
    diagnostic: Diagnostic.none,
    localDiscriminator,
    ...wanted,
    usedMinTxUs: wanted.desiredMinTxUs,
    usedMinRxUs: wanted.requiredMinRxUs,
    isPolling: false,
    ...nothingHeard,
  }
}

export function bfdStep(state: BfdMachineState, event: BfdEvent): BfdStep {
  switch (event.kind) {
    case 'packet':
      return received(state, event.packet)
    case 'adopt':
      return adopted(state, event.packet)
    case 'rest':
      return rested(state, event.restartMs)
    case 'detectionExpired':
      return expired(state)
    case 'configure': {
      const configured = { ...state, settings: event.settings }
      // Only one Poll Sequence runs at a time: its end starts the next one.
      return { state: state.local === 'Up' && state.isPolling ? configured : negotiate(configured) }
    }
    case 'disable':
      if (state.local === 'AdminDown') return { state }
      return { state: moved(state, 'AdminDown', Diagnostic.administrativelyDown), send: 'news' }
    case 'enable':
      if (state.local !== 'AdminDown') return { state }
      return { state: moved(state, 'Down', Diagnostic.none), send: 'news' }
    default:
      return event satisfies never
  }
}

/**
 * The state to report to watchers. The neighbour's AdminDown is not a failure of the path, and our own state is Down then (RFC 5882 section
 * 4.2), so AdminDown is reported instead of Down until the session comes up again.
 */
export function reportedState({ local, remote }: BfdMachineState): BfdState {
  return local === 'Down' && remote === 'AdminDown' ? 'AdminDown' : local
}

/** The time between two of our packets, before jitter; undefined when only answers to Polls are sent (section 6.8.7). */
export function transmitIntervalUs(state: BfdMachineState): number | undefined {
  if (state.remoteMinRxUs === 0) return undefined
  const isHeldBack = state.remoteIsDemand && state.local === 'Up' && state.remote === 'Up' && !state.isPolling
  return isHeldBack ? undefined : Math.max(state.usedMinTxUs, state.remoteMinRxUs)
}

/** How long the neighbour may be silent; undefined when it was never heard (section 6.8.4). */
export function detectionTimeUs(state: BfdMachineState): number | undefined {
  if (state.remoteDiscriminator === 0) return undefined
  return state.remoteMultiplier * Math.max(state.usedMinRxUs, state.remoteDesiredMinTxUs)
}

export function packetOf(state: BfdMachineState, isFinal: boolean): BfdPacket {
  return {
    state: state.local,
    diagnostic: state.diagnostic,
    // A packet may not carry both bits (section 4.1): a Final is sent at once, so the Poll goes with the next packet.
    isPoll: state.isPolling && !isFinal,
    isFinal,
    isControlPlaneIndependent: false,
    isDemand: false,
    detectMultiplier: state.settings.detectMultiplier,
    myDiscriminator: state.localDiscriminator,
    yourDiscriminator: state.remoteDiscriminator,
    desiredMinTxUs: state.desiredMinTxUs,
    requiredMinRxUs: state.requiredMinRxUs,
    requiredMinEchoRxUs: 0,
  }
}

/** Whether the packet belongs to a session that the neighbour still has up from before this end restarted. */
export function isOfBefore({ state, yourDiscriminator }: BfdPacket): boolean {
  return state === 'Up' && yourDiscriminator !== 0
}

/**
 * Before a restart: announces a transmit interval so long that the neighbour counts this end as alive for the whole restart without a
 * packet. A session that is not up needs no announcement.
 */
function rested(state: BfdMachineState, restartMs: number): BfdStep {
  if (state.local !== 'Up') return { state }
  const intervalUs = Math.ceil((restartMs * 1000) / mostMultiplier)
  const settings = { ...state.settings, detectMultiplier: mostMultiplier }
  const desiredMinTxUs = Math.max(state.desiredMinTxUs, intervalUs)
  return { state: { ...state, settings, desiredMinTxUs, isPolling: true }, send: 'news' }
}

/**
 * Takes up the session under the discriminator that it had, so that the neighbour sees no break. Which Required Min RX the neighbour still
 * obeys is not known before the end of the Poll Sequence.
 */
function adopted(before: BfdMachineState, packet: BfdPacket): BfdStep {
  const wanted = wantedIntervals(before.settings, 'Up')
  const { state } = received(
    {
      ...before,
      local: 'Up',
      localDiscriminator: packet.yourDiscriminator,
      ...wanted,
      usedMinTxUs: wanted.desiredMinTxUs,
      usedMinRxUs: Math.max(wanted.requiredMinRxUs, unknownMinRxUs),
      isPolling: true,
    },
    packet,
  )
  return { state, send: packet.isPoll ? 'final' : 'news' }
}

function received(before: BfdMachineState, packet: BfdPacket): BfdStep {
  const heard = {
    ...before,
    remoteDiscriminator: packet.myDiscriminator,
    remote: packet.state,
    remoteIsDemand: packet.isDemand,
    remoteMinRxUs: packet.requiredMinRxUs,
    remoteDesiredMinTxUs: packet.desiredMinTxUs,
    remoteMultiplier: packet.detectMultiplier,
  }
  const polled = packet.isFinal && heard.isPolling ? pollEnded(heard) : heard
  if (polled.local === 'AdminDown') return { state: polled }
  const next = afterPacket(polled, packet.state)
  // The Final carries everything that a packet with news would carry.
  if (packet.isPoll) return { state: next, send: 'final' }
  return next.local === before.local ? { state: next } : { state: next, send: 'news' }
}

/** Section 6.8.6, from "If received state is AdminDown" on. */
function afterPacket(state: BfdMachineState, remote: BfdState): BfdMachineState {
  const { local } = state
  if (remote === 'AdminDown') return local === 'Down' ? state : moved(state, 'Down', Diagnostic.neighbourSignalledDown)
  if (local === 'Down' && remote !== 'Up') return moved(state, remote === 'Down' ? 'Init' : 'Up', Diagnostic.none)
  if (local === 'Init' && remote !== 'Down') return moved(state, 'Up', Diagnostic.none)
  if (local === 'Up' && remote === 'Down') return moved(state, 'Down', Diagnostic.neighbourSignalledDown)
  return state
}

function expired(before: BfdMachineState): BfdStep {
  // A neighbour that took the session down on purpose may go silent: its AdminDown is remembered until the next packet from it.
  const state: BfdMachineState = {
    ...before,
    ...nothingHeard,
    remote: before.remote === 'AdminDown' ? 'AdminDown' : 'Down',
  }
  if (state.local !== 'Init' && state.local !== 'Up') return { state }
  return { state: moved(state, 'Down', Diagnostic.detectionTimeExpired), send: 'news' }
}

function moved(state: BfdMachineState, local: BfdState, diagnostic: number): BfdMachineState {
  return negotiate({ ...state, local, diagnostic })
}

function wantedIntervals({ intervalMs }: BfdSettings, local: BfdState) {
  const intervalUs = intervalMs * 1000
  return {
    desiredMinTxUs: local === 'Up' ? intervalUs : Math.max(slowUs, intervalUs),
    requiredMinRxUs: intervalUs,
  }
}

/** Updates the intervals that our packets carry, with a Poll Sequence when they change. */
function negotiate(state: BfdMachineState): BfdMachineState {
  const wanted = wantedIntervals(state.settings, state.local)
  const isUp = state.local === 'Up'
  const isSame = wanted.desiredMinTxUs === state.desiredMinTxUs && wanted.requiredMinRxUs === state.requiredMinRxUs
  if (isSame && isUp) return state
  return {
    ...state,
    ...wanted,
    // Section 6.8.3: slower sending and faster detection wait until the neighbour has confirmed them (the end of the Poll Sequence).
    usedMinTxUs: isUp ? Math.min(state.usedMinTxUs, wanted.desiredMinTxUs) : wanted.desiredMinTxUs,
    usedMinRxUs: isUp ? Math.max(state.usedMinRxUs, wanted.requiredMinRxUs) : wanted.requiredMinRxUs,
    isPolling: state.isPolling || !isSame,
  }
}

function pollEnded(state: BfdMachineState): BfdMachineState {
  return negotiate({
    ...state,
    isPolling: false,
    usedMinTxUs: state.desiredMinTxUs,
    usedMinRxUs: state.requiredMinRxUs,
  })
}
