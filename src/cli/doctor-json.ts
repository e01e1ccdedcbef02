// A diagnosis for programs. docs/doctor.md says what is stable. Pure.
import { isWhole } from '#/doctor/losses.ts'
import { type FollowedPacket } from '#/doctor/types.ts'
import { exitStatusOf, summaryOf, type Told } from './doctor-text.ts'
import { type News } from './doctor-watch.ts'

function packetJson(packet: FollowedPacket) {
  const { from, to, family, protocol, fullBytes, verdict } = packet
  return {
    from: { name: from.name, node: from.node },
    to: { name: to.name, node: to.node },
    family,
    protocol,
    ...(fullBytes !== undefined && { fullBytes }),
    isAnswered: isWhole(packet),
    outcome: verdict.outcome,
    text: verdict.text,
  }
}

export function doctorJson(told: Told) {
  const { diagnosis, packets, answers, left } = told
  return {
    summary: summaryOf(told),
    findings: diagnosis.findings,
    notes: diagnosis.notes,
    nodes: answers.map(({ node, status, silences }) => ({ node, isAnswering: status !== undefined, silences })),
    packets: packets.map(packetJson),
    packetsLeftOut: left,
    exitStatus: exitStatusOf(told),
  }
}

/** A line of --watch --json where no diagnosis could be made. */
export function failureJson(error: string, at: Date) {
  return { at: at.toISOString(), error }
}

/** A line of --watch --json; the first one has no `came` and `went`, but all findings. */
export function newsJson(told: Told, news: News | undefined, at: Date) {
  return { at: at.toISOString(), ...(news ?? { findings: told.diagnosis.findings }), summary: summaryOf(told) }
}
