// An established session: what its routes are told, BFD beside it, and how far the peer is with sending what it has.
import { type Addr, type Family } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { type BfdSettings, type PeerConfig } from '#/model/bgp.ts'
import { type BgpMessage } from '#/wire/bgp/index.ts'
import { type Update } from '#/wire/bgp/values.ts'
import { type Neighbour, type Outlet, type RouteSink } from '../contract.ts'
import { type BfdService, type BfdState, type BfdWatch } from './deps.ts'
import { type Link } from './link.ts'
import { type Negotiated } from './open.ts'

export type EstablishedOptions = {
  readonly config: PeerConfig
  readonly link: Link
  /** Where the RIB writes: the link, with faults contained. */
  readonly negotiated: Negotiated
  readonly localAddrs: readonly Addr[]
}

export type EstablishedDeps = {
  readonly routes: RouteSink
  readonly bfd: BfdService | undefined
  readonly log: Logger
  readonly nowMs: () => number
  /** BFD was up and is down. */
  readonly onBfdDown: () => void
  readonly onEndOfRib: (family: Family) => void
  /** An UPDATE had faults that RFC 7606 handles; so many of its prefixes were treated as withdrawn. */
  readonly onFaults: (faults: readonly string[], prefixes: number) => void
}

/** Faults of a peer's UPDATEs are logged at most so often. */
const faultPauseMs = 10_000

export class EstablishedSession implements Disposable {
  readonly link: Link
  readonly negotiated: Negotiated
  readonly neighbour: Neighbour
  readonly sinceMs: number
  readonly #deps: EstablishedDeps
  #drain: () => void = () => {}
  readonly #awaited: Set<Family>
  #bfd: BfdWatch | undefined
  #faultsQuietUntilMs = 0

  constructor(options: EstablishedOptions, deps: EstablishedDeps) {
    const { config, link, negotiated } = options
    const { localAddr, remoteAddr, device } = link.connection
    this.link = link
    this.negotiated = negotiated
    this.#deps = deps
    this.sinceMs = deps.nowMs()
    this.#awaited = new Set(negotiated.wire.families)
    this.neighbour = {
      config,
      remoteAddr,
      localAddr,
      localAddrs: options.localAddrs,
      ...(device !== undefined && { device }),
      remoteAsn: negotiated.remote.asn,
      remoteRouterId: negotiated.remote.routerId,
      isInternal: negotiated.isInternal,
      wire: negotiated.wire,
      remote: negotiated.remote.capabilities,
    }
  }

  /** Routes go both ways from here on. Apart from the constructor, so that a session whose start throws can still be ended. */
  start(outlet: Outlet): void {
    this.#drain = this.#deps.routes.up(this.neighbour, outlet).onDrain
    this.watch(this.neighbour.config.bfd)
  }

  /** Every family's End-of-RIB has come. */
  get hasEverything(): boolean {
    return this.#awaited.size === 0
  }

  get bfdState(): BfdState | undefined {
    return this.#bfd?.state
  }

  drained(): void {
    this.#drain()
  }

  deliver(message: BgpMessage): void {
    const { routes } = this.#deps
    if (message.kind === 'refresh' && message.refresh !== undefined) routes.refresh(this.neighbour, message.refresh)
    if (message.kind !== 'update') return
    const { update } = message
    if (update.faults.length > 0) this.#noteFaults(update)
    routes.update(this.neighbour, update)
    if (update.endOfRib === undefined) return
    this.#awaited.delete(update.endOfRib)
    this.#deps.onEndOfRib(update.endOfRib)
  }

  /** A BFD session that never comes up holds nothing down (RFC 5882 section 3.2). */
  watch(settings: BfdSettings | undefined): void {
    this.#bfd?.[Symbol.dispose]()
    this.#bfd = undefined
    if (settings === undefined || this.#deps.bfd === undefined) return
    const { remoteAddr: addr, localAddr, device } = this.neighbour
    let wasUp = false
    this.#bfd = this.#deps.bfd.watch(
      { addr, localAddr, ...(device !== undefined && { device }) },
      settings,
      (state) => {
        if (state === 'Down' && wasUp) this.#deps.onBfdDown()
        // whoever turns BFD off says so before falling silent: that is no failure (RFC 5882 section 3.2)
        if (state !== 'Init') wasUp = state === 'Up'
      },
    )
  }

  [Symbol.dispose](): void {
    this.#bfd?.[Symbol.dispose]()
  }

  #noteFaults({ faults, treatedAsWithdrawn }: Update): void {
    const prefixes = treatedAsWithdrawn?.routes.reduce((sum, { nlri }) => sum + nlri.length, 0) ?? 0
    this.#deps.onFaults(faults, prefixes)
    const nowMs = this.#deps.nowMs()
    if (nowMs < this.#faultsQuietUntilMs) return
    this.#faultsQuietUntilMs = nowMs + faultPauseMs
    this.#deps.log.warn('the peer sent a faulty UPDATE (RFC 7606)', { faults })
  }
}
