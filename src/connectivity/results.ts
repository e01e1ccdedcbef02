// What becomes of scenarios, by what became of their packets, agents and pods. Pure.
import { diagnose } from '#/doctor/diagnose.ts'
import { blamedCode, isLost, packetText } from '#/doctor/losses.ts'
import { hindranceOf } from '#/doctor/hindrances.ts'
import { type Finding, type FollowedPacket, type NodeAnswers } from '#/doctor/types.ts'
import { plural } from '#/lib/plural.ts'
import { probesText } from './text.ts'
import { type Fault, type ProbeResult, type ScenarioName, type ScenarioResult } from './types.ts'

const isBad = ({ state, probe }: ProbeResult): boolean => state === 'failed' || (state === 'unknown' && !probe.isGuess)

/**
 * Packets to a router that was guessed, which it did not answer, while it answered others: it does answer echoes, and that these are not answered shows
 * that they are lost.
 */
export function unansweredByProved(results: readonly ProbeResult[]): ProbeResult[] {
  const answering = new Set(results.filter(({ state }) => state === 'passed').map(({ probe }) => probe.to.name))
  return results.filter(({ state, probe }) => state === 'unknown' && probe.isGuess && answering.has(probe.to.name))
}

/** Of packets. Where it was guessed who may answer, and nobody does, nothing is shown. */
export function resultOfProbes(name: ScenarioName, probes: readonly ProbeResult[], ms: number): ScenarioResult {
  const told = probes.filter((each) => isBad(each) || each.state === 'passed')
  if (told.length === 0) {
    const whom = [...new Set(probes.map(({ probe }) => probe.to.name))].join(' and ')
    const text = `packets leave the cluster, and the router ${whom} answers none; --outside ADDRESS[:PORT] names somebody who does`
    return { name, state: 'skipped', text, probes: [], faults: [], ms }
  }
  const state = told.some(isBad) ? 'failed' : 'passed'
  return { name, state, text: probesText(told), probes: told, faults: [], ms }
}

/** Of agents that answer, or pods that are ready: `noun` says which, `what` they do. */
export function resultOfFaults(
  name: ScenarioName,
  { all, noun, what, faults }: { all: number; noun: string; what: string; faults: readonly Fault[] },
  ms: number,
): ScenarioResult {
  const bad = new Set(faults.map(({ subject }) => subject)).size
  const text = bad === 0 ? `${plural(all, noun)} ${what}` : `${all - bad} of ${plural(all, noun)} ${what}`
  return { name, state: bad === 0 && all > 0 ? 'passed' : 'failed', text, probes: [], faults, ms }
}

export function skipped(name: ScenarioName, text: string): ScenarioResult {
  return { name, state: 'skipped', text, probes: [], faults: [], ms: 0 }
}

/** A diagnosis reads what all nodes answered: so many answers are read for the causes of one test, 16 times those of 2,000 nodes. */
const mostAnswersRead = 32_000

/** What says which diagnosis a packet gets. */
const keyOf = (packet: FollowedPacket): string => `${packetText(packet)}: ${packet.verdict.text}`

/**
 * Packets that are diagnosed together: each alone, so that what ended one is not said of another, as long as these are few enough for a cluster of so
 * many nodes. What became of the same packet in the same words is told once.
 */
export function batchesOf(packets: readonly FollowedPacket[], nodeCount: number): FollowedPacket[][] {
  const distinct = [...new Map(packets.map((packet) => [keyOf(packet), packet])).values()]
  const most = Math.max(1, Math.floor(mostAnswersRead / Math.max(1, nodeCount)))
  const size = Math.ceil(distinct.length / most)
  return Array.from({ length: size === 0 ? 0 : Math.ceil(distinct.length / size) }, (_, index) =>
    distinct.slice(index * size, (index + 1) * size),
  )
}

/**
 * What doctor says of packets that did not pass, so that they have doctor's code and remedy. `blaming`: others whose traces say what is wrong, which may
 * be what has ended these as well.
 */
export function causesOf(
  packets: readonly FollowedPacket[],
  blaming: readonly FollowedPacket[],
  answers: readonly NodeAnswers[],
): Map<FollowedPacket, Finding> {
  const own = new Set(packets)
  const meant = packets.map((packet) => ({ ...packet, isMeant: true as const }))
  const { findings } = diagnose(answers, [...meant, ...blaming.filter((each) => !own.has(each))])
  const byText = new Map(findings.toReversed().flatMap((finding) => finding.lost.map((text) => [text, finding])))
  return new Map(
    packets.flatMap((packet) => {
      const finding = byText.get(packetText(packet))
      return finding === undefined ? [] : [[packet, finding]]
    }),
  )
}

/** One for each thing that traces blame. */
function blamingIn(packets: readonly FollowedPacket[]): FollowedPacket[] {
  const blaming = packets.filter((packet) => isLost(packet) && blamedCode(packet) !== undefined)
  return [...new Map(blaming.map((packet) => [`${blamedCode(packet)} ${packet.verdict.text}`, packet])).values()]
}

/** The results with doctor's code and remedy at each packet that failed, as far as doctor knows its cause. */
export function withCauses(
  results: readonly ScenarioResult[],
  {
    packetOf,
    answers,
    findings,
  }: {
    readonly packetOf: ReadonlyMap<ProbeResult, FollowedPacket>
    readonly answers: readonly NodeAnswers[]
    /** Of the cluster as a whole. */
    readonly findings: readonly Finding[]
  },
): ScenarioResult[] {
  const blaming = blamingIn([...packetOf.values()])
  const bad = results.flatMap(({ probes }) => probes.filter(isBad)).flatMap((result) => packetOf.get(result) ?? [])
  const causes = new Map<string, Finding>()
  for (const batch of batchesOf(bad, answers.length))
    for (const [packet, finding] of causesOf(batch, blaming, answers)) causes.set(keyOf(packet), finding)
  const withCause = (result: ProbeResult): ProbeResult => {
    if (!isBad(result)) return result
    const { from, to, expects } = result.probe
    const nodes = [from.node, to.node]
    const packet = packetOf.get(result)
    const known = packet && causes.get(keyOf(packet))
    const untold = result.state === 'unknown' ? hindranceOf('answering', findings, nodes) : undefined
    const cause = untold ?? (expects === 'denial' ? hindranceOf('policies', findings, nodes) : known)
    // why a policy denies it the trace says itself
    const isUnexplained = cause?.code === 'CW6102' && packet?.verdict.kind === 'policy'
    return cause === undefined || isUnexplained ? result : { ...result, code: cause.code, remedy: cause.remedy }
  }
  const caused = (fault: Fault, name: ScenarioName): Fault => {
    if (fault.node === undefined || fault.code !== undefined) return fault
    const cause = hindranceOf(name === 'agents' ? 'answering' : 'new pods', findings, [fault.node])
    return cause === undefined ? fault : { remedy: cause.remedy, ...fault, code: cause.code }
  }
  return results.map((result) => ({
    ...result,
    probes: result.probes.map(withCause),
    faults: result.faults.map((fault) => caused(fault, result.name)),
  }))
}
