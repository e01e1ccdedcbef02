// Several equal ways may lead to an end, and a packet takes one: so probes from several ports are sent, and told by the ways that they took.
import { type AgentOfNode } from '#/api/client.ts'
import { eachOf } from '#/cluster/each-of.ts'
import { readPacket } from '#/trace/packet.ts'
import { type Outcome } from '#/trace/verdict.ts'
import { type Hop } from '#/trace/way.ts'
import { type TraceOptions, type TraceRun, withTrace } from './trace-run.ts'
import { type SizedRun } from './trace-sizes.ts'

/** With two equal ways, one that is broken is missed once in 128 times. */
const probes = 8
/** One that is lost takes two seconds. An agent watches for four traces at a time, of which one is left to others. */
const probesAtOnce = 3

/** What probes that went one way came to. */
export type TriedWay = {
  /** "eth0 of node-1 to 02:… → eth1 of node-2 from 02:…, back …" */
  readonly way: string
  readonly outcome: Outcome
  readonly sourcePorts: readonly number[]
}

/** The MAC that a frame goes to, or comes from: routers beside each other are told apart by it. */
function macOf({ sighting }: Hop, end: 'src' | 'dst'): string {
  const macs = sighting && readPacket(Uint8Array.fromHex(sighting.bytes), sighting.startsAt)?.macs
  return macs === undefined ? '' : ` ${end === 'dst' ? 'to' : 'from'} ${macs[end]}`
}

/** The devices by which it leaves a node, and comes to the next one. */
function crossingText(hops: readonly Hop[]): string {
  const seen = hops.filter(
    ({ sighting, pod, place }) => sighting !== undefined && pod === undefined && place !== 'drop',
  )
  const name = ({ device, node }: Hop): string => `${device} of ${node}`
  const crossings = seen.flatMap((hop, index) => {
    const next = seen[index + 1]
    return next !== undefined && next.node !== hop.node
      ? [`${name(hop)}${macOf(hop, 'dst')} → ${name(next)}${macOf(next, 'src')}`]
      : []
  })
  const last = seen.at(-1)
  return crossings.join(', ') || (last === undefined ? 'nowhere' : `as far as ${name(last)}`)
}

export function wayText({ hops }: Pick<TraceRun, 'hops'>): string {
  const [there, back] = [crossingText(hops.there), crossingText(hops.back)]
  return hops.back.some(({ sighting }) => sighting !== undefined) ? `${there}, back ${back}` : there
}

export function triedWays(runs: readonly Pick<TraceRun, 'hops' | 'verdict' | 'probe'>[]): TriedWay[] {
  const byWay = Map.groupBy(runs, (run) => `${run.verdict.outcome} ${wayText(run)}`)
  return [...byWay.values()].map((same) => ({
    way: wayText(same[0]!),
    outcome: same[0]!.verdict.outcome,
    sourcePorts: same.flatMap(({ probe }) => probe.request.sourcePort ?? []),
  }))
}

/** Some at a time, each from a port of its own; the first that is not answered is told in full, else the first. */
export async function runWays(agents: readonly AgentOfNode[], options: TraceOptions): Promise<SizedRun> {
  const runs = await eachOf(Array.from({ length: probes }), probesAtOnce, async () =>
    withTrace(agents, options, async (run) => Promise.resolve(run)),
  )
  const told = runs.find(({ verdict }) => verdict.outcome !== 'answered') ?? runs[0]!
  return { ...told, ways: triedWays(runs) }
}
