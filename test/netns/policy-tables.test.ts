// The policy tables in the kernel, with real packets: pods of one node over its bridge, and between nodes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { changeBetween } from '#/plan/policy/testing/changes.ts'
import { tcp, TestForm } from '#/plan/policy/testing/form.ts'
import { randomForm } from '#/plan/policy/testing/random-form.ts'
import { type PolicyFacts } from '#/reconcile/policy/policy-sink.ts'
import { families, type Family } from '#/lib/addr.ts'
import { addrOf, TableNode, type TestPod } from './policy/table-node.ts'

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

/** What a proxy does in the node for the Service at this address: to the pod, and with the node's own source where the pod calls itself. */
function serve(node: TableNode, family: Family, service: string, pod: TestPod): void {
  const ip = family === 4 ? 'ip' : 'ip6'
  const addr = addrOf(family, pod.number)
  const to = family === 4 ? `${addr}:80` : `[${addr}]:80`
  node.nft(`-f - <<'N'
table ${ip} proxy {
  chain pre { type nat hook prerouting priority -100; ${ip} daddr ${service} tcp dport 8080 dnat to ${to}
  }
  chain post { type nat hook postrouting priority 100; ${ip} saddr ${addr} ${ip} daddr ${addr} masquerade
  }
}
N`)
}

const services = { 4: '10.96.0.1', 6: 'fd10:96::1' } as const

for (const brNetfilter of [false, true])
  test(`policies are about the pod behind a Service, br_netfilter ${brNetfilter ? 'on' : 'off'}`, async () => {
    using node = new TableNode()
    node.brNetfilter = brNetfilter
    node.form
      .pods('b', addrOf(4, 3), addrOf(6, 3))
      .policy('p1', 'NetworkPolicy', 'ingress', { peers: ['b'], ports: tcp(80) })
      .policy('p2', 'NetworkPolicy', 'egress', { peers: ['b'], ports: tcp(80) })
      .class('c1', 'ingress', ['p1'])
      .class('c2', 'egress', ['p2'])
    const a = node.add(2, { ingress: 'c1', egress: 'c2' })
    const [b, c] = [node.add(3), node.add(4)]
    await node.settle()
    for (const family of families) {
      const dst = services[family]
      serve(node, family, dst, a)
      const call = (from: TestPod, to: TestPod) => node.connects({ family, from, to, dst, port: 8080 })
      assert.equal(await call(b, a), true, `b to a, IPv${family}`)
      assert.equal(await call(c, a), false, `c to a, IPv${family}`)
      assert.equal(await call(node.other, a), false, `other to a, IPv${family}`)
      assert.equal(await call(a, a), true, `a to itself, IPv${family}`)
      node.nft(`delete table ${family === 4 ? 'ip' : 'ip6'} proxy`)
      serve(node, family, dst, b)
      assert.equal(await call(a, b), true, `a to b, IPv${family}`)
      node.nft(`delete table ${family === 4 ? 'ip' : 'ip6'} proxy`)
      serve(node, family, dst, c)
      assert.equal(await call(a, c), false, `a to c, IPv${family}`)
      node.nft(`delete table ${family === 4 ? 'ip' : 'ip6'} proxy`)
    }
  })

test('changes by element leave in the kernel what a new table would have', { timeout: 60_000 }, async () => {
  using node = new TableNode()
  await fc.assert(
    fc.asyncProperty(fc.array(randomForm, { minLength: 2, maxLength: 5 }), async (forms) => {
      const facts: PolicyFacts = { hasPolicies: true, ports: new Map(), changedPorts: new Set() }
      let before: TestForm = new TestForm()
      await node.tables.compare(before, facts)
      for (const form of forms) {
        node.tables.apply(form, changeBetween(before, form), facts)
        assert.deepEqual(await node.tables.differences(form, facts), [])
        assert.deepEqual(node.warnings, [])
        before = form
      }
    }),
    { numRuns: 40 },
  )
})
