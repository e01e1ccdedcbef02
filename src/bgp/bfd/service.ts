// BFD for whoever wants to know of a path (RFC 5880, 5881): one session per neighbour, however many watch it.
import { type Addr } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type BfdSettings } from '#/model/bgp.ts'
import { type BfdPacket, type BfdState, decodeBfdPacket } from '#/wire/bfd/packet.ts'
import { type SpeakerClock, type Timer } from '../contract.ts'
import { BfdSession } from './session.ts'
import { type BfdDatagram, type BfdPath, type BfdReceiver, type BfdTransport } from './transport.ts'

/** Before the port is tried again that another program had. */
const listenRetryMs = 10_000

export interface BfdWatch extends Disposable {
  readonly state: BfdState
}

export type BfdServiceDeps = {
  readonly transport: BfdTransport
  readonly clock: SpeakerClock
  readonly log: Logger
  /** Neighbours may still have sessions with whoever was here before. */
  readonly isRestarting?: boolean
  /** Gives a number in [0, 1). */
  readonly random?: () => number
}

type OnState = (state: BfdState, diagnostic: number) => void

type Watcher = { readonly settings: BfdSettings; readonly onState: OnState; told: BfdState }

type Watched = { readonly path: BfdPath; readonly session: BfdSession; readonly watchers: Set<Watcher> }

/** Of a link-local address the device is part, of others it is not: they are the same wherever their packets come in. */
function keyOf(addr: Addr, device: string | undefined): string {
  return addr.isLinkLocal && addr.family === 6 ? `${addr}%${device}` : String(addr)
}

function isSamePath(one: BfdPath, other: BfdPath): boolean {
  return String(one.localAddr) === String(other.localAddr) && one.device === other.device
}

/** The quickest detection that any of them asks for. */
function strictest(watchers: Iterable<Watcher>): BfdSettings {
  const detectMs = ({ intervalMs, detectMultiplier }: BfdSettings): number => intervalMs * detectMultiplier
  return [...watchers]
    .map(({ settings }) => settings)
    .reduce((one, other) => (detectMs(other) < detectMs(one) ? other : one))
}

export class BfdService implements Disposable {
  readonly #deps: BfdServiceDeps
  readonly #random: () => number
  readonly #watched = new Map<string, Watched>()
  readonly #byDiscriminator = new Map<number, Watched>()
  /** Neighbours that were watched once: what was before is over. */
  readonly #known = new Set<string>()
  #receiver: BfdReceiver | undefined
  #listenTimer: Timer | undefined

  constructor(deps: BfdServiceDeps) {
    this.#deps = deps
    this.#random = deps.random ?? Math.random
  }

  /**
   * Watches over the path to a neighbour until disposed of. `onState` tells each change from 'Down', on later turns; 'AdminDown' is
   * the neighbour's own wish and no failure of the path. The first watcher of a neighbour says from where it is watched.
   */
  watch(path: BfdPath, settings: BfdSettings, onState: OnState): BfdWatch {
    const key = keyOf(path.addr, path.device)
    const watched = this.#sessionOf(key, path, settings)
    const watcher: Watcher = { settings, onState, told: 'Down' }
    watched.watchers.add(watcher)
    watched.session.configure(strictest(watched.watchers))
    // a session that others watch may be up already
    this.#deps.clock.after(0, () => this.#tell(watched, watcher))
    return {
      get state() {
        return watched.session.state
      },
      [Symbol.dispose]: () => this.#leave(key, watched, watcher),
    }
  }

  /**
   * Before a restart: neighbours are to see no failure for so long, until whoever comes next takes the sessions up (`isRestarting`).
   * From here on nothing is watched.
   */
  rest(restartMs: number): void {
    for (const { session } of this.#watched.values()) {
      if (session.isEnding) session[Symbol.dispose]()
      else session.rest(restartMs)
    }
    this.#close()
  }

  /** All neighbours are told that nobody watches any more. */
  [Symbol.dispose](): void {
    for (const { session } of this.#watched.values()) {
      if (!session.isEnding) session.end(() => {})
      session[Symbol.dispose]()
    }
    this.#close()
  }

  #close(): void {
    for (const { watchers } of this.#watched.values()) watchers.clear()
    this.#watched.clear()
    this.#byDiscriminator.clear()
    this.#listenTimer?.cancel()
    this.#receiver?.[Symbol.dispose]()
    this.#receiver = undefined
  }

