// The flows between this node and those that live, from the verdicts and the counters of the tunnel. Pure.
import { type Addr } from '#/lib/addr.ts'
import { type Verdict } from '#/model/verdict.ts'
import { type Flow } from './peer-silence.ts'

/** Packets by the address of the other node, as text. */
export type Packets = ReadonlyMap<string, number>

type Known = { readonly flow: Flow; readonly end: string }

/**
 * The address of the other node that answers for its pods: its gateway. A flannel node has one only once it has pods; its VTEP has the network
 * address from the beginning.
 */
export function answererOf({ dst, ...way }: Verdict): Addr {
  return way.way === 'vxlan' && way.tunnel.vtepMac !== undefined ? way.tunnel.gateway : dst.at(1)
}

/** What follows from a verdict alone: there are thousands of them, and hardly any changes from one round to the next. */
const known = new WeakMap<Verdict, Known>()

function knownOf(verdict: Verdict): Known | undefined {
  const before = known.get(verdict)
  if (before) return before
  const { node, dst, way } = verdict
  if (way === 'none' || dst.size <= 2n) return undefined
  const gateway = answererOf(verdict)
  const made: Known =
    way === 'native'
      ? { flow: { key: `${node} ${dst}`, node, family: dst.family, way, gateway }, end: '' }
      : {
          flow: { key: `${node} IPv${verdict.tunnel.outer}`, node, family: verdict.tunnel.outer, way, gateway },
          end: String(verdict.tunnel.dst),
        }
  known.set(verdict, made)
  return made
}

/** `isLive`: whether the kubelet of a node says that it is well; from others nobody expects an answer. */
export function flowsOf(
  verdicts: Iterable<Verdict>,
  isLive: (node: string) => boolean,
  { sent, received }: { readonly sent: Packets; readonly received: Packets },
): Flow[] {
  const flows = new Map<string, Flow>()
  for (const verdict of verdicts) {
    const found = knownOf(verdict)
    // a node with several pod CIDRs in one tunnel is asked at one of them
    if (found === undefined || flows.has(found.flow.key) || !isLive(found.flow.node)) continue
    const { flow, end } = found
    const packets = { sent: sent.get(end) ?? 0, received: received.get(end) ?? 0 }
    flows.set(flow.key, flow.way === 'vxlan' ? { ...flow, packets } : flow)
  }
  return [...flows.values()]
}
