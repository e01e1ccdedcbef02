// What is wrong with the ways to other nodes, as problems: one for each node, or one for all where there are many. Pure.
import { families, type Family } from '#/lib/addr.ts'
import { someOf } from '#/lib/some-of.ts'
import { type ProblemCode } from '#/model/problem-catalogue.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type Judged, type NodeWays } from './judge.ts'
import { type ToWall } from './report.ts'
import { type WayState } from './way-state.ts'

/** When that many nodes are concerned, they make one problem. */
export const manyNodes = 4
/** So long after the last answer Kubernetes says of a node that died that it is not Ready (--node-monitor-grace-period is 40 s, later 50 s). */
const deathToldMs = 60_000

export type Findings = {
  readonly problems: readonly Problem[]
  /** The nodes of which these tell that nothing is answered by pods' ways. */
  readonly broken: ReadonlySet<string>
  /** What concerns this node's Node object; a node that may just have died does not. */
  readonly lasting: readonly Problem[]
  /** Why this node itself seems to be cut off: undefined when it does not. */
  readonly isolation: string | undefined
}

export type FindingsContext = { readonly ownName: string; readonly nowMs: number; readonly toWall: ToWall }

export function findingsOf(nodes: readonly NodeWays[], context: FindingsContext): Findings {
  const { nowMs } = context
  const broken = nodes.filter(({ ways }) => ways.some(isBrokenForPods))
  const mayBeDead = ({ isSilent, ways }: NodeWays): boolean =>
    isSilent && ways.every(({ way }) => nowMs - way.silentSinceMs < deathToldMs)
  const narrow = nodes.filter(({ ways }) => ways.some(({ state }) => state === 'small only'))
  const lossy = nodes.filter(({ ways }) => ways.some(({ state }) => state === 'lossy'))
  const others = [...tell('CW8101', narrow, context), ...tell('CW8102', lossy, context)]
  return {
    problems: [...tell('CW1306', broken, context), ...others],
    broken: new Set(broken.map(({ node }) => node)),
    lasting: [
      ...tell(
        'CW1306',
        broken.filter((each) => !mayBeDead(each)),
        context,
      ),
      ...others,
    ],
    isolation: isolationOf(nodes, nowMs),
  }
}

function isBrokenForPods({ way, state }: Judged): boolean {
  return way.target.path === 'pod' && (state === 'broken' || state === 'one way')
}

const texts = { CW1306: silenceText, CW8101: narrowText, CW8102: lossText } as const

/** One problem for each node, or one for all when there are many. */
function tell(code: keyof typeof texts, nodes: readonly NodeWays[], context: FindingsContext): Problem[] {
  if (nodes.length < manyNodes)
    return nodes.map((each) => problem(code, `node/${each.node}`, texts[code](each, context)))
  const names = someOf(nodes.map(({ node }) => node))
  const many: Record<typeof code, readonly [ProblemCode, string]> = {
    CW1306: ['CW1307', `${nodes.length} nodes answer nothing that goes as packets of pods: ${names}`],
    CW8101: ['CW8101', `to ${nodes.length} nodes small packets arrive, and those of the full size do not: ${names}`],
    CW8102: ['CW8102', `of packets to ${nodes.length} nodes some are lost: ${names}`],
  }
  const [manyCode, message] = many[code]
  return [problem(manyCode, `node/${context.ownName}`, message)]
}

function pathText({ target: { path, dst, way } }: WayState): string {
  if (path === 'node') return `its address ${dst}`
  return `its gateway ${dst} ${way === 'vxlan' ? 'through the tunnel' : 'natively'}`
}

function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(11, 19)} UTC`
}

function silenceText({ node, ways, isSilent }: NodeWays, { toWall }: FindingsContext): string {
  const told = ways.filter(isSilent ? () => true : isBrokenForPods)
  const since = timeText(toWall(Math.min(...told.map(({ way }) => way.silentSinceMs))))
  const where = told.map(({ way }) => pathText(way)).join(', ')
  const errors = [...new Set(told.flatMap(({ way }) => refusalText(way, 'small')))].map((each) => `; ${each}`).join('')
  if (isSilent)
    return `${node}: no answer at all since ${since}, from ${where}: it is off or cut off, or this node is${errors}`
  const reached = ways.filter(({ way, state }) => !way.isSilent && state !== 'unknown').map(({ way }) => pathText(way))
  const besides = reached.length === 0 ? '' : `, but from ${reached.join(', ')}`
  const heard = told.some(({ state }) => state === 'one way') ? `; packets of ${node} arrive here` : ''
  return `${node}: no answer since ${since} from ${where}${besides}${heard}${errors}`
}

function refusalText(way: WayState, size: 'small' | 'full'): string[] {
  const { refused } = way.sizes[size]
  if (refused === undefined) return []
  const mtu = refused.mtuBytes === undefined ? '' : `, it takes ${refused.mtuBytes} bytes at most`
  return [`${refused.by} says: ${refused.why}${mtu}`]
}

function narrowText({ node, ways }: NodeWays): string {
  const narrow = ways.flatMap(({ way, state }) => (state === 'small only' ? [way] : []))
  const facts = narrow.map((way) => {
    const errors = refusalText(way, 'full').map((each) => ` (${each})`)
    return `packets of ${way.bytesOf('full')} bytes to ${pathText(way)} are lost${errors.join('')}`
  })
  const doubt = narrow.every((way) => way.others.sizes.isSeen || way.sizes.full.refused !== undefined)
    ? ''
    : echoesAlone
  return `${facts.join(', ')}, and small ones to ${node} arrive${doubt}`
}

function lossText({ node, ways }: NodeWays): string {
  const lossy = ways.flatMap(({ way, state }) => (state === 'lossy' ? [way] : []))
  const facts = lossy.map((way) => {
    const { sent, answered } = way.window('small')
    const tries = way.others.loss.tries
    const besides =
      tries.answered === 0 ? '' : ` and ${tries.tried - tries.answered} of ${tries.tried} connections that were tried`
    return `${pathText(way)} did not answer ${sent - answered} of ${sent} probes${besides}`
  })
  const doubt = lossy.every((way) => way.others.loss.tries.answered > 0) ? '' : echoesAlone
  return `${node}: ${facts.join(', ')}${doubt}`
}

/** What cannot be told apart where nothing else is answered. */
const echoesAlone = '; nothing but echo requests is answered there, so it may be a firewall that limits these alone'

/** In one family several nodes have answered nothing for long, and no other one answers. A single silent node may be at fault itself. */
function isolationOf(nodes: readonly NodeWays[], nowMs: number): string | undefined {
  for (const family of families) {
    const ways = nodes.flatMap((each) => each.ways.filter((judged) => isPodWay(judged, family)))
    const broken = ways.filter((each) => isBrokenForPods(each) && nowMs - each.way.silentSinceMs >= deathToldMs)
    const names = [...new Set(broken.map(({ way }) => way.target.node))]
    const isOtherReached = ways.some(({ way }) => !way.isSilent && way.answeredMs !== undefined)
    if (names.length >= 2 && !isOtherReached)
      return `no other node answers what goes as packets of pods over IPv${family}: ${someOf(names)}`
  }
  return undefined
}

function isPodWay({ way: { target } }: Judged, family: Family): boolean {
  return target.path === 'pod' && target.family === family
}
