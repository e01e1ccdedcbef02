// The operations by which a trace finds its ends and sends its probe.
import { randomInt } from 'node:crypto'
import {
  type TraceEnd,
  type TraceEndsReport,
  type TraceSendReport,
  type TraceSendRequest,
} from '#/api/schemas/trace-send.ts'
import { ProbeSender, sendableBytes, sendingAddr } from '#/kernel/trace/probe.ts'
import { Addr, families } from '#/lib/addr.ts'
import { type PolicyView } from '#/policy/cluster.ts'
import { nodeAt, podText } from '#/policy/words.ts'
import { cidrNodeOf, type NodeCIDR } from '#/predict/cidr-node.ts'
import { SysError } from '#/sys/libc.ts'
import { type Netns } from '#/sys/netns.ts'
import { type ProbePacket, sizesOf } from '#/wire/probe/packet.ts'
import { type Endpoint } from '../endpoints/endpoint-store.ts'
import { type Answer, type Handlers, type HttpRefusal } from './http-api.ts'
import { type Named, resolveEnd } from './policy-names.ts'

/** What a trace needs to know of a pod of this node. */
export type TracedPod = Pick<Endpoint, 'pod' | 'addrs' | 'netns' | 'netnsId' | 'hostDevice'>

export type TraceSources = {
  readonly nodeName: string
  /** The cluster as this agent knows it. */
  readonly view: PolicyView
  /** Why it is not known yet; undefined: it is. */
  readonly unknown: () => string | undefined
  /** The API tells it nothing now. */
  readonly isCutOff: () => boolean
  /** The nodes' pod CIDRs. */
  readonly cidrs: () => readonly NodeCIDR[]
  readonly endpoints: () => readonly TracedPod[]
  readonly netnsOf: (pod: TracedPod) => Netns | undefined
}

/**
 * The addresses of what somebody names. While the API is out of reach the agent knows more of its own pods than the API has told it: those that were
 * added since, or have come again with another address.
 */
function addrsNamed(sources: TraceSources, text: string, role: 'sender' | 'receiver'): Named {
  const { nodeName, view, endpoints, isCutOff } = sources
  const name = text.includes('/') ? text : `default/${text}`
  const told = view.pods.get(name)
  const isOwn = isCutOff() && (told === undefined || (told.node === nodeName && !told.hasEnded))
  const own = isOwn ? endpoints().find(({ pod }) => pod === name) : undefined
  return own === undefined ? resolveEnd(view, text, role) : { addrs: own.addrs.map(({ addr }) => addr) }
}

function endOf({ nodeName, view, cidrs, endpoints, isCutOff }: TraceSources, addr: Addr, text: string): TraceEnd {
  const known = isCutOff() ? endpoints() : []
  const own = known.find(({ addrs }) => addrs.some((each) => each.addr.equals(addr)))
  if (own !== undefined) return { addr: String(addr), pod: own.pod, node: nodeName }
  const pod = view.podAt(addr)
  if (pod !== undefined) return { addr: String(addr), pod: podText(pod), ...(pod.node !== '' && { node: pod.node }) }
  const node = nodeAt(view, addr)
  const cidrNode = node === undefined ? cidrNodeOf(cidrs(), addr) : undefined
  const named = view.pods.get(text.includes('/') ? text : `default/${text}`)
  return {
    addr: String(addr),
    ...(node !== undefined && { node }),
    ...(cidrNode !== undefined && { cidrNode }),
    ...(named?.isHostNetwork === true && { hostPod: podText(named) }),
  }
}

/** The source address that this node's kernel chooses; the given one where it has no way there. */
function chosen(src: Addr, dst: Addr): Addr {
  try {
    return sendingAddr(dst)
  } catch (error) {
    if (error instanceof SysError) return src
    throw error
  }
}

function endsOf(sources: TraceSources, from: string, to: string): TraceEndsReport | string {
  const { nodeName } = sources
  const [sender, receiver] = [addrsNamed(sources, from, 'sender'), addrsNamed(sources, to, 'receiver')]
  if ('unknown' in sender) return sender.unknown
  if ('unknown' in receiver) return receiver.unknown
  const isGiven = Addr.tryParse(from) !== undefined
  const pairs = families.flatMap((family) => {
    const [src, dst] = [sender.addrs, receiver.addrs].map((addrs) => addrs.find((each) => each.family === family))
    if (src === undefined || dst === undefined) return []
    const end = endOf(sources, src, from)
    const isOwn = end.pod === undefined && end.node === nodeName && !isGiven
    const told = isOwn ? { ...end, addr: String(chosen(src, dst)) } : end
    return [{ from: told, to: endOf(sources, dst, to) }]
  })
  if (pairs.length === 0) return `${from} and ${to} have no address of the same family`
  return { node: nodeName, pairs }
}

