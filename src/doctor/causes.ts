// One cause is told once: what follows from it stands below it. Pure.
import { groupByCause } from '#/lib/causes.ts'
import { ownValue } from '#/lib/own-value.ts'
import { someOf } from '#/lib/some-of.ts'
import { consequencesOf } from './consequences.ts'
import { precisionOf, touches } from './extent.ts'
import { isBlamed } from './losses.ts'
import { natureOf, rankOf } from './ranks.ts'
import { joinedRemedies } from './remedies.ts'
import { type Finding, type Loss, type Sign } from './types.ts'
import { type Parts } from './parts.ts'
import { routerTexts } from './routers.ts'
import { brokenWays, endsOf, type Reach, type WayGroup, type WayHarm } from './ways.ts'

/** What became of a packet is never a cause, whichever code it has. */
const rank = ({ code, loss }: Sign): number => rankOf(loss === undefined ? natureOf(code).rank : 'packet')

function isOfHarm(cause: Sign, { code, loss }: Sign): boolean {
  const { does } = natureOf(cause.code)
  const isOf = loss?.isOfSize === true ? (['size'] as const) : natureOf(code).isOf
  return isOf.some((harm) => does.includes(harm))
}

/** Whether the packet ended where the cause acts. */
function isAtPlace({ code, extent: { at } }: Sign, { wireBehind, node }: Loss): boolean {
  const { place } = natureOf(code)
  if (place === 'anywhere' || at === undefined) return true
  if (wireBehind !== undefined) return place === 'leaving' && wireBehind === at
  return node === undefined || node === at
}

/** Of several problems of one chain the last of these is the cause. */
const chainOrder = ['CW7006', 'CW7001', 'CW7004']

/** Rules that are missing from a chain explain what that chain drops, and no other. */
const isOfChain = (cause: Sign, { object, message }: Sign): boolean =>
  object === cause.object || message.includes(`table ${cause.object.replace('chain/', '').replace(/ \S+$/, '')} `)

/** A claim to too much overlaps those of others. */
const sameClaim: Readonly<Record<string, readonly string[]>> = { CW1103: ['CW1105', 'CW1110'] }

const isSameClaim = (cause: Sign, sign: Sign): boolean =>
  cause.object === sign.object && ownValue(sameClaim, sign.code)?.includes(cause.code) === true

/**
 * What follows from being cut off, where nothing better explains it. A node that reaches nobody has no way to each of the others, and they have none
 * to it; one that does not hear from the API does not know what policies are made of.
 */
const ofCutOff: Readonly<Record<string, readonly string[]>> = {
  CW1205: ['CW1201'],
  CW6002: ['CW3301', 'CW3302', 'CW3307'],
}

const isOfCutOff = (cause: Sign, sign: Sign): boolean =>
  ownValue(ofCutOff, cause.code)?.includes(sign.code) === true && touches(cause.extent, sign.extent)

const certain = 100
/** Any other cause is a better one. */
const least = 1

/** How well a sign is explained; 0: not at all. */
function explained(cause: Sign, sign: Sign): number {
  const { loss } = sign
  const isRules = loss === undefined && natureOf(sign.code).isOf.includes('rules')
  if (isRules) {
    const isMaker = chainOrder.indexOf(cause.code) > chainOrder.indexOf(sign.code)
    return isMaker && touches(cause.extent, sign.extent) && isOfChain(cause, sign) ? certain : 0
  }
  if (isSameClaim(cause, sign)) return certain
  if (isOfCutOff(cause, sign)) return least
  if (rank(cause) >= rank(sign)) return 0
  if (loss !== undefined && isBlamed(cause, loss)) return certain
  // all nodes go by what Node objects say of owners
  if (natureOf(sign.code).isOf.includes('owners')) return isOfHarm(cause, sign) ? certain : 0
  if (cause.needs === 'blame' && loss !== undefined) return 0
  if (!isOfHarm(cause, sign) || !touches(cause.extent, sign.extent)) return 0
  if (loss !== undefined && !isAtPlace(cause, loss)) return 0
  const isThere = loss?.node !== undefined && cause.extent.at === loss.node
  return least + 1 + precisionOf(cause.extent) + (isThere ? 8 : 0) + (rank(sign) - rank(cause))
}

