// Who the two ends of a trace are, by what a bundle tells: a pod by its name, a node, an address of one of them, or any other address.
import { type TraceEnd, type TraceEndsReport } from '#/api/schemas/trace-send.ts'
import { Addr, families } from '#/lib/addr.ts'
import { didYouMean } from '#/lib/nearest.ts'
import { cidrNodeOf, type NodeCIDR } from '#/predict/cidr-node.ts'
import { prefixIn } from './parsed.ts'
import { depsOf, nodesOf, type ToldNode } from './told-node.ts'

type Pod = { readonly pod: string; readonly node: string; readonly addrs: readonly Addr[] }

function podsOf(all: readonly ToldNode[]): Pod[] {
  return all.flatMap(({ status }) =>
    status.endpoints.map(({ pod, addrs }) => ({
      pod,
      node: status.node,
      addrs: addrs.flatMap((text) => Addr.tryParse(text) ?? []),
    })),
  )
}

/** A text says why it is none. */
function resolve(all: readonly ToldNode[], name: string): readonly Addr[] | string {
  const addr = Addr.tryParse(name)
  if (addr) return [addr]
  const pods = podsOf(all)
  const named = pods.filter(({ pod }) => pod === name || pod === `default/${name}`)
  const last = named.length > 0 ? named : pods.filter(({ pod }) => pod.endsWith(`/${name}`))
  if (last.length > 1) return `"${name}" is several pods: ${last.map(({ pod }) => pod).join(', ')}`
  const addrs = last[0]?.addrs ?? nodesOf(all).get(name)
  if (addrs) return addrs
  const names = [...pods.map(({ pod }) => pod), ...nodesOf(all).keys()]
  return `"${name}" is no pod, node or address of this bundle${didYouMean(name, names)}`
}

function endOf(all: readonly ToldNode[], addr: Addr): TraceEnd {
  const pod = podsOf(all).find(({ addrs }) => addrs.some((each) => each.equals(addr)))
  if (pod) return { addr: String(addr), pod: pod.pod, node: pod.node }
  const node = all.find(({ facts }) => facts.namespaces[0]?.addresses.some((each) => each.addr === String(addr)))
  const known = node?.status.node ?? [...nodesOf(all)].find(([, addrs]) => addrs.some((each) => each.equals(addr)))?.[0]
  const cidrNode = known === undefined ? cidrNodeOf(cidrsOf(all), addr) : undefined
  return {
    addr: String(addr),
    ...(known !== undefined && { node: known }),
    ...(cidrNode !== undefined && { cidrNode }),
  }
}

/** Nodes say which CIDRs they have, and which they know of others. */
function* cidrsOf(all: readonly ToldNode[]): Generator<NodeCIDR> {
  for (const { status } of all) for (const cidr of status.podCIDRs) yield { node: status.node, cidr: prefixIn(cidr) }
  for (const { status } of all) for (const { node, podCIDR } of status.verdicts) yield { node, cidr: prefixIn(podCIDR) }
}

/** Where a node is the sender, with the address that its kernel would send from. */
function chosen(all: readonly ToldNode[], end: TraceEnd, dst: Addr): TraceEnd {
  const node = end.pod === undefined ? all.find(({ status }) => status.node === end.node) : undefined
  if (node === undefined) return end
  const answer = depsOf(node, all).openNode().lookUp({ dst })
  const source = answer.kind === 'way' ? answer.chosen?.preferredSource : undefined
  return source ? { ...end, addr: String(source) } : end
}

/** A text says why there are none. */
export function endsOf(all: readonly ToldNode[], node: string, from: string, to: string): TraceEndsReport | string {
  const [senders, receivers] = [resolve(all, from), resolve(all, to)]
  if (typeof senders === 'string') return senders
  if (typeof receivers === 'string') return receivers
  const isGiven = Addr.tryParse(from) !== undefined
  const pairs = families.flatMap((family) => {
    const [src, dst] = [senders, receivers].map((addrs) => addrs.find((each) => each.family === family))
    if (src === undefined || dst === undefined) return []
    const sender = endOf(all, src)
    return [{ from: isGiven ? sender : chosen(all, sender, dst), to: endOf(all, dst) }]
  })
  return pairs.length === 0 ? `${from} and ${to} have no address of the same family` : { node, pairs }
}
