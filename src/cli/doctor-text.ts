// A diagnosis as text: what is wrong in one line, then each cause with what follows from it. Pure.
import { groupByCause, namesOf } from '#/lib/causes.ts'
import { plural } from '#/lib/plural.ts'
import { wrapWords } from '#/lib/wrap.ts'
import { type News } from './doctor-watch.ts'
import { isDenied, isWhole } from '#/doctor/losses.ts'
import { type Diagnosis, type Finding, type FollowedPacket, type NodeAnswers } from '#/doctor/types.ts'

export type Told = {
  readonly diagnosis: Diagnosis
  readonly packets: readonly FollowedPacket[]
  readonly answers: readonly NodeAnswers[]
  /** Packets that were not sent, since there are too many nodes. */
  readonly left: number
}

/** The exit status where it cannot be told whether anything is wrong. */
export const untoldStatus = 3

const isUntold = ({ verdict }: FollowedPacket): boolean => verdict.outcome === 'untold'

const nodesOf = (packets: readonly FollowedPacket[]): Set<string> =>
  new Set(packets.flatMap(({ from, to }) => [from.node, to.node]))

/** The nodes of which nothing proves that packets come: what became of those that were sent from or to them is not known. */
function unproved({ packets }: Told): string[] {
  const proved = nodesOf(packets.filter(isWhole))
  return [...nodesOf(packets.filter(isUntold)).difference(proved)].toSorted()
}

export function exitStatusOf(told: Told): 0 | 1 | typeof untoldStatus {
  const { diagnosis, answers } = told
  if (answers.every(({ status }) => status === undefined)) return untoldStatus
  if (diagnosis.findings.length > 0) return 1
  return unproved(told).length > 0 ? untoldStatus : 0
}

/** Findings that say the same of several objects: the first stands for all of them. */
export function alike(findings: readonly Finding[]): Finding[][] {
  const byTexts = Map.groupBy(findings, ({ code, how, consequences }) => JSON.stringify([code, how, consequences]))
  return [...byTexts.values()].flatMap((group) =>
    groupByCause(
      group.map((finding) => ({
        finding,
        subject: subjectOf(finding),
        text: `${finding.message} ${finding.remedy}`,
        names: namesIn(finding),
      })),
    ).map((same) => same.map(({ finding }) => finding)),
  )
}

/** What differs from node to node: its name, what is named after it, such as the pod of its agent, and the object. */
function namesIn({ nodes, object, message, remedy }: Finding): string[] {
  const after = nodes.flatMap(
    (node) => `${message} ${remedy}`.match(new RegExp(`[\\w./-]*${RegExp.escape(node)}(?![\\w-])`, 'g')) ?? [],
  )
  return [...nodes, ...after, object, object.slice(object.indexOf('/') + 1)]
}

/** What a finding is about, for people. */
export function subjectOf({ nodes, objects, object }: Finding): string {
  const named = namesOf(objects, 'objects')
  const isAtNode = nodes.length === 1 && object !== `node/${nodes[0]}` && !object.startsWith('way/')
  return isAtNode ? `${nodes[0]} ${named}` : named
}

function packetsText(packets: readonly FollowedPacket[]): string {
  const whole = packets.filter(isWhole)
  const nodes = nodesOf(packets)
  const between = packets.some(({ from, to }) => from.isPod && to.isPod) ? 'between pods ' : ''
  const denied = packets.filter(isDenied).length
  const untold = packets.filter(isUntold).length
  const unknown = untold === 0 ? '' : `, of ${untold} it is not known`
  const besides = denied === 0 ? '' : `, ${denied} ${denied === 1 ? 'is' : 'are'} denied by policies`
  return `${whole.length} of ${plural(packets.length, 'packet')} ${between}of ${plural(nodes.size, 'node')} came and were answered${besides}${unknown}`
}

/** What is said of the whole, in one line. */
export function summaryOf(told: Told): string {
  const { diagnosis, packets, answers } = told
  const proof = packets.length === 0 ? 'no packets were sent' : packetsText(packets)
  if (answers.every(({ status }) => status === undefined)) return `it cannot be told: no agent answers`
  const count = alike(diagnosis.findings).length
  const unknown = unproved(told)
  if (count === 0 && unknown.length > 0) {
    const where = unknown.length === nodesOf(packets).size ? '' : ` of ${namesOf(unknown, 'nodes')}`
    return `it cannot be told${where}: ${proof}`
  }
  if (count === 0) return `nothing is wrong: ${proof}`
  return `${count === 1 ? '1 thing is' : `${count} things are`} wrong; ${proof}`
}

function findingLines(same: readonly Finding[], columns: number): string[] {
  const [first] = same as readonly [Finding]
  const hanging = (text: string, start: string, rest: string): string[] =>
    wrapWords(text, columns - rest.length).map((piece, index) => (index === 0 ? start : rest) + piece)
  const detail = (text: string): string[] => hanging(text, '!     ', '!         ')
  return [
    ...hanging(`${first.code} ${namesOf(same.map(subjectOf), 'objects')}: ${first.message}`, '! ', '!         '),
    ...detail(`known from: ${first.how}`),
    ...detail(`remedy: ${first.remedy}`),
    ...first.consequences.flatMap((text) => detail(`so: ${text}`)),
  ]
}

export function renderDiagnosis(told: Told, columns: number): string {
  const { diagnosis, left } = told
  const notes = diagnosis.notes.map(({ text }) => text)
  const wrapped = [...notes, ...(left > 0 ? [`${left} more packets were left out`] : [])].flatMap((text) =>
    wrapWords(text, columns - 2).map((piece, index) => (index === 0 ? '- ' : '  ') + piece),
  )
  return [
    wrapWords(summaryOf(told), columns).join('\n'),
    ...alike(diagnosis.findings).map((same) => findingLines(same, columns).join('\n')),
    ...(wrapped.length > 0 ? [wrapped.join('\n')] : []),
  ].join('\n\n')
}

/** What came and what went since the last diagnosis; '' for no news. */
export function renderNews({ came, went }: News, columns: number, at: Date): string {
  const time = at.toTimeString().slice(0, 8)
  return [
    ...alike(came).map((same) => `${time} new\n${findingLines(same, columns).join('\n')}`),
    ...alike(went).map((same) =>
      wrapWords(`${time} gone: ${same[0]!.code} ${namesOf(same.map(subjectOf), 'objects')}`, columns).join('\n'),
    ),
  ].join('\n')
}

/** A diagnosis that could not be made, while it is watched. */
export function renderFailure(why: string, columns: number, at: Date): string {
  return wrapWords(`${at.toTimeString().slice(0, 8)} it cannot be told: ${why}`, columns).join('\n')
}
