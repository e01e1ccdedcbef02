// A BGP speaker: peers by name, one listener for all of them, and the routes they bring. It composes; sessions are in session/, routes
// in rib/, sockets behind the Transport.
import { type PeerStatus, type SpeakerConfig } from '#/model/bgp.ts'
import { type RouteSink } from './contract.ts'
import { type SessionDeps } from './session/deps.ts'

/** The RIB as a speaker needs it: what is not of sessions in a configuration is told to it. */
export interface ConfigurableRoutes extends RouteSink {
  configure(config: SpeakerConfig): void
}

export type SpeakerDeps = Omit<SessionDeps, 'routes' | 'random' | 'defer'> & {
  readonly rib: ConfigurableRoutes
  readonly random?: SessionDeps['random']
  readonly defer?: SessionDeps['defer']
  /** Once: every peer has sent End-of-RIB, or the deferral time of RFC 4724 section 4.1 is over. */
  readonly onReady?: () => void
}

export class Speaker implements AsyncDisposable {
  readonly #config: SpeakerConfig
  readonly #deps: SpeakerDeps

  constructor(config: SpeakerConfig, deps: SpeakerDeps) {
    this.#config = config
    this.#deps = deps
  }

  /** Listens and lets sessions begin. Throws when the port is taken. */
  start(): void {
    this.#deps.rib.configure(this.#config)
  }

  /** Applies what is different: only sessions whose own settings changed are reset. */
  configure(config: SpeakerConfig): void {
    this.#deps.rib.configure(config)
  }

  peers(): readonly PeerStatus[] {
    return []
  }

  /** `hard`: ends the session and begins anew. `soft`: asks for all routes again (RFC 2918). False: there is no such peer. */
  reset(_peer: string, _how: 'hard' | 'soft'): boolean {
    return false
  }

  /**
   * `restart`: this node goes on forwarding, neighbours with graceful restart keep its routes (RFC 4724). `shutdown`: they are told
   * to let go of them, with `text` for their operators (RFC 9003). Resolves when all connections are closed.
   */
  async stop(_how: 'restart' | 'shutdown', _text?: string): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('shutdown')
  }
}
