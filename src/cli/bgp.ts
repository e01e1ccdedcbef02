// `causeway bgp`: the sessions of a node, the routes it has learned and why each was chosen or not, and what it tells to whom.
import { type AgentOfNode } from '#/api/client.ts'
import {
  type BgpAdvertisedReport,
  type BgpPeersReport,
  type BgpRoute,
  type BgpRoutesReport,
  type RoutesRequest,
} from '#/api/schemas/bgp.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { table } from '#/lib/table.ts'
import { messageOf } from '#/lib/log.ts'
import { type AgentAnswer, agentOptions, agentOptionsNote, answersOf, outcomesFrom, withAgents } from './agents.ts'
import { renderAnswers } from './answers.ts'
import { noMore, options, type OptionTable, UsageError, type Values } from './args.ts'
import { type Action, type Group } from './command.ts'
import { print, printJson, tableWidth } from './output.ts'
import { ageSince, timeUntil } from './age.ts'

const routeOptions = {
  explain: { type: 'boolean', help: 'also why' },
  peer: { type: 'string', value: 'NAME', help: 'only what is from or for this neighbour' },
  prefix: { type: 'string', value: 'CIDR', help: 'only the longest prefix that contains this one, or this address' },
  ...agentOptions,
} as const satisfies OptionTable

const resetOptions = {
  hard: { type: 'boolean', help: 'end the session, and let it come back' },
  ...agentOptions,
} as const satisfies OptionTable

/** What is wrong with what an established peer sends. */
function faultsOf({ faults }: BgpPeersReport['peers'][number]): string {
  if (faults === undefined || faults.prefixes === 0) return ''
  const times = faults.prefixes === 1 ? '1 route' : `${faults.prefixes} routes`
  return `${times} of it treated as withdrawn (RFC 7606), last fault ${ageSince(faults.lastMs)} ago: ${faults.last}`
}

function whyDown({ lastError = '', pause }: BgpPeersReport['peers'][number]): string {
  if (pause === undefined) return lastError
  return pause.untilMs === undefined
    ? `${lastError}; it stays down until it is reset: causeway bgp reset --hard`
    : `${lastError}; it is tried again in ${timeUntil(pause.untilMs)}`
}

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
    peer.state === 'Established' ? faultsOf(peer) : whyDown(peer),
  ])
  const role = report.role === undefined ? '' : `, ${report.role}`
  return [
    `${node}: AS ${report.asn}, router id ${report.routerId}${role}${report.isReady ? '' : ', waiting for End-of-RIB'}`,
    ...(report.drainedBecause === undefined ? [] : [`tells nobody of its pod CIDRs, because ${report.drainedBecause}`]),
    ...(report.portTroubles ?? []),
    table(['PEER', 'ADDRESS', 'AS', 'STATE', 'SINCE', 'RECEIVED', 'ACCEPTED', 'ADVERTISED', 'BFD', 'WHY NOT'], rows, {
      width: tableWidth(),
      labelledBy: [0],
    }),
  ].join('\n')
}

function staleness({ isStale, stale }: BgpRoute): string | false {
  if (!isStale) return false
  const kind = stale?.kind === 'long-lived' ? 'LLGR' : 'GR'
  return stale?.untilMs === undefined ? `stale (${kind})` : `stale (${kind}, ${timeUntil(stale.untilMs)} left)`
}

function useOf(route: BgpRoute): string {
  const { isRefused, isBest, isMultipath, kernel } = route
  if (isRefused) return 'refused'
  const use = isBest ? 'best' : isMultipath ? 'equal' : 'spare'
  const words = [use, staleness(route), kernel && (kernel.isInstalled ? 'installed' : 'not installed')]
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
    route.communities.join(' ') || '-',
    useOf(route),
    ...(isExplained ? [whyOf(route)] : []),
  ])
  const columns = [
    'PREFIX',
    'NEXT HOP',
    'PEER',
    'AS PATH',
    'PREFERENCE',
    'MED',
    'COMMUNITIES',
    'USE',
    ...(isExplained ? ['WHY'] : []),
  ]
  return `${node}\n${table(columns, rows, { width: tableWidth(), ...(isExplained && { labelledBy: [0, 2] }) })}`
}

/** Sorts routes by prefix; paths to one prefix keep their order, which is by rank. */
function byPrefix<T extends { readonly prefix: string }>(routes: readonly T[]): T[] {
  const keyed = routes.map((route) => ({ route, prefix: Prefix.parse(route.prefix) }))
  return keyed.toSorted((a, b) => a.prefix.compare(b.prefix)).map(({ route }) => route)
}

function whyOf({ reason, kernel, treatedAsWithdrawnMs }: BgpRoute): string {
  if (treatedAsWithdrawnMs !== undefined) return `${reason}, ${ageSince(treatedAsWithdrawnMs)} ago`
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
  return `${node}\n${table(columns, rows, { width: tableWidth(), ...(isExplained && { labelledBy: [0, 1] }) })}`
}

