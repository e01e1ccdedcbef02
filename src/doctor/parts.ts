// A cluster that is in parts: nodes of each reach each other, and nothing goes from one part to another. That is one finding, whoever tells of which
// ways. Pure.
import { isWhole } from './losses.ts'
import { type FollowedPacket, type NodeAnswers } from './types.ts'

/** Nodes of each part. */
export type Parts = readonly (readonly string[])[]

type Link = readonly [string, string]

/** The nodes between which packets of pods are known to go: those that were followed, and probes of agents. */
function linksOf(answers: readonly NodeAnswers[], packets: readonly FollowedPacket[]): Link[] {
  const followed = packets.filter(isWhole).map(({ from, to }): Link => [from.node, to.node])
  const probed = answers.flatMap(({ node, peers }) =>
    (peers?.ways ?? [])
      .filter(({ path, state }) => path === 'pod' && state === 'ok')
      .map((way): Link => [node, way.node]),
  )
  return [...followed, ...probed].filter(([a, b]) => a !== b)
}

/** The parts of two nodes or more, each sorted; one that is alone is a node that is cut off. */
export function partsOf(answers: readonly NodeAnswers[], packets: readonly FollowedPacket[]): Parts {
  const partOf = new Map<string, Set<string>>()
  for (const [a, b] of linksOf(answers, packets)) {
    const [one, other] = [partOf.get(a) ?? new Set([a]), partOf.get(b) ?? new Set([b])]
    const all = one.size < other.size ? other : one
    for (const node of all === one ? other : one) all.add(node)
    for (const node of all) partOf.set(node, all)
  }
  return [...new Set(partOf.values())].map((part) => [...part].toSorted())
}

/** Broken ways that go from one part to another, of two nodes or more of each: the ways of a node alone are its own. */
export function crossing<Way extends { readonly ends: readonly string[] }>(
  ways: readonly Way[],
  parts: Parts,
): { readonly parts: Parts; readonly ways: readonly Way[] } | undefined {
  const partOf = new Map(parts.flatMap((part) => part.map((node) => [node, part] as const)))
  const isCrossing = ({ ends: [a, b] }: Way): boolean =>
    a !== undefined && partOf.has(a) && (b === undefined || (partOf.has(b) && partOf.get(a) !== partOf.get(b)))
  const found = ways.filter(isCrossing)
  const nodes = new Set(found.flatMap(({ ends }) => ends))
  const involved = parts.filter((part) => part.filter((node) => nodes.has(node)).length > 1)
  if (involved.length < 2) return undefined
  return { parts: involved, ways: found.filter(({ ends }) => ends.every((end) => involved.includes(partOf.get(end)!))) }
}
