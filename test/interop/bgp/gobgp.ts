// GoBGP as a router: its configuration, and what its client prints.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type Family } from '#/lib/addr.ts'
import { type SessionState } from '#/model/bgp.ts'
import { ask, DaemonProcess } from './daemon-process.ts'
import { eventually } from './eventually.ts'
import { type Host } from './lan.ts'
import {
  type NeighbourView,
  type Router,
  type RouterNeighbour,
  type RouterRoute,
  type RouterSettings,
  type RouteView,
} from './router.ts'

const apiPort = 50_051

function neighbourConfig(neighbour: RouterNeighbour, { clusterId }: RouterSettings): unknown {
  const { addr, device, asn, families, password, ttlSecurityHops, multihopTtl, gracefulRestart, maxPrefixes } =
    neighbour
  const hold = neighbour.holdTimeSeconds ?? 90
  return {
    config: {
      ...(addr === undefined ? { 'neighbor-interface': device } : { 'neighbor-address': addr }),
      'peer-as': asn,
      // until all of its own routes are there, which it cannot read from its configuration: after a restart it would say that it has
      // none
      'admin-down': true,
      ...(password !== undefined && { 'auth-password': password }),
    },
    // it would try only after several seconds; the other side is quicker
    transport: { config: { 'passive-mode': neighbour.mode !== 'active' } },
    timers: {
      config: {
        'hold-time': hold,
        'keepalive-interval': hold / 3,
        'connect-retry': 1,
        'idle-hold-time-after-reset': 1,
      },
    },
    ...(ttlSecurityHops !== undefined && {
      'ttl-security': { config: { enabled: true, 'ttl-min': 256 - ttlSecurityHops } },
    }),
    ...(multihopTtl !== undefined && { 'ebgp-multihop': { config: { enabled: true, 'multihop-ttl': multihopTtl } } }),
    ...(gracefulRestart && {
      'graceful-restart': { config: { enabled: true, 'restart-time': gracefulRestart.restartTimeSeconds } },
    }),
    ...(neighbour.isReflectorClient && {
      'route-reflector': {
        config: {
          'route-reflector-client': true,
          ...(clusterId !== undefined && { 'route-reflector-cluster-id': clusterId }),
        },
      },
    }),
    'afi-safis': families.map((family) => ({
      config: { 'afi-safi-name': `ipv${family}-unicast` },
      ...(gracefulRestart && { 'mp-graceful-restart': { config: { enabled: true } } }),
      ...(maxPrefixes !== undefined && { 'prefix-limit': { config: { 'max-prefixes': maxPrefixes } } }),
    })),
  }
}

const states: readonly SessionState[] = ['Idle', 'Idle', 'Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Established']

/** Path attributes as `gobgp -j` prints them, by their type code. */
type GobgpAttribute = {
  readonly type: number
  readonly as_paths?: readonly { readonly segment_type: number; readonly asns: readonly number[] }[]
  readonly nexthop?: string
  readonly communities?: readonly number[]
  readonly value?: unknown
}
type GobgpPath = {
  readonly nlri: { readonly prefix: string }
  readonly best?: boolean
  readonly stale?: boolean
  readonly 'source-id'?: string
  readonly 'neighbor-ip'?: string
  readonly attrs: readonly GobgpAttribute[]
}
type GobgpNeighbour = {
  readonly state?: {
    readonly session_state?: number
    readonly neighbor_address?: string
    readonly disconnect_message?: string
  }
  readonly afi_safis?: readonly { readonly state?: { readonly received?: number; readonly accepted?: number } }[]
}

function asPathOf(attributes: readonly GobgpAttribute[]): string {
  const segments = attributes.find(({ type }) => type === 2)?.as_paths ?? []
  return segments.map(({ segment_type: kind, asns }) => (kind === 1 ? `{${asns.join(',')}}` : asns.join(' '))).join(' ')
}

function communitiesOf(attributes: readonly GobgpAttribute[]): string[] {
  const standard = attributes.find(({ type }) => type === 8)?.communities ?? []
  const large = (attributes.find(({ type }) => type === 32)?.value ?? []) as {
    ASN: number
    LocalData1: number
    LocalData2: number
  }[]
  return [
    ...standard.map((value) => `${value >>> 16}:${value & 0xffff}`),
    ...large.map(({ ASN, LocalData1, LocalData2 }) => `${ASN}:${LocalData1}:${LocalData2}`),
  ].sort()
}

export class Gobgp implements Router {
  readonly kind = 'gobgp'
  readonly host: Host
  readonly #settings: RouterSettings
  readonly #routes: Map<string, RouterRoute>
  readonly #folder = mkdtempSync(join(tmpdir(), 'causeway-gobgp-'))
  readonly #process: DaemonProcess

