// The chains of a class: its tiers one after the other. The first rule that decides ends the way of a packet in its direction.
import { families } from '#/lib/addr.ts'
import { policyLogGroup } from '#/model/names.ts'
import { type ClassForm, type Form, type FormRule, type PolicyForm } from '#/policy/form.ts'
import { type Tier, tiers } from '#/policy/policy.ts'
import { type NftChain, type NftRule } from '#/wire/nftables/ruleset.ts'
import {
  classChain,
  denialPrefix,
  denyChain,
  itselfSet,
  policyChain,
  ruleComment,
  ruleInPrefix,
  shortened,
  tierChain,
} from './names.ts'
import { compileFormRule, type Verdict } from './rules.ts'

/** A rule, or a class, tells of at most so many denied packets a second; how many there were its counter says. */
const toldPerSecond = 20
const toldAtOnce = 40
/** What is told of a packet: its headers, with room for options. */
const toldBytes = 128

const allow: Verdict = { kind: 'accept' }

/** One direction of a NetworkPolicy, for all classes that have it: a packet that it does not allow comes back. */
export function policyChainOf(form: Form, policy: PolicyForm): NftChain {
  return { name: policyChain(policy.id), rules: policy.rules.flatMap((rule) => compileFormRule(form, rule, allow)) }
}

/**
 * The chains of a class, the first is that of its name. Rules of the tiers Admin and Baseline are in the class's own chains, since `pass` leads
 * to the class's own next tier; those that deny have a chain each, which tells of the packet and drops it.
 */
export function classChains(form: Form, one: ClassForm): NftChain[] {
  const { id, direction } = one
  const present = tiers.filter((tier) => one.policies[tier].length > 0)
  const chainOf = (tier: Tier | undefined): string | undefined =>
    tier === undefined || tier === 'Admin' ? undefined : tierChain(direction, id, tier)
  return present.flatMap((tier, index) => {
    const name = index === 0 ? classChain(direction, id) : chainOf(tier)!
    const policies = one.policies[tier].map((policy) => policyOf(form, policy))
    return tier === 'NetworkPolicy'
      ? [{ name, rules: isolation(one, policies) }]
      : orderedTier(form, one, { name, policies, next: chainOf(present[index + 1]) })
  })
}

function policyOf(form: Form, id: string): PolicyForm {
  const policy = form.policies.get(id)
  if (policy === undefined) throw new Error(`the form has a class with policy ${id}, and no such policy`)
  return policy
}

function isolation(one: ClassForm, policies: readonly PolicyForm[]): NftRule[] {
  return [
    ...policies.map(({ id, policy }): NftRule => ({
      comment: shortened(`rules of ${policy}`),
      match: [],
      action: { kind: 'jump', chain: policyChain(id) },
    })),
    ...families.map((family): NftRule => ({
      comment: `the pod itself, by way of a Service (IPv${family})`,
      match: [{ kind: 'keySet', set: itselfSet(family), fields: ['saddr', 'daddr'], family }],
      action: { ...allow, counter: true },
    })),
    ...denial(one, 'no rule of a NetworkPolicy allows it'),
  ]
}

/** The chain of a tier in which the first rule that matches decides, and those of its rules that deny. */
function orderedTier(
  form: Form,
  one: ClassForm,
  tier: { readonly name: string; readonly policies: readonly PolicyForm[]; readonly next: string | undefined },
): NftChain[] {
  const { name, policies, next } = tier
  const onward: Verdict = next === undefined ? allow : { kind: 'goto', chain: next }
  const denials: NftChain[] = []
  const verdictOf = (policy: PolicyForm, rule: FormRule): Verdict => {
    if (rule.action !== 'deny') return rule.action === 'accept' ? allow : onward
    const chain = denyChain(one.direction, one.id, policy.id, rule.ref.index)
    denials.push({ name: chain, rules: denial(one, ruleComment(rule.ref), ruleInPrefix(rule.ref)) })
    return { kind: 'goto', chain }
  }
  const rules = policies.flatMap((policy) =>
    policy.rules.flatMap((rule) => compileFormRule(form, rule, verdictOf(policy, rule))),
  )
  const end: NftRule = {
    comment: next === undefined ? 'no policy decides' : 'the next tier decides',
    match: [],
    action: { ...onward, counter: true },
  }
  return [{ name, rules: [...rules, end] }, ...denials]
}

/** Tells of a packet that is denied and drops it; lets it through where the pod's namespace is audited. */
function denial({ id, direction, isAudited }: ClassForm, why: string, rule?: string): NftRule[] {
  const prefix = denialPrefix({ direction, class: id, isAudited, ...(rule !== undefined && { rule }) })
  return [
    telling(prefix),
    {
      comment: shortened(`${isAudited ? 'audited' : 'denied'}: ${why}`),
      match: [],
      action: { kind: isAudited ? 'accept' : 'drop', counter: true },
    },
  ]
}

/** Does nothing but tell, so that tables may be without it (untold.ts). */
export function telling(prefix: string): NftRule {
  return {
    comment: 'tell of it',
    match: [{ kind: 'limit', packetsPerSecond: toldPerSecond, burst: toldAtOnce }],
    action: { kind: 'log', group: policyLogGroup, prefix, snaplen: toldBytes },
  }
}