function bestOf(causes: readonly Sign[], sign: Sign): Sign | undefined {
  let best: { readonly cause: Sign; readonly score: number } | undefined
  for (const cause of causes) {
    const score = explained(cause, sign)
    if (score > 0 && (best === undefined || score > best.score)) best = { cause, score }
  }
  return best?.cause
}

/** The packets that were lost on the way of which a sign tells. */
function lossesOn({ extent: { at, peers }, code }: Sign, losses: readonly Sign[]): Sign[] {
  const isOfSize = !natureOf(code).isOf.includes('ways')
  return losses.filter(({ loss }) => {
    if (loss === undefined || loss.isOfSize !== isOfSize || at === undefined) return false
    const ends = [loss.from, loss.to]
    return ends.includes(at) && (peers === undefined || peers.some((peer) => peer !== at && ends.includes(peer)))
  })
}

/** Whether each packet that was followed on a way, and lost, was dropped by the kernel for that cause. */
function isProvedBy(cause: Sign, losses: readonly Sign[], found: ReadonlyMap<Sign, Sign>): boolean {
  return losses.every((each) => each.loss?.drop !== undefined && found.get(each) === cause)
}

/**
 * The cause of each sign; one that has none is absent. Packets come first: a way that agents call broken is so for what its packets met, where some
 * were followed.
 */
function causesOf(signs: readonly Sign[]): Map<Sign, Sign> {
  const found = new Map<Sign, Sign>()
  const find = (some: readonly Sign[], causes: readonly Sign[]): void => {
    for (const sign of some) {
      const cause = bestOf(causes, sign)
      if (cause !== undefined) found.set(sign, cause)
    }
  }
  const isSeen = ({ code }: Sign): boolean => natureOf(code).rank === 'seen'
  const losses = signs.filter(({ loss }) => loss !== undefined)
  const told = signs.filter(({ loss }) => loss === undefined)
  const made = told.filter((sign) => !isSeen(sign))
  const certainly = made.filter(({ needs }) => needs !== 'blame')
  find(made, certainly)
  find(losses, made)
  const met = [...new Set(losses.flatMap((loss) => found.get(loss) ?? []))]
  find(
    made.filter((sign) => !found.has(sign)),
    met,
  )
  for (const sign of told.filter(isSeen)) {
    const own = lossesOn(sign, losses)
    const known = own.flatMap((loss) => found.get(loss) ?? [])
    find([sign], own.length === 0 ? certainly : known)
    // a rule may drop large packets alone
    const [cause] = known
    if (!found.has(sign) && cause !== undefined && isProvedBy(cause, own, found)) found.set(sign, cause)
  }
  find(
    losses.filter((loss) => !found.has(loss)),
    told.filter(isSeen),
  )
  // of a way that loses some packets, each that was lost says the same
  const lossy = losses.filter((loss) => loss.code === 'CW8102' && !found.has(loss))
  for (const [first, ...others] of Map.groupBy(lossy, ({ object }) => object).values())
    for (const other of others) found.set(other, first!)
  return found
}

/** What many nodes meet together: a limit that their number fills, or an API server that answers none of them. It is mended once, or alike on all. */
const ofManyNodes = new Set(['CW6002', 'CW8107'])

/** What one maker did to one node, such as a route for each family, is one cause. */
function groupOf(sign: Sign): unknown {
  const { code, nodes, extent, maker } = sign
  if (ofManyNodes.has(code)) return code
  if (maker !== undefined) return JSON.stringify([code, maker])
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

/** Where the kernel has dropped packets, what mends that counts more than where to look for what drops them. */
function remediesOf(roots: readonly Sign[], below: readonly Sign[]): string[] {
  const isSeen = roots.every(({ code, loss }) => loss === undefined && natureOf(code).rank === 'seen')
  const ofDrops = isSeen ? below.flatMap(({ loss }) => loss?.drop?.remedy ?? []) : []
  return ofDrops.length > 0 ? ofDrops : roots.map(({ remedy }) => remedy)
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
    remedy: joinedRemedies(remediesOf(roots, below)),
    nodes: unique(roots.flatMap(({ nodes }) => nodes)).toSorted(),
    ...consequencesOf(message, below, roots),
  }
}

