// FRR as a router: zebra, bfdd and bgpd, their configuration, and what vtysh prints.
import { type Family } from '#/lib/addr.ts'
import { type SessionState } from '#/model/bgp.ts'
import { type DaemonProcess } from './daemon-process.ts'
import { eventually } from './eventually.ts'
import { FrrFolder } from './frr-folder.ts'
import { type Host } from './lan.ts'
import {
  type NeighbourView,
  type Router,
  type RouterNeighbour,
  type RouterRoute,
  type RouterSettings,
  type RouteView,
} from './router.ts'

/** What FRR calls a neighbour. */
function idOf({ addr, device }: RouterNeighbour): string {
  return addr ?? device!
}

function neighbourLines(neighbour: RouterNeighbour, settings: RouterSettings): string[] {
  const id = idOf(neighbour)
  const { asn, password, ttlSecurityHops, multihopTtl, bfd, holdTimeSeconds } = neighbour
  const remote = asn === settings.asn ? 'internal' : String(asn)
  return [
    neighbour.addr === undefined
      ? `neighbor ${id} interface remote-as ${remote}`
      : `neighbor ${id} remote-as ${remote}`,
    `neighbor ${id} description ${neighbour.name}`,
    `neighbor ${id} timers connect 1`,
    ...(neighbour.addr?.startsWith('fe80:') ? [`neighbor ${id} interface ${neighbour.device}`] : []),
    ...(holdTimeSeconds === undefined
      ? []
      : [`neighbor ${id} timers ${Math.max(1, Math.floor(holdTimeSeconds / 3))} ${holdTimeSeconds}`]),
    ...(neighbour.mode === 'passive' ? [`neighbor ${id} passive`] : []),
    ...(password === undefined ? [] : [`neighbor ${id} password ${password}`]),
    ...(ttlSecurityHops === undefined ? [] : [`neighbor ${id} ttl-security hops ${ttlSecurityHops}`]),
    ...(multihopTtl === undefined ? [] : [`neighbor ${id} ebgp-multihop ${multihopTtl}`]),
    ...(neighbour.extendedNextHop ? [`neighbor ${id} capability extended-nexthop`] : []),
    ...(bfd ? [`neighbor ${id} bfd ${bfd.multiplier} ${bfd.intervalMs} ${bfd.intervalMs}`] : []),
    ...(neighbour.gracefulRestart ? [`neighbor ${id} graceful-restart`] : [`neighbor ${id} graceful-restart-disable`]),
  ]
}

function familyLines(family: Family, settings: RouterSettings, routes: Iterable<RouterRoute>): string[] {
  const own = [...routes].filter(({ prefix }) => prefix.includes(':') === (family === 6))
  const neighbours = settings.neighbours.filter(({ families }) => families.includes(family))
  return [
    `address-family ipv${family} unicast`,
    ...own.map((route) => networkLine(route)),
    ...(settings.maxPaths === undefined
      ? []
      : [`maximum-paths ${settings.maxPaths}`, `maximum-paths ibgp ${settings.maxPaths}`]),
    ...neighbours.flatMap((neighbour) => {
      const id = idOf(neighbour)
      return [
        `neighbor ${id} activate`,
        `neighbor ${id} soft-reconfiguration inbound`,
        `neighbor ${id} send-community all`,
        ...(neighbour.isReflectorClient ? [`neighbor ${id} route-reflector-client`] : []),
        ...(neighbour.nextHopSelf ? [`neighbor ${id} next-hop-self`] : []),
        ...(neighbour.maxPrefixes === undefined ? [] : [`neighbor ${id} maximum-prefix ${neighbour.maxPrefixes}`]),
      ]
    }),
    'exit-address-family',
  ]
}

/** A route map's name must not be longer than a word; it is made of the communities that it sets. */
function mapNameOf(communities: readonly string[]): string {
  return `set-${communities.join('-').replaceAll(':', '_')}`
}

function networkLine({ prefix, communities = [] }: RouterRoute): string {
  return communities.length === 0 ? `network ${prefix}` : `network ${prefix} route-map ${mapNameOf(communities)}`
}

function mapLines({ communities = [] }: RouterRoute): string[] {
  if (communities.length === 0) return []
  const standard = communities.filter((community) => community.split(':').length === 2)
  const large = communities.filter((community) => community.split(':').length === 3)
  return [
    `route-map ${mapNameOf(communities)} permit 10`,
    ...(standard.length === 0 ? [] : [`set community ${standard.join(' ')}`]),
    ...(large.length === 0 ? [] : [`set large-community ${large.join(' ')}`]),
    'exit',
  ]
}

function configOf(host: Host, settings: RouterSettings, routes: readonly RouterRoute[]): string {
  const restart = settings.neighbours.find(({ gracefulRestart }) => gracefulRestart)?.gracefulRestart
  return [
    'frr defaults datacenter',
    // before they are used: what uses one that changes is looked at again only seconds later
    'bgp route-map delay-timer 1',
    ...routes.flatMap(mapLines),
    `router bgp ${settings.asn}`,
    `bgp router-id ${settings.routerId ?? host.addr4}`,
    ...(settings.clusterId === undefined ? [] : [`bgp cluster-id ${settings.clusterId}`]),
    'no bgp ebgp-requires-policy',
    'no bgp network import-check',
    'no bgp default ipv4-unicast',
    'coalesce-time 10',
    'bgp bestpath as-path multipath-relax',
    // else the older one of two equal external paths is the better one
    'bgp bestpath compare-routerid',
    'bgp deterministic-med',
    ...(restart
      ? [
          'bgp graceful-restart',
          'bgp graceful-restart preserve-fw-state',
          `bgp graceful-restart restart-time ${restart.restartTimeSeconds}`,
        ]
      : []),
    ...settings.neighbours.flatMap((neighbour) => neighbourLines(neighbour, settings)),
    ...familyLines(4, settings, routes),
    ...familyLines(6, settings, routes),
    'exit',
    '',
  ].join('\n')
}

