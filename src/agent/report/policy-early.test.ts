import assert from 'node:assert/strict'
import { test } from 'node:test'
import { denialNumber } from '#/plan/policy-maps/denial.ts'
import { type Form } from '#/policy/form.ts'
import { withEarlyDenials } from './policy-early.ts'
import { sceneSources } from './testing/policy-scene.ts'

test('what programs denied counts as what the rule or the class denied, once', async () => {
  const plain = sceneSources()
  const ref = { policy: 'clusternetworkpolicy/a', direction: 'ingress', index: 0 } as const
  const rule = { ref, action: 'deny', peers: 'any', ports: 'any' } as const
  const admin = { id: 'p2', policy: ref.policy, tier: 'Admin', direction: 'ingress', rules: [rule] } as const
  const policies = { Admin: ['p2'], NetworkPolicy: ['p1'], Baseline: [] }
  const form: Form = {
    ...plain.form(),
    policies: new Map([...plain.form().policies, ['p2', admin]]),
    classes: new Map([
      ['audited', { id: 'audited', direction: 'ingress', policies, isAudited: true }],
      ['c1', { id: 'c1', direction: 'ingress', policies, isAudited: false }],
      ['c2', { id: 'c2', direction: 'ingress', policies, isAudited: false }],
    ]),
  }
  const isolated = denialNumber({ kind: 'isolated', direction: 'ingress', by: ['networkpolicy/db/only-api'] })
  const byRule = denialNumber({ kind: 'rule', rule: ref })
  const count = (number: number, packets: number) => ({ rule: number, packets, bytes: 60 * packets })
  const early = [count(isolated, 5), count(isolated, 2), count(byRule, 3), count(12345, 9)]
  const before = await plain.counters()
  assert.equal(withEarlyDenials(form, before, []), before)
  const { rules, denied, refused } = withEarlyDenials(form, before, early)
  assert.deepEqual(rules.slice(before.rules.length), [{ ref, class: 'c1', packets: 3, bytes: 180 }])
  assert.deepEqual(
    denied.slice(before.denied.length).map((each) => `${each.class} ${each.packets}`),
    ['c1 7', 'c1 3'],
  )
  assert.equal(refused, before.refused)
})
