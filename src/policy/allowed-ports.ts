// For which ports a pair of addresses may talk: what is asked when a user names no port.
import { type Addr } from '#/lib/addr.ts'
import { type PolicyView, type SelectingPolicies } from './cluster.ts'
import { endsOf, evaluate, policiesOf } from './evaluate.ts'
import { maxPort } from './fields.ts'
import { type PortRange } from './form.ts'
import { matchesPeer } from './match.ts'
import {
  type Direction,
  directions,
  type Policy,
  type PolicyRule,
  portProtocolNames,
  type PortProtocol,
  portProtocols,
} from './policy.ts'

type Pair = { readonly src: Addr; readonly dst: Addr }

/** The view with only those rules that mean the pair: which do does not depend on the port, and they are few of many. */
function viewOfPair(view: PolicyView, pair: Pair): PolicyView & Required<Pick<PolicyView, 'policiesOf'>> {
  const rulesFor = ({ rules }: Policy, direction: Direction): PolicyRule[] | undefined => {
    const other = endsOf(view, { ...pair, protocol: 0 }, direction)?.other
    if (other === undefined) return undefined
    return rules[direction]
      ?.filter(({ peers }) => peers === 'any' || peers.some((peer) => matchesPeer(peer, other, view.namespaces)))
      .map((rule) => ({ ...rule, peers: 'any' }))
  }
  const reduced = (policy: Policy): Policy => ({
    ...policy,
    rules: Object.fromEntries(
      directions.flatMap((direction) => {
        const rules = rulesFor(policy, direction)
        return rules === undefined ? [] : [[direction, rules]]
      }),
    ),
  })
  const { pods, namespaces, policies, nodes } = view
  const known = new Map<unknown, SelectingPolicies>()
  return {
    pods,
    namespaces,
    policies,
    nodes,
    podAt: (addr) => view.podAt(addr),
    policiesOf: (pod) => {
      const before = known.get(pod)
      if (before !== undefined) return before
      const { Admin, NetworkPolicy, Baseline } = policiesOf(view, pod)
      const found = {
        Admin: Admin.map(reduced),
        NetworkPolicy: NetworkPolicy.map(reduced),
        Baseline: Baseline.map(reduced),
      }
      known.set(pod, found)
      return found
    },
  }
}

/** The ports of a protocol at which something may change: the first of what a rule means, and the first behind it. */
function edgesOf(view: ReturnType<typeof viewOfPair>, { src, dst }: Pair, asked: PortProtocol): readonly number[] {
  const edges = new Set([1])
  const add = (first: number, last: number): unknown => edges.add(first).add(last + 1)
  for (const { port, protocol } of view.podAt(dst)?.namedPorts ?? []) if (protocol === asked) add(port, port)
  for (const pod of [view.podAt(src), view.podAt(dst)])
    for (const { rules } of pod === undefined ? [] : Object.values(view.policiesOf(pod)).flat())
      for (const { ports } of directions.flatMap((direction) => rules[direction] ?? []))
        for (const match of ports === 'any' ? [] : ports)
          if (match.kind === 'range' && match.protocol === asked) add(match.first, match.last)
  return [...edges].filter((edge) => edge >= 1 && edge <= maxPort).sort((one, other) => one - other)
}

/** A thousand policies make a step of some microseconds a tenth of a millisecond long. */
const edgesPerStep = 10

/**
 * The destination ports on which neither end's policies drop, found in steps: each rule may have a port of its own, for which all policies are
 * asked.
 */
export function* allowedPorts(view: PolicyView, { src, dst }: Pair): Generator<void, PortRange[], void> {
  const ofPair = viewOfPair(view, { src, dst })
  const all: PortRange[] = []
  for (const protocol of portProtocolNames) {
    const edges = edgesOf(ofPair, { src, dst }, protocol)
    const ranges: PortRange[] = []
    for (const [place, first] of edges.entries()) {
      if (place % edgesPerStep === 0) yield
      if (evaluate(ofPair, { src, dst, protocol: portProtocols[protocol], port: first }).isDropped) continue
      const last = (edges[place + 1] ?? maxPort + 1) - 1
      const before = ranges.at(-1)
      if (before?.last === first - 1) ranges[ranges.length - 1] = { ...before, last }
      else ranges.push({ protocol, first, last })
    }
    all.push(...ranges)
  }
  return all
}
