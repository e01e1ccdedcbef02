// Runs random frames through a program in the kernel, and compares all that it does with the oracle.
import { internetChecksum } from '#/lib/internet-checksum.ts'
import { equalBytes } from '#/lib/bytes.ts'
import { type ProgramName } from '#/wire/bpf/maps.ts'
import { addrOf, be16, join } from './frames.ts'
import { Chance, devices, nextFrame, soundFrames } from './mutator.ts'
import { OpenConnections } from './open-connections.ts'
import { fuzzedForm } from './fuzzed-form.ts'
import { type Expected, Oracle, type Sent } from './oracle.ts'
import { police } from './policed-world.ts'
import {
  clientPairs,
  clientPort,
  nodes,
  type Outcome,
  serverPort,
  unansweredPort,
  vni,
  vxlanPort,
  World,
} from './world.ts'

/** Runs between two looks at the counters of drops; fewer than the budget of multicast. */
const batchRuns = 500
const segmentBytes = [1, 100, 1208, 1248, 1260, 1400, 1460]

export class Difference extends Error {
  override name = 'Difference'
}

/** The inner frame, when the outer headers are right; undefined else. */
function innerOf(frame: Uint8Array, { ecn, dst }: NonNullable<Expected['outer']>): Uint8Array | undefined {
  const bytes = frame.length - 14
  const header = frame.subarray(14, 34)
  const [identification, port] = [header.subarray(4, 6), (frame[34]! << 8) | frame[35]!]
  const due = join(
    [0x45, ecn],
    be16(bytes),
    identification,
    [0, 0, 64, 17],
    header.subarray(10, 12),
    addrOf(nodes.own.addr4),
    addrOf(dst),
  )
  const datagram = join(be16(port), be16(vxlanPort), be16(bytes - 20), [0, 0, 8, 0, 0, 0, 0, 0, vni, 0])
  const isRight =
    equalBytes(header, due) &&
    internetChecksum(header) === 0 &&
    port >= 0xc000 &&
    equalBytes(frame.subarray(34, 50), datagram)
  return isRight ? frame.subarray(50) : undefined
}

export class Fuzzer implements Disposable {
  readonly #world: World
  readonly #open: OpenConnections
  readonly #oracle: Oracle
  readonly #chance: Chance
  readonly seed: number
  /** How many runs ended how: "carried", "stack", "dropped source_mac". */
  readonly outcomes = new Map<string, number>()

  static async make(seed: number): Promise<Fuzzer> {
    return new Fuzzer(await World.make(), seed)
  }

  private constructor(world: World, seed: number) {
    this.#world = world
    this.seed = seed
    this.#chance = new Chance(seed)
    this.#open = new OpenConnections(world.connections)
    this.#oracle = new Oracle(this.#open)
    police(world, fuzzedForm)
    for (const pair of clientPairs) {
      for (const protocol of [6, 17]) {
        this.#open.add({ protocol, ...pair, from: clientPort, to: serverPort })
        this.#open.addUnanswered({ protocol, ...pair, from: clientPort, to: unansweredPort })
      }
    }
  }

  /** Throws Difference when a program does other than the oracle expects, with the frame. */
  run(program: ProgramName, runs: number): void {
    for (let done = 0; done < runs; done += batchRuns) this.#batch(program, Math.min(batchRuns, runs - done))
  }

  #batch(program: ProgramName, runs: number): void {
    const world = this.#world
    world.maps.clearDrops()
    world.clearBudgets()
    this.#open.renew()
    const drops = new Map<string, number>()
    world.inside(() => {
      for (let run = 0; run < runs; run++) {
        const sent = this.#next(program)
        const outcome = world.runInside(program, sent.device, sent.frame, {
          gsoBytes: sent.gsoBytes,
          segments: sent.gsoBytes && 2,
        })
        const expected = this.#oracle.expect(program, sent)
        this.#compare(program, sent, outcome, expected)
        if (expected.reason) drops.set(expected.reason, (drops.get(expected.reason) ?? 0) + 1)
      }
    })
    const [counted, due] = [world.maps.drops(), drops].map((each) =>
      JSON.stringify([...each].sort(([a], [b]) => a.localeCompare(b))),
    )
    if (counted !== due)
      throw new Difference(`seed ${this.seed}: ${program} counted the drops ${counted} instead of ${due}`)
  }

  #next(program: ProgramName): Sent {
    const device = this.#chance.of(devices[program])
    const frame = nextFrame(this.#chance, soundFrames[program])
    const isSegmented = this.#chance.below(16) === 0
    return { device, frame, gsoBytes: isSegmented ? this.#chance.of(segmentBytes) : 0 }
  }

  #compare(program: ProgramName, sent: Sent, { verdict, frame }: Omit<Outcome, 'reason'>, expected: Expected): void {
    const kind = [expected.verdict, expected.reason].filter(Boolean).join(' ')
    this.outcomes.set(kind, (this.outcomes.get(kind) ?? 0) + 1)
    const left = expected.outer && verdict === 'carried' ? innerOf(frame, expected.outer) : frame
    const isLeftRight = verdict === 'dropped' || (left !== undefined && equalBytes(left, expected.frame))
    if (verdict === expected.verdict && isLeftRight) return
    const { device, gsoBytes } = sent
    throw new Difference(
      [
        `seed ${this.seed}: ${program} at ${device}, segments of ${gsoBytes}: ${verdict} instead of ${kind}`,
        `sent     ${sent.frame.toHex()}`,
        `expected ${expected.frame.toHex()}${expected.outer ? ` to ${expected.outer.dst}` : ''}`,
        `left     ${frame.toHex()}`,
      ].join('\n'),
    )
  }

  [Symbol.dispose](): void {
    this.#world[Symbol.dispose]()
  }
}
