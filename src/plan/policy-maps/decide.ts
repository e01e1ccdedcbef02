// What a class of pods says of a kind of peer: over all ports of TCP and UDP, and of any other protocol. Pure.
import {
  type ClassForm,
  type Form,
  type FormRule,
  type NamedPortSetId,
  type PeerSetId,
  type SetId,
} from '#/policy/form.ts'
import { type Direction, type Tier, tiers } from '#/policy/policy.ts'
import { type Denial } from './denial.ts'
import { lastPort, type PortRun } from './port-prefixes.ts'

/** The protocols with ports that programs can ask connection tracking about. */
export const askedProtocols = ['TCP', 'UDP'] as const
export type AskedProtocol = (typeof askedProtocols)[number]

/** What of a peer, or of a pod itself, the rules ask for. */
export type Membership = {
  readonly sets: ReadonlySet<PeerSetId>
  readonly names: readonly NamedPort[]
}
export type NamedPort = { readonly set: NamedPortSetId; readonly protocol: AskedProtocol; readonly port: number }

/** Undefined: not denied. */
export type Said = Denial | undefined
export type Decisions = { readonly other: Said } & Readonly<Record<AskedProtocol, readonly PortRun<Said>[]>>

type Step = FormRule & { readonly tier: Tier; readonly denial: Said }

type Range = { readonly first: number; readonly last: number }
const everyPort: Range = { first: 0, last: lastPort }

/** The rules of a class, found by the sets of peers that they are about. */
export class ClassRules {
  readonly direction: Direction
  /** Ids of its policies. */
  readonly policies: ReadonlySet<string>
  /** The sets of named ports that its rules ask for. */
  readonly names: ReadonlySet<NamedPortSetId>
  /** In the order of evaluation. */
  readonly #steps: readonly Step[]
  readonly #bySet = new Map<PeerSetId, number[]>()
  readonly #isolation: Said

  constructor(form: Form, { direction, policies }: ClassForm) {
    this.direction = direction
    this.policies = new Set(tiers.flatMap((tier) => policies[tier]))
    this.#steps = tiers.flatMap((tier) =>
      policies[tier].flatMap((id) => form.policies.get(id)?.rules.map((rule) => stepOf(tier, rule)) ?? []),
    )
    const by = policies.NetworkPolicy.flatMap((id) => form.policies.get(id)?.policy ?? [])
    this.#isolation = policies.NetworkPolicy.length === 0 ? undefined : { kind: 'isolated', direction, by }
    for (const [index, { peers }] of this.#steps.entries())
      for (const id of peers === 'any' ? [] : peers) this.#bySet.set(id, [...(this.#bySet.get(id) ?? []), index])
    this.names = new Set(this.#steps.flatMap(({ ports }) => (ports === 'any' ? [] : ports.names)))
  }

  /** All that the rules ask of a peer: one that is in none of these is as any other. */
  get asked(): Iterable<SetId> {
    return [...this.#bySet.keys(), ...(this.direction === 'egress' ? this.names : [])]
  }

  /** Which rules ask for what the peer is in, as text: the class says the same of all peers with the same text. */
  signatureOf({ sets, names }: Membership): string {
    const indices = new Set<number>()
    for (const id of sets) for (const index of this.#bySet.get(id) ?? []) indices.add(index)
    const asked = this.direction === 'egress' ? names.filter(({ set }) => this.names.has(set)) : []
    if (indices.size === 0 && asked.length === 0) return ''
    return [...[...indices].sort((a, b) => a - b), ...asked.map(nameText).sort()].join()
  }

  /** `own`: the named ports of the pods of the class, which count for what they receive. */
  decide(peer: Membership, own: readonly NamedPort[]): Decisions {
    const names = this.direction === 'egress' ? peer.names : own
    const steps = this.#steps.filter(({ peers }) => peers === 'any' || peers.some((id) => peer.sets.has(id)))
    return {
      other: this.#verdict(steps, ({ ports }) => ports === 'any'),
      TCP: this.#runs(steps, 'TCP', names),
      UDP: this.#runs(steps, 'UDP', names),
    }
  }

  #runs(steps: readonly Step[], protocol: AskedProtocol, names: readonly NamedPort[]): PortRun<Said>[] {
    const rangesOf = new Map(steps.map((step) => [step, rangesOfStep(step, protocol, names)]))
    const begins = new Set([0, ...[...rangesOf.values()].flat().flatMap(({ first, last }) => [first, last + 1])])
    const firsts = [...begins].filter((first) => first <= lastPort).sort((a, b) => a - b)
    const runs: PortRun<Said>[] = []
    for (const [index, first] of firsts.entries()) {
      const value = this.#verdict(steps, (step) =>
        rangesOf.get(step)!.some((range) => range.first <= first && first <= range.last),
      )
      const last = (firsts[index + 1] ?? lastPort + 1) - 1
      const before = runs.at(-1)
      if (before && before.value === value) runs[runs.length - 1] = { ...before, last }
      else runs.push({ first, last, value })
    }
    return runs
  }

  #verdict(steps: readonly Step[], matches: (step: Step) => boolean): Said {
    const first = (tier: Tier): Step | undefined => steps.find((step) => step.tier === tier && matches(step))
    const admin = first('Admin')
    if (admin !== undefined && admin.action !== 'pass') return admin.denial
    if (this.#isolation !== undefined) return first('NetworkPolicy') ? undefined : this.#isolation
    return first('Baseline')?.denial
  }
}

function stepOf(tier: Tier, rule: FormRule): Step {
  return { ...rule, tier, denial: rule.action === 'deny' ? { kind: 'rule', rule: rule.ref } : undefined }
}

/** Equal for equal ports. */
export function nameText({ set, protocol, port }: NamedPort): string {
  return `${set} ${protocol} ${port}`
}

function rangesOfStep({ ports }: FormRule, protocol: AskedProtocol, names: readonly NamedPort[]): readonly Range[] {
  if (ports === 'any') return [everyPort]
  const named = names.filter((name) => name.protocol === protocol && ports.names.includes(name.set))
  return [
    ...ports.ranges.filter((range) => range.protocol === protocol),
    ...named.map(({ port }) => ({ first: port, last: port })),
  ]
}
