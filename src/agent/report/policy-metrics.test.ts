import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#/cluster/clock.ts'
import { silent } from '#/lib/log.ts'
import { Registry } from '#/lib/metrics.ts'
import { type Form, type FormRule } from '#/policy/form.ts'
import { viewOf } from '#/policy/evaluate.ts'
import { PolicyDenials } from './policy-denials.ts'
import { DenialListener } from './policy-listener.ts'
import { registerPolicyMetrics } from './policy-metrics.ts'
import { type PolicySources } from './policy-sources.ts'
import { sceneCluster, sceneSources } from './testing/policy-scene.ts'

async function render(sources: PolicySources): Promise<string> {
  const registry = new Registry()
  const deps = { clock: systemClock, log: silent }
  const denials = new PolicyDenials({ view: () => viewOf(sceneCluster()), adopt: () => false, ...deps })
  registerPolicyMetrics(registry, sources, new DenialListener({ denials, listen: () => assert.fail(), ...deps }))
  return registry.render()
}

test('a thousand rules have samples of their own, the others one', async () => {
  const plain = sceneSources()
  const ref = (index: number) => ({ policy: 'clusternetworkpolicy/a', direction: 'egress', index }) as const
  const rules = Array.from({ length: 1500 }, (_, index): FormRule => ({
    ref: ref(index),
    action: 'deny',
    peers: 'any',
    ports: 'any',
  }))
  const policy = { id: 'p2', policy: 'clusternetworkpolicy/a', tier: 'Admin', direction: 'egress', rules } as const
  const form: Form = { ...plain.form(), policies: new Map([['p2', policy]]) }
  let reads = 0
  const counters: PolicySources['counters'] = async () => {
    reads++
    return {
      rules: rules.map((rule) => ({ ref: rule.ref, packets: 2, bytes: 0 })),
      denied: [
        { class: 'c9', direction: 'egress', isAudited: true, packets: 5, bytes: 0 },
        { class: 'c8', direction: 'egress', isAudited: true, packets: 6, bytes: 0 },
      ],
      refused: [],
    }
  }
  const text = await render({ ...plain, form: () => form, counters })
  assert.equal(text.match(/^causeway_policy_rule_connections_total\{policy="clusternetworkpolicy\/a"/gm)?.length, 1000)
  assert.match(text, /^causeway_policy_rule_connections_total\{policy="others",.*\} 1000$/m)
  assert.match(text, /^causeway_policy_denied_packets_total\{namespace="",direction="egress",mode="audit"\} 11$/m)
  assert.equal(reads, 1, 'the rules are read once for a scrape')
})
