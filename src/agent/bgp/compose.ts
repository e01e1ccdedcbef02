// A speaker with real sockets, real time and its RIB: what the agent's thread runs, and a standalone speaker.
import { BfdService } from '#/bgp/bfd/service.ts'
import { Rib } from '#/bgp/rib/rib.ts'
import { Speaker } from '#/bgp/speaker.ts'
import { type Logger } from '#/lib/log.ts'
import { type LearnedRouteChange, type SpeakerConfig } from '#/model/bgp.ts'
import { UdpBfdTransport } from './bfd-transport.ts'
import { Links } from './links.ts'
import { systemClock } from './system-clock.ts'
import { TcpTransport } from './transport.ts'

/** What listens on a port of its own: sessions (TCP), or BFD (UDP). */
export type PortService = 'bgp' | 'bfd'

export type LiveSpeakerDeps = {
  /** Absent: nobody wants to know. */
  readonly onRoutes?: (changes: readonly LearnedRouteChange[]) => void
  readonly onReady: () => void
  /** Whether any session is established, when that changes. */
  readonly onSessions?: (hasAny: boolean) => void
  /** Why nothing comes in by a port, when that changes; undefined: it does. */
  readonly onPortTrouble?: (service: PortService, why: string | undefined) => void
  readonly log: Logger
}

export type LiveSpeaker = AsyncDisposable & { readonly speaker: Speaker; readonly rib: Rib }

/** It does nothing before `speaker.start()`. Disposing ends the sessions, if they were not stopped before. */
export function composeSpeaker(
  config: SpeakerConfig,
  { onRoutes, onReady, onSessions, onPortTrouble, log }: LiveSpeakerDeps,
): LiveSpeaker {
  const defer = (work: () => void): void => void setImmediate(work)
  const links = new Links({ log })
  const rib = new Rib(config, { log, defer, onRoutes, nowMs: systemClock.nowMs, wallMs: systemClock.wallMs })
  const { isRestarting } = config
  const bfd = new BfdService({
    transport: new UdpBfdTransport({ log }),
    clock: systemClock,
    log,
    isRestarting,
    onPortTrouble: (why) => onPortTrouble?.('bfd', why),
  })
  const speaker = new Speaker(config, {
    transport: new TcpTransport({ log }),
    clock: systemClock,
    log,
    rib,
    bfd,
    linkTroubleOf: (device) => links.troubleOf(device),
    linkLocalOf: (device) => links.linkLocalOf(device),
    localAddrsOf: (localAddr, device) => links.localAddrsOf(localAddr, device),
    defer,
    onReady,
    onSessions,
    onPortTrouble: (why) => onPortTrouble?.('bgp', why),
  })
  return {
    speaker,
    rib,
    [Symbol.asyncDispose]: async () => {
      await speaker[Symbol.asyncDispose]()
      bfd[Symbol.dispose]()
      links[Symbol.dispose]()
    },
  }
}
