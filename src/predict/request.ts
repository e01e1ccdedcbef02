// What is asked of a prediction, read from a request of the API.
import { type TracePredictRequest } from '#/api/schemas/trace-predict.ts'
import { Addr } from '#/lib/addr.ts'
import { type Packet, type PredictDeps } from './context.ts'
import { type Beginning } from './predict.ts'

/** What a probe without a wish has: an echo request of ping(8). */
const usualBytes = 84

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}

/** A text says why it is no packet. */
export function packetOf(wish: TracePredictRequest): Packet | string {
  const [src, dst] = [Addr.tryParse(wish.src), Addr.tryParse(wish.dst)]
  if (src === undefined) return `"${wish.src}" is no address`
  if (dst === undefined) return `"${wish.dst}" is no address`
  if (src.family !== dst.family) return `${src} and ${dst} are of two families`
  const [port, sourcePort] = [numberOf(wish.port), numberOf(wish.sourcePort)]
  return {
    src,
    dst,
    protocol: wish.protocol,
    ...(port !== undefined && { port }),
    ...(sourcePort !== undefined && { sourcePort }),
    sizeBytes: numberOf(wish.sizeBytes) ?? usualBytes,
    mayFragment: wish.mayFragment !== 'no',
    isAnswer: wish.answer === 'yes',
  }
}

/** A text says why it cannot begin there. */
export function beginningOf(deps: PredictDeps, { src }: Packet, wish: TracePredictRequest): Beginning | string {
  const pod = deps.pods().find(({ addrs }) => addrs.some(({ addr }) => addr.equals(src)))
  const isOwn = deps.nodeAddrs().some((addr) => addr.equals(src))
  const from = wish.from ?? (pod ? 'pod' : isOwn ? 'node' : 'underlay')
  switch (from) {
    case 'pod':
      return pod ? { kind: 'pod', pod } : `no pod of node ${deps.nodeName} has ${src}`
    case 'node':
      return isOwn ? { kind: 'node' } : `node ${deps.nodeName} does not have ${src}`
    case 'underlay': {
      const outerSrc = wish.outerSrc === undefined ? undefined : Addr.tryParse(wish.outerSrc)
      if (wish.outerSrc !== undefined && outerSrc === undefined) return `"${wish.outerSrc}" is no address`
      const isNative = wish.native === 'yes' || (outerSrc === undefined && !isThroughTunnel(deps, src))
      return { kind: 'underlay', isNative, ...(outerSrc && { outerSrc }) }
    }
    default:
      return from satisfies never
  }
}

/** Whether packets from the address come through the tunnel, as those to it go. */
function isThroughTunnel(deps: PredictDeps, src: Addr): boolean {
  for (const { dst, way } of deps.verdicts()) if (dst.contains(src)) return way === 'vxlan'
  return false
}
