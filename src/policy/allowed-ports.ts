// For which ports a pair of addresses may talk: what is asked when a user names no port.
import { type Addr } from '#/lib/addr.ts'
import { type PolicyView } from './cluster.ts'
import { endsOf, evaluate, policiesOf } from './evaluate.ts'
import { maxPort } from './fields.ts'
import { type PortRange } from './form.ts'
import { directions, type PortProtocol, portProtocols } from './policy.ts'

const protocols = Object.keys(portProtocols) as PortProtocol[]

/** The ports at which something may change: the first of what a rule means, and the first behind it. */
function edgesOf(view: PolicyView, src: Addr, dst: Addr): readonly number[] {
  const edges = new Set([1])
  const add = (first: number, last: number): unknown => edges.add(first).add(last + 1)
  for (const { port } of view.podAt(dst)?.namedPorts ?? []) add(port, port)
  for (const direction of directions) {
    const ends = endsOf(view, { src, dst, protocol: 0 }, direction)
    if (ends === undefined) continue
    for (const policy of Object.values(policiesOf(view, ends.own)).flat())
      for (const { ports } of policy.rules[direction] ?? [])
        for (const match of ports === 'any' ? [] : ports) if (match.kind === 'range') add(match.first, match.last)
  }
  return [...edges].filter((edge) => edge >= 1 && edge <= maxPort).sort((one, other) => one - other)
}

/** The destination ports on which neither end's policies drop. */
export function allowedPorts(view: PolicyView, { src, dst }: { readonly src: Addr; readonly dst: Addr }): PortRange[] {
  const edges = edgesOf(view, src, dst)
  return protocols.flatMap((protocol) => {
    const ranges: PortRange[] = []
    for (const [place, first] of edges.entries()) {
      if (evaluate(view, { src, dst, protocol: portProtocols[protocol], port: first }).isDropped) continue
      const last = (edges[place + 1] ?? maxPort + 1) - 1
      const before = ranges.at(-1)
      if (before?.last === first - 1) ranges[ranges.length - 1] = { ...before, last }
      else ranges.push({ protocol, first, last })
    }
    return ranges
  })
}
