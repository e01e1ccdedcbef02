// Where the speaker's rooms meet: sessions know nothing of routes, routes nothing of sessions, and neither of sockets or clocks.
import { type Addr, type Family } from '#/lib/addr.ts'
import { type PeerConfig } from '#/model/bgp.ts'
import { type Capabilities, type RouteRefresh, type Update, type WireSettings } from '#/wire/bgp/values.ts'

/** A session that is established, as routes need to know it. A new object for each session, also of the same neighbour. */
export type Neighbour = {
  readonly config: PeerConfig
  readonly remoteAddr: Addr
  /** Of the TCP connection: next hops of our own are this, or of the other family `localAddrs`. */
  readonly localAddr: Addr
  readonly localAddrs: readonly Addr[]
  readonly device?: string
  readonly remoteAsn: number
  readonly remoteRouterId: Addr
  readonly isInternal: boolean
  readonly wire: WireSettings
  readonly remote: Capabilities
}

/** Where messages for one neighbour go. No method throws. */
export interface Outlet {
  /** Takes whole messages. False: the neighbour is behind, and `onDrain` of RouteSink.up is called when it has caught up. */
  write(bytes: Uint8Array): boolean
  /** Work on this neighbour's routes has thrown: its session is to end, on a later turn. */
  fail(error: unknown): void
}

/** How a session ended, for its routes: whether they are to be kept a while. */
export type SessionEnd =
  | { readonly kind: 'gone' }
  /** RFC 4724: the neighbour may be restarting; these families' routes become stale, all others go. */
  | { readonly kind: 'restarting'; readonly families: readonly Family[] }

/** What sessions tell to the RIB. Everything is synchronous; the RIB defers its own work. */
export interface RouteSink {
  /** Established. Initial routes follow on the outlet, then End-of-RIB. Returns what to call when the outlet has drained. */
  up(neighbour: Neighbour, outlet: Outlet): { readonly onDrain: () => void }
  down(neighbour: Neighbour, end: SessionEnd): void
  update(neighbour: Neighbour, update: Update): void
  /** The neighbour asks for everything again (RFC 2918, 7313), or brackets its own answer. */
  refresh(neighbour: Neighbour, refresh: RouteRefresh): void
  /**
   * Stale routes of a neighbour (by the name of its configuration) have had their time: they go. With `toLongLived` they stay as
   * routes of last resort (RFC 9494).
   */
  sweepStale(peer: string, family: Family, options?: { readonly toLongLived: boolean }): void
  /** What is stale of a neighbour's family is kept until then (wall clock), to be told to people. */
  keepStale(peer: string, family: Family, untilMs: number): void
  /** How many prefixes it has sent that are held, and how many of these were taken by policy. */
  counts(peer: string): { readonly received: number; readonly accepted: number; readonly advertised: number }
}

/** One TCP connection. Events come on later turns of the event loop, never from within a call. */
export interface Connection {
  readonly localAddr: Addr
  readonly remoteAddr: Addr
  /** Of a link-local connection. */
  readonly device?: string
  /** False when the kernel did not take all of it; `onDrain` follows. */
  write(bytes: Uint8Array): boolean
  /** Bytes that were written and not yet taken by the kernel. */
  readonly queuedBytes: number
  /** Sends what is queued, then FIN. */
  end(): void
  /** RST at once. */
  destroy(): void
  /** Stops and goes on reading: a neighbour must not send faster than we take. */
  pause(): void
  resume(): void
  /** Of one that was accepted: connections that we make have it from ConnectOptions. */
  setTtl(options: Pick<SocketOptions, 'ttl' | 'minTtl'>): void
  handlers: ConnectionHandlers
}

export type ConnectionHandlers = {
  onData(bytes: Uint8Array): void
  onDrain(): void
  /** Once; `error` has the kernel's words, and is absent when the other side ended it in order. */
  onClose(error?: Error): void
}

export type SocketOptions = {
  readonly localAddr?: Addr
  readonly device?: string
  readonly password?: string
  /** What is sent. */
  readonly ttl?: number
  /** Less is not taken (RFC 5082). */
  readonly minTtl?: number
}

export type ConnectOptions = SocketOptions & { readonly addr: Addr; readonly port: number }

export interface Transport {
  /** Resolves when connected, rejects with the kernel's words, also when `signal` is aborted. */
  connect(options: ConnectOptions, signal: AbortSignal): Promise<Connection>
  /**
   * Listens on all addresses of both families. `onConnection` decides at once what becomes of one (`destroy` it to refuse).
   * Throws when the port is taken.
   */
  listen(port: number, onConnection: (connection: Connection) => void): Listener
}

export interface Listener {
  /** The password under which connections from an address are taken at all (RFC 2385); undefined: without. */
  setPassword(addr: Addr, password: string | undefined): void
  close(): void
}

/** Time as the speaker and BFD need it: tests replace it and make it pass. */
export interface SpeakerClock {
  /** Monotonic. */
  nowMs(): number
  wallMs(): number
  after(delayMs: number, call: () => void): Timer
}

export interface Timer {
  cancel(): void
}
