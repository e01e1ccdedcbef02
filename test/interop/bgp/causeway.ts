// Our own speaker as a router of a test: a process, so that it can be killed like the others.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BgpAdvertisedReport, type BgpPeersReport } from '#/api/schemas/bgp.ts'
import { type ParamsArgument } from '#/api/client.ts'
import { type AnswerOf, type OperationName } from '#/api/operations.ts'
import { agentSocketName } from '#/model/node-files.ts'
import { mustAnswer } from '../../ask.ts'
import { type Family } from '#/lib/addr.ts'
import { type PathStatus } from '#/model/bgp.ts'
import { DaemonProcess } from './daemon-process.ts'
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

const main = new URL('../../../src/cli/main.ts', import.meta.url).pathname

const compileCache = join(tmpdir(), 'causeway-compile-cache')
const startTimeoutMs = 60_000

/** Fields of the speaker's file that are put into its own in place of what RouterNeighbour would give. */
export type SpeakerExtras = {
  readonly speaker?: Readonly<Record<string, unknown>>
  readonly peer?: Readonly<Record<string, unknown>>
  /** In place of taking everything, by the neighbour's name. */
  readonly importPolicies?: ReadonlyMap<string, unknown>
}

function peerOf(neighbour: RouterNeighbour, extras: SpeakerExtras): unknown {
  const { name, addr, device, asn, families, mode, holdTimeSeconds, password, ttlSecurityHops, multihopTtl } = neighbour
  const { bfd, gracefulRestart, isReflectorClient, nextHopSelf, maxPrefixes } = neighbour
  return {
    name,
    addr,
    device,
    families,
    mode,
    password,
    ttlSecurityHops,
    multihopTtl,
    isReflectorClient,
    nextHopSelf,
    remoteAsn: asn,
    timers: { holdTimeSeconds: holdTimeSeconds ?? 90, connectRetrySeconds: 1 },
    importPolicy: extras.importPolicies?.get(name) ?? { rules: [], otherwise: 'accept' },
    exportPolicy: { rules: [], otherwise: 'accept' },
    ...(bfd && { bfd: { intervalMs: bfd.intervalMs, detectMultiplier: bfd.multiplier } }),
    ...(gracefulRestart && { gracefulRestart }),
    ...(maxPrefixes !== undefined && { maxPrefixes: { count: maxPrefixes } }),
    ...extras.peer,
  }
}

export class Causeway implements Router {
  readonly kind = 'causeway'
  readonly host: Host
  #settings: RouterSettings
  #extras: SpeakerExtras
  readonly #routes: Map<string, RouterRoute>
  readonly #folder = mkdtempSync(join(tmpdir(), 'causeway-speaker-'))
  readonly #process: DaemonProcess

  constructor(host: Host, settings: RouterSettings, extras: SpeakerExtras = {}) {
    this.host = host
    this.#settings = settings
    this.#extras = extras
    this.#routes = new Map((settings.originated ?? []).map((route) => [route.prefix, route]))
    const node = [process.execPath, '--disable-warning=ExperimentalWarning']
    // a test starts many: the sources are read once
    const env = ['env', `CAUSEWAY_RUN_DIR=${this.#folder}`, `NODE_COMPILE_CACHE=${compileCache}`]
    const command = [...env, ...node, main, 'bgp', 'speak', '--log-level', 'debug', this.#path('speaker.json')]
    this.#process = new DaemonProcess(host.ns.netns, command, this.#path('log'))
  }

  #path(name: string): string {
    return join(this.#folder, name)
  }

  #writeConfig(): void {
    const { asn, routerId, clusterId, maxPaths, neighbours } = this.#settings
    const config = {
      asn,
      clusterId,
      maxPaths,
      routerId: routerId ?? this.host.addr4,
      multipathRelax: true,
      peers: neighbours.map((neighbour) => peerOf(neighbour, this.#extras)),
      originated: [...this.#routes.values()],
      ...this.#extras.speaker,
    }
    writeFileSync(this.#path('speaker.json'), JSON.stringify(config))
  }

  async #ask<Name extends OperationName>(name: Name, ...params: ParamsArgument<Name>): Promise<AnswerOf<Name>> {
    this.#process.mustRun()
    return mustAnswer(this.#path(agentSocketName), name, ...params)
  }

  get pid(): number {
    return this.#process.pid
  }

  async start({ isRestarting } = { isRestarting: false }): Promise<void> {
    this.#writeConfig()
    this.#process.start(isRestarting ? ['--restarting'] : [])
    const explain = (): string => this.logTail()
    const answers = (): Promise<unknown> =>
      this.#ask('bgpPeers').catch((error: unknown) => this.#process.mustRun() ?? error)
    await eventually('the speaker answers', answers, (answer) => !(answer instanceof Error), {
      explain,
      timeoutMs: startTimeoutMs,
    })
  }

  async kill(): Promise<void> {
    await this.#process.end('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.#process.end('SIGTERM')
  }

  async report(): Promise<BgpPeersReport> {
    return this.#ask('bgpPeers')
  }

  async neighbours(): Promise<readonly NeighbourView[]> {
    const { peers } = await this.report()
    return peers.map(({ name, state, received, lastError = '' }) => ({ name, state, received, lastError }))
  }

  async paths(): Promise<readonly PathStatus[]> {
    return (await this.#ask('bgpRoutes')).routes
  }

  async routes(family: Family): Promise<readonly RouteView[]> {
    const names = new Set(this.#settings.neighbours.map(({ name }) => name))
    return (await this.paths())
      .filter(({ prefix, peer, isRefused }) => prefix.includes(':') === (family === 6) && names.has(peer) && !isRefused)
      .map(({ prefix, peer: from, nextHops, asPath, isBest, communities, isStale }) => ({
        prefix,
        from,
        nextHops,
        asPath,
        isBest,
        communities: communities.toSorted(),
        isStale,
      }))
  }

  async advertised(): Promise<BgpAdvertisedReport['routes']> {
    return (await this.#ask('bgpAdvertised')).routes
  }

  async #reload(): Promise<void> {
    this.#writeConfig()
    if (this.#process.isStarted) await this.#ask('bgpReload')
  }

  /** Another configuration, with the routes as they are. */
  async configure(settings: RouterSettings, extras: SpeakerExtras = {}): Promise<void> {
    this.#settings = settings
    this.#extras = extras
    await this.#reload()
  }

  async announce(route: RouterRoute): Promise<void> {
    this.#routes.set(route.prefix, route)
    await this.#reload()
  }

  async withdraw(prefix: string): Promise<void> {
    this.#routes.delete(prefix)
    await this.#reload()
  }

  async reset(peer: string, how: 'soft' | 'hard'): Promise<void> {
    await this.#ask('bgpReset', { peer, how })
  }

  async askRefresh(peer: string): Promise<void> {
    await this.reset(peer, 'soft')
  }

  logTail(): string {
    return this.#process.logTail()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
