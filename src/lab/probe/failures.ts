// Probes that failed, told by cause and by where they have something in common. Pure.
import { groupByCause } from '#/lib/causes.ts'
import type { ProbeResult } from './types.ts'

export type NodeOf = (pod: string) => string

const linesShown = 20

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)]
}

/** What all of these probes have in common: " to web-3", " from or to pods of node-2"; empty when nothing. */
function commonPlace(probes: readonly ProbeResult[], nodeOf: NodeOf): string {
  const levels: readonly [string, NodeOf][] = [
    ['', (pod) => pod],
    ['pods of ', nodeOf],
  ]
  for (const [what, nameOf] of levels) {
    const from = distinct(probes.map((probe) => nameOf(probe.from)))
    const to = distinct(probes.map((probe) => nameOf(probe.to)))
    const parts = [
      ...(from.length === 1 ? [`from ${what}${from[0]}`] : []),
      ...(to.length === 1 ? [`to ${what}${to[0]}`] : []),
    ]
    if (parts.length > 0) return ` ${parts.join(' ')}`
    const both = from.find((name) => probes.every((probe) => nameOf(probe.from) === name || nameOf(probe.to) === name))
    if (both !== undefined) return ` from or to ${what}${both}`
  }
  return ''
}

function probeName({ from, to, protocol, family }: ProbeResult): string {
  return `${from} → ${to} ${protocol} v${family}`
}

/** A line for each cause, with how many probes failed of it and one of them as example; the most frequent first. */
export function failureLines(results: readonly ProbeResult[], nodeOf: NodeOf): string[] {
  const failures = results
    .filter(({ ok }) => !ok)
    .map((probe) => ({
      probe,
      subject: probeName(probe),
      text: probe.problem ?? 'failed',
      names: [probe.from, probe.to],
    }))
  const groups = groupByCause(failures).toSorted((a, b) => b.length - a.length)
  const lines = groups.map((group) => {
    const { subject, text } = group[0]!
    if (group.length === 1) return `${subject}: ${text}`
    const place = commonPlace(
      group.map(({ probe }) => probe),
      nodeOf,
    )
    return `${group.length} probes${place}: ${text}; for example ${subject}`
  })
  const more = lines.length - linesShown
  return more > 0 ? [...lines.slice(0, linesShown), `and ${more} more`] : lines
}

export type TroubledNode = {
  readonly node: string
  /** The nodes with which it has failed probes; itself among them when they were between its own pods. */
  readonly peers: readonly string[]
}

/**
 * Few nodes that are at one end of every failed probe: time and again the one that fails with most others. So a node that is
 * gone is named, and not all those that miss it.
 */
export function troubledNodes(results: readonly ProbeResult[], nodeOf: NodeOf): TroubledNode[] {
  let pairs = results.filter(({ ok }) => !ok).map(({ from, to }) => [nodeOf(from), nodeOf(to)] as const)
  const found: TroubledNode[] = []
  while (pairs.length > 0) {
    const peersOf = new Map<string, Set<string>>()
    for (const [from, to] of pairs) {
      peersOf.set(from, (peersOf.get(from) ?? new Set()).add(to))
      peersOf.set(to, (peersOf.get(to) ?? new Set()).add(from))
    }
    const [node, peers] = [...peersOf].reduce((most, each) => (each[1].size > most[1].size ? each : most))
    found.push({ node, peers: [...peers] })
    pairs = pairs.filter((pair) => !pair.includes(node))
  }
  return found
}
