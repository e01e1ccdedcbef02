// `causeway ipam`: which pod holds which address, whether store and kernel agree, and the release of a leaked address.
import { type AgentOfNode, askAll } from '#/api/client.ts'
import { type IpamFindings, type IpamReport } from '#/api/schemas/ipam.ts'
import { Addr } from '#/lib/addr.ts'
import { table } from '#/lib/table.ts'
import { ageSince } from './age.ts'
import { agentOptions, agentOptionsHelp, answersOf, findAgents } from './agents.ts'
import { renderAnswers, type Told } from './answers.ts'
import { noMore, options, UsageError } from './args.ts'
import { outputColumns } from './columns.ts'
import { type Command, print, printJson } from './command.ts'
import { problemLines } from './problem-lines.ts'

const ipamOptions = { ...agentOptions, force: { type: 'boolean' } } as const

function renderShow({ node, value }: Told<IpamReport>, columns: number): string {
  const cidrs = value.cidrs.map(({ cidr, total, used, coolingDown, free }) => [cidr, total, used, coolingDown, free])
  const addresses = value.addresses.map((row) => [
    row.addr,
    row.state,
    row.pod,
    row.containerId?.slice(0, 13) ?? '',
    row.since === undefined ? '' : ageSince(Date.parse(row.since)),
    row.netns ?? '',
    row.why ?? '',
  ])
  const leaks = value.leaksReleased === 0 ? '' : `, ${value.leaksReleased} leaked endpoints released since it started`
  return [
    `${node}${leaks}`,
    table(['POD CIDR', 'ADDRESSES', 'USED', 'COOLING DOWN', 'FREE'], cidrs, { columns }),
    '',
    table(['ADDRESS', 'STATE', 'POD', 'CONTAINER', 'SINCE', 'NAMESPACE', 'WHY'], addresses, {
      columns,
      hasNotes: true,
    }),
  ].join('\n')
}

function renderCheck({ node, value }: Told<IpamFindings>, columns: number): string {
  const { endpoints, findings } = value
  const verdict = findings.length === 0 ? 'agree' : 'disagree'
  const lines = problemLines(findings, '!', columns)
  return [`${node}: store and kernel ${verdict} on ${endpoints} pod interfaces`, ...lines].join('\n')
}

async function release(agents: readonly AgentOfNode[], addr: string, force: boolean, isJson: boolean): Promise<number> {
  const outcomes = await askAll(agents, 'ipamRelease', { addr, force })
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

export const ipamCommand: Command = {
  name: 'ipam',
  summary: 'show who holds which pod address; check and release addresses',
  help: `usage: causeway ipam show [OPTIONS]
       causeway ipam check [OPTIONS]
       causeway ipam release ADDRESS [--force] [OPTIONS]

show      every address that is held, by which pod, since when and why, and how many are free
check     compares the store with veths and namespaces; exit status 1 when they disagree anywhere
release   gives back a leaked address together with the others of its pod; refuses while the pod's namespace lives

  --force       release it although its pod lives, which loses its network
${agentOptionsHelp}`,
  run: async (args) => {
    const { values, positionals } = options(args, ipamOptions)
    const [verb, ...rest] = positionals
    const isJson = values.json === true
    const columns = outputColumns()
    if (values.force === true && verb !== 'release') throw new UsageError('--force goes with release')
    if (verb === 'release') {
      const [addr, ...more] = rest
      if (addr === undefined) throw new UsageError('release needs an address: causeway ipam release 10.244.1.9')
      if (Addr.tryParse(addr) === undefined) throw new UsageError(`"${addr}" is no IP address`)
      noMore(more)
      return release(findAgents(values), addr, values.force === true, isJson)
    }
    noMore(rest)
    if (verb === 'show') {
      const answers = await answersOf(values, 'ipam')
      if (isJson) printJson(answers)
      else print(renderAnswers(answers, (told) => renderShow(told, columns), { columns }))
      return answers.every(({ value }) => value !== undefined) ? 0 : 1
    }
    if (verb !== 'check') throw new UsageError(`expected show, check or release, not "${verb ?? ''}"`)
    const answers = await answersOf(values, 'ipamCheck')
    if (isJson) printJson(answers)
    else print(renderAnswers(answers, (told) => renderCheck(told, columns), { separator: '\n', columns }))
    return answers.every(({ value }) => value !== undefined && value.findings.length === 0) ? 0 : 1
  },
}
