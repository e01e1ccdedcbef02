// One answer out of those of several agents: each direction is told by the agent of the pod's own node, whose kernel enforces it. Pure.
import { type PolicyWhyReport, type ToldDirection, type ToldPair } from '#/api/schemas/policy.ts'
import { someOf } from '#/lib/some-of.ts'
import { type AgentAnswer } from './agents.ts'

export type WhyAnswer = AgentAnswer<PolicyWhyReport>

export type Why = {
  readonly pair: ToldPair
  /** What the reader has to know of who says so: nodes that do not answer, or that see it otherwise. */
  readonly notes: readonly string[]
}

type Report = PolicyWhyReport
type DirectionName = 'egress' | 'ingress'

function samePair(report: Report, { from, to }: ToldPair): ToldPair | undefined {
  return report.pairs.find((pair) => pair.from.addr === from.addr && pair.to.addr === to.addr)
}

/** Who tells of a direction: the agent of the pod's node, or else any that answers. */
function teller(reports: readonly Report[], pair: ToldPair, name: DirectionName): Report {
  const { node } = pair[name]
  const told = reports.filter((report) => samePair(report, pair) !== undefined)
  return told.find((report) => report.node === node) ?? told[0]!
}

const verdictOf = ({ decision, isDenied, isAudited }: ToldDirection): string =>
  JSON.stringify([decision, isDenied, isAudited])

/** `answers` are of all agents that were asked; `reports` those of them that answered. */
function notesOf(
  answers: readonly WhyAnswer[],
  reports: readonly Report[],
  pair: ToldPair,
  name: DirectionName,
): string[] {
  const { node, pod } = pair[name]
  if (node === undefined) return []
  const by = teller(reports, pair, name)
  const own = samePair(by, pair)![name]
  const others = reports.filter((report) => report !== by)
  const otherwise = others.flatMap((report) => {
    const theirs = samePair(report, pair)?.[name]
    return theirs !== undefined && verdictOf(theirs) !== verdictOf(own) ? [{ report, theirs }] : []
  })
  const error = answers.find((each) => each.node === node && each.value === undefined)?.error
  return [
    ...(by.node === node
      ? []
      : error === undefined
        ? [`${name} of ${pod} is told as ${by.node} knows it: run this on ${node} too, which enforces it`]
        : [`${node}, which enforces ${name} of ${pod}, does not answer: ${error}; it is told as ${by.node} knows it`]),
    ...(by.node === node && by.state.kind !== 'enforced' && by.state.kind !== 'off'
      ? [
          `${node} does not enforce it as told: ${by.state.kind}${by.state.why === undefined ? '' : `: ${by.state.why}`}`,
        ]
      : []),
    ...[...Map.groupBy(otherwise, ({ theirs }) => theirs.decision)].map(
      ([decision, group]) =>
        `${someOf(group.map(({ report }) => report.node))} ${group.length === 1 ? 'sees' : 'see'} ${name} of ${pod} otherwise: ${decision}; if that lasts, see causeway status there`,
    ),
  ]
}

/** One for each family of the two ends. Empty when no agent answers. */
export function whysOf(answers: readonly WhyAnswer[]): Why[] {
  const reports = answers.flatMap(({ value }) => (value === undefined ? [] : [value]))
  const pairs = new Map(
    reports.flatMap(({ pairs: all }) => all.map((pair) => [`${pair.from.addr} ${pair.to.addr}`, pair] as const)),
  )
  return [...pairs.values()].map((pair) => {
    const [egress, ingress] = (['egress', 'ingress'] as const).map(
      (name) => samePair(teller(reports, pair, name), pair)![name],
    ) as [ToldDirection, ToldDirection]
    const isDropped = [egress, ingress].some(({ isDenied, isAudited }) => isDenied && !isAudited)
    const notes = (['egress', 'ingress'] as const).flatMap((name) => notesOf(answers, reports, pair, name))
    return { pair: { ...pair, egress, ingress, isDropped }, notes }
  })
}

/** Whether any packet of what was asked about gets through. */
export function isAllowed({ pair: { ports, isDropped } }: Why): boolean {
  return ports === undefined ? !isDropped : ports.some((each) => each.isAllowed)
}
