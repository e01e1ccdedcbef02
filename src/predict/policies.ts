// What network policies say of the packet, in the direction that this node enforces.
import { type Direction } from '#/policy/policy.ts'
import { type PolicyPacket } from '#/policy/verdict.ts'
import { passes, stops } from '#/trace/predict-steps.ts'
import { ipProtocol, type PredictPod, type Prediction } from './context.ts'
import { deniedByMaps } from './program-policy.ts'

/** Tells the step of what policies say; returns whether the packet passes them. */
async function passesPolicies(prediction: Prediction, pod: PredictPod, direction: Direction): Promise<boolean> {
  const { packet, deps } = prediction
  const { policy } = deps
  const { kind, why } = policy.state()
  if (kind === 'off' || packet.isAnswer) return true
  const at = { device: pod.hostDevice }
  if (kind === 'waiting')
    return prediction.add(
      passes('policy', `network policies are not known yet${why === undefined ? '' : `: ${why}`}`, at),
    )
  const { src, dst, port } = packet
  const asked: PolicyPacket = {
    src,
    dst,
    protocol: ipProtocol(packet),
    ...(port !== undefined && packet.protocol !== 'icmp' && { port }),
  }
  const { text, isDenied, isAudited, changes, policies } = policy.explain(asked, direction)
  const found = await policy.inKernel(pod.pod, direction)
  const fault = found?.isThere === false ? `; but the kernel has not what it should: ${found.text}` : ''
  const verdict = isDenied && !isAudited ? ' is denied' : ''
  const told = `${direction} of ${pod.pod}${verdict}: ${text}${fault}`
  if (!isDenied || isAudited) {
    // where no policy selects the pod there is nothing to tell
    const isWorthIt = policies.length > 0 || fault !== ''
    return isWorthIt ? prediction.add(passes('policy', told, at)) : true
  }
  // rules that are not there drop nothing
  if (fault !== '') return prediction.add(passes('policy', told, at))
  const [change] = changes
  const remedy = change && [change.what, change.command].filter(Boolean).join(': ')
  return prediction.add(stops('policy', told, at, { ...(remedy !== undefined && { remedy }) }))
}

/** Tells the steps of one direction, and what programs drop where policies let it pass. `pod` is of this node. */
export async function policyOf(prediction: Prediction, pod: PredictPod, direction: Direction): Promise<void> {
  if (await passesPolicies(prediction, pod, direction)) prediction.add(deniedByMaps(prediction, pod, direction))
}
