// BIRD 2 as a router: its configuration, and what birdc prints.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

/** Small, so that a test need not wait: seconds. */
const quick = 'connect delay time 0; connect retry time 1; error wait time 1, 1;'

function communityText(community: string): string {
  const parts = community.split(':')
  return parts.length === 3
    ? `bgp_large_community.add((${parts.join(',')}));`
    : `bgp_community.add((${parts.join(',')}));`
}

function channel(family: Family, { extendedNextHop, maxPrefixes, nextHopSelf, gracefulRestart }: RouterNeighbour) {
  const lines = [
    'import all',
    'export where source ~ [RTS_STATIC, RTS_BGP]',
    ...(family === 4 && extendedNextHop ? ['extended next hop on'] : []),
    ...(maxPrefixes === undefined ? [] : [`receive limit ${maxPrefixes} action disable`]),
    ...(nextHopSelf ? ['next hop self on'] : []),
    ...(gracefulRestart ? ['graceful restart on'] : []),
    ...(gracefulRestart?.longLivedStaleTimeSeconds === undefined ? [] : ['long lived graceful restart on']),
  ]
  return `ipv${family} { ${lines.join('; ')}; };`
}

function neighbourText(neighbour: RouterNeighbour, { asn, clusterId }: RouterSettings): string {
  const { name, addr, device, families, mode, password, ttlSecurityHops, multihopTtl, bfd, gracefulRestart } = neighbour
  const isInternal = neighbour.asn === asn
  const lines = [
    `local as ${asn}`,
    `neighbor ${addr ?? ''}${device === undefined || addr === undefined ? '' : `%'${device}'`} as ${neighbour.asn}`,
    `hold time ${neighbour.holdTimeSeconds ?? 90}`,
    'deterministic med on',
    ...(mode === 'passive' ? ['passive on'] : []),
    ...(password === undefined ? [] : [`password "${password}"`]),
    ...(ttlSecurityHops === undefined ? [] : ['ttl security on']),
    ...(multihopTtl === undefined ? ['direct'] : [`multihop ${multihopTtl}`]),
    ...(bfd
      ? [
          `bfd { min rx interval ${bfd.intervalMs} ms; min tx interval ${bfd.intervalMs} ms; multiplier ${bfd.multiplier}; }`,
        ]
      : []),
    ...(gracefulRestart
      ? [
          'graceful restart on',
          `graceful restart time ${gracefulRestart.restartTimeSeconds}`,
          ...(gracefulRestart.longLivedStaleTimeSeconds === undefined
            ? []
            : ['long lived graceful restart on', `long lived stale time ${gracefulRestart.longLivedStaleTimeSeconds}`]),
        ]
      : ['graceful restart off', 'long lived graceful restart off']),
    ...(neighbour.isReflectorClient ? ['rr client'] : []),
    ...(clusterId !== undefined && isInternal ? [`rr cluster id ${clusterId}`] : []),
  ]
  const channels = families.map((family) => channel(family, neighbour))
  return `protocol bgp n_${name} {\n  ${quick}\n  ${lines.map((line) => `${line};`).join('\n  ')}\n  ${channels.join('\n  ')}\n}`
}

function configOf(host: Host, settings: RouterSettings, routes: ReadonlyMap<string, RouterRoute>): string {
  const statics = ([4, 6] as const).map((family) => {
    const own = [...routes.values()].filter(({ prefix }) => prefix.includes(':') === (family === 6))
    const lines = own.map(({ prefix, communities = [] }) => {
      const added = communities.map(communityText).join(' ')
      return `  route ${prefix} blackhole${added && ` { ${added} }`};`
    })
    return `protocol static own${family} {\n  ipv${family};\n${lines.join('\n')}\n}`
  })
  const { maxPaths, neighbours } = settings
  return [
    'log stderr all;',
    `router id ${settings.routerId ?? host.addr4};`,
    'graceful restart wait 60;',
    'protocol device { scan time 60; }',
    'protocol bfd { accept direct; }',
    ...([4, 6] as const).map(
      (family) =>
        `protocol kernel kernel${family} { ipv${family} { export all; };${maxPaths === undefined ? '' : ` merge paths on limit ${maxPaths};`} }`,
    ),
    ...statics,
    ...neighbours.map((neighbour) => neighbourText(neighbour, settings)),
    '',
  ].join('\n')
}

function asPathText(text: string): string {
  return text.trim().replaceAll(/\{([^}]*)\}/g, (_, set: string) => `{${set.trim().split(/[ ,]+/).join(',')}}`)
}

function communitiesOf(attributes: ReadonlyMap<string, string>): string[] {
  const tuples = ['BGP.community', 'BGP.large_community'].flatMap((name) => [
    ...(attributes.get(name) ?? '').matchAll(/\(([\d, ]+)\)/g),
  ])
  return tuples.map(([, numbers]) => numbers!.split(',').map(Number).join(':')).sort()
}