const asked = (wish: TraceSendRequest): ProbePacket | string => {
  const [src, dst] = [Addr.parse(wish.src), Addr.parse(wish.dst)]
  if (src.family !== dst.family) return `dst: ${dst} is of another family than ${src}`
  const { protocol, sizeBytes, sourcePort, port, seq = 1, id = 0 } = wish
  const { least, most } = sizesOf(protocol, src.family)
  if (sizeBytes !== undefined && (sizeBytes < least || sizeBytes > most))
    return `sizeBytes: ${sizeBytes}: expected ${least} to ${most}`
  const common = { src, dst, isWhole: sizeBytes !== undefined, ...(sizeBytes !== undefined && { sizeBytes }) }
  if (protocol !== 'icmp' && (port === undefined || sourcePort === undefined))
    return `port, sourcePort: ${protocol} needs both`
  if (protocol === 'tcp') return { ...common, protocol, sourcePort: sourcePort!, port: port!, seq }
  if (wish.cookie === undefined) return `cookie: ${protocol} needs one`
  const cookie = Uint8Array.fromHex(wish.cookie)
  if (protocol === 'udp') return { ...common, protocol, sourcePort: sourcePort!, port: port!, cookie }
  return { ...common, protocol, id, seq: seq & 0xffff, cookie }
}

function mtuTo(src: Addr, dst: Addr, netns: Netns | undefined): number | undefined {
  try {
    return sendableBytes(src, dst, netns)
  } catch (error) {
    if (error instanceof SysError) return undefined
    throw error
  }
}

export class TraceSend implements Disposable {
  readonly #sources: TraceSources
  readonly #sender = new ProbeSender()

  constructor(sources: TraceSources) {
    this.#sources = sources
  }

  get handlers(): Pick<Handlers, 'traceEnds' | 'traceSend'> {
    return {
      traceEnds: ({ from, to }) => {
        const why = this.#sources.unknown()
        if (why !== undefined) return { status: 503, body: `${why}\n` }
        const report = endsOf(this.#sources, from, to)
        return typeof report === 'string' ? { status: 404, body: `${report}\n` } : { status: 200, body: report }
      },
      traceSend: (wish) => this.#send(wish),
    }
  }

  #send(wish: TraceSendRequest): Answer<TraceSendReport> {
    const packet = asked(wish)
    if (typeof packet === 'string') return { status: 400, body: `${packet}\n` }
    const { endpoints, netnsOf } = this.#sources
    const endpoint = endpoints().find(({ addrs }) => addrs.some(({ addr }) => addr.equals(packet.src)))
    if (endpoint === undefined) return this.#sendFrom(packet, undefined)
    using netns = netnsOf(endpoint)
    if (netns === undefined) return { status: 409, body: `the namespace of pod ${endpoint.pod} is gone\n` }
    return this.#sendFrom(packet, netns)
  }

  #sendFrom(packet: ProbePacket, netns: Netns | undefined): Answer<TraceSendReport> {
    const { nodeName } = this.#sources
    const { src, dst } = packet
    try {
      const sentAtMs = this.#sender.send(packet, { ...(netns && { netns }), packetId: randomInt(1, 65_536) })
      return { status: 200, body: { node: nodeName, sentAtMs } }
    } catch (error) {
      if (!(error instanceof SysError)) throw error
      const refusal = this.#foreign(packet, error.code, netns)
      if (refusal) return refusal
      const mtuBytes = error.code === 'EMSGSIZE' ? mtuTo(src, dst, netns) : undefined
      return {
        status: 200,
        body: {
          node: nodeName,
          sentAtMs: Date.now(),
          refused: { code: error.code, ...(mtuBytes !== undefined && { mtuBytes }) },
        },
      }
    }
  }

  /** What is no answer about the way of the packet. */
  #foreign(packet: ProbePacket, code: string, netns: Netns | undefined): HttpRefusal | undefined {
    const { src, protocol } = packet
    if (code === 'EADDRINUSE' && protocol !== 'icmp')
      return { status: 409, body: `source port ${packet.sourcePort} is taken\n` }
    if (code !== 'EADDRNOTAVAIL' || netns !== undefined) return undefined
    return { status: 404, body: `neither node ${this.#sources.nodeName} nor a pod of it has the address ${src}\n` }
  }

  [Symbol.dispose](): void {
    this.#sender[Symbol.dispose]()
  }
}