  constructor(host: Host, settings: RouterSettings) {
    this.host = host
    this.#settings = settings
    this.#routes = new Map((settings.originated ?? []).map((route) => [route.prefix, route]))
    const args = [
      '-t',
      'yaml',
      '-f',
      this.#path('conf'),
      '--api-hosts',
      `127.0.0.1:${apiPort}`,
      '--pprof-disable',
      '-l',
      'debug',
    ]
    this.#process = new DaemonProcess(host.ns.netns, ['gobgpd', ...args], this.#path('log'))
  }

  #path(name: string): string {
    return join(this.#folder, name)
  }

  #nameOf(addr: string): string {
    return this.#settings.neighbours.find((each) => each.addr === addr)?.name ?? addr
  }

  async #gobgp(...command: readonly string[]): Promise<string> {
    this.#process.mustRun()
    return ask(this.host, ['gobgp', '-p', String(apiPort), ...command])
  }

  async start({ isRestarting } = { isRestarting: false }): Promise<void> {
    const { asn, routerId, maxPaths, neighbours } = this.#settings
    const config = {
      global: {
        config: { as: asn, 'router-id': routerId ?? this.host.addr4, port: 179 },
        // else the older one of two equal external paths is the better one
        'route-selection-options': { config: { 'external-compare-router-id': true } },
        ...(maxPaths !== undefined && { 'use-multiple-paths': { config: { enabled: true } } }),
      },
      neighbors: neighbours.map((neighbour) => neighbourConfig(neighbour, this.#settings)),
    }
    writeFileSync(this.#path('conf'), stringify(config))
    this.#process.start(isRestarting ? ['-r'] : [])
    const explain = (): string => this.logTail()
    await eventually(
      'gobgpd answers',
      () => this.#gobgp('neighbor', '-j'),
      (text) => text.startsWith('['),
      { explain },
    )
    for (const route of this.#routes.values()) await this.announce(route)
    for (const { addr, device } of neighbours) await this.#gobgp('neighbor', addr ?? device!, 'enable')
  }

  async kill(): Promise<void> {
    await this.#process.end('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.#process.end('SIGTERM')
  }

  async neighbours(): Promise<readonly NeighbourView[]> {
    const list = JSON.parse(await this.#gobgp('neighbor', '-j')) as readonly GobgpNeighbour[]
    return list.map(({ state = {}, afi_safis: families = [] }) => ({
      name: this.#nameOf(state.neighbor_address ?? ''),
      state: states[state.session_state ?? 0]!,
      received: families.reduce((sum, { state: counts }) => sum + (counts?.received ?? 0), 0),
      lastError: state.disconnect_message ?? '',
    }))
  }

  async routes(family: Family): Promise<readonly RouteView[]> {
    const rib = JSON.parse(await this.#gobgp('global', 'rib', '-a', `ipv${family}`, '-j')) as Record<
      string,
      readonly GobgpPath[]
    >
    return Object.values(rib).flatMap((paths) =>
      paths
        .filter((path) => path['neighbor-ip'] !== undefined && path['neighbor-ip'] !== '<nil>')
        .map((path) => {
          // an MP_REACH_NLRI attribute has it for IPv6
          const nextHop = path.attrs.find(({ type }) => type === 3 || type === 14)?.nexthop ?? ''
          const from = path['neighbor-ip']!
          return {
            prefix: path.nlri.prefix,
            from: this.#nameOf(from),
            nextHops: [nextHop],
            asPath: asPathOf(path.attrs),
            isBest: path.best === true,
            isStale: path.stale === true,
            communities: communitiesOf(path.attrs),
          }
        }),
    )
  }

  async announce(route: RouterRoute): Promise<void> {
    const { prefix, communities = [] } = route
    this.#routes.set(prefix, route)
    if (!this.#process.isStarted) return
    const standard = communities.filter((community) => community.split(':').length === 2)
    const large = communities.filter((community) => community.split(':').length === 3)
    await this.#gobgp(
      'global',
      'rib',
      'add',
      prefix,
      '-a',
      prefix.includes(':') ? 'ipv6' : 'ipv4',
      ...(standard.length === 0 ? [] : ['community', standard.join(',')]),
      ...(large.length === 0 ? [] : ['large-community', large.join(',')]),
    )
  }

  async withdraw(prefix: string): Promise<void> {
    this.#routes.delete(prefix)
    if (!this.#process.isStarted) return
    await this.#gobgp('global', 'rib', 'del', prefix, '-a', prefix.includes(':') ? 'ipv6' : 'ipv4')
  }

  async askRefresh(neighbour: string): Promise<void> {
    const found = this.#settings.neighbours.find(({ name }) => name === neighbour)!
    await this.#gobgp('neighbor', found.addr!, 'softresetin')
  }

  logTail(): string {
    return this.#process.logTail()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
