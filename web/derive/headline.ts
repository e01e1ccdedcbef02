// The state of the whole in one line, which somebody reads who was just woken. Pure.
import { someOf } from '#/lib/some-of.ts'
import { type NodeRow } from '#/ui/contract.ts'
import { type State } from '../state/state.ts'
import { medianRttMs, type Pair } from './pairs.ts'
import { datapathWords, placeWord, plural, rttText, type Tone } from './words.ts'
import { type Wrong } from './wrong.ts'

export type Headline = { readonly tone: Tone; readonly title: string; readonly facts: readonly string[] }

/** The node that all of several pairs have in common. */
function commonEnd(pairs: readonly Pair[]): string | undefined {
  const [first, ...rest] = pairs
  if (first === undefined || rest.length === 0) return undefined
  return [first.a, first.b].find((end) => rest.every(({ a, b }) => a === end || b === end))
}

/** With how many other nodes it is known how packets cross to and from this one. */
const knownWith = (end: string, all: readonly Pair[]): number =>
  all.filter(({ a, b, state }) => (a === end || b === end) && state !== 'unknown').length

const isCut = ({ state }: Pair): boolean => state === 'broken' || state === 'one way'

function cutText(cut: readonly Pair[], all: readonly Pair[]): string {
  const [first] = cut as readonly [Pair]
  if (cut.length === 1) {
    const teller = first.told.find(({ state }) => state === first.state)!
    return `${teller.from} does not reach ${teller.to}`
  }
  const end = commonEnd(cut)
  if (end !== undefined) {
    const known = knownWith(end, all)
    if (known === cut.length) return `Packets do not cross to or from ${end}`
    return `Packets do not cross between ${end} and ${cut.length} of ${known} other nodes`
  }
  return `Packets do not cross between ${cut.length} pairs of nodes`
}

function betweenText(what: string, pairs: readonly Pair[], all: readonly Pair[]): string {
  const [first] = pairs as readonly [Pair]
  if (pairs.length === 1) return `${what} between ${first.a} and ${first.b} are lost`
  const end = commonEnd(pairs)
  if (end === undefined) return `${what} between ${pairs.length} pairs of nodes are lost`
  const known = knownWith(end, all)
  return known === pairs.length
    ? `${what} to and from ${end} are lost`
    : `${what} between ${end} and ${pairs.length} of ${known} other nodes are lost`
}

const namesOf = (rows: readonly NodeRow[]): string => someOf(rows.map(({ name }) => name))

/** Of the agents alone: packets cross by what the kernels have, and whether they do is another question. */
function silentText(silent: readonly NodeRow[], all: number): string {
  if (silent.length === all) return all === 1 ? 'The agent does not answer' : 'No agent answers'
  return silent.length === 1
    ? `The agent of ${namesOf(silent)} does not answer`
    : `The agents of ${namesOf(silent)} do not answer`
}

/** Of several things the worst one is told; all stand below. */
function outcomeOf(rows: readonly NodeRow[], pairs: readonly Pair[], wrong: readonly Wrong[]): readonly [Tone, string] {
  const inState = (state: NodeRow['state']): NodeRow[] => rows.filter((row) => row.state === state)
  const cut = pairs.filter(isCut)
  const [silent, notReady] = [inState('silent'), inState('not ready')]
  const small = pairs.filter(({ state }) => state === 'small only')
  const lossy = pairs.filter(({ state }) => state === 'lossy')
  if (silent.length === rows.length) return ['bad', silentText(silent, rows.length)]
  if (cut.length > 0) return ['bad', cutText(cut, pairs)]
  if (notReady.length > 0)
    return ['bad', `${namesOf(notReady)} ${notReady.length === 1 ? 'is' : 'are'} not ready for pods`]
  if (silent.length > 0) return ['bad', silentText(silent, rows.length)]
  if (small.length > 0) return ['bad', betweenText('Large packets', small, pairs)]
  if (lossy.length > 0) return ['unknown', betweenText('Some packets', lossy, pairs)]
  const nodes = plural(rows.length, 'node')
  if (inState('unknown').length > 0) return ['none', `${nodes}, ${inState('unknown').length} of them not asked yet`]
  const crossing = crossingNodes(pairs)
  // an observer of another network sends no probes
  const isObserved = rows.every(({ observes }) => observes !== undefined)
  const isEverywhere = crossing === rows.length && pairs.every(({ state }) => state === 'ok')
  // probes do not go all the ways that doctor's packets go
  const isAsProbed = !wrong.some(({ by }) => by === 'doctor')
  const where = isEverywhere ? 'everywhere' : `between ${crossing} of them`
  const crosses = crossing > 0 && isAsProbed ? `packets cross ${where}` : ''
  const title = `${nodes}, ${isObserved ? 'observed and not probed' : crosses || 'ready'}`
  if (wrong.length > 0) return ['unknown', `${title}; ${plural(wrong.length, 'thing')} to see to`]
  return [!isObserved && (rows.length < 2 || isEverywhere) ? 'good' : 'none', title]
}

