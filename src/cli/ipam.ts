// `causeway ipam`: which pod holds which address, whether store and kernel agree, and the release of a leaked address.
import { askAgent } from '#/agent/client.ts'
import { type IpamFindings, type IpamReport, type ReleaseReport } from '#/agent/ipam.ts'
import { Addr } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { table } from '#/lib/table.ts'
import { ageSince } from './age.ts'
import { agentOptions, agentOptionsHelp, type AgentPlace, askAll, findAgents } from './agents.ts'
import { problemLines, renderAnswers, type Told } from './answers.ts'
import { noMore, options, UsageError } from './args.ts'
import { outputColumns } from './columns.ts'
import { type Command, print, printJson } from './command.ts'

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

function renderCheck({ node, value }: Told<IpamFindings>): string {
  const { endpoints, findings } = value
  const verdict = findings.length === 0 ? 'agree' : 'disagree'
  const lines = problemLines(findings).map((line) => `! ${line}`)
  return [`${node}: store and kernel ${verdict} on ${endpoints} pod interfaces`, ...lines].join('\n')
}

type Released = { readonly node: string; readonly report?: ReleaseReport; readonly error?: string }

/** Asks one agent; undefined when no pod of its node has the address. */
async function releaseAt(
  { node, socketPath }: AgentPlace,
  body: { addr: string; force: boolean },
): Promise<Released | undefined> {
  try {
    const { status, text } = await askAgent(socketPath, '/ipam/release', body)
    if (status === 200) return { node, report: JSON.parse(text) as ReleaseReport }
    return status === 404 ? undefined : { node, error: text.trim() }
  } catch (error) {
    return { node, error: `no agent answers on ${socketPath}: ${messageOf(error)}; is it running?` }
  }
}

async function release(agents: readonly AgentPlace[], addr: string, force: boolean, isJson: boolean): Promise<number> {
  const answers = (await Promise.all(agents.map((agent) => releaseAt(agent, { addr, force })))).flatMap(
    (answer) => answer ?? [],
  )
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
      const answers = await askAll<IpamReport>(findAgents(values), '/ipam')
      if (isJson) printJson(answers)
      else print(renderAnswers(answers, (told) => renderShow(told, columns), { columns }))
      return answers.every(({ value }) => value !== undefined) ? 0 : 1
    }
    if (verb !== 'check') throw new UsageError(`expected show, check or release, not "${verb ?? ''}"`)
    const answers = await askAll<IpamFindings>(findAgents(values), '/ipam/check')
    if (isJson) printJson(answers)
    else print(renderAnswers(answers, renderCheck, { separator: '\n', columns }))
    return answers.every(({ value }) => value !== undefined && value.findings.length === 0) ? 0 : 1
  },
}
