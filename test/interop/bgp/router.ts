// What a test knows of a BGP router, whoever made it: how it is set up, what it can be asked, and how it is killed.
import { type Family } from '#/lib/addr.ts'
import { type SessionState } from '#/model/bgp.ts'
import { type Host } from './lan.ts'

export type RouterNeighbour = {
  /** A word; unique within a router. */
  readonly name: string
  /** Absent: the one at the other end of `device`, found by its link-local address. */
  readonly addr?: string
  readonly device?: string
  readonly asn: number
  readonly families: readonly Family[]
  /** What it does to connect. Absent: both. */
  readonly mode?: 'passive' | 'active'
  readonly holdTimeSeconds?: number
  readonly password?: string
  readonly ttlSecurityHops?: number
  readonly multihopTtl?: number
  readonly bfd?: { readonly intervalMs: number; readonly multiplier: number }
  /** With `longLivedStaleTimeSeconds`, RFC 9494: BIRD and ours alone. */
  readonly gracefulRestart?: { readonly restartTimeSeconds: number; readonly longLivedStaleTimeSeconds?: number }
  readonly isReflectorClient?: boolean
  readonly nextHopSelf?: boolean
  readonly maxPrefixes?: number
  /** RFC 8950: IPv4 routes over a session of IPv6 addresses. */
  readonly extendedNextHop?: boolean
}

export type RouterRoute = { readonly prefix: string; readonly communities?: readonly string[] }

/** Everything is imported from and exported to every neighbour. */
export type RouterSettings = {
  readonly asn: number
  /** Absent: 10.0.0.N of its host. */
  readonly routerId?: string
  readonly clusterId?: string
  readonly maxPaths?: number
  readonly neighbours: readonly RouterNeighbour[]
  readonly originated?: readonly RouterRoute[]
}

export type NeighbourView = {
  readonly name: string
  readonly state: SessionState
  /** Prefixes held of it. */
  readonly received: number
  readonly lastError: string
}

export type RouteView = {
  readonly prefix: string
  /** Name of the neighbour. */
  readonly from: string
  readonly nextHops: readonly string[]
  /** "65001 65002 {65003,65004}" */
  readonly asPath: string
  readonly isBest: boolean
  /** "65000:1" and "65000:1:2", sorted; undefined where the router does not tell. */
  readonly communities?: readonly string[]
  /** Undefined where the router does not tell. */
  readonly isStale?: boolean
}

export type RouterKind = 'causeway' | 'bird' | 'frr' | 'gobgp'

export interface Router extends AsyncDisposable {
  readonly kind: RouterKind
  readonly host: Host
  /** Starts it; after `kill` or `stop` again. `isRestarting`: it tells its peers that its kernel kept forwarding (RFC 4724). */
  start(options?: { readonly isRestarting: boolean }): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** SIGTERM. */
  stop(): Promise<void>
  neighbours(): Promise<readonly NeighbourView[]>
  /** Routes that neighbours have sent and that it took, its own not among them. */
  routes(family: Family): Promise<readonly RouteView[]>
  /** While it does not run: from the next start on. */
  announce(route: RouterRoute): Promise<void>
  withdraw(prefix: string): Promise<void>
  /** Asks a neighbour for all of its routes again (RFC 2918). */
  askRefresh(neighbour: string): Promise<void>
  /** The last lines of what it logged. */
  logTail(): string
}
