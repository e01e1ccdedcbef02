import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type RuleRef } from '#/policy/policy.ts'
import {
  classOfChain,
  denialPrefix,
  denyChain,
  policyChain,
  readDenialPrefix,
  ruleComment,
  ruleInPrefix,
  tierChain,
} from './names.ts'

const longRef: RuleRef = {
  policy: `networkpolicy/${'n'.repeat(63)}/${'p'.repeat(253)}`,
  direction: 'ingress',
  index: 117,
}
const id = '0123456789abcdef'

test('what tells of a denied packet is read back, and fits in the kernel', () => {
  const isolated = { direction: 'ingress', class: id, isAudited: false } as const
  const byRule = { direction: 'egress', class: id, isAudited: true, rule: ruleInPrefix(longRef) } as const
  for (const denial of [isolated, byRule]) {
    const prefix = denialPrefix(denial)
    assert.ok(prefix.length <= 127, prefix)
    assert.deepEqual(readDenialPrefix(prefix), denial)
  }
  assert.equal(denialPrefix(isolated), `causeway ingress ${id} denied`)
  for (const foreign of ['', 'IN=', 'causeway', 'causeway sideways x denied', `causeway ingress ${id} dropped`])
    assert.equal(readDenialPrefix(foreign), undefined)
})

test('a rule is called by its place, and a long name is cut so that rules stay apart', () => {
  assert.equal(
    ruleComment({ policy: 'networkpolicy/shop/db', direction: 'ingress', index: 0 }),
    'networkpolicy/shop/db ingress 0',
  )
  const comment = ruleComment(longRef)
  assert.ok(comment.length <= 96 && comment.endsWith(' ingress 117'), comment)
  assert.notEqual(comment, ruleComment({ ...longRef, policy: `${longRef.policy.slice(0, -1)}q` }))
})

test('a chain tells the class that it belongs to', () => {
  const ingress = { direction: 'ingress', id } as const
  assert.deepEqual(classOfChain(tierChain('ingress', id, 'Baseline')), ingress)
  assert.deepEqual(classOfChain(denyChain('ingress', id, id, 12)), ingress)
  assert.ok(denyChain('ingress', id, id, 99_999).length <= 64)
  for (const other of [policyChain(id), 'ingress', 'egress', 'neighbours']) assert.equal(classOfChain(other), undefined)
})
