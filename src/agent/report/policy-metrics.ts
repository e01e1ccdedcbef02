// The metrics of network policy: what the rules of this node have decided, read from the kernel at every scrape.
import { type Registry, type Sample } from '#/lib/metrics.ts'
import { type PolicyCounters } from '#/plan/policy/counters.ts'
import { type ClassForm, type Form } from '#/policy/form.ts'
import { type RuleRef, ruleRefText } from '#/policy/policy.ts'
import { type DenialListener } from './policy-listener.ts'
import { type PolicySources } from './policy-sources.ts'

/** So many rules have samples of their own; those after them, in the order of their policies' names, are one. */
const mostRules = 1000
/** One scrape reads the rules once. */
const freshMs = 200

type Ruled = { readonly ref: RuleRef; readonly action: string; packets: number }

/** The rules that pods of this node need, with what the kernel has counted, in a steady order. */
function ruled(form: Form, { rules }: PolicyCounters): Ruled[] {
  const all = new Map<string, Ruled>()
  for (const policy of form.policies.values())
    for (const { ref, action } of policy.rules) all.set(ruleRefText(ref), { ref, action, packets: 0 })
  for (const { ref, packets } of rules) {
    const known = all.get(ruleRefText(ref))
    if (known !== undefined) known.packets += packets
  }
  return [...all].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, each]) => each)
}

function ruleSamples(form: Form, counters: PolicyCounters): Sample[] {
  const all = ruled(form, counters)
  const samples = all.slice(0, mostRules).map(({ ref, action, packets }): Sample => ({
    labels: { policy: ref.policy, direction: ref.direction, rule: String(ref.index), action },
    value: packets,
  }))
  const rest = all.slice(mostRules)
  if (rest.length === 0) return samples
  const value = rest.reduce((sum, { packets }) => sum + packets, 0)
  return [...samples, { labels: { policy: 'others', direction: '', rule: '', action: '' }, value }]
}

/** The namespace of the class's NetworkPolicies; "" for a class that only ClusterNetworkPolicies make. */
function namespaceOf(form: Form, found: ClassForm | undefined): string {
  const [first] = found?.policies.NetworkPolicy ?? []
  const key = first === undefined ? undefined : form.policies.get(first)?.policy
  return key?.split('/')[1] ?? ''
}

function denialSamples(form: Form, { denied }: PolicyCounters): Sample[] {
  const sums = new Map<string, { labels: Sample['labels']; value: number }>()
  for (const { class: id, direction, isAudited, packets } of denied) {
    const labels = {
      namespace: namespaceOf(form, form.classes.get(id)),
      direction,
      mode: isAudited ? 'audit' : 'enforced',
    }
    const key = Object.values(labels).join(' ')
    const sum = sums.get(key) ?? { labels, value: 0 }
    sum.value += packets
    sums.set(key, sum)
  }
  return [...sums.values()]
}

export function registerPolicyMetrics(registry: Registry, sources: PolicySources, listener: DenialListener): void {
  let last: { readonly atMs: number; readonly counters: Promise<PolicyCounters> } | undefined
  const counters = (): Promise<PolicyCounters> => {
    if (last === undefined || performance.now() - last.atMs > freshMs)
      last = { atMs: performance.now(), counters: sources.counters() }
    return last.counters
  }
  registry.counterFrom(
    'causeway_policy_rule_connections_total',
    `Connections that rules of policies have decided about, of policies that select pods of this node: by policy, direction, rule (its place) and action. At most ${mostRules} rules; policy "others" is the rest. Begins anew when the rules of the policy are written anew.`,
    async () => ruleSamples(sources.form(), await counters()),
  )
  registry.counterFrom(
    'causeway_policy_denied_packets_total',
    'Packets to and from pods of this node that policies denied (mode enforced), or would have denied (audit), by direction and namespace of the pod; without a namespace for pods that only ClusterNetworkPolicies select. Begins anew when pods get other policies.',
    async () => denialSamples(sources.form(), await counters()),
  )
  registry.counterFrom(
    'causeway_policy_refused_frames_total',
    'Frames of pods of this node that are refused since they would go round policies, by reason: foreign source addresses, and from or to pods with policies what no rule for IP sees.',
    async () => (await counters()).refused.map(({ why, packets }) => ({ labels: { reason: why }, value: packets })),
  )
  registry.counterFrom(
    'causeway_policy_denials_not_told_total',
    'Denied packets that came too fast to be named in the log and in "causeway policy denials".',
    () => [{ labels: {}, value: listener.notTold }],
  )
}
