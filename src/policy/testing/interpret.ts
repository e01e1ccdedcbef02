// What rules that are compiled from a form must do with a packet, read from the form as it stands. For tests: it looks through everything.
import { type Addr } from '#/lib/addr.ts'
import { type Form, type FormRule, type LocalPodForm } from '../form.ts'
import { type Direction, portProtocols, type RuleRef, type Tier } from '../policy.ts'
import { type PolicyPacket } from '../verdict.ts'

export type Interpretation = {
  readonly isDenied: boolean
  readonly isAudited: boolean
  /** The rule that decides, if one does. */
  readonly rule?: RuleRef
}

const allowed: Interpretation = { isDenied: false, isAudited: false }

function isPeer(form: Form, peers: FormRule['peers'], addr: Addr): boolean {
  if (peers === 'any') return true
  return peers.some((id) => {
    const set = form.peerSets.get(id)!
    return set.kind === 'blocks'
      ? set.prefixes.some((prefix) => prefix.contains(addr))
      : form.membersOf(id).has(`${addr}`)
  })
}

function isPort(form: Form, ports: FormRule['ports'], { dst, protocol, port }: PolicyPacket): boolean {
  if (ports === 'any') return true
  const isProtocol = (each: { readonly protocol: keyof typeof portProtocols }): boolean =>
    portProtocols[each.protocol] === protocol
  if (port === undefined)
    return ports.ranges.some((range) => isProtocol(range) && range.first === 0 && range.last === 65_535)
  return (
    ports.ranges.some((range) => isProtocol(range) && range.first <= port && port <= range.last) ||
    ports.names.some((id) =>
      form.namedPortsOf(id).some((member) => isProtocol(member) && member.port === port && member.addr.equals(dst)),
    )
  )
}

/** By address: the pod of this node that has it. */
export function localAt(form: Form, addr: Addr): LocalPodForm | undefined {
  return [...form.locals.values()].find(({ addrs }) => addrs.some((each) => each.equals(addr)))
}

/**
 * What the form says of a packet in one direction; `nodeAddrs` are those of this node. Undefined when the end whose policies these are is
 * no pod of this node.
 */
export function interpret(
  form: Form,
  packet: PolicyPacket,
  direction: Direction,
  nodeAddrs: readonly Addr[],
): Interpretation | undefined {
  const [own, other] = direction === 'egress' ? [packet.src, packet.dst] : [packet.dst, packet.src]
  const local = localAt(form, own)
  if (local === undefined) return undefined
  if (nodeAddrs.some((addr) => addr.equals(other))) return allowed
  const id = local[direction]
  if (id === undefined) return allowed
  const { policies, isAudited } = form.classes.get(id)!
  const firstOf = (tier: Tier): FormRule | undefined =>
    policies[tier]
      .flatMap((each) => form.policies.get(each)!.rules)
      .find(({ peers, ports }) => isPeer(form, peers, other) && isPort(form, ports, packet))
  const decided = (rule: FormRule | undefined): Interpretation | undefined => {
    if (rule === undefined || rule.action === 'pass') return undefined
    const isDenied = rule.action === 'deny'
    return { isDenied, isAudited: isDenied && isAudited, rule: rule.ref }
  }
  const admin = decided(firstOf('Admin'))
  if (admin !== undefined) return admin
  if (policies.NetworkPolicy.length === 0) return decided(firstOf('Baseline')) ?? allowed
  const isItself = localAt(form, other)?.pod === local.pod
  return decided(firstOf('NetworkPolicy')) ?? (isItself ? allowed : { isDenied: true, isAudited })
}
