// For tests: a speaker among scripted neighbours, or several speakers, on one network with one clock.
import { Addr } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type PeerConfig, type PeerStatus, type SpeakerConfig } from '#/model/bgp.ts'
import { type Transport } from '../contract.ts'
import { Speaker, type SpeakerDeps } from '../speaker.ts'
import { FakeRoutes } from './fake-routes.ts'
import { ManualClock } from './manual-clock.ts'
import { MemoryNetwork } from './memory-network.ts'
import { ScriptedPeer } from './scripted-peer.ts'

export function peerConfig(changes: Partial<PeerConfig> = {}): PeerConfig {
  return {
    name: 'b',
    addr: Addr.parse('10.0.0.2'),
    port: 179,
    localAsn: 65001,
    remoteAsn: 65002,
    families: [4],
    mode: 'both',
    timers: { holdTimeSeconds: 90, keepaliveSeconds: 30, connectRetrySeconds: 10 },
    isReflectorClient: false,
    nextHopSelf: false,
    allowOwnAsn: 0,
    ...changes,
  }
}

/** An unnumbered one has no address: `addr` is to be taken away, not to be set to undefined. */
export function unnumberedConfig(device: string, changes: Partial<PeerConfig> = {}): PeerConfig {
  const { addr: _, ...rest } = peerConfig(changes)
  return { ...rest, device }
}

export const restart = { restartTimeSeconds: 120, stalePathTimeSeconds: 300 }

export function speakerConfig(peers: readonly PeerConfig[], changes: Partial<SpeakerConfig> = {}): SpeakerConfig {
  return {
    routerId: Addr.parse('10.0.0.1'),
    asn: 65001,
    listenPort: 179,
    maxPaths: 1,
    multipathRelax: false,
    isRestarting: false,
    peers,
    originated: [],
    ...changes,
  }
}

export type TestSpeaker = {
  readonly speaker: Speaker
  readonly routes: FakeRoutes
  readonly config: SpeakerConfig
  /** Of its only peer, or the one with the name. */
  status(name?: string): PeerStatus
}

export class World {
  readonly clock = new ManualClock()
  readonly network = new MemoryNetwork(this.clock)

  speaker(
    config: SpeakerConfig,
    options: { readonly addrs?: readonly string[]; readonly deps?: Partial<SpeakerDeps> } = {},
  ): TestSpeaker {
    const routes = new FakeRoutes({ defer: this.clock.defer })
    const addrs = (options.addrs ?? ['10.0.0.1', 'fe80::1']).map((text) => Addr.parse(text))
    const speaker = new Speaker(config, {
      transport: this.network.host(...addrs),
      clock: this.clock,
      log: silent,
      rib: routes,
      random: () => 0,
      defer: this.clock.defer,
      ...options.deps,
    })
    const status = (name?: string): PeerStatus => {
      const found = speaker.peers().find((peer) => name === undefined || peer.name === name)
      if (found === undefined) throw new Error(`no peer ${name}`)
      return found
    }
    return { speaker, routes, config, status }
  }

  /** A host without a speaker. Connections to it are given out in order. */
  neighbour(addr = '10.0.0.2'): Neighbouring {
    return new Neighbouring(this.network.host(Addr.parse(addr)), this.clock)
  }
}

export class Neighbouring {
  readonly #transport: Transport
  readonly #clock: ManualClock
  readonly accepted: ScriptedPeer[] = []

  constructor(transport: Transport, clock: ManualClock) {
    this.#transport = transport
    this.#clock = clock
  }

  listen(): void {
    this.#transport.listen(179, (connection) => this.accepted.push(new ScriptedPeer(connection)))
  }

  async connect(to = '10.0.0.1', device?: string): Promise<ScriptedPeer> {
    const options = { addr: Addr.parse(to), port: 179, ...(device !== undefined && { device }) }
    const connecting = this.#transport
      .connect(options, new AbortController().signal)
      .then((connection) => new ScriptedPeer(connection))
    await this.#clock.settle()
    return await connecting
  }

  /** Connects and exchanges OPENs and keepalives until the session is established. */
  async establish(changes: Parameters<ScriptedPeer['open']>[0] = {}): Promise<ScriptedPeer> {
    const peer = await this.connect()
    peer.open(changes)
    peer.keepalive()
    await this.#clock.settle()
    return peer
  }
}
