// What the kernel's answers mean for the node: one problem for each cause, and whether most pods of other nodes are not reached. Pure.
import { type Family } from '#/lib/addr.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type Obstacle } from '#/obstacles/kernel-way.ts'

/** One destination that packets do not reach by the way of the plan. */
export type Finding = {
  readonly obstacle: Obstacle
  /** "10.244.2.0/24 of node-2". */
  readonly destination: string
  readonly family: Family
  /** Whether the whole pod CIDR is concerned, as far as one address of it can tell; otherwise it is a part that was asked for on its own. */
  readonly isWhole: boolean
}

export type FamilyCount = {
  readonly family: Family
  readonly asked: number
  readonly cutOff: number
  readonly isOwnCutOff: boolean
}

const toldDestinations = 3
const toldThings = 3
const toldRemedies = 2

function unique(texts: Iterable<string>): string[] {
  return [...new Set(texts)]
}

function listed(texts: readonly string[], most: number, separator: string): string {
  const more = texts.length - most
  return texts.slice(0, most).join(separator) + (more > 0 ? ` and ${more} more` : '')
}

function problemOf(findings: readonly Finding[]): Problem {
  const [{ obstacle }] = findings as readonly [Finding]
  const things = listed(unique(findings.map((each) => each.obstacle.what)), toldThings, '; ')
  const destinations = listed(unique(findings.map(({ destination }) => destination)), toldDestinations, ', ')
  const remedies = unique(findings.map((each) => each.obstacle.remedy)).slice(0, toldRemedies)
  return problem(obstacle.code, obstacle.object, `packets to ${destinations} do not go as planned: ${things}`, {
    remedy: remedies.join('; '),
  })
}

/** One problem for each cause, however many destinations it concerns. An address that brings a route in the way is one cause with that. */
export function problemsOfFindings(findings: readonly Finding[]): Problem[] {
  const withRoute = new Set(findings.flatMap(({ obstacle: { code, object } }) => (code === 'CW1302' ? [object] : [])))
  const codeOf = ({ code, object }: Obstacle): string => (code === 'CW1303' && withRoute.has(object) ? 'CW1302' : code)
  const byCause = Map.groupBy(findings, ({ obstacle }) => `${codeOf(obstacle)} ${obstacle.object}`)
  return [...byCause.values()].map((found) =>
    problemOf(found.toSorted((a, b) => a.obstacle.code.localeCompare(b.obstacle.code))),
  )
}

/**
 * Why this node counts as one that reaches no other node: in one family more than half of the pod CIDRs of other nodes are not reached, or
 * its own pods are not. Undefined when neither is so. One family is enough, because pods of a dual-stack cluster are promised both.
 */
export function obstructionOf(counts: readonly FamilyCount[], problems: readonly Problem[]): string | undefined {
  for (const { family, asked, cutOff, isOwnCutOff } of counts) {
    const why = problems.map(({ code, object, message }) => `${code} ${object}: ${message}`).join('; ')
    if (isOwnCutOff) return `the IPv${family} pods of this node are not reached: ${why}`
    if (cutOff * 2 > asked) return `${cutOff} of ${asked} IPv${family} pod CIDRs of other nodes are not reached: ${why}`
  }
  return undefined
}