/** Parts of a cluster that do not reach each other: what nodes tell of each other stands below. */
function findingOfParts(parts: Parts, signs: readonly Sign[], below: readonly Sign[]): Finding {
  const texts = parts.map((part) => someOf(part))
  const object = `way/${texts.join(' to ')}`
  const message = `the cluster is in ${parts.length} parts, and nothing that was tried goes from one to another: ${texts.join(' | ')}`
  const [first] = signs as readonly [Sign]
  return {
    ...findingOf([{ ...first, code: 'CW1307', object }], []),
    object,
    objects: [object],
    nodes: unique(signs.flatMap(({ nodes }) => nodes)).toSorted(),
    message,
    ...consequencesOf(message, [...signs, ...below]),
  }
}

const packetsOf: Readonly<Record<WayHarm, string>> = { ways: 'packets', part: 'some packets', size: 'large packets' }

/** Of ways that are broken one sign stands for all: of those of one node the one that is about it, or words for all of them. */
function findingOfWays({ harm, isOfRouters, node, parts, signs }: WayGroup, below: readonly Sign[]): Finding {
  if (parts !== undefined) return findingOfParts(parts, signs, below)
  if (isOfRouters === true) {
    const texts = routerTexts(signs, harm === 'size')
    return { ...findingOf(signs, []), ...texts, ...consequencesOf(texts.message, [...signs, ...below]) }
  }
  const object = `node/${node}`
  const first = signs.find((each) => each.object === object) ?? signs[0]!
  const nodes = unique(signs.flatMap((each) => each.nodes)).toSorted()
  if (node === undefined || first.object === object)
    return { ...findingOf([first], [...signs.filter((each) => each !== first), ...below]), nodes }
  const others = unique(signs.flatMap(endsOf).filter((each) => each !== node)).join(', ')
  const message = `${packetsOf[harm]} between ${node} and all others that were tried (${others}) are lost`
  const finding = findingOf([first], below)
  return {
    ...finding,
    object,
    objects: [object],
    nodes,
    message,
    ...consequencesOf(message, [...signs, ...below]),
  }
}

/**
 * The findings, causes of the lowest rank first. Each sign is in exactly one of them. `reach`: the nodes from which, or to which, a packet was
 * answered.
 */
export function arrange(signs: readonly Sign[], reach: Reach): Finding[] {
  const sorted = signs.toSorted((one, other) => rank(one) - rank(other))
  const causes = causesOf(sorted)
  const rootOf = (sign: Sign): Sign => {
    const cause = causes.get(sign)
    return cause === undefined ? sign : rootOf(cause)
  }
  const belowOf = Map.groupBy(
    sorted.filter((sign) => causes.has(sign)),
    rootOf,
  )
  const below = (group: readonly Sign[]): Sign[] => group.flatMap((each) => belowOf.get(each) ?? [])
  const roots = sorted.filter((sign) => !causes.has(sign) && (sign.needs === undefined || belowOf.has(sign)))
  // where the kernel says where it dropped them, that is what they have in common; but what is too large for a way is of that way, wherever on it
  // a packet ends
  const isOfWays = ({ loss }: Sign): boolean => loss?.drop === undefined || loss.isOfSize
  const ways = brokenWays(roots.filter(isOfWays), reach)
  const ofWays = new Set(ways.flatMap((group) => group.signs))
  const others = roots.filter((root) => !ofWays.has(root))
  return [
    ...[...Map.groupBy(others, groupOf).values()].map((group) => findingOf(group, below(group))),
    ...ways.map((group) => findingOfWays(group, below(group.signs))),
  ]
}
