// Metrics of what network policy keeps in the kernel, and how soon. Those of single policies are in another file.
import { setImmediate } from 'node:timers/promises'
import { type Registry, type Sample } from '#/lib/metrics.ts'
import { type PolicyKeeper } from '../policy/keeper.ts'
import { type PolicyPart } from '../policy-part.ts'

const applyBounds = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]
const eventBounds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5]

const alone = (value: number): Sample[] => [{ labels: {}, value }]

export type PolicyStateSources = Pick<PolicyPart, 'form' | 'view' | 'endedConnections'> & {
  readonly keeper: Pick<PolicyKeeper, 'isLevel' | 'applied'>
}

export function registerPolicyStateMetrics(registry: Registry, policy: PolicyStateSources): void {
  registry.gauge('causeway_policy_policies', 'Network policies of the cluster, by what they do on this node.', () => {
    const selecting = new Set([...policy.form.policies.values()].map((each) => each.policy)).size
    return [
      { labels: { selects: 'pods of this node' }, value: selecting },
      { labels: { selects: 'none of them' }, value: policy.view.policies.size - selecting },
    ]
  })
  registry.gauge(
    'causeway_policy_classes',
    'Pods of this node with the same policies are a class: how many there are, by direction.',
    () => {
      const counts = { ingress: 0, egress: 0 }
      for (const { direction } of policy.form.classes.values()) counts[direction]++
      return Object.entries(counts).map(([direction, value]) => ({ labels: { direction }, value }))
    },
  )
  registry.gauge('causeway_policy_sets', 'Sets of peers and of named ports that rules of this node look into.', () =>
    alone(policy.form.peerSets.size + policy.form.namedPortSets.size),
  )
  registry.gauge(
    'causeway_policy_elements',
    'Elements of these sets: addresses, address blocks and ports.',
    async () => {
      let count = 0
      for (const size of policy.view.setSizes()) {
        count += size
        // a set may have ten thousand, which are counted at the first scrape
        await setImmediate()
      }
      return alone(count)
    },
  )
  registry.gauge('causeway_policy_enforced', '1 while the kernel has all that is known of policies.', () =>
    alone(policy.keeper.isLevel ? 1 : 0),
  )
  registry.counterFrom(
    'causeway_policy_connections_ended_total',
    'Running connections that were ended because policies have come to deny them.',
    () => alone(policy.endedConnections),
  )
  const applies = registry.histogram(
    'causeway_policy_apply_duration_seconds',
    'How long changes of policies took to be written to the kernel.',
    applyBounds,
  )
  const events = registry.histogram(
    'causeway_policy_event_duration_seconds',
    'From the event about a changed pod, namespace or policy until the kernel has what it asks for.',
    eventBounds,
  )
  policy.keeper.applied.subscribe(({ durationMs, sinceEventMs }) => {
    applies.observe({}, durationMs / 1000)
    if (sinceEventMs !== undefined) events.observe({}, sinceEventMs / 1000)
  })
}