/** The routes that a command is about; throws UsageError for an invalid prefix. */
function wishOf({ peer, prefix, explain }: Values<typeof routeOptions>): RoutesRequest {
  return {
    ...(peer !== undefined && { peer }),
    ...(prefix !== undefined && { prefix: canonical(prefix) }),
    ...(explain === true && { explain }),
  }
}

function canonical(prefix: string): string {
  const addr = Addr.tryParse(prefix)
  try {
    return String(addr === undefined ? Prefix.parse(prefix) : new Prefix(addr, addr.bits))
  } catch (error) {
    throw new UsageError(`--prefix: ${messageOf(error)}`)
  }
}

type AnyReport = { readonly silentBecause?: string; readonly peers?: BgpPeersReport['peers'] }

function isFine({ value }: AgentAnswer<AnyReport>): boolean {
  return value !== undefined && (value.peers ?? []).every(({ state }) => state === 'Established')
}

async function reset(agents: readonly AgentOfNode[], peer: string, isHard: boolean): Promise<number> {
  const answers = await outcomesFrom(agents, 'bgpReset', { peer, how: isHard ? 'hard' : 'soft' })
  for (const { node, outcome } of answers)
    print(`${node}: ${outcome.kind === 'answer' ? outcome.value.trim() : outcome.message}`)
  return answers.some(({ outcome }) => outcome.kind === 'answer') ? 0 : 1
}

/** Shows each answer as `render` makes it, unless the node does not speak BGP. */
function show<T extends AnyReport>(
  answers: readonly AgentAnswer<T>[],
  isJson: boolean,
  render: (node: string, report: T) => string,
): number {
  const renderOne = (node: string, value: T): string =>
    value.silentBecause === undefined ? render(node, value) : `${node}: no BGP: ${value.silentBecause}`
  if (isJson) printJson(answers)
  else print(renderAnswers(answers, renderOne))
  return answers.every(isFine) ? 0 : 1
}

const peersCommand: Action = {
  name: 'peers',
  summary: 'every neighbour, the state of its session, and why it is down',
  about: `Exit status 0 when all sessions are established.

${agentOptionsNote}`,
  options: agentOptions,
  run: async (args) => {
    const { values, positionals } = options(args, agentOptions)
    noMore(positionals)
    return show(await answersOf(values, 'bgpPeers'), values.json === true, renderPeers)
  },
}

/** A command that asks for routes; `render` shows the reasons too when `isExplained`. */
function routesAction<T extends AnyReport>(
  texts: Pick<Action, 'name' | 'summary' | 'about'>,
  ask: (values: Values<typeof routeOptions>) => Promise<readonly AgentAnswer<T>[]>,
  render: (node: string, report: T, isExplained: boolean) => string,
): Action {
  return {
    ...texts,
    options: routeOptions,
    run: async (args) => {
      const { values, positionals } = options(args, routeOptions)
      noMore(positionals)
      const isExplained = values.explain === true
      return show(await ask(values), values.json === true, (node, report) => render(node, report, isExplained))
    },
  }
}

const routesCommand = routesAction(
  {
    name: 'routes',
    summary: 'every path received, which is used, and whether the kernel has it',
    about: `With --explain, why a route was chosen, why another was not, and why one was received and not installed.

${agentOptionsNote}`,
  },
  async (values) => answersOf(values, 'bgpRoutes', wishOf(values)),
  renderRoutes,
)

const advertisedCommand = routesAction(
  {
    name: 'advertised',
    summary: 'what is told to whom',
    about: `With --explain, also what is not told to whom, and why.

${agentOptionsNote}`,
  },
  async (values) => answersOf(values, 'bgpAdvertised', wishOf(values)),
  renderAdvertised,
)

const resetCommand: Action = {
  name: 'reset',
  summary: 'ask a neighbour for its routes again, or begin its session anew',
  operands: 'PEER',
  options: resetOptions,
  run: async (args) => {
    const { values, positionals } = options(args, resetOptions)
    const [peer, ...more] = positionals
    if (peer === undefined) throw new UsageError('reset needs a peer: causeway bgp reset node/node-2')
    noMore(more)
    return withAgents(values, async (agents) => reset(agents, peer, values.hard === true))
  },
}

export const bgpCommand: Group = {
  name: 'bgp',
  summary: 'show BGP sessions, learned and advertised routes, and why',
  verbs: {
    peers: async () => peersCommand,
    routes: async () => routesCommand,
    advertised: async () => advertisedCommand,
    reset: async () => resetCommand,
    speak: async () => (await import('./bgp-speak.ts')).bgpSpeakCommand,
  },
}
