// What agents say of their own nodes, each problem once, and the agents that say nothing. Pure.
import { type ToldProblem } from '#/api/schemas/problem.ts'
import { problem } from '#/model/problems.ts'
import { concernOf, extentOf, isOfWay, type Names } from './extent.ts'
import { routerWordsOf } from './routers.ts'
import { type NodeAnswers, type RouterWords, type Sign, type Silence } from './types.ts'

type Told = ToldProblem & { readonly node: string; readonly routers: readonly RouterWords[] }

/** What is about an object of the cluster is the same problem, whoever tells it; what is about a node's own kernel, files and pods is not. */
function identityOf({ code, object, node }: Told): string {
  const concern = concernOf(code)
  const isShared = concern === 'cluster object' || (concern === 'node' && object.startsWith('node/') && !isOfWay(code))
  return isShared ? `${code} ${object}` : `${code} ${object} ${node}`
}

function toldBy(answers: NodeAnswers): Told[] {
  const { node, status, ipam } = answers
  const own = [...(status?.problems ?? []), ...(status?.readiness.reasons ?? []), ...(ipam?.findings ?? [])]
  return own.map((each) => ({ ...each, node, routers: routerWordsOf(each, answers) }))
}

function joined(same: readonly Told[], names: Names): Sign {
  // the node itself knows best
  const first = same.find(({ node, object }) => object === `node/${node}`) ?? same[0]!
  const { code, object, message, how, remedy } = first
  const nodes = [...new Set(same.map(({ node }) => node))].toSorted()
  const routers = same.flatMap((each) => each.routers)
  return { code, object, message, how, remedy, nodes, routers, extent: extentOf(first, first.node, names) }
}

/** `ofObjects` are problems that Node objects show by themselves, whoever tells them. */
export function ownProblems(
  answers: readonly NodeAnswers[],
  names: Names,
  ofObjects: readonly ToldProblem[] = [],
): Sign[] {
  const found = ofObjects.map((each) => ({ ...each, node: each.object.replace('node/', ''), routers: [] }))
  return [...Map.groupBy([...answers.flatMap(toldBy), ...found], identityOf).values()].map((same) =>
    joined(same, names),
  )
}

function isSilent({ status }: NodeAnswers): boolean {
  return status === undefined
}

const hangs = (message: string) => ({
  message,
  remedy:
    'see what its process waits for (its log; /proc/PID/stack of the process; is it stopped, has the node memory?), and restart it: packets go on by what the kernel has meanwhile, and by what routers have learned of it by BGP until they forget it',
})

function absenceOf({ why, isLate, isStrange }: Silence): { readonly message: string; readonly remedy?: string } {
  if (isLate === true) return hangs(`its agent is there and hangs: ${why}`)
  if (isStrange !== true) return { message: `its agent is not there: ${why}` }
  const remedy = 'use the command and agents of one release: what this agent answers says nothing of its node'
  return { message: `its agent is there, and its answer is of no use: ${why}`, remedy }
}

/** Nodes whose agents do not answer; what is known of them otherwise, others say. `dead`: of these, those that answer nothing else either. */
export function silentAgents(answers: readonly NodeAnswers[], dead: ReadonlySet<string>): Sign[] {
  return answers.filter(isSilent).map(({ node, silences }) => {
    if (dead.has(node)) {
      const why = silences[0]?.why ?? 'it does not answer'
      const message = `it answers nothing, neither packets nor a request to its agent: ${why}`
      return { ...problem('CW6003', `node/${node}`, message), nodes: [node], extent: { at: node } }
    }
    const { message, ...texts } = absenceOf(silences[0] ?? { what: 'status', why: 'it does not answer' })
    return { ...problem('CW6001', `node/${node}`, message, texts), nodes: [node], extent: { at: node } }
  })
}

/** So long nothing was heard of the API. */
const cutOffMs = 15_000

/** Agents that go by what they knew: the API does not answer them. */
export function cutFromApi(answers: readonly NodeAnswers[]): Sign[] {
  return answers.flatMap(({ node, status, facts }) => {
    if (status === undefined || status.api.phase !== 'backoff') return []
    const { lastError = 'it says no reason', lastEventAtMs } = status.api
    // a watch that ends is begun anew: that is no news
    if (lastEventAtMs !== undefined && facts !== undefined && facts.nowMs - lastEventAtMs < cutOffMs) return []
    const since =
      lastEventAtMs === undefined ? '' : `; the last that it heard of is of ${new Date(lastEventAtMs).toISOString()}`
    return [
      {
        ...problem('CW6002', `node/${node}`, `the Kubernetes API does not answer it: ${lastError}${since}`),
        nodes: [node],
        extent: { at: node },
      },
    ]
  })
}
