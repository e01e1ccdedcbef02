// What becomes of scenarios, by what became of their packets, agents and pods. Pure.
import { diagnose } from '#/doctor/diagnose.ts'
import { blamedCode, isLost, packetText } from '#/doctor/losses.ts'
import { type Finding, type FollowedPacket, type NodeAnswers } from '#/doctor/types.ts'
import { plural, probesText } from './text.ts'
import { type Fault, type ProbeResult, type ScenarioName, type ScenarioResult } from './types.ts'

const isBad = ({ state, probe }: ProbeResult): boolean => state === 'failed' || (state === 'unknown' && !probe.isGuess)

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

/**
 * What doctor says of one packet that did not pass, so that it has doctor's code and remedy. `blaming`: others whose traces say what is wrong, which may
 * be what has ended this one as well.
 */
export function causeOf(
  packet: FollowedPacket,
  blaming: readonly FollowedPacket[],
  answers: readonly NodeAnswers[],
): Finding | undefined {
  const { findings } = diagnose(answers, [packet, ...blaming.filter((each) => each !== packet)])
  const text = packetText(packet)
  return findings.find(({ lost }) => lost.includes(text))
}

/** One for each thing that traces blame. */
function blamingIn(packets: readonly FollowedPacket[]): FollowedPacket[] {
  const blaming = packets.filter((packet) => isLost(packet) && blamedCode(packet) !== undefined)
  return [...new Map(blaming.map((packet) => [`${blamedCode(packet)} ${packet.verdict.text}`, packet])).values()]
}

/** The results with doctor's code and remedy at each packet that failed, as far as doctor knows its cause. */
export function withCauses(
  results: readonly ScenarioResult[],
  { packetOf, answers }: { packetOf: ReadonlyMap<ProbeResult, FollowedPacket>; answers: readonly NodeAnswers[] },
): ScenarioResult[] {
  const blaming = blamingIn([...packetOf.values()])
  const withCause = (result: ProbeResult): ProbeResult => {
    const packet = isBad(result) ? packetOf.get(result) : undefined
    const cause = packet && causeOf(packet, blaming, answers)
    return cause === undefined ? result : { ...result, code: cause.code, remedy: cause.remedy }
  }
  return results.map((result) => ({ ...result, probes: result.probes.map(withCause) }))
}
