// What the kernel of a node that a bundle tells of would do with a packet.
import { type TracePrediction, type TracePredictRequest } from '#/api/schemas/trace-predict.ts'
import { predict } from '#/predict/predict.ts'
import { beginningOf, packetOf } from '#/predict/request.ts'
import { depsOf, type ToldNode } from './told-node.ts'

/** A text says why it cannot be asked. Rejects with FactsError and WireError for facts that cannot be. */
export async function predictTold(
  node: ToldNode,
  all: readonly ToldNode[],
  wish: TracePredictRequest,
): Promise<TracePrediction | string> {
  const packet = packetOf(wish)
  if (typeof packet === 'string') return packet
  const deps = depsOf(node, all)
  const beginning = beginningOf(deps, packet, wish)
  return typeof beginning === 'string' ? beginning : predict(deps, packet, beginning)
}
