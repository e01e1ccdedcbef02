// What routers say of packets that they do not carry. A router stands between many pairs of nodes, so what it says to several of them, or of several, is
// one cause. Pure.
import { namesOf } from '#/lib/causes.ts'
import { type ToldProblem } from '#/api/schemas/problem.ts'
import { pairText } from './pair.ts'
import { type NodeAnswers, type RouterWords, type Sign } from './types.ts'

/** Which probes of a way show what a problem of that code says. */
const shownBy = {
  CW1306: { states: ['broken', 'one way'], size: 'small' },
  CW1307: { states: ['broken', 'one way'], size: 'small' },
  CW8101: { states: ['small only'], size: 'full' },
} as const

const isShown = (code: string): code is keyof typeof shownBy => Object.hasOwn(shownBy, code)

/** What others than the node itself have said to it of the ways that a problem of it is about. */
export function routerWordsOf({ code, object }: ToldProblem, { node, peers }: NodeAnswers): RouterWords[] {
  if (!isShown(code) || peers === undefined) return []
  const { states, size } = shownBy[code]
  const other = object.replace('node/', '')
  const ways = peers.ways.filter(
    ({ node: to, state }) => (other === node || other === to) && states.some((each) => each === state),
  )
  const words = ways.flatMap(({ [size]: counts }): RouterWords[] => {
    const refused = counts?.refused
    return refused === undefined || refused.by === 'this node' ? [] : [refused]
  })
  return [...new Map(words.map((each) => [textOf(each), each])).values()]
}

/** "fd30:0:0:2::1 says: packet too big, it takes 1400 bytes at most" */
function textOf({ by, why, mtuBytes }: RouterWords): string {
  return `${by} says: ${why}${mtuBytes === undefined ? '' : `, it takes ${mtuBytes} bytes at most`}`
}

/** Two ways of one group: a router said the same of both, or they are between the same two nodes. */
function groupedBy({ routers = [], extent: { at, peers = [] } }: Sign): string[] {
  const pairs = at === undefined ? [] : peers.map((peer) => pairText(at, peer))
  return [...routers.map(textOf), ...pairs]
}

/** Groups of signs of ways of which the same routers say the same; without those of a single way, or of all ways to one node. */
export function routerGroups(signs: readonly Sign[]): Sign[][] {
  const groups = new Map<string, Set<Sign>>()
  for (const sign of signs) {
    const keys = groupedBy(sign)
    const group = new Set([sign, ...keys.flatMap((key) => [...(groups.get(key) ?? [])])])
    for (const each of group) for (const key of groupedBy(each)) groups.set(key, group)
  }
  return [...new Set(groups.values())]
    .map((group) => signs.filter((sign) => group.has(sign)))
    .filter((group) => {
      const told = group.filter(({ routers = [] }) => routers.length > 0)
      return new Set(told.map(({ object }) => object)).size > 1
    })
}

const othersOf = (signs: readonly Sign[]): string[] =>
  [...new Set(signs.flatMap(({ extent: { peers = [] } }) => peers))].toSorted()

/** What the routers of a group say in words, and what to do there. */
export function routerTexts(signs: readonly Sign[], isOfSize: boolean): { message: string; remedy: string } {
  const told = signs.flatMap((sign) => (sign.routers ?? []).map((words) => ({ sign, words })))
  const said = [...Map.groupBy(told, ({ words }) => textOf(words))].map(([text, same]) => {
    const { words } = same[0]!
    const of = same.map(({ sign }) => sign)
    const listeners = [...new Set(of.flatMap(({ nodes }) => nodes))].toSorted()
    return { text, words, listeners, others: othersOf(of) }
  })
  const packets = isOfSize ? 'large packets' : 'packets'
  const message = said
    .map(({ text, listeners, others }) => {
      const to = others.length === 0 ? 'several nodes' : namesOf(others, 'nodes')
      return `${packets} from ${namesOf(listeners, 'nodes')} to ${to} are lost: ${text}`
    })
    .join('; ')
  const routers = [...new Set(said.map(({ words: { by } }) => by))].join(' and ')
  const narrowest = said.flatMap(({ words: { mtuBytes } }) => mtuBytes ?? []).toSorted((a, b) => a - b)[0]
  const setting =
    narrowest === undefined ? '' : `; or set CAUSEWAY_MTU of all agents to what it carries (${narrowest} bytes)`
  const remedy = isOfSize
    ? `on what has the address ${routers}: give its device that leads on to these nodes the MTU that the devices of nodes have${setting}`
    : `on what has the address ${routers}: look at its routes to these nodes, and at what it filters`
  return { message, remedy }
}
