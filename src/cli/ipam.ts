// `causeway ipam`: which pod holds which address, whether store and kernel agree, and the release of a leaked address.
import { type AgentOfNode } from '#/api/client.ts'
import { type IpamFindings, type IpamReport } from '#/api/schemas/ipam.ts'
import { Addr } from '#/lib/addr.ts'
import { table } from '#/lib/table.ts'
import { agentOptions, agentOptionsNote, answersOf, outcomesFrom, withAgents } from './agents.ts'
import { renderAnswers } from './answers.ts'
import { noMore, options, type OptionTable, UsageError } from './args.ts'
import { type Action, type Group } from './command.ts'
import { print, printJson, tableWidth } from './output.ts'
import { problemLines } from './problem-lines.ts'

const releaseOptions = {
  force: { type: 'boolean', help: 'release it although its pod lives, which loses its network' },
  ...agentOptions,
} as const satisfies OptionTable

function renderShow(node: string, value: IpamReport): string {
  const width = tableWidth()
  const cidrs = value.cidrs.map(({ cidr, total, used, coolingDown, free }) => [cidr, total, used, coolingDown, free])
  const addresses = value.addresses.map((row) => [
    row.addr,
    row.state,
    row.pod,
    row.containerId?.slice(0, 13) ?? '',
    row.since ?? '',
    row.netns ?? '',
    row.why ?? '',
  ])
  const leaks = value.leaksReleased === 0 ? '' : `, ${value.leaksReleased} leaked endpoints released since it started`
  return [
    `${node}${leaks}`,
    table(['POD CIDR', 'ADDRESSES', 'USED', 'COOLING DOWN', 'FREE'], cidrs, { width }),
    '',
    table(['ADDRESS', 'STATE', 'POD', 'CONTAINER', 'SINCE', 'NAMESPACE', 'WHY'], addresses, { width, labelledBy: [0] }),
  ].join('\n')
}

function renderCheck(node: string, { endpoints, findings }: IpamFindings): string {
  const verdict = findings.length === 0 ? 'agree' : 'disagree'
  const lines = problemLines(findings, '!', tableWidth())
  return [`${node}: store and kernel ${verdict} on ${endpoints} pod interfaces`, ...lines].join('\n')
}

async function release(agents: readonly AgentOfNode[], addr: string, force: boolean, isJson: boolean): Promise<number> {
  const outcomes = await outcomesFrom(agents, 'ipamRelease', { addr, force })
  const answers = outcomes.flatMap(({ node, outcome }) => {
    if (outcome.kind === 'answer') return { node, report: outcome.value }
    // no pod of that node has the address
    return outcome.kind === 'refusal' && outcome.status === 404 ? [] : { node, error: outcome.message }
  })
  if (isJson) printJson(answers)
  else if (answers.length === 0) print(`no pod of ${agents.map(({ node }) => node).join(', ')} has ${addr}`)
  for (const { node, report, error } of isJson ? [] : answers) {
    print(
      report
        ? `${node}: released ${report.addrs.join(' ')} of pod ${report.pod}: ${report.message}`
        : `${node}: ${error}`,
    )
  }
  return answers.some(({ report }) => report !== undefined) ? 0 : 1
}

const showCommand: Action = {
  name: 'show',
  summary: 'every address that is held, by which pod, since when, and why',
  about: `Shows every address that is held, by which pod, since when and why, and how many are free.

${agentOptionsNote}`,
  options: agentOptions,
  run: async (args) => {
    const { values, positionals } = options(args, agentOptions)
    noMore(positionals)
    const answers = await answersOf(values, 'ipam')
    if (values.json) printJson(answers)
    else print(renderAnswers(answers, renderShow))
    return answers.every(({ value }) => value !== undefined) ? 0 : 1
  },
}

const checkCommand: Action = {
  name: 'check',
  summary: 'whether store and kernel agree on the pods',
  about: `Compares the store with veths and namespaces; exit status 1 when they disagree anywhere.

${agentOptionsNote}`,
  options: agentOptions,
  run: async (args) => {
    const { values, positionals } = options(args, agentOptions)
    noMore(positionals)
    const answers = await answersOf(values, 'ipamCheck')
    if (values.json) printJson(answers)
    else print(renderAnswers(answers, renderCheck))
    return answers.every(({ value }) => value !== undefined && value.findings.length === 0) ? 0 : 1
  },
}

const releaseCommand: Action = {
  name: 'release',
  summary: 'give back a leaked address',
  operands: 'ADDRESS',
  about: `Gives back a leaked address together with the others of its pod; refuses while the pod's namespace lives.

${agentOptionsNote}`,
  options: releaseOptions,
  run: async (args) => {
    const { values, positionals } = options(args, releaseOptions)
    const [addr, ...more] = positionals
    if (addr === undefined) throw new UsageError('release needs an address: causeway ipam release 10.244.1.9')
    if (Addr.tryParse(addr) === undefined) throw new UsageError(`"${addr}" is no IP address`)
    noMore(more)
    return withAgents(values, async (agents) => release(agents, addr, values.force === true, values.json === true))
  },
}

export const ipamCommand: Group = {
  name: 'ipam',
  summary: 'show who holds which pod address; check and release addresses',
  verbs: {
    show: async () => showCommand,
    check: async () => checkCommand,
    release: async () => releaseCommand,
  },
}