  #sessionOf(key: string, path: BfdPath, settings: BfdSettings): Watched {
    const known = this.#watched.get(key)
    if (known !== undefined && known.watchers.size > 0) return known
    if (known !== undefined) {
      if (isSamePath(known.path, path)) {
        known.session.revive(settings)
        return known
      }
      this.#forget(key, known)
    }
    return this.#begin(key, path, settings)
  }

  #begin(key: string, path: BfdPath, settings: BfdSettings): Watched {
    this.#listen()
    const { transport, clock } = this.#deps
    const log = this.#deps.log.with({ neighbour: key })
    const watchers = new Set<Watcher>()
    const isExpecting = this.#deps.isRestarting === true && !this.#known.has(key)
    this.#known.add(key)
    const session = new BfdSession(
      { discriminator: this.#newDiscriminator(), settings, isExpecting },
      {
        sender: transport.sender(path),
        drain: () => this.#receiver?.drain(),
        clock: {
          nowMs: () => clock.nowMs(),
          wallMs: () => clock.wallMs(),
          after: (delayMs, call) => clock.after(delayMs, () => this.#contain(path.addr, call)),
        },
        random: this.#random,
        log,
        onState: () => {
          for (const watcher of watchers) this.#tell(watched, watcher)
        },
      },
    )
    const watched: Watched = { path, session, watchers }
    this.#watched.set(key, watched)
    this.#byDiscriminator.set(session.discriminator, watched)
    return watched
  }

  /** Not 0, and of no other session (RFC 5880 section 6.8.1). */
  #newDiscriminator(): number {
    const count = 2 ** 32 - 1
    let discriminator = 1 + Math.floor(this.#random() * count)
    while (this.#byDiscriminator.has(discriminator)) discriminator = 1 + (discriminator % count)
    return discriminator
  }

  #tell({ session, watchers }: Watched, watcher: Watcher): void {
    const { state, diagnostic } = session
    if (!watchers.has(watcher) || watcher.told === state) return
    watcher.told = state
    watcher.onState(state, diagnostic)
  }

  #leave(key: string, watched: Watched, watcher: Watcher): void {
    const { session, watchers } = watched
    if (!watchers.delete(watcher)) return
    if (watchers.size > 0) session.configure(strictest(watchers))
    else session.end(() => this.#forget(key, watched))
  }

  #forget(key: string, watched: Watched): void {
    watched.session[Symbol.dispose]()
    this.#byDiscriminator.delete(watched.session.discriminator)
    this.#watched.delete(key)
    if (this.#watched.size > 0) return
    this.#listenTimer?.cancel()
    this.#receiver?.[Symbol.dispose]()
    this.#receiver = undefined
  }

  /** Sessions stay down as long as the port is another's. */
  #listen(): void {
    if (this.#receiver !== undefined) return
    this.#listenTimer?.cancel()
    try {
      this.#receiver = this.#deps.transport.listen((datagram) =>
        this.#contain(datagram.from, () => this.#received(datagram)),
      )
    } catch (error) {
      this.#deps.log.error('BFD cannot receive', { error: messageOf(error), againInSeconds: listenRetryMs / 1000 })
      this.#listenTimer = this.#deps.clock.after(listenRetryMs, () => this.#listen())
    }
  }

  /** A fault in this program costs the packet or the timer of one neighbour: its session goes down when that happens again and again. */
  #contain(neighbour: Addr, call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#deps.log.error('a fault in BFD with a neighbour', { neighbour, error: messageOf(error) })
    }
  }

  #received({ bytes, from, device }: BfdDatagram): void {
    const packet = decodeBfdPacket(bytes)
    if (typeof packet === 'string') return
    const bySource = this.#watched.get(keyOf(from, device))
    if (bySource?.session.isExpecting === true) return this.#takeUp(bySource, packet)
    const watched = packet.yourDiscriminator === 0 ? bySource : this.#byDiscriminator.get(packet.yourDiscriminator)
    // somebody else on the link who has seen or guessed a discriminator is not the neighbour
    if (watched !== undefined && watched === bySource) watched.session.received(packet)
  }

  /** Its first packet, perhaps of a session of before, which then goes on under its discriminator. */
  #takeUp(watched: Watched, packet: BfdPacket): void {
    const { session } = watched
    const other = this.#byDiscriminator.get(packet.yourDiscriminator)
    if (other !== undefined && other !== watched) return
    this.#byDiscriminator.delete(session.discriminator)
    session.received(packet)
    this.#byDiscriminator.set(session.discriminator, watched)
  }
}
