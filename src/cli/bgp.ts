// `causeway bgp`: the sessions of a node, the routes it has learned and why each was chosen or not, and what it tells to whom.
import {
  type BgpAdvertisedReport,
  type BgpPeersReport,
  type BgpRoute,
  type BgpRoutesReport,
} from '#/agent/bgp/reports.ts'
import { askAgent } from '#/agent/client.ts'
import { type RouteFilter } from '#/model/bgp.ts'
import { Prefix } from '#/lib/addr.ts'
import { table } from '#/lib/table.ts'
import { messageOf } from '#/lib/log.ts'
import { agentOptions, agentOptionsHelp, type AgentAnswer, type AgentPlace, askAll, findAgents } from './agents.ts'
import { renderAnswers } from './answers.ts'
import { noMore, options, UsageError } from './args.ts'
import { outputColumns } from './columns.ts'
import { type Command, print, printJson } from './command.ts'
import { ageSince } from './age.ts'

const bgpOptions = {
  ...agentOptions,
  explain: { type: 'boolean' },
  peer: { type: 'string' },
  prefix: { type: 'string' },
  hard: { type: 'boolean' },
} as const

function renderPeers(node: string, report: BgpPeersReport): string {
  const rows = report.peers.map((peer) => [
    peer.name,
    peer.addr ?? '',
    String(peer.remoteAsn ?? ''),
    peer.state,
    ageSince(peer.sinceMs),
    String(peer.received),
    String(peer.accepted),
    String(peer.advertised),
    peer.bfd ?? '-',
    peer.state === 'Established' ? '' : (peer.lastError ?? ''),
  ])
  const role = report.role === undefined ? '' : `, ${report.role}`
  return [
    `${node}: AS ${report.asn}, router id ${report.routerId}${role}${report.isReady ? '' : ', waiting for End-of-RIB'}`,
    table(['PEER', 'ADDRESS', 'AS', 'STATE', 'SINCE', 'RCVD', 'ACC', 'ADV', 'BFD', 'WHY NOT'], rows, {
      columns: outputColumns(),
      hasNotes: true,
    }),
  ].join('\n')
}

function useOf({ isRefused, isBest, isMultipath, isStale, kernel }: BgpRoute): string {
  if (isRefused) return 'refused'
  const use = isBest ? 'best' : isMultipath ? 'equal' : 'spare'
  const words = [use, isStale && 'stale', kernel && (kernel.isInstalled ? 'installed' : 'not installed')]
  return words.filter(Boolean).join(', ')
}

function renderRoutes(node: string, report: BgpRoutesReport, isExplained: boolean): string {
  const rows = byPrefix(report.routes).map((route) => [
    route.prefix,
    route.nextHops.join(' '),
    route.peer,
    route.asPath === '' ? '-' : route.asPath,
    String(route.localPreference ?? '-'),
    String(route.med ?? '-'),
    useOf(route),
    ...(isExplained ? [whyOf(route)] : []),
  ])
  const columns = ['PREFIX', 'NEXT HOP', 'PEER', 'AS PATH', 'PREF', 'MED', 'USE', ...(isExplained ? ['WHY'] : [])]
  return `${node}\n${table(columns, rows, { columns: outputColumns(), hasNotes: isExplained })}`
}

/** Paths to one prefix stay in their order, which is that of their rank. */
function byPrefix<T extends { readonly prefix: string }>(routes: readonly T[]): T[] {
  const keyed = routes.map((route) => ({ route, prefix: Prefix.parse(route.prefix) }))
  return keyed.toSorted((a, b) => a.prefix.compare(b.prefix)).map(({ route }) => route)
}

function whyOf({ reason, kernel }: BgpRoute): string {
  return kernel?.reason === undefined ? reason : `received, not installed, because ${kernel.reason}`
}

function renderAdvertised(node: string, report: BgpAdvertisedReport, isExplained: boolean): string {
  const rows = byPrefix(report.routes).map(({ prefix, peer, nextHop, asPath, communities, notBecause }) => [
    prefix,
    peer,
    nextHop,
    asPath === '' ? '-' : asPath,
    communities.join(' '),
    ...(isExplained ? [notBecause === undefined ? '' : `not told, because ${notBecause}`] : []),
  ])
  const columns = ['PREFIX', 'TO', 'NEXT HOP', 'AS PATH', 'COMMUNITIES', ...(isExplained ? ['WHY NOT'] : [])]
  return `${node}\n${table(columns, rows, { columns: outputColumns(), hasNotes: isExplained })}`
}

