// The policy tables in the kernel, with real packets: pods of one node over its bridge, and between nodes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tcp } from '#/plan/policy/testing/form.ts'
import { families } from '#/lib/addr.ts'
import { addrOf, TableNode } from './policy/table-node.ts'

/** Pods a (2) and b (3): a may be reached by b at port 80, and by nobody else. */
function isolated(): TableNode {
  const node = new TableNode()
  node.form
    .pods('b', addrOf(4, 3), addrOf(6, 3))
    .policy('p1', 'NetworkPolicy', 'ingress', { peers: ['b'], ports: tcp(80) })
    .class('c1', 'ingress', ['p1'])
  return node
}

for (const brNetfilter of [false, true])
  test(`pods of one node and of another are kept apart, br_netfilter ${brNetfilter ? 'on' : 'off'}`, async () => {
    using node = isolated()
    node.brNetfilter = brNetfilter
    const a = node.add(2, { ingress: 'c1' })
    const [b, c] = [node.add(3), node.add(4)]
    assert.deepEqual(await node.settle(), [
      'table inet causeway-policy missing',
      'table bridge causeway-policy missing',
    ])
    for (const family of families) {
      const cell = (from: typeof a, to: typeof a, port: number) => node.arrives({ family, from, to, port })
      assert.equal(await cell(b, a, 80), true, `b to a, IPv${family}`)
      assert.equal(await cell(b, a, 81), false, `b to a at 81, IPv${family}`)
      assert.equal(await cell(c, a, 80), false, `c to a, IPv${family}`)
      assert.equal(await cell(a, c, 80), true, `a to c, IPv${family}`)
      assert.equal(await cell(b, c, 80), true, `b to c, IPv${family}`)
      assert.equal(await cell(node.other, a, 80), false, `other to a, IPv${family}`)
      assert.equal(await cell(node.other, b, 80), true, `other to b, IPv${family}`)
      assert.equal(await cell(a, node.other, 80), true, `a to other, IPv${family}`)
    }
  })