/** How many nodes are an end of a way that is known to be whole. */
function crossingNodes(pairs: readonly Pair[]): number {
  return new Set(pairs.filter(({ state }) => state === 'ok').flatMap(({ a, b }) => [a, b])).size
}

function datapathText(rows: readonly NodeRow[]): string {
  const names = [...new Set(rows.flatMap(({ datapath }) => datapath ?? []))].sort()
  return names.map((name) => datapathWords[name] ?? name).join(' and ')
}

function waysText(rows: readonly NodeRow[]): string {
  const sum = (way: 'vxlan' | 'native'): number => rows.reduce((all, { crossings }) => all + (crossings?.[way] ?? 0), 0)
  const [vxlan, native] = [sum('vxlan'), sum('native')]
  if (vxlan > 0 && native > 0) return 'VXLAN and native routes'
  return vxlan > 0 ? 'VXLAN' : native > 0 ? 'native routes' : ''
}

/** Of nodes whose network is another one's. */
function observedText(rows: readonly NodeRow[]): string {
  const observed = rows.filter(({ observes }) => observes !== undefined)
  const networks = [...new Set(observed.flatMap(({ observes }) => observes ?? []))].sort().join(' and ')
  if (observed.length === 0 || observed.length === rows.length) return networks
  return `${networks} on ${plural(observed.length, 'node')}, observed and not probed`
}

/** Observers send none, and who does not answer does not say. */
function noProbesText(rows: readonly NodeRow[]): string {
  const isTelling = ({ observes, state }: NodeRow): boolean => observes === undefined && state !== 'silent'
  return rows.length > 1 && rows.some(isTelling) ? 'no way was probed yet' : ''
}

function factsOf(rows: readonly NodeRow[], pairs: readonly Pair[]): string[] {
  const racks = new Set(rows.flatMap(({ rack }) => rack ?? [])).size
  const pods = rows.reduce((all, row) => all + (row.pods ?? 0), 0)
  const probed = pairs.filter(({ state }) => state !== 'unknown')
  const ok = probed.filter(({ state }) => state === 'ok').length
  const rtt = medianRttMs(pairs)
  return [
    racks > 1 ? plural(racks, placeWord(rows)) : '',
    plural(pods, 'pod'),
    waysText(rows),
    datapathText(rows),
    observedText(rows),
    probed.length === 0
      ? noProbesText(rows)
      : `${ok.toLocaleString('en')} of ${plural(probed.length, 'probed pair')} ${probed.length === 1 ? 'answers' : 'answer'}${rtt === undefined ? '' : `, typically in ${rttText(rtt)}`}`,
  ].filter(Boolean)
}

export function headlineOf(
  { link, nodes, askedMs, failure }: Pick<State, 'link' | 'nodes' | 'askedMs' | 'failure'>,
  pairs: readonly Pair[],
  wrong: readonly Wrong[],
  isOld = false,
): Headline {
  const rows = [...nodes.values()]
  if (rows.length === 0 && failure !== undefined)
    return { tone: 'bad', title: 'The nodes cannot be found', facts: [failure] }
  if (rows.length === 0)
    return askedMs === undefined || link === 'connecting'
      ? { tone: 'none', title: 'Asking the nodes…', facts: [] }
      : { tone: 'unknown', title: 'There is no node with an agent', facts: [] }
  const [tone, title] = outcomeOf(rows, pairs, wrong)
  const facts = factsOf(rows, pairs)
  if (!isOld) return { tone, title, facts }
  // what was well may not be so any more
  return { tone: tone === 'good' ? 'none' : tone, title: `Last known: ${title}`, facts }
}
