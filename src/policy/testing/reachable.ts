// What of a form pods of this node have: without classes that are kept for pods to come.
import { type Form } from '../form.ts'
import { directions, tiers } from '../policy.ts'

const only = <V>(map: ReadonlyMap<string, V>, ids: ReadonlySet<string>): ReadonlyMap<string, V> =>
  new Map([...map].filter(([id]) => ids.has(id)))

export function reachable(form: Form): Form {
  const classes = only(
    form.classes,
    new Set([...form.locals.values()].flatMap((local) => directions.flatMap((direction) => local[direction] ?? []))),
  )
  const policies = only(
    form.policies,
    new Set([...classes.values()].flatMap((one) => tiers.flatMap((tier) => one.policies[tier]))),
  )
  const rules = [...policies.values()].flatMap((policy) => policy.rules)
  const peers = new Set(rules.flatMap((rule) => (rule.peers === 'any' ? [] : rule.peers)))
  const names = new Set(rules.flatMap((rule) => (rule.ports === 'any' ? [] : rule.ports.names)))
  return {
    ...form,
    classes,
    policies,
    peerSets: only(form.peerSets, peers),
    namedPortSets: only(form.namedPortSets, names),
  }
}
