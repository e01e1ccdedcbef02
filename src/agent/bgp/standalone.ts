// A speaker alone: configured by a file, asked over a unix socket as an agent is. It has no cluster, and leaves the kernel's routes
// alone.
import { readFile } from 'node:fs/promises'
import { type BgpPeersReport, type ResetRequest } from '#/api/schemas/bgp.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type SpeakerConfig } from '#/model/bgp.ts'
import { type Answer, AgentApi, type Handlers } from '../report/http-api.ts'
import { composeSpeaker, type LiveSpeaker } from './compose.ts'
import { portReport, type PortTroubles } from './port-troubles.ts'
import { filterOf, routesAnswer, unknownPeer } from './reports.ts'
import { inTurns } from './slices.ts'
import { readSpeakerFile } from './speaker-file.ts'
import { type StopKind } from './thread-messages.ts'

export type StandaloneOptions = {
  readonly configFile: string
  /** Where `causeway bgp` asks. */
  readonly socketPath: string
  /** Whether the kernel kept forwarding since an earlier speaker: neighbours are told so (RFC 4724). */
  readonly isRestarting: boolean
}

export class StandaloneSpeaker implements AsyncDisposable {
  readonly #options: StandaloneOptions
  readonly #log: Logger
  readonly #api: AgentApi
  readonly #live: LiveSpeaker
  #config: SpeakerConfig
  #isReady = false
  #portTroubles: PortTroubles = {}

  private constructor(options: StandaloneOptions, config: SpeakerConfig, log: Logger) {
    this.#options = options
    this.#config = config
    this.#log = log
    this.#live = composeSpeaker(config, {
      onReady: () => (this.#isReady = true),
      onPortTrouble: (service, why) => (this.#portTroubles = { ...this.#portTroubles, [service]: why }),
      log,
    })
    this.#api = new AgentApi({ socketPath: options.socketPath }, { log })
  }

  get #handlers(): Handlers {
    return {
      bgpPeers: () => ({ status: 200, body: this.#peers() }),
      bgpRoutes: (wish) =>
        this.#unknown(wish.peer) ?? routesAnswer(inTurns(this.#live.rib.listing.paths(filterOf(wish)))),
      bgpAdvertised: (wish) =>
        this.#unknown(wish.peer) ?? routesAnswer(inTurns(this.#live.rib.listing.advertised(filterOf(wish)))),
      bgpReset: (wish) => this.#reset(wish),
      bgpReload: () => this.reload(),
    }
  }

  /** Throws for a file that cannot be read or used, or a socket that is taken; a port that is taken is waited for. */
  static async start(options: StandaloneOptions, log: Logger): Promise<StandaloneSpeaker> {
    const alone = new StandaloneSpeaker(options, await configOf(options), log)
    try {
      await alone.#api.start(alone.#handlers)
      alone.#live.speaker.start()
    } catch (error) {
      await alone[Symbol.asyncDispose]()
      throw error
    }
    return alone
  }

  /** Reads the file again; the old configuration stays where the new one cannot be used. */
  async reload(): Promise<Answer<string>> {
    try {
      this.#config = await configOf(this.#options)
    } catch (error) {
      this.#log.error('configuration refused', { error: messageOf(error) })
      return { status: 400, body: `${messageOf(error)}\n` }
    }
    this.#live.speaker.configure(this.#config)
    this.#log.info('configured anew')
    return { status: 200, body: 'configured\n' }
  }

  async stop(how: StopKind): Promise<void> {
    await this.#live.speaker.stop(how)
  }

  #peers(): BgpPeersReport {
    const { asn, routerId } = this.#config
    const ports = portReport(this.#portTroubles)
    return { asn, routerId: String(routerId), ...ports, isReady: this.#isReady, peers: this.#live.speaker.peers() }
  }

  #reset({ peer, how }: ResetRequest): Answer<string> {
    if (this.#live.speaker.reset(peer, how)) return { status: 200, body: `${peer} reset\n` }
    return this.#unknown(peer) ?? { status: 404, body: `"${peer}" has no session\n` }
  }

  #unknown(peer: string | undefined): ReturnType<typeof unknownPeer> {
    return unknownPeer(
      peer,
      this.#config.peers.map(({ name }) => name),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#api[Symbol.asyncDispose]()
    await this.#live[Symbol.asyncDispose]()
  }
}

async function configOf({ configFile, isRestarting }: StandaloneOptions): Promise<SpeakerConfig> {
  const config = readSpeakerFile(await readFile(configFile, 'utf8'), configFile)
  return { ...config, isRestarting: isRestarting || config.isRestarting }
}
