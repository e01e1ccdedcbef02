// `causeway bgp`: the sessions of a node, the routes it has learned and why each was chosen or not, and what it tells to whom.
import { type AgentOfNode, askAll } from '#/api/client.ts'
import {
  type BgpAdvertisedReport,
  type BgpPeersReport,
  type BgpRoute,
  type BgpRoutesReport,
  type RoutesRequest,
} from '#/api/schemas/bgp.ts'
import { Prefix } from '#/lib/addr.ts'
import { table } from '#/lib/table.ts'
import { messageOf } from '#/lib/log.ts'
import { type AgentAnswer, type AgentChoice, agentOptions, agentOptionsHelp, answersOf, findAgents } from './agents.ts'
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

/** What routes a command is about; throws UsageError for a prefix that is none. */
function wishOf({ peer, prefix, explain }: { peer?: string; prefix?: string; explain?: boolean }): RoutesRequest {
  return {
    ...(peer !== undefined && { peer }),
    ...(prefix !== undefined && { prefix: canonical(prefix) }),
    ...(explain === true && { explain }),
  }
}

function canonical(prefix: string): string {
  try {
    return String(Prefix.parse(prefix))
  } catch (error) {
    throw new UsageError(`--prefix: ${messageOf(error)}`)
  }
}

type AnyReport = { readonly silentBecause?: string; readonly peers?: BgpPeersReport['peers'] }
type Shown = { readonly answers: readonly AgentAnswer<AnyReport>[]; readonly text: string }

function shown<T extends AnyReport>(
  answers: readonly AgentAnswer<T>[],
  render: (node: string, report: T) => string,
): Shown {
  const silentBecause = ({ silentBecause: why }: T) => (why === undefined ? undefined : `no BGP: ${why}`)
  const style = { silentBecause, columns: outputColumns() }
  return { answers, text: renderAnswers(answers, ({ node, value }) => render(node, value), style) }
}

/** What to ask for, and how its answer reads. */
const verbs: Readonly<Record<string, (choice: AgentChoice, wish: RoutesRequest) => Promise<Shown>>> = {
  peers: async (choice) => shown(await answersOf(choice, 'bgpPeers'), renderPeers),
  routes: async (choice, wish) =>
    shown(await answersOf(choice, 'bgpRoutes', wish), (...answer) => renderRoutes(...answer, wish.explain === true)),
  advertised: async (choice, wish) =>
    shown(await answersOf(choice, 'bgpAdvertised', wish), (...answer) =>
      renderAdvertised(...answer, wish.explain === true),
    ),
}

function isFine({ value }: AgentAnswer<AnyReport>): boolean {
  return value !== undefined && (value.peers ?? []).every(({ state }) => state === 'Established')
}

async function reset(agents: readonly AgentOfNode[], peer: string, isHard: boolean): Promise<number> {
  const answers = await askAll(agents, 'bgpReset', { peer, how: isHard ? 'hard' : 'soft' })
  for (const { node, outcome } of answers)
    print(`${node}: ${outcome.kind === 'answer' ? outcome.value.trim() : outcome.message}`)
  return answers.some(({ outcome }) => outcome.kind === 'answer') ? 0 : 1
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
    const { answers, text } = await wanted(values, wishOf(values))
    if (values.json) printJson(answers)
    else print(text)
    return answers.every(isFine) ? 0 : 1
  },
}
