// Asks the nodes on the way what their kernels would do with a probe and with its answer.
import { type AgentOfNode } from '#/api/client.ts'
import { type TracePrediction, type TracePredictRequest } from '#/api/schemas/trace-predict.ts'
import { type Direction, type Prediction } from '#/trace/types.ts'
import { type End, goalNode } from '#/trace/verdict.ts'
import { askSoon } from './trace-ask.ts'
import { type Probe } from './trace-facts.ts'

type Predictions = Readonly<Record<Direction, readonly Prediction[]>>

export type Predicted = {
  /** Of the packet that was asked about; absent: a small one. */
  readonly sizeBytes?: number
  readonly predictions: Predictions
  /** The first node's own: where it sends the packet, and whether it translates it. */
  readonly sender?: TracePrediction
  /** Why a node says nothing. */
  readonly silences: readonly { readonly node: string; readonly why: string }[]
}

type Leg = {
  readonly node: string
  readonly answer?: TracePrediction
  readonly why?: string
}

type Ends = { readonly src: string; readonly dst: string; readonly sourcePort?: number; readonly port?: number }

function requestOf({ request, wish }: Probe, { src, dst, sourcePort, port }: Ends): TracePredictRequest {
  const { protocol, sizeBytes } = request
  return {
    src,
    dst,
    protocol,
    ...(port !== undefined && { port: String(port) }),
    ...(sourcePort !== undefined && { sourcePort: String(sourcePort) }),
    ...(sizeBytes !== undefined && { sizeBytes: String(sizeBytes) }),
    ...(wish.sizeBytes !== undefined && { mayFragment: 'no' as const }),
  }
}

/** How a packet comes in at the next node, as the one before it sends it. */
function arrival(before: TracePrediction | undefined): Pick<TracePredictRequest, 'from' | 'outerSrc' | 'native'> {
  const leaves = before?.leaves
  if (leaves === undefined) return { from: 'underlay' }
  return leaves.outerSrc === undefined
    ? { from: 'underlay', native: 'yes' }
    : { from: 'underlay', outerSrc: leaves.outerSrc }
}

/** The packet as it comes to the next node. */
function onward(request: TracePredictRequest, answer: TracePrediction, behind?: string): TracePredictRequest {
  const { translatedTo: to, leaves } = answer
  return {
    ...request,
    ...(leaves?.src !== undefined && { src: leaves.src }),
    ...(behind !== undefined && { dst: behind }),
    ...(to && { dst: to.addr, ...(to.port !== undefined && { port: String(to.port) }) }),
    ...arrival(answer),
  }
}

/**
 * One direction over the nodes on its way: each node is asked about the packet as the one before it sends it on. `behind`: the destination that the
 * last node gives the packet back, where it has replaced the source of the one that is answered.
 */
async function along(
  agents: readonly AgentOfNode[],
  nodes: readonly string[],
  start: TracePredictRequest,
  behind?: string,
): Promise<Leg[]> {
  const legs: Leg[] = []
  let request = start
  for (const node of nodes) {
    const agent = agents.find((each) => each.node === node)
    if (agent === undefined) {
      legs.push({ node, why: 'there is no agent' })
      break
    }
    const outcome = await askSoon(agent, 'tracePredict', request)
    if (outcome.kind !== 'answer') {
      legs.push({ node, why: outcome.message })
      break
    }
    // an agent speaks for its own node
    const answer = { ...outcome.value, node }
    legs.push({ node, answer })
    request = onward(request, answer, behind)
  }
  return legs
}

const predictionOf = ({ answer }: Leg): Prediction[] => (answer === undefined ? [] : [answer])

/**
 * `to`: the end that answers, which after translation is another than the one that was asked for. The answer goes to the source that the probe had
 * when it left the sender's node, and from there on to the sender.
 */
export async function predict(
  agents: readonly AgentOfNode[],
  probe: Probe,
  to: End & { readonly port?: number },
): Promise<Predicted> {
  const { pair, request } = probe
  const { src, dst, sourcePort, port } = request
  const fromNode = pair.from.node!
  const goal = goalNode(to)
  const nodes = goal === undefined || goal === fromNode ? [fromNode] : [fromNode, goal]
  const ofPorts = { ...(sourcePort !== undefined && { sourcePort }), ...(port !== undefined && { port }) }
  const start = requestOf(probe, { src, dst, ...ofPorts })
  const first = await along(agents, nodes.slice(0, 1), start)
  const sender = first[0]?.answer
  const answered = to.port ?? port
  const backward: TracePredictRequest = {
    ...requestOf(probe, {
      src: to.addr,
      dst: sender?.leaves?.src ?? src,
      ...(answered !== undefined && { sourcePort: answered }),
      ...(sourcePort !== undefined && { port: sourcePort }),
    }),
    answer: 'yes',
  }
  // what the sender's node says is enough to ask about both: each request through an API server takes a while
  const [rest, answers] =
    sender === undefined
      ? [[], []]
      : await Promise.all([
          along(agents, nodes.slice(1), onward(start, sender)),
          // nobody is asked for the answer of an end outside of the cluster, or of one that no pod is known to be
          to.node === undefined ? [] : along(agents, nodes.toReversed(), backward, src),
        ])
  const there = [...first, ...rest]
  // of the answer's way the part of the others is not known then
  const back = there.some(({ why }) => why !== undefined) ? [] : answers
  const silences = [...there, ...back].flatMap(({ node, why }) => (why === undefined ? [] : [{ node, why }]))
  return {
    ...(request.sizeBytes !== undefined && { sizeBytes: request.sizeBytes }),
    predictions: { there: there.flatMap(predictionOf), back: back.flatMap(predictionOf) },
    ...(sender && { sender }),
    silences: silences.filter((each, index) => silences.findIndex(({ node }) => node === each.node) === index),
  }
}
