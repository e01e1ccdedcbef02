// `causeway status`: every object an agent keeps in its kernel, and how it is.
import { type AgentStatus } from '#/api/schemas/status.ts'
import { causeLines } from '#/lib/causes.ts'
import { table, wrap } from '#/lib/table.ts'
import { ageSince } from './age.ts'
import { type AgentAnswer, agentOptions, agentOptionsHelp, answersOf } from './agents.ts'
import { renderAnswers, type Told } from './answers.ts'
import { noMore, options } from './args.ts'
import { outputColumns } from './columns.ts'
import { type Command, print, printJson } from './command.ts'
import { problemLines } from './problem-lines.ts'

function isFine({ value }: AgentAnswer<AgentStatus>): boolean {
  return (
    value !== undefined &&
    value.readiness.state === 'ready' &&
    value.objects.every(({ state }) => state === 'done') &&
    value.problems.length === 0
  )
}

/** What is wrong with an agent as a whole: why it is not ready, and the API, each with the words of its cause. */
function troublesOf({ readiness, api }: AgentStatus): string[] {
  return [
    ...readiness.reasons.map(({ message }) => `${readiness.state}: ${message}`),
    ...(api.lastError ? [`API: last error: ${api.lastError}`] : []),
  ]
}

function renderOne({ value }: Told<AgentStatus>, columns: number): string {
  const { api } = value
  const lines = [
    `${value.node}: ${value.readiness.state}, pod CIDRs ${value.podCIDRs.join(' ') || 'none'}`,
    `API: ${api.phase}, ${api.nodes} nodes${api.inSync ? '' : ', never in sync'}`,
    '',
    table(
      ['KIND', 'OBJECT', 'STATE', 'SINCE', 'MESSAGE'],
      value.objects.map(({ kind, key, state, sinceMs, message }) => [
        kind,
        key,
        state,
        ageSince(sinceMs),
        message ?? '',
      ]),
      { columns, hasNotes: true },
    ),
  ]
  if (value.endpoints.length > 0) {
    const rows = value.endpoints.map((each) => [
      each.pod,
      each.addrs.join(' '),
      each.hostDevice,
      each.isReady ? 'ready' : 'being set up',
    ])
    lines.push('', table(['POD', 'ADDRESSES', 'HOST DEVICE', 'STATE'], rows, { columns }))
  }
  return lines.join('\n')
}

/** Every agent's objects; below all of them a line for each trouble, however many agents have it. */
export function renderStatus(answers: readonly AgentAnswer<AgentStatus>[], columns: number): string {
  const troubles = answers.flatMap(({ node, value }) =>
    value === undefined ? [] : troublesOf(value).map((text) => ({ subject: node, text })),
  )
  const isOne = answers.length === 1
  const problems = answers.flatMap(({ node, value }) =>
    (value?.problems ?? []).map((each) => (isOne ? each : { ...each, node })),
  )
  const lines = [
    ...causeLines(troubles, 'nodes').map((line) => wrap(`! ${line}`, columns)),
    ...problemLines(problems, '!', columns),
  ]
  const text = renderAnswers(answers, (told) => renderOne(told, columns), { columns })
  return lines.length === 0 ? text : `${text}\n\n${lines.join('\n')}`
}

export const statusCommand: Command = {
  name: 'status',
  summary: 'show every kernel object that Causeway keeps, and its state',
  help: `usage: causeway status [--node NAME] [--lab NAME] [--json]

Exit status 0 when all agents are ready and every object is as it should be. A problem has a code, such as CW1103, of which
docs/problems.md tells more.

${agentOptionsHelp}`,
  run: async (args) => {
    const { values, positionals } = options(args, agentOptions)
    noMore(positionals)
    const answers = await answersOf(values, 'status')
    if (values.json) printJson(answers)
    else print(renderStatus(answers, outputColumns()))
    return answers.every(isFine) ? 0 : 1
  },
}
