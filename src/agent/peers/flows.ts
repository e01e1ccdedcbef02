// The flows between this node and those that live, from the verdicts and the counters of the tunnel. Pure.
import { type Verdict } from '#/model/verdict.ts'
import { type Flow } from './peer-silence.ts'

/** Packets by the address of the other node, as text. */
export type Packets = ReadonlyMap<string, number>

/** `isLive`: whether the kubelet of a node says that it is well; from others nobody expects an answer. */
export function flowsOf(
  verdicts: Iterable<Verdict>,
  isLive: (node: string) => boolean,
  { sent, received }: { readonly sent: Packets; readonly received: Packets },
): Flow[] {
  const flows = new Map<string, Flow>()
  for (const verdict of verdicts) {
    const { node, dst, way } = verdict
    if (way === 'none' || dst.size <= 2n || !isLive(node)) continue
    const gateway = dst.at(1)
    if (way === 'native') {
      flows.set(`${node} ${dst}`, { key: `${node} ${dst}`, node, family: dst.family, way, gateway })
      continue
    }
    const { outer, dst: end } = verdict.tunnel
    const key = `${node} IPv${outer}`
    // a node with several pod CIDRs is asked at one of each family
    if (flows.has(key)) continue
    const packets = { sent: sent.get(String(end)) ?? 0, received: received.get(String(end)) ?? 0 }
    flows.set(key, { key, node, family: outer, way, gateway, packets })
  }
  return [...flows.values()]
}
