// What a class of pods says of a kind of peer: over all ports of TCP and UDP, and of any other protocol. Pure.
import { type ClassForm, type Form, type FormRule, type NamedPortSetId, type PeerSetId } from '#/policy/form.ts'
import { type Direction } from '#/policy/policy.ts'
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

type Step = FormRule & { readonly denial: Said }

const stepOf = (rule: FormRule): Step => ({
  ...rule,
  denial: rule.action === 'deny' ? { kind: 'rule', rule: rule.ref } : undefined,
})

type Range = { readonly first: number; readonly last: number }
const everyPort: Range = { first: 0, last: lastPort }

/** The rules of a class, found by the sets of peers that they are about. */
export class ClassRules {
  readonly direction: Direction
  /** The sets of named ports that its rules ask for. */
  readonly names: ReadonlySet<NamedPortSetId>
  readonly #admin: readonly Step[]
  readonly #network: readonly Step[]
  readonly #baseline: readonly Step[]
  readonly #isolation: Said
  readonly #sets: ReadonlySet<PeerSetId>

  constructor(form: Form, { direction, policies }: ClassForm) {
    const stepsOf = (ids: readonly string[]): Step[] =>
      ids.flatMap((id) => form.policies.get(id)?.rules.map(stepOf) ?? [])
    this.direction = direction
    this.#admin = stepsOf(policies.Admin)
    this.#network = stepsOf(policies.NetworkPolicy)
    this.#baseline = stepsOf(policies.Baseline)
    const by = policies.NetworkPolicy.flatMap((id) => form.policies.get(id)?.policy ?? [])
    this.#isolation = policies.NetworkPolicy.length === 0 ? undefined : { kind: 'isolated', direction, by }
    const all = [...this.#admin, ...this.#network, ...this.#baseline]
    this.#sets = new Set(all.flatMap(({ peers }) => (peers === 'any' ? [] : peers)))
    this.names = new Set(all.flatMap(({ ports }) => (ports === 'any' ? [] : ports.names)))
  }

  /** Whether any rule asks for what the peer is in; if not, it is to the class as one that is in no set. */
  knows({ sets, names }: Membership): boolean {
    const isNamed = this.direction === 'egress' && names.some(({ set }) => this.names.has(set))
    return isNamed || !this.#sets.isDisjointFrom(sets)
  }

  /** `own`: the named ports of the pods of the class, which count for what they receive. */
  decide(peer: Membership, own: readonly NamedPort[]): Decisions {
    const names = this.direction === 'egress' ? peer.names : own
    const concerned = (steps: readonly Step[]): Step[] =>
      steps.filter(({ peers }) => peers === 'any' || peers.some((id) => peer.sets.has(id)))
    const tiers = {
      admin: concerned(this.#admin),
      network: concerned(this.#network),
      baseline: concerned(this.#baseline),
    }
    return {
      other: this.#verdict(tiers, ({ ports }) => ports === 'any'),
      TCP: this.#runs(tiers, 'TCP', names),
      UDP: this.#runs(tiers, 'UDP', names),
    }
  }

  #runs(tiers: Tiers, protocol: AskedProtocol, names: readonly NamedPort[]): PortRun<Said>[] {
    const all = [...tiers.admin, ...tiers.network, ...tiers.baseline]
    const rangesOf = new Map(all.map((step) => [step, rangesOfStep(step, protocol, names)]))
    const begins = new Set([0, ...[...rangesOf.values()].flat().flatMap(({ first, last }) => [first, last + 1])])
    const firsts = [...begins].filter((first) => first <= lastPort).sort((a, b) => a - b)
    const runs: PortRun<Said>[] = []
    for (const [index, first] of firsts.entries()) {
      const value = this.#verdict(tiers, (step) =>
        rangesOf.get(step)!.some((range) => range.first <= first && first <= range.last),
      )
      const last = (firsts[index + 1] ?? lastPort + 1) - 1
      const before = runs.at(-1)
      if (before && before.value === value) runs[runs.length - 1] = { ...before, last }
      else runs.push({ first, last, value })
    }
    return runs
  }

  #verdict({ admin, network, baseline }: Tiers, matches: (step: Step) => boolean): Said {
    const first = admin.find(matches)
    if (first !== undefined && first.action !== 'pass') return first.denial
    if (this.#isolation !== undefined) return network.some(matches) ? undefined : this.#isolation
    return baseline.find(matches)?.denial
  }
}

type Tiers = Readonly<Record<'admin' | 'network' | 'baseline', readonly Step[]>>

function rangesOfStep({ ports }: FormRule, protocol: AskedProtocol, names: readonly NamedPort[]): readonly Range[] {
  if (ports === 'any') return [everyPort]
  const named = names.filter((name) => name.protocol === protocol && ports.names.includes(name.set))
  return [
    ...ports.ranges.filter((range) => range.protocol === protocol),
    ...named.map(({ port }) => ({ first: port, last: port })),
  ]
}