type FrrNeighbour = {
  readonly bgpState: string
  readonly lastResetDueTo?: string
  readonly lastNotificationReason?: string
  readonly addressFamilyInfo?: Readonly<Record<string, { readonly acceptedPrefixCounter?: number }>>
}
type FrrPath = {
  readonly bestpath?: boolean
  readonly multipath?: boolean
  readonly stale?: boolean
  readonly peerId: string
  readonly path: string
  readonly nexthops: readonly { readonly ip: string; readonly scope?: string }[]
}

export class Frr implements Router {
  readonly kind = 'frr'
  readonly host: Host
  readonly #settings: RouterSettings
  readonly #routes: Map<string, RouterRoute>
  readonly #folder: FrrFolder
  readonly #bgpd: DaemonProcess
  readonly #helpers: readonly DaemonProcess[]
  #helpersRun = false

  constructor(host: Host, settings: RouterSettings) {
    this.host = host
    this.#settings = settings
    this.#routes = new Map((settings.originated ?? []).map((route) => [route.prefix, route]))
    this.#folder = new FrrFolder(host)
    this.#bgpd = this.#folder.daemon('bgpd')
    this.#helpers = [this.#folder.daemon('zebra'), this.#folder.daemon('bfdd')]
  }

  async #vtysh(...commands: readonly string[]): Promise<string> {
    this.#bgpd.mustRun()
    return this.#folder.vtysh(...commands)
  }

  async start(): Promise<void> {
    for (const name of ['zebra', 'bfdd']) this.#folder.write(`${name}.conf`, '')
    this.#folder.write('bgpd.conf', configOf(this.host, this.#settings, [...this.#routes.values()]))
    const explain = (): string => this.logTail()
    if (!this.#helpersRun) {
      for (const helper of this.#helpers) helper.start()
      this.#helpersRun = true
      await eventually(
        'zebra and bfdd answer',
        () => this.#folder.vtysh('show bfd peers json', 'show interface brief'),
        (text) => text.includes('eth0'),
        { explain },
      )
    }
    this.#bgpd.start()
    await eventually(
      'bgpd answers',
      () => this.#vtysh('show bgp neighbors json'),
      (text) => text.startsWith('{'),
      { explain },
    )
  }

  async kill(): Promise<void> {
    await this.#bgpd.end('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.#bgpd.end('SIGTERM')
  }

  async neighbours(): Promise<readonly NeighbourView[]> {
    const answer = JSON.parse(await this.#vtysh('show bgp neighbors json')) as Record<string, FrrNeighbour>
    return this.#settings.neighbours.map((neighbour) => {
      const { bgpState, lastNotificationReason, lastResetDueTo, addressFamilyInfo = {} } = answer[idOf(neighbour)]!
      return {
        name: neighbour.name,
        state: bgpState as SessionState,
        received: Object.values(addressFamilyInfo).reduce((sum, info) => sum + (info.acceptedPrefixCounter ?? 0), 0),
        lastError: lastNotificationReason ?? lastResetDueTo ?? '',
      }
    })
  }

  async routes(family: Family): Promise<readonly RouteView[]> {
    const text = await this.#vtysh(`show bgp ipv${family} unicast json`)
    const { routes = {} } = JSON.parse(text) as { routes?: Record<string, readonly FrrPath[]> }
    const nameOf = (id: string): string => this.#settings.neighbours.find((each) => idOf(each) === id)?.name ?? id
    return Object.entries(routes).flatMap(([prefix, paths]) =>
      paths
        .filter(({ peerId }) => peerId !== '(unspec)')
        .map((path) => ({
          prefix,
          from: nameOf(path.peerId),
          nextHops: path.nexthops.map(({ ip }) => ip),
          asPath: path.path,
          isBest: path.bestpath === true,
          isStale: path.stale === true,
        })),
    )
  }

  async #configure(lines: readonly string[]): Promise<void> {
    if (!this.#bgpd.isStarted) return
    await this.#vtysh('configure terminal', ...lines)
  }

  async announce(route: RouterRoute): Promise<void> {
    this.#routes.set(route.prefix, route)
    const family = route.prefix.includes(':') ? 6 : 4
    await this.#configure([
      ...mapLines(route),
      `router bgp ${this.#settings.asn}`,
      `address-family ipv${family} unicast`,
      networkLine(route),
    ])
  }

  async withdraw(prefix: string): Promise<void> {
    this.#routes.delete(prefix)
    const family = prefix.includes(':') ? 6 : 4
    await this.#configure([
      `router bgp ${this.#settings.asn}`,
      `address-family ipv${family} unicast`,
      `no network ${prefix}`,
    ])
  }

  async askRefresh(neighbour: string): Promise<void> {
    const found = this.#settings.neighbours.find(({ name }) => name === neighbour)!
    for (const family of found.families) await this.#vtysh(`clear bgp ipv${family} unicast ${idOf(found)} in`)
  }

  logTail(): string {
    return this.#bgpd.logTail()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of [this.#bgpd, ...this.#helpers]) await each[Symbol.asyncDispose]()
    this.#folder[Symbol.dispose]()
  }
}
