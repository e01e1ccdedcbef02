// BFD for every part of the agent that watches a path (RFC 5880, 5881): one session per neighbour, however many watchers it has.
import { type Addr } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type BfdSettings } from '#/model/bgp.ts'
import { type BfdPacket, type BfdState, decodeBfdPacket } from '#/wire/bfd/packet.ts'
import { type SpeakerClock, type Timer } from '../contract.ts'
import { BfdSession } from './session.ts'
import { type BfdDatagram, type BfdPath, type BfdReceiver, type BfdTransport } from './transport.ts'

/** The pause before listening is tried again when another program has the port. */
const listenRetryMs = 10_000

export interface BfdWatch extends Disposable {
  readonly state: BfdState
}

export type BfdServiceDeps = {
  readonly transport: BfdTransport
  readonly clock: SpeakerClock
  readonly log: Logger
  /** Set when neighbours may still have sessions with the process that ran here before. */
  readonly isRestarting?: boolean
  /** Gives a number in [0, 1). */
  readonly random?: () => number
  /** Why no packets can be received, when that changes; undefined: they can, or none are waited for. */
  readonly onPortTrouble?: ((why: string | undefined) => void) | undefined
}

type OnState = (state: BfdState, diagnostic: number) => void

type Watcher = { readonly settings: BfdSettings; readonly onState: OnState; told: BfdState }

type Watched = { readonly path: BfdPath; readonly session: BfdSession; readonly watchers: Set<Watcher> }

/**
 * The key of a session. It includes the device only for link-local addresses: other addresses are the same wherever their packets arrive.
 */
function keyOf(addr: Addr, device: string | undefined): string {
  return addr.isLinkLocal && addr.family === 6 ? `${addr}%${device}` : String(addr)
}

function isSamePath(one: BfdPath, other: BfdPath): boolean {
  return String(one.localAddr) === String(other.localAddr) && one.device === other.device
}

/** The settings with the quickest detection that any watcher asks for. */
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
  /** Neighbours that were watched at least once: no session from before a restart is expected from them any more. */
  readonly #known = new Set<string>()
  #receiver: BfdReceiver | undefined
  #listenTimer: Timer | undefined
  #portTrouble: string | undefined

  constructor(deps: BfdServiceDeps) {
    this.#deps = deps
    this.#random = deps.random ?? Math.random
  }

  /**
   * Watches the path to a neighbour until disposed of. `onState` is called for each change, starting from 'Down', in later turns of the
   * event loop. 'AdminDown' is the neighbour's own wish and not a failure of the path. The first watcher of a neighbour decides the local
   * address and device.
   */
  watch(path: BfdPath, settings: BfdSettings, onState: OnState): BfdWatch {
    const key = keyOf(path.addr, path.device)
    const watched = this.#sessionOf(key, path, settings)
    const watcher: Watcher = { settings, onState, told: 'Down' }
    watched.watchers.add(watcher)
    watched.session.configure(strictest(watched.watchers))
    // The session may be up already because of other watchers.
    this.#deps.clock.after(0, () => this.#tell(watched, watcher))
    return {
      get state() {
        return watched.session.state
      },
      [Symbol.dispose]: () => this.#leave(key, watched, watcher),
    }
  }

  /**
   * Before a restart: keeps neighbours from seeing a failure for `restartMs`, until the next process takes up the sessions
   * (`isRestarting`). From here on nothing is watched.
   */
  rest(restartMs: number): void {
    for (const { session } of this.#watched.values()) {
      if (session.isEnding) session[Symbol.dispose]()
      else session.rest(restartMs)
    }
    this.#close()
  }

  /** Tells all neighbours that this node watches no more. */
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

  /** A discriminator that is not 0 and that no other session has (RFC 5880 section 6.8.1). */
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
    this.#tellPort(undefined)
  }

  /** Listens for packets. Sessions stay down as long as another program has the port. */
  #listen(): void {
    if (this.#receiver !== undefined) return
    this.#listenTimer?.cancel()
    try {
      this.#receiver = this.#deps.transport.listen((datagram) =>
        this.#contain(datagram.from, () => this.#received(datagram)),
      )
      this.#tellPort(undefined)
    } catch (error) {
      this.#tellPort(messageOf(error))
      this.#listenTimer = this.#deps.clock.after(listenRetryMs, () => this.#listen())
    }
  }

  #tellPort(trouble: string | undefined): void {
    if (trouble === this.#portTrouble) return
    if (trouble !== undefined)
      this.#deps.log.error('BFD cannot receive', { error: trouble, againInSeconds: listenRetryMs / 1000 })
    this.#portTrouble = trouble
    this.#deps.onPortTrouble?.(trouble)
  }

  /** Contains a fault in this program: it costs one neighbour's packet or timer. When faults repeat, that neighbour's session goes down. */
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
    // Another host on the link may have seen or guessed a discriminator, so the source must match as well.
    if (watched !== undefined && watched === bySource) watched.session.received(packet)
  }

  /**
   * Handles a neighbour's first packet. It may belong to a session from before the restart, which then continues under its discriminator.
   */
  #takeUp(watched: Watched, packet: BfdPacket): void {
    const { session } = watched
    const other = this.#byDiscriminator.get(packet.yourDiscriminator)
    if (other !== undefined && other !== watched) return
    this.#byDiscriminator.delete(session.discriminator)
    session.received(packet)
    this.#byDiscriminator.set(session.discriminator, watched)
  }
}
