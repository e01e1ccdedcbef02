import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { standingCIDRs } from './claims.ts'

const node = (name: string, ...cidrs: string[]) => ({ name, podCIDRs: cidrs.map(Prefix.parse), addrs: [] })
const standing = (self: ReturnType<typeof node>, ...others: ReturnType<typeof node>[]): string =>
  standingCIDRs(self, others).join(' ')

test('a pod CIDR stands unless another node has the better claim to it', () => {
  const two = node('node-2', '10.244.2.0/24', 'fd10::/64')
  assert.equal(standing(two), '10.244.2.0/24 fd10::/64')
  assert.equal(standing(two, two, node('node-1', '10.244.1.0/24')), '10.244.2.0/24 fd10::/64')
  assert.equal(standing(two, two, node('node-1', '10.244.2.0/24')), 'fd10::/64')
  assert.equal(standing(two, node('node-3', '10.244.2.0/24')), '10.244.2.0/24 fd10::/64')
  assert.equal(standing(two, node('node-3', '10.244.0.0/16')), 'fd10::/64')
})
