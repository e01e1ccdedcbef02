// Which ports of one end another may reach: asked of the evaluator where the answer can change, so it cannot differ from what the evaluator says.
import { type Addr } from '#/lib/addr.ts'
import { type PolicyView } from './cluster.ts'
import { evaluate, policiesOf } from './evaluate.ts'
import { type Direction, directions, type PortProtocol, portProtocols, tiers } from './policy.ts'

const highestPort = 65_535
const withoutPorts = { 4: { name: 'ICMP', protocol: 1 }, 6: { name: 'ICMPv6', protocol: 58 } } as const

export type PortSpan = { readonly first: number; readonly last: number }

export type OpenPorts = {
  readonly protocol: string
  /** Absent where the protocol has no ports. */
  readonly ranges?: readonly PortSpan[]
  readonly isAllowed: boolean
}

/** Where a range of any rule begins, or the port after its end: between two of them the verdict is the same. */
function turningPoints(view: PolicyView, src: Addr, dst: Addr, protocol: PortProtocol): number[] {
  const points = new Set([0])
  const receiver = view.podAt(dst)
  const add = (first: number, last: number): void => {
    points.add(first)
    if (last < highestPort) points.add(last + 1)
  }
  for (const { port, protocol: each } of receiver?.namedPorts ?? []) if (each === protocol) add(port, port)
  const own: Readonly<Record<Direction, ReturnType<PolicyView['podAt']>>> = {
    egress: view.podAt(src),
    ingress: receiver,
  }
  for (const direction of directions) {
    const pod = own[direction]
    if (pod === undefined) continue
    const selecting = policiesOf(view, pod)
    for (const { rules } of tiers.flatMap((tier) => selecting[tier]))
      for (const { ports } of rules[direction] ?? [])
        for (const port of ports === 'any' ? [] : ports)
          if (port.kind === 'range' && port.protocol === protocol) add(port.first, port.last)
  }
  return [...points].sort((one, other) => one - other)
}

/** Neighbouring ports with one verdict are one span. */
function spansOf(view: PolicyView, src: Addr, dst: Addr, name: PortProtocol): PortSpan[] {
  const protocol = portProtocols[name]
  const points = turningPoints(view, src, dst, name)
  const spans: PortSpan[] = []
  for (const [index, first] of points.entries()) {
    if (evaluate(view, { src, dst, protocol, port: first }).isDropped) continue
    const last = (points[index + 1] ?? highestPort + 1) - 1
    const before = spans.at(-1)
    if (before?.last === first - 1) spans[spans.length - 1] = { first: before.first, last }
    else spans.push({ first, last })
  }
  return spans
}

/** What of each protocol gets from `src` to `dst`; both are of one family. */
export function openPorts(view: PolicyView, src: Addr, dst: Addr): OpenPorts[] {
  const { name, protocol } = withoutPorts[src.family]
  return [
    ...(Object.keys(portProtocols) as PortProtocol[]).map((each): OpenPorts => {
      const ranges = spansOf(view, src, dst, each)
      return { protocol: each, ranges, isAllowed: ranges.length > 0 }
    }),
    { protocol: name, isAllowed: !evaluate(view, { src, dst, protocol }).isDropped },
  ]
}
