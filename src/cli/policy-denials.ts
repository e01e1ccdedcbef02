// `causeway policy denials`: what policies denied of late, or deny from now on.
import { type AgentOfNode, followAgent } from '#/api/client.ts'
import { type Denial, type PolicyDenialsLine, type PolicyDenialsReport } from '#/api/schemas/policy.ts'
import { table } from '#/lib/table.ts'
import { ageAt } from './age.ts'
import { type AgentAnswer, agentOptions, agentOptionsNote, answersOf, withAgents } from './agents.ts'
import { renderAnswers } from './answers.ts'
import { noMore, options, type OptionTable, wholeNumber } from './args.ts'
import { type Action } from './command.ts'
import { clockText } from './datapath-watch.ts'
import { complain, print, printJson, tableWidth } from './output.ts'
import { stopRequested } from './signals.ts'

const denialOptions = {
  follow: { type: 'boolean', help: 'print denials as they come, until Ctrl-C' },
  last: { type: 'string', value: 'N', help: 'how many to show', default: '50' },
  ...agentOptions,
} as const satisfies OptionTable

function portText({ protocol, port }: Denial): string {
  return port === undefined ? protocol : `${protocol} ${port}`
}

/** One line, without the time and the node. */
export function denialText(denial: Denial): string {
  const { from, to, direction, by, isAudited } = denial
  return `${isAudited ? 'would deny' : 'denied'} ${from} → ${to} ${portText(denial)}: ${by} (${direction})`
}

type OfNode = Denial & { readonly node: string }

/** The latest `most` of all nodes. */
export function renderDenials(
  answers: readonly AgentAnswer<PolicyDenialsReport>[],
  { most, width, nowMs }: { readonly most: number; readonly width: number; readonly nowMs: number },
): string {
  const reports = answers.flatMap(({ value }) => (value === undefined ? [] : [value]))
  const all = reports
    .flatMap(({ node, denials }) => denials.map((each): OfNode => ({ ...each, node })))
    .toSorted((one, other) => other.lastMs - one.lastMs)
  const rows = all
    .slice(0, most)
    .map((each) => [
      `${ageAt(each.lastMs, nowMs)} ago`,
      each.node,
      String(each.packets),
      each.from,
      each.to,
      portText(each),
      each.direction,
      `${each.isAudited ? 'audit, let through: ' : ''}${each.by}`,
    ])
  const columns = ['LAST', 'NODE', 'PACKETS', 'FROM', 'TO', 'PORT', 'DIRECTION', 'BY']
  const deaf = reports.filter(({ why }) => why !== undefined)
  const notTold = reports.filter((each) => each.notTold > 0)
  const lines = [
    ...(rows.length === 0 ? ['nothing was denied'] : [table(columns, rows, { width })]),
    ...(all.length > most ? [`and ${all.length - most} more; --last ${all.length} shows them`] : []),
    ...deaf.map(({ node, why }) => `! ${node} does not hear of denials: ${why}`),
    ...notTold.map((each) => `! ${each.node}: ${each.notTold} more packets came too fast to be looked at`),
  ]
  const failures = renderAnswers(
    answers.filter(({ value }) => value === undefined),
    () => '',
  )
  return [...(reports.length === 0 ? [] : lines), ...(failures === '' ? [] : [failures])].join('\n')
}

async function follow(agents: readonly AgentOfNode[], isJson: boolean): Promise<number> {
  const stop = new AbortController()
  void stopRequested().then(() => stop.abort())
  const onLine = (node: string, { kind, denial, lost, end }: PolicyDenialsLine): void => {
    if (isJson) print(JSON.stringify({ node, kind, denial, lost, end }))
    else if (denial !== undefined) print(`${clockText(denial.lastMs)} ${node} ${denialText(denial)}`)
    else if (lost !== undefined) print(`${node}: ${lost} more are not shown: they came too fast`)
    else print(`${node}: ${end ?? 'the end'}`)
  }
  const outcomes = await Promise.all(
    agents.map(async ({ node, transport }) => ({
      node,
      outcome: await followAgent(transport, 'policyDenialsWatch', {}, (line) => onLine(node, line), {
        signal: stop.signal,
      }),
    })),
  )
  for (const { node, outcome } of outcomes) if (outcome.kind !== 'answer') complain(`${node}: ${outcome.message}`)
  return outcomes.some(({ outcome }) => outcome.kind === 'answer') ? 0 : 1
}

export const denialsCommand: Action = {
  name: 'denials',
  summary: 'show what policies denied of late, with the policy that did',
  about: `Packets of one connection that one rule denies are one line. "audit" marks what was let through, since its namespace is audited. The kernel tells at most 20 packets a second of each set of rules; all are counted (causeway policy list, metrics). Exit status 1 when no node answers.

${agentOptionsNote}`,
  options: denialOptions,
  run: async (args) => {
    const { values, positionals } = options(args, denialOptions)
    noMore(positionals)
    const most = wholeNumber('last', values.last)
    if (values.follow === true) return withAgents(values, async (agents) => follow(agents, values.json === true))
    const answers = await answersOf(values, 'policyDenials')
    if (values.json) printJson(answers)
    else print(renderDenials(answers, { most, width: tableWidth(), nowMs: Date.now() }))
    return answers.some(({ value }) => value !== undefined) ? 0 : 1
  },
}
