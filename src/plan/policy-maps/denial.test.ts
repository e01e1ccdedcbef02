import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Denial, denialNumber, denialTextOf } from './denial.ts'

const isolatedBy = (...by: string[]): Denial => ({ kind: 'isolated', direction: 'ingress', by })

test('what denies the same has the same number, and is told in few words', () => {
  const one = isolatedBy('networkpolicy/shop/db')
  assert.equal(denialNumber(one), denialNumber(isolatedBy('networkpolicy/shop/db')))
  assert.equal(denialTextOf(denialNumber(one)), 'networkpolicy/shop/db ingress, none of its rules')
  const rule = { policy: 'clusternetworkpolicy/base', direction: 'egress', index: 2 } as const
  assert.equal(denialTextOf(denialNumber({ kind: 'rule', rule })), 'clusternetworkpolicy/base egress 2')
})

test('many policies that isolate a pod are told by some of them, and each of them counts', () => {
  const names = Array.from({ length: 1000 }, (_, index) => `networkpolicy/shop/p${index}`)
  const [all, less] = [isolatedBy(...names), isolatedBy(...names.slice(0, -1))]
  assert.notEqual(denialNumber(all), denialNumber(less))
  assert.equal(
    denialTextOf(denialNumber(all)),
    'networkpolicy/shop/p0, networkpolicy/shop/p1, networkpolicy/shop/p2 and 997 more ingress, none of their rules',
  )
})