/** The routes of `show route all` that came over BGP. */
export function parseRoutes(text: string): RouteView[] {
  const views: RouteView[] = []
  let prefix = ''
  let head: { from: string; isBest: boolean } | undefined
  let attributes = new Map<string, string>()
  const finish = (): void => {
    const nextHop = attributes.get('BGP.next_hop')
    if (head?.from.startsWith('n_') && nextHop !== undefined) {
      views.push({
        prefix,
        ...head,
        from: head.from.slice(2),
        nextHops: nextHop.split(' ').filter(Boolean),
        asPath: asPathText(attributes.get('BGP.as_path') ?? ''),
        communities: communitiesOf(attributes),
      })
    }
    head = undefined
    attributes = new Map()
  }
  for (const line of text.split('\n')) {
    const route = /^(\S+)?\s+(?:unicast|blackhole|unreachable|prohibit)\s+\[(\S+) [^\]]*\]( \*)? \(/.exec(line)
    if (route) {
      finish()
      prefix = route[1] ?? prefix
      head = { from: route[2]!, isBest: route[3] !== undefined }
      continue
    }
    const attribute = /^\t(BGP\.[a-z_]+): ?(.*)$/.exec(line)
    if (attribute) attributes.set(attribute[1]!, attribute[2]!)
  }
  finish()
  return views
}

const states: Readonly<Record<string, SessionState>> = {
  Idle: 'Idle',
  Connect: 'Connect',
  Active: 'Active',
  OpenSent: 'OpenSent',
  OpenConfirm: 'OpenConfirm',
  Established: 'Established',
}

/** Of `show protocols all`. */
export function parseNeighbours(text: string): NeighbourView[] {
  return text
    .split(/^(?=\S)/m)
    .filter((part) => part.startsWith('n_'))
    .map((part) => ({
      name: /^n_(\S+)/.exec(part)![1]!,
      state: states[/BGP state:\s+(\S+)/.exec(part)?.[1] ?? ''] ?? 'Idle',
      received: [...part.matchAll(/Routes:\s+(\d+) imported/g)].reduce((sum, [, count]) => sum + Number(count), 0),
      lastError: /Last error:\s+(.*)/.exec(part)?.[1] ?? '',
    }))
}

export class Bird implements Router {
  readonly kind = 'bird'
  readonly host: Host
  readonly #settings: RouterSettings
  readonly #routes: Map<string, RouterRoute>
  readonly #folder = mkdtempSync(join(tmpdir(), 'causeway-bird-'))
  readonly #process: DaemonProcess

  constructor(host: Host, settings: RouterSettings) {
    this.host = host
    this.#settings = settings
    this.#routes = new Map((settings.originated ?? []).map((route) => [route.prefix, route]))
    const args = ['-f', '-c', this.#path('conf'), '-s', this.#path('ctl')]
    this.#process = new DaemonProcess(host.ns.netns, ['bird', ...args], this.#path('log'))
  }

  #path(name: string): string {
    return join(this.#folder, name)
  }

  #writeConfig(): void {
    writeFileSync(this.#path('conf'), configOf(this.host, this.#settings, this.#routes))
  }

  async #birdc(...command: readonly string[]): Promise<string> {
    this.#process.mustRun()
    return ask(this.host, ['birdc', '-s', this.#path('ctl'), ...command])
  }

  async start({ isRestarting } = { isRestarting: false }): Promise<void> {
    this.#writeConfig()
    this.#process.start(isRestarting ? ['-R'] : [])
    const explain = (): string => this.logTail()
    await eventually(
      'birdc answers',
      () => this.#birdc('show', 'status'),
      (text) => /up and running|recovery/.test(text),
      { explain },
    )
  }

  async kill(): Promise<void> {
    await this.#process.end('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.#process.end('SIGTERM')
  }

  async neighbours(): Promise<readonly NeighbourView[]> {
    return parseNeighbours(await this.#birdc('show', 'protocols', 'all'))
  }

  async routes(family: Family): Promise<readonly RouteView[]> {
    return parseRoutes(await this.#birdc('show', 'route', 'table', `master${family}`, 'all'))
  }

  async #reload(): Promise<void> {
    this.#writeConfig()
    if (this.#process.isStarted) await this.#birdc('configure')
  }

  async announce(route: RouterRoute): Promise<void> {
    this.#routes.set(route.prefix, route)
    await this.#reload()
  }

  async withdraw(prefix: string): Promise<void> {
    this.#routes.delete(prefix)
    await this.#reload()
  }

  async askRefresh(neighbour: string): Promise<void> {
    await this.#birdc('reload', 'in', `n_${neighbour}`)
  }

  logTail(): string {
    return this.#process.logTail()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
