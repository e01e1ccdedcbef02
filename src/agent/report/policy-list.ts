// The report of the policies of the cluster and of what selects the pods of this node.
import { setImmediate as immediate } from 'node:timers/promises'
import { type ListedPod, type ListedPolicy, type PolicyListReport } from '#/api/schemas/policy.ts'
import { type PolicyCounters } from '#/plan/policy/counters.ts'
import { type ClassForm, type Form, type LocalPodForm } from '#/policy/form.ts'
import { matchesPod } from '#/policy/match.ts'
import { type PolicyPod } from '#/policy/cluster.ts'
import {
  type Direction,
  directions,
  type Policy,
  type PolicyReading,
  type RuleRef,
  ruleRefText,
  tiers,
} from '#/policy/policy.ts'
import { podMatchText, ruleText } from '#/policy/rule-text.ts'
import { type PolicySources } from './policy-sources.ts'

/** How many pods are looked at, or policies put in words, before the event loop gets a turn: some 2 ms. */
const podsPerTurn = 2_000
const policiesPerTurn = 50

/** The pods that a policy can mean, by namespace: most policies are of one. */
type Pods = ReadonlyMap<string, readonly PolicyPod[]>

/** How many pods each policy selects, in turns of the event loop. */
async function selected(sources: PolicySources, pods: Pods): Promise<ReadonlyMap<string, readonly PolicyPod[]>> {
  const { view } = sources
  const found = new Map<string, readonly PolicyPod[]>()
  let asked = 0
  for (const { key, subject } of Array.from(view.policies.values())) {
    const { namespaces } = subject
    const candidates = namespaces.kind === 'name' ? [pods.get(namespaces.name) ?? []] : [...pods.values()]
    const matching: PolicyPod[] = []
    for (const ofNamespace of candidates) {
      for (const pod of ofNamespace) if (matchesPod(subject, pod, view.namespaces)) matching.push(pod)
      asked += ofNamespace.length
      if (asked < podsPerTurn) continue
      asked = 0
      await immediate()
    }
    found.set(key, matching)
  }
  return found
}

/** The sum over all rules of the kernel that stand for one rule of a policy. */
function connectionsByRule({ rules }: PolicyCounters): ReadonlyMap<string, number> {
  const sums = new Map<string, number>()
  for (const { ref, packets } of rules) sums.set(ruleRefText(ref), (sums.get(ruleRefText(ref)) ?? 0) + packets)
  return sums
}

function listedRules(policy: Policy, connections: ReadonlyMap<string, number>): ListedPolicy['rules'] {
  return directions.flatMap((direction) =>
    (policy.rules[direction] ?? []).map((rule) => {
      const ref: RuleRef = { policy: policy.key, direction, index: rule.index }
      const counted = connections.get(ruleRefText(ref))
      return {
        direction,
        index: rule.index,
        ...(rule.name !== undefined && { name: rule.name }),
        action: rule.action,
        text: ruleText(rule),
        ...(counted !== undefined && { connections: counted }),
      }
    }),
  )
}

function listedPolicy(
  key: string,
  { policy, faults }: PolicyReading,
  {
    pods,
    nodeName,
    connections,
  }: {
    readonly pods: readonly PolicyPod[]
    readonly nodeName: string
    readonly connections: ReadonlyMap<string, number>
  },
): ListedPolicy {
  return {
    policy: key,
    ...(policy && { tier: policy.tier }),
    ...(policy && policy.tier !== 'NetworkPolicy' && { priority: policy.priority }),
    subject: policy === undefined ? 'nothing of it can be enforced' : podMatchText(policy.subject),
    pods: pods.length,
    podsHere: pods.filter(({ node }) => node === nodeName).length,
    rules: policy === undefined ? [] : listedRules(policy, connections),
    faults,
  }
}

function podDirection(form: Form, { id, policies, isAudited, direction }: ClassForm, counters: PolicyCounters) {
  const counted = counters.denied.filter((each) => each.class === id && each.direction === direction)
  return {
    policies: tiers.flatMap((tier) => policies[tier]).map((each) => form.policies.get(each)?.policy ?? each),
    class: id,
    isAudited,
    ...(counted.length > 0 && { denied: counted.reduce((sum, { packets }) => sum + packets, 0) }),
  }
}

function listedPod(form: Form, local: LocalPodForm, counters: PolicyCounters): ListedPod {
  const of = (direction: Direction): ReturnType<typeof podDirection> | undefined => {
    const id = local[direction]
    const found = id === undefined ? undefined : form.classes.get(id)
    return found && podDirection(form, found, counters)
  }
  const [ingress, egress] = [of('ingress'), of('egress')]
  return { pod: local.pod, addrs: local.addrs.map(String), ...(ingress && { ingress }), ...(egress && { egress }) }
}

const place = ({ tier }: ListedPolicy): number => (tier === undefined ? tiers.length : tiers.indexOf(tier))

/** In the order of evaluation. */
function byEvaluation(one: ListedPolicy, other: ListedPolicy): number {
  return (
    place(one) - place(other) ||
    (one.priority ?? 0) - (other.priority ?? 0) ||
    (one.policy < other.policy ? -1 : one.policy > other.policy ? 1 : 0)
  )
}

/** Rejects with KernelError. */
export async function policyListOf(sources: PolicySources): Promise<PolicyListReport> {
  const { view, nodeName } = sources
  const counters = await sources.counters()
  const pods = Map.groupBy(view.pods.values(), ({ namespace }) => namespace)
  const selecting = await selected(sources, pods)
  const connections = connectionsByRule(counters)
  const policies: ListedPolicy[] = []
  for (const [key, reading] of Array.from(sources.readings())) {
    policies.push(listedPolicy(key, reading, { pods: selecting.get(key) ?? [], nodeName, connections }))
    if (policies.length % policiesPerTurn === 0) await immediate()
  }
  const form = sources.form()
  return {
    node: nodeName,
    state: sources.state(),
    policies: policies.sort(byEvaluation),
    pods: [...form.locals.values()].map((local) => listedPod(form, local, counters)),
    auditedNamespaces: [...view.namespaces.values()].flatMap(({ name, isAudited }) => (isAudited ? [name] : [])).sort(),
    refused: counters.refused.flatMap(({ why, packets }) => (packets > 0 ? [{ why, packets }] : [])),
  }
}
