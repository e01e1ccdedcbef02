// Two ways to ask what a form says of a packet: rule by rule, and as programs look it up in the entries that are made of it.
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { type ClassForm, type Form, type FormRule, type LocalPodForm } from '#/policy/form.ts'
import { type Direction, type PortProtocol, portProtocols } from '#/policy/policy.ts'
import { peerStruct, policyVerdicts, verdictKeyStruct, verdictStruct } from '#/wire/bpf/maps.ts'
import { type PolicyEntry, type PolicyKey, prefixOf } from '../policy-maps/entries.ts'

/** `peer`: the packet's other end, seen from the pod whose policies are asked. */
export type Question = {
  readonly peer: Addr
  readonly own: Addr
  readonly protocol: PortProtocol | 'ICMP'
  readonly port: number
}

function isIn(form: Form, id: string, addr: Addr): boolean {
  const set = form.peerSets.get(id)
  if (set?.kind === 'blocks') return set.prefixes.some((prefix) => prefix.contains(addr))
  return set !== undefined && form.membersOf(id).has(String(addr))
}

function hasName(form: Form, id: string, { protocol, port }: Question, destination: Addr): boolean {
  return form
    .namedPortsOf(id)
    .some((member) => member.addr.equals(destination) && member.protocol === protocol && member.port === port)
}

function matches(form: Form, { peers, ports }: FormRule, direction: Direction, question: Question): boolean {
  const { peer, own, protocol, port } = question
  if (peers !== 'any' && !peers.some((id) => isIn(form, id, peer))) return false
  if (ports === 'any') return true
  const destination = direction === 'egress' ? peer : own
  return (
    ports.ranges.some((range) => range.protocol === protocol && range.first <= port && port <= range.last) ||
    ports.names.some((id) => hasName(form, id, question, destination))
  )
}

/** Whether a class denies the packet, rule by rule. */
export function isDenied(form: Form, { direction, policies }: ClassForm, question: Question): boolean {
  const rulesOf = (ids: readonly string[]): FormRule[] => ids.flatMap((id) => form.policies.get(id)?.rules ?? [])
  const first = (ids: readonly string[]) =>
    rulesOf(ids).find((rule) => matches(form, rule, direction, question))?.action
  const admin = first(policies.Admin)
  if (admin === 'accept' || admin === 'deny') return admin === 'deny'
  if (policies.NetworkPolicy.length > 0) return first(policies.NetworkPolicy) === undefined
  return first(policies.Baseline) === 'deny'
}

/** The same for a pod, in one direction; false when nothing applies, or its namespace is audited. */
export function isDeniedOf(form: Form, local: LocalPodForm, direction: Direction, question: Question): boolean {
  const id = local[direction]
  const classForm = id === undefined ? undefined : form.classes.get(id)
  return classForm !== undefined && !classForm.isAudited && isDenied(form, classForm, question)
}

const keyText = ({ map, key }: PolicyKey): string => `${map} ${key.toHex()}`

/** Maps as the kernel has them. */
export class SimulatedMaps {
  readonly entries = new Map<string, PolicyEntry>()
  readonly #peers = new Map<string, { readonly prefix: Prefix; readonly kind: number }>()

  set(entry: PolicyEntry): void {
    const text = keyText(entry)
    this.entries.set(text, entry)
    if (entry.map !== 'cw_verdicts')
      this.#peers.set(text, { prefix: prefixOf(entry), kind: peerStruct.decode(entry.value).kind })
  }

  delete(key: PolicyKey): void {
    this.entries.delete(keyText(key))
    this.#peers.delete(keyText(key))
  }

  kindOf(addr: Addr): number {
    const found = [...this.#peers.values()].filter(({ prefix }) => prefix.contains(addr))
    return found.reduce(
      (best, each) => (each.prefix.length > best.length ? { kind: each.kind, length: each.prefix.length } : best),
      { kind: 0, length: -1 },
    ).kind
  }

  /** The rule that denies; 0: none does. */
  denial(classNumber: number, { peer, protocol, port }: Question): number {
    if (classNumber === 0 || protocol === 'SCTP') return 0
    const kind = this.kindOf(peer)
    const number = protocol === 'ICMP' ? 1 : portProtocols[protocol]
    const value = this.#longest(classNumber, kind, number, port) ?? this.#longest(classNumber, 0, number, port)
    return value?.verdict === policyVerdicts.denied ? value.rule : 0
  }

  #longest(classNumber: number, kind: number, protocol: number, port: number) {
    for (const bits of [...Array.from({ length: 17 }, (_, less) => 16 - less), -16]) {
      const key = {
        length: 80 + bits,
        class: classNumber,
        kind,
        protocol: bits < 0 ? 0 : protocol,
        reserved: 0,
        port: bits <= 0 ? 0 : port & (0xffff << (16 - bits)),
      }
      const found = this.entries.get(`cw_verdicts ${verdictKeyStruct.encode(key).toHex()}`)
      if (found) return verdictStruct.decode(found.value)
    }
    return undefined
  }
}
