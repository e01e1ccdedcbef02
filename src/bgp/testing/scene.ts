// A speaker with one peer, and the peer's end played by the test.
import { type PeerConfig } from '#/model/bgp.ts'
import { encodeKeepalive } from '#/wire/bgp/index.ts'
import { type SpeakerDeps } from '../speaker.ts'
import { type Neighbouring, peerConfig, speakerConfig, type TestSpeaker, World } from './world.ts'

export type Scene = TestSpeaker & {
  readonly world: World
  readonly neighbour: Neighbouring
  advance(seconds: number): Promise<void>
}

/** A started speaker at 10.0.0.1 with one peer, and its neighbour at 10.0.0.2, which does not listen. */
export async function scene(changes: Partial<PeerConfig> = {}, deps: Partial<SpeakerDeps> = {}): Promise<Scene> {
  const world = new World()
  const started = world.speaker(speakerConfig([peerConfig(changes)]), { deps })
  const neighbour = world.neighbour()
  started.speaker.start()
  await world.clock.settle()
  return { ...started, world, neighbour, advance: (seconds) => world.clock.advance(seconds * 1000) }
}

export const manyKeepalives = (count: number): Uint8Array =>
  Buffer.concat(Array.from({ length: count }, encodeKeepalive))

export const passive = { mode: 'passive' } as const
