// One cause is told once: what follows from it stands below it. Pure.
import { groupByCause } from '#/lib/causes.ts'
import { consequencesOf } from './consequences.ts'
import { precisionOf, touches } from './extent.ts'
import { isBlamed } from './losses.ts'
import { natureOf, rankOf } from './ranks.ts'
import { type Finding, type Sign } from './types.ts'
import { brokenWays, endsOf, type Reach, type WayGroup } from './ways.ts'

/** What became of a packet is never a cause, whichever code it has. */
const rank = ({ code, loss }: Sign): number => rankOf(loss === undefined ? natureOf(code) : { rank: 'packet' })

function isOfHarm(cause: Sign, { code, loss }: Sign): boolean {
  const { does } = natureOf(cause.code)
  const isOf = loss?.isOfSize === true ? (['size'] as const) : natureOf(code).isOf
  return isOf.some((harm) => does.includes(harm))
}

const certain = 100

/** How well a sign is explained; 0: not at all. */
function explained(cause: Sign, sign: Sign): number {
  if (rank(cause) >= rank(sign)) return 0
  if (sign.loss !== undefined && isBlamed(cause, sign.loss)) return certain
  if (cause.needs === 'blame') return 0
  if (!isOfHarm(cause, sign) || !touches(cause.extent, sign.extent)) return 0
  const isAtPlace = sign.loss?.node !== undefined && cause.extent.at === sign.loss.node
  return 1 + precisionOf(cause.extent) + (isAtPlace ? 8 : 0) + (rank(sign) - rank(cause))
}

function bestOf(causes: readonly Sign[], sign: Sign): Sign | undefined {
  let best: { readonly cause: Sign; readonly score: number } | undefined
  for (const cause of causes) {
    const score = explained(cause, sign)
    if (score > 0 && (best === undefined || score > best.score)) best = { cause, score }
  }
  return best?.cause
}

/** What one maker did to one node, such as a route for each family, is one cause. */
function groupOf(sign: Sign): unknown {
  const { code, nodes, extent } = sign
  const { rank: own, does } = natureOf(code)
  return own === 'made' && does.length > 0 ? JSON.stringify([code, nodes, extent.at, extent.peers, extent.pods]) : sign
}

const unique = (texts: readonly string[]): string[] => [...new Set(texts)]

const told = 3

const nameIn = (object: string): string => object.slice(object.indexOf('/') + 1)

/** The messages of several objects; of those that say the same, one. */
function joined(roots: readonly Sign[]): string {
  const failures = roots.map(({ object, message, nodes }) => ({
    subject: object,
    text: message.replaceAll(nameIn(object).replaceAll('/', '.'), '').replaceAll(nameIn(object), ''),
    names: nodes,
    message,
  }))
  const all = unique(groupByCause(failures).map(([first]) => first!.message))
  const more = all.length - told
  return [...all.slice(0, told), ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
}

/** `roots` are of one cause; `below` follow from one of them. */
function findingOf(roots: readonly Sign[], below: readonly Sign[]): Finding {
  const [{ code, object, how }] = roots as readonly [Sign]
  const message = joined(roots)
  return {
    code,
    object,
    objects: unique(roots.map((each) => each.object)),
    message,
    how,
    remedy: unique(roots.map(({ remedy }) => remedy))
      .slice(0, told)
      .join('; '),
    nodes: unique(roots.flatMap(({ nodes }) => nodes)).toSorted(),
    consequences: consequencesOf(message, below),
  }
}

/** Of ways that are broken one sign stands for all: of those of one node the one that is about it, or words for all of them. */
function findingOfWays({ node, signs }: WayGroup, below: readonly Sign[]): Finding {
  const object = `node/${node}`
  const first = signs.find((each) => each.object === object) ?? signs[0]!
  const nodes = unique(signs.flatMap((each) => each.nodes)).toSorted()
  if (node === undefined || first.object === object)
    return { ...findingOf([first], [...signs.filter((each) => each !== first), ...below]), nodes }
  const others = unique(signs.flatMap(endsOf).filter((each) => each !== node)).join(', ')
  const size = first.loss?.isOfSize === true ? 'large packets' : 'packets'
  const message = `${size} between ${node} and all others that were tried (${others}) are lost`
  const finding = findingOf([first], [])
  return {
    ...finding,
    object,
    objects: [object],
    nodes,
    message,
    consequences: consequencesOf(message, [...signs, ...below]),
  }
}

/**
 * The findings, causes of the lowest rank first. Each sign is in exactly one of them. `reach`: the nodes from which, or to which, a packet was
 * answered.
 */
export function arrange(signs: readonly Sign[], reach: Reach): Finding[] {
  const sorted = signs.toSorted((one, other) => rank(one) - rank(other))
  const rootOf = new Map<Sign, Sign>()
  for (const sign of sorted) {
    const cause = bestOf(sorted, sign)
    rootOf.set(sign, cause === undefined ? sign : rootOf.get(cause)!)
  }
  const belowOf = Map.groupBy(
    sorted.filter((sign) => rootOf.get(sign) !== sign),
    (sign) => rootOf.get(sign)!,
  )
  const below = (group: readonly Sign[]): Sign[] => group.flatMap((each) => belowOf.get(each) ?? [])
  const roots = sorted.filter((sign) => rootOf.get(sign) === sign && (sign.needs === undefined || belowOf.has(sign)))
  const ways = brokenWays(roots, reach)
  const ofWays = new Set(ways.flatMap((group) => group.signs))
  const others = roots.filter((root) => !ofWays.has(root))
  return [
    ...[...Map.groupBy(others, groupOf).values()].map((group) => findingOf(group, below(group))),
    ...ways.map((group) => findingOfWays(group, below(group.signs))),
  ]
}
