// What a problem is about: the nodes and pods that it names, and whether another one is about the same. Pure.
import { type ToldProblem } from '#/api/schemas/problem.ts'
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { ownValue } from '#/lib/own-value.ts'
import { problemCatalogue } from '#/model/problem-catalogue.ts'
import { type Concern, type ProblemEntry } from '#/model/problem-entry.ts'
import { type Extent, type NodeAnswers } from './types.ts'

/** What texts may name: nodes, and the ranges and addresses of each. */
export type Names = {
  readonly nodes: ReadonlySet<string>
  readonly owners: readonly (readonly [Prefix, string])[]
  /** The owners by the very words. */
  readonly byText: ReadonlyMap<string, readonly string[]>
}

export function namesIn(answers: readonly NodeAnswers[]): Names {
  const byText = new Map<string, string[]>()
  const nodes = new Set(answers.map(({ node }) => node))
  const own = (text: string, node: string): void => {
    const known = byText.get(text)
    if (known === undefined) byText.set(text, [node])
    else if (!known.includes(node)) known.push(node)
    nodes.add(node)
  }
  for (const { node, status } of answers) {
    for (const cidr of status?.podCIDRs ?? []) own(cidr, node)
    for (const verdict of status?.verdicts ?? []) {
      own(verdict.podCIDR, verdict.node)
      if (verdict.tunnel !== undefined) own(verdict.tunnel.dst, verdict.node)
    }
  }
  const owners = [...byText].flatMap(([text, of]) => {
    const addr = Addr.tryParse(text)
    const prefix = addr === undefined ? Prefix.tryParse(text) : Prefix.host(addr)
    return prefix === undefined ? [] : of.map((node) => [prefix, node] as const)
  })
  return { nodes, owners, byText }
}

export function concernOf(code: string): Concern {
  return ownValue<ProblemEntry>(problemCatalogue, code)?.about ?? 'kernel'
}

const addressWords = /(?<![\w:.])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})(?:\/\d{1,3})?/g

function ownersOf(word: string, { owners, byText }: Names): readonly string[] {
  const known = byText.get(word)
  if (known !== undefined) return known
  const addr = Addr.tryParse(word)
  const prefix = addr === undefined ? Prefix.tryParse(word) : Prefix.host(addr)
  if (prefix === undefined) return []
  return owners.filter(([owned]) => owned.contains(prefix)).map(([, node]) => node)
}

/** The other nodes that a text names, by name, pod CIDR or address; undefined where it names none, or says that there are more. */
export function peersIn(text: string, at: string, names: Names): string[] | undefined {
  if (/ and \d+ more/.test(text)) return undefined
  const words = (text.match(/[\w.-]+/g) ?? []).map((word) => word.replace(/\.+$/, ''))
  const named = words.filter((word) => names.nodes.has(word))
  const byAddr = [...text.matchAll(addressWords)].flatMap(([word]) => ownersOf(word, names))
  const peers = [...new Set([...named, ...byAddr])].filter((node) => node !== at).toSorted()
  return peers.length === 0 ? undefined : peers
}

const nameOf = (object: string): string => object.slice(object.indexOf('/') + 1)

/** The family of the addresses that a text has; undefined where it has none, or both. */
function familiesIn(text: string): readonly Family[] | undefined {
  const found = [...text.matchAll(addressWords)].flatMap(([word]) => {
    return Addr.tryParse(word)?.family ?? Prefix.tryParse(word)?.family ?? []
  })
  const unique = new Set(found)
  return unique.size === 1 ? [...unique] : undefined
}

/** About the way from the node that tells it to the one that it names. */
const ofWays = new Set(['CW1201', 'CW1202', 'CW8101', 'CW8102'])

export const isOfWay = (code: string): boolean => ofWays.has(code)

/** What a wire does, to packets of both families, whichever of them some probes were of. */
const ofWires = new Set(['CW8101', 'CW8102'])

/** What a problem that `node` tells is about. */
export function extentOf({ code, object, message }: ToldProblem, node: string, names: Names): Extent {
  const concern = concernOf(code)
  const families = ofWires.has(code) ? undefined : familiesIn(`${object} ${message}`)
  const ofFamilies = families === undefined ? {} : { families }
  if (object.startsWith('pod/')) return { at: node, pods: [nameOf(object)], ...ofFamilies }
  const isOfNode = object.startsWith('node/') && (concern === 'node' || names.nodes.has(nameOf(object)))
  // what a Node object says, all nodes go by
  if (concern === 'node' && isOfNode && !isOfWay(code)) return { at: nameOf(object) }
  if (isOfNode && nameOf(object) !== node) return { at: node, peers: [nameOf(object)], ...ofFamilies }
  const peers = peersIn(message, node, names)
  return { at: node, ...(peers && { peers }), ...ofFamilies }
}

const meet = <T>(some: readonly T[] | undefined, others: readonly T[] | undefined): boolean =>
  some === undefined || others === undefined || some.some((each) => others.includes(each))

/** Whether what one is about is within reach of the other: the same node, the same way, the same pod. */
export function touches(cause: Extent, seen: Extent): boolean {
  if (!meet(cause.pods, seen.pods) || !meet(cause.families, seen.families)) return false
  if (cause.at === undefined || seen.at === undefined) return true
  // the same pod is at the same node
  if (cause.at === seen.at) return meet(cause.peers, seen.peers)
  const isSeenFromThere = seen.peers?.includes(cause.at) === true
  return isSeenFromThere && (cause.peers === undefined || cause.peers.includes(seen.at))
}

/** How exactly the cause says what it is about. */
export function precisionOf({ at, peers, pods }: Extent): number {
  return (pods === undefined ? 0 : 4) + (peers === undefined ? 0 : 2) + (at === undefined ? 0 : 1)
}