/** The path with what it is about; throws UsageError for a prefix that is none. */
function withFilter(path: string, { peer, prefix, isExplained = false }: RouteFilter): string {
  const query = new URLSearchParams()
  if (peer !== undefined) query.set('peer', peer)
  if (prefix !== undefined) query.set('prefix', canonical(prefix))
  if (isExplained) query.set('explain', '')
  return query.size === 0 ? path : `${path}?${query}`
}

function canonical(prefix: string): string {
  try {
    return String(Prefix.parse(prefix))
  } catch (error) {
    throw new UsageError(`--prefix: ${messageOf(error)}`)
  }
}

/** What to ask for, and how its answer reads. */
const verbs: Readonly<
  Record<string, { path: string; render: (node: string, value: unknown, isExplained: boolean) => string }>
> = {
  peers: { path: '/bgp/peers', render: (node, value) => renderPeers(node, value as BgpPeersReport) },
  routes: {
    path: '/bgp/routes',
    render: (node, value, isExplained) => renderRoutes(node, value as BgpRoutesReport, isExplained),
  },
  advertised: {
    path: '/bgp/advertised',
    render: (node, value, isExplained) => renderAdvertised(node, value as BgpAdvertisedReport, isExplained),
  },
}

type AnyReport = { readonly silentBecause?: string; readonly peers?: BgpPeersReport['peers'] }

function isFine({ value }: AgentAnswer<AnyReport>): boolean {
  return value !== undefined && (value.peers ?? []).every(({ state }) => state === 'Established')
}

/** Each speaker's answer; nodes without one are told of together. */
function renderBgp(
  answers: readonly AgentAnswer<AnyReport>[],
  render: (node: string, value: unknown) => string,
): string {
  const silentBecause = ({ silentBecause: why }: AnyReport) => (why === undefined ? undefined : `no BGP: ${why}`)
  return renderAnswers(answers, ({ node, value }) => render(node, value), { silentBecause, columns: outputColumns() })
}

async function reset(agents: readonly AgentPlace[], peer: string, isHard: boolean): Promise<number> {
  const answers = await Promise.all(
    agents.map(async ({ node, socketPath }) => {
      try {
        const { status, text } = await askAgent(socketPath, '/bgp/reset', { peer, how: isHard ? 'hard' : 'soft' })
        return { node, isDone: status === 200, text: text.trim() }
      } catch (error) {
        return { node, isDone: false, text: `no agent answers on ${socketPath}: ${messageOf(error)}; is it running?` }
      }
    }),
  )
  for (const { node, text } of answers) print(`${node}: ${text}`)
  return answers.some(({ isDone }) => isDone) ? 0 : 1
}

export const bgpCommand: Command = {
  name: 'bgp',
  summary: 'show BGP sessions, learned and advertised routes, and why',
  help: `usage: causeway bgp peers [OPTIONS]
       causeway bgp routes [--explain] [--peer NAME] [--prefix CIDR] [OPTIONS]
       causeway bgp advertised [--explain] [--peer NAME] [--prefix CIDR] [OPTIONS]
       causeway bgp reset PEER [--hard] [OPTIONS]
       causeway bgp speak CONFIG.json

peers        every neighbour, the state of its session and why it is down; exit status 1 unless all are established;
             RCVD, ACC, ADV: how many routes were received, accepted, advertised
routes       every path received, which of them is used, and whether the kernel has it
advertised   what is told to whom
reset        asks the neighbour for its routes again, or with --hard ends the session and lets it come back
speak        runs a speaker alone, without a cluster and without touching the kernel's routes

  --prefix CIDR, --peer NAME   only what is about them
  --explain     why a route was chosen, why another was not, why one was received and not installed;
                of what is advertised: also what is not told to whom, and why
${agentOptionsHelp}`,
  run: async (args) => {
    if (args[0] === 'speak') return (await import('./bgp-speak.ts')).bgpSpeakCommand.run(args.slice(1))
    const { values, positionals } = options(args, bgpOptions)
    const [verb = '', ...rest] = positionals
    if (verb === 'reset') {
      const [peer, ...more] = rest
      if (peer === undefined) throw new UsageError('reset needs a peer: causeway bgp reset node/node-2')
      noMore(more)
      return reset(findAgents(values), peer, values.hard === true)
    }
    noMore(rest)
    const wanted = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
    if (wanted === undefined)
      throw new UsageError(`expected ${Object.keys(verbs).join(', ')}, reset or speak, not "${verb}"`)
    const isExplained = values.explain === true
    const answers = await askAll<AnyReport>(findAgents(values), withFilter(wanted.path, { ...values, isExplained }))
    const render = (node: string, value: unknown): string => wanted.render(node, value, isExplained)
    if (values.json) printJson(answers)
    else print(renderBgp(answers, render))
    return answers.every(isFine) ? 0 : 1
  },
}
