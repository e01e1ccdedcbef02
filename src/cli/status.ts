// `causeway status`: every object an agent keeps in its kernel, and how it is.
import { type AgentStatus } from '#/api/schemas/status.ts'
import { table } from '#/lib/table.ts'
import { ageSince } from './age.ts'
import { type AgentAnswer, agentOptions, agentOptionsNote, answersFrom, withAgents } from './agents.ts'
import { renderAnswers } from './answers.ts'
import { noMore, options } from './args.ts'
import { type Action } from './command.ts'
import { complain, print, printJson, tableWidth } from './output.ts'
import { problemLines } from './problem-lines.ts'
import { waysLines } from './ways-text.ts'

function isFine({ value }: AgentAnswer<AgentStatus>): boolean {
  return value?.readiness.state === 'ready'
}

function readinessText({ readiness: { state, reasons } }: AgentStatus): string {
  return reasons.length === 0 ? state : `${state}: ${reasons.map(({ message }) => message).join('; ')}`
}

function observesLine({ observes }: AgentStatus): string[] {
  return observes === undefined
    ? []
    : [`network: ${observes.network} (${observes.backend}), which Causeway only observes here`]
}

function datapathLine({ datapath }: AgentStatus): string[] {
  if (datapath === undefined) return []
  const { wanted, wantedBy, name, why } = datapath
  const source = `set by ${wantedBy}`
  if (name === wanted) return [`datapath: ${name}, ${source}`]
  const besides = name === undefined ? '' : `, pods have ${name} so far`
  return [`datapath: ${wanted}, ${source}${besides}${why === undefined ? '' : `: ${why}`}`]
}

function policyLine({ policy }: AgentStatus): string[] {
  if (policy === undefined) return []
  const { state, why, sinceMs, policies, selecting } = policy
  const time = sinceMs === undefined ? '' : ` for ${ageSince(sinceMs)}`
  const count = `${policies} of the cluster, ${selecting} of them for pods here`
  switch (state) {
    case 'off':
      return ['policies: none in the cluster']
    case 'enforced':
      return [`policies: ${count}, enforced${time}`]
    case 'failing':
      return [`policies: ${count}, not enforced as they are now${time}: ${why}`]
    case 'waiting':
      return [`policies: not known yet: ${why}`]
    default:
      return state satisfies never
  }
}

function render(value: AgentStatus): string {
  const { api } = value
  const lines = [
    `${value.node}: ${readinessText(value)}, pod CIDRs ${value.podCIDRs.join(' ') || 'none'}`,
    ...observesLine(value),
    ...datapathLine(value),
    ...policyLine(value),
    ...(value.ways === undefined ? [] : waysLines(value.ways, Date.now())),
    `API: ${api.phase}, ${api.nodes} nodes${api.inSync ? '' : ', never in sync'}${api.lastError ? `, last error: ${api.lastError}` : ''}`,
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
      { width: tableWidth(), labelledBy: [0, 1] },
    ),
  ]
  if (value.endpoints.length > 0) {
    const rows = value.endpoints.map((each) => [each.pod, each.addrs.join(' '), each.hostDevice, each.state])
    lines.push('', table(['POD', 'ADDRESSES', 'HOST DEVICE', 'STATE'], rows, { width: tableWidth() }))
  }
  if (value.problems.length > 0) lines.push('', ...problemLines(value.problems, '!', tableWidth()))
  return lines.join('\n')
}

export const statusCommand: Action = {
  name: 'status',
  summary: 'show every kernel object that Causeway keeps, and its state',
  about: `Exit status 0 when all agents are ready and every object is as it should be. A problem has a code, such as CW1103, of which docs/problems.md tells more.

${agentOptionsNote}`,
  options: agentOptions,
  run: async (args) => {
    const { values, positionals } = options(args, agentOptions)
    noMore(positionals)
    const answers = await withAgents(values, async (agents, unlisted) => {
      if (unlisted !== undefined) complain(unlisted)
      return answersFrom(agents, 'status')
    })
    if (values.json) printJson(answers)
    else print(renderAnswers(answers, (_node, value) => render(value)))
    return answers.every(isFine) ? 0 : 1
  },
}
