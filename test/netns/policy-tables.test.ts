// The policy tables in the kernel, with real packets: pods of one node over its bridge, and between nodes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { changeBetween } from '#/plan/policy/testing/changes.ts'
import { changeOf, tcp, TestForm } from '#/plan/policy/testing/form.ts'
import { randomForm } from '#/plan/policy/testing/random-form.ts'
import { type PolicyFacts } from '#/reconcile/policy/policy-sink.ts'
import { PolicyTables } from '#/reconcile/policy/policy-tables.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Addr, families, type Family } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { closeFd } from '#/sys/libc.ts'
import { bindTo, socketAddress, startConnect, tcpListener, tcpSocket } from '#/sys/socket.ts'
import { connects } from './policy/connects.ts'
import { addrOf, bridgeMac, TableNode, type TestPod } from './policy/table-node.ts'

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

test('when the first pod with an address of another family comes, rules have that family too', async () => {
  using node = isolated()
  const a = node.add(2, { ingress: 'c1' })
  const [b, c] = [node.add(3), node.add(4)]
  node.form.families.delete(6)
  node.form.local(a.device, [addrOf(4, 2)], { ingress: 'c1' })
  await node.settle()
  assert.doesNotMatch(node.nft('list table inet causeway-policy'), /peers6|in6/)
  const cell = (family: Family, from: TestPod) => node.arrives({ family, from, to: a, port: 80 })
  assert.deepEqual([await cell(4, b), await cell(4, c)], [true, false])
  node.form.families.add(6)
  node.form.local(a.device, [addrOf(4, 2), addrOf(6, 2)], { ingress: 'c1' })
  node.apply({ newFamilies: new Set([6]), locals: node.form.locals })
  assert.deepEqual([await cell(6, b), await cell(6, c)], [true, false])
  assert.deepEqual(await node.settle(), [])
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
      const call = async (from: TestPod, to: TestPod, isExpected: boolean): Promise<void> => {
        const service = { dst: Addr.parse(dst), port: 8080, listenPort: 80, isExpected }
        assert.equal(
          await connects(from.netns, to.netns, service),
          isExpected,
          `${from.number} to ${to.number}, IPv${family}`,
        )
      }
      await call(b, a, true)
      await call(c, a, false)
      await call(node.other, a, false)
      await call(a, a, true)
      node.nft(`delete table ${family === 4 ? 'ip' : 'ip6'} proxy`)
      serve(node, family, dst, b)
      await call(a, b, true)
      node.nft(`delete table ${family === 4 ? 'ip' : 'ip6'} proxy`)
      serve(node, family, dst, c)
      await call(a, c, false)
      node.nft(`delete table ${family === 4 ? 'ip' : 'ip6'} proxy`)
    }
  })

test('changes by element leave in the kernel what a new table would have', { timeout: 120_000 }, async () => {
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
    { numRuns: 25 },
  )
})

test('the tiers of ClusterNetworkPolicies, audit, and a pod that calls itself', async () => {
  using node = new TableNode()
  node.form
    .pods('b', addrOf(4, 3), addrOf(6, 3))
    .pods('c', addrOf(4, 4), addrOf(6, 4))
    .policy(
      'a1',
      'Admin',
      'ingress',
      { peers: ['b'], ports: tcp(80) },
      { action: 'pass', peers: ['c'] },
      { action: 'deny' },
    )
    .policy('p1', 'NetworkPolicy', 'ingress', { peers: ['c'], ports: tcp(81) })
    .policy('b1', 'Baseline', 'egress', { action: 'deny', ports: tcp(82) })
    .class('c1', 'ingress', ['a1', 'p1'])
    .class('c1a', 'ingress', ['a1', 'p1'], true)
    .class('c2', 'egress', ['b1'])
  const [a, d] = [node.add(2, { ingress: 'c1' }), node.add(5, { ingress: 'c1a' })]
  const [b, c] = [node.add(3), node.add(4, { egress: 'c2' })]
  await node.settle()
  for (const family of families) {
    const cells = async (from: TestPod, to: TestPod): Promise<boolean[]> => {
      const arrived: boolean[] = []
      for (const port of [80, 81, 82]) arrived.push(await node.arrives({ family, from, to, port }))
      return arrived
    }
    assert.deepEqual(await cells(b, a), [true, false, false])
    assert.deepEqual(await cells(c, a), [false, true, false])
    assert.deepEqual(await cells(node.other, a), [false, false, false])
    // what c may not send is dropped there, whatever d takes
    assert.deepEqual(await cells(c, d), [true, true, false])
    assert.deepEqual(await cells(node.other, d), [true, true, true])
  }
  const { rules, denied } = await node.tables.readCounters(node.form)
  const count = (policy: string, index: number, one: string): number | undefined =>
    rules.find(({ ref, class: id }) => ref.policy === policy && ref.index === index && id === one)?.packets
  assert.equal(count('clusternetworkpolicy/a1', 0, 'c1'), 2)
  assert.equal(count('clusternetworkpolicy/a1', 2, 'c1'), 10)
  assert.equal(count('clusternetworkpolicy/b1', 0, 'c2'), 4)
  assert.equal(rules.find(({ ref }) => ref.policy === 'networkpolicy/x/p1')?.packets, 4)
  const told = denied.map(({ class: id, isAudited, packets }) => [id, isAudited, packets])
  assert.deepEqual(new Set(told.map(String)), new Set(['c1,false,12', 'c1a,true,8', 'c2,false,4']))
})

test('a pod comes and goes by element, and counters of all others go on', async () => {
  using node = isolated()
  const a = node.add(2, { ingress: 'c1' })
  const b = node.add(3)
  await node.settle()
  assert.equal(await node.arrives({ family: 4, from: b, to: a }), true)
  const late = node.add(6, { ingress: 'c1' })
  // before its addresses are known it sends and receives nothing that it should not
  assert.equal(await node.arrives({ family: 4, from: late, to: b }), false)
  node.apply({ locals: new Map([[late.device, node.form.locals.get(late.device)]]) })
  assert.equal(await node.arrives({ family: 4, from: late, to: b }), true)
  assert.equal(await node.arrives({ family: 4, from: a, to: late }), false)
  assert.equal(await node.arrives({ family: 4, from: b, to: late }), true)
  node.form.locals.delete(late.device)
  node.ports.delete(late.device)
  node.tables.apply(node.form, changeOf({ locals: new Map([[late.device, undefined]]) }), {
    ...node.facts,
    changedPorts: new Set([late.device]),
  })
  assert.doesNotMatch(node.nft('list ruleset'), /10\.244\.1\.6/)
  const { rules } = await node.tables.readCounters(node.form)
  assert.deepEqual([rules.length, rules[0]!.packets], [1, 2])
  assert.deepEqual([await node.tables.differences(node.form, node.facts), node.warnings], [[], []])
})

test('what others do to the tables is mended: by the next change, or by a comparison that keeps counters', async () => {
  using node = isolated()
  const a = node.add(2, { ingress: 'c1' })
  const [b, c] = [node.add(3), node.add(4)]
  await node.settle()
  const cells = async (): Promise<boolean[]> => [
    await node.arrives({ family: 4, from: b, to: a }),
    await node.arrives({ family: 4, from: c, to: a }),
  ]
  assert.deepEqual(await cells(), [true, false])
  node.nft('insert rule inet causeway-policy in-c1 accept')
  node.nft(`delete element inet causeway-policy peers4-b '{ ${addrOf(4, 3)} }'`)
  node.nft('add element bridge causeway-policy sources4 \'{ "cwv00000000004" . 10.244.1.3 }\'')
  assert.deepEqual((await node.settle()).toSorted(), [
    'table bridge causeway-policy: set sources4 has what is not ours: "cwv00000000004" . 10.244.1.3',
    'table inet causeway-policy: chain in-c1 has other rules',
    'table inet causeway-policy: set peers4-b lacks 10.244.1.3',
  ])
  assert.deepEqual(await cells(), [true, false])
  const { rules } = await node.tables.readCounters(node.form)
  assert.deepEqual(
    rules.map(({ packets }) => packets),
    [2],
  )

  node.nft('flush ruleset')
  const d = node.add(6, { ingress: 'c1' })
  node.apply({ locals: new Map([[d.device, node.form.locals.get(d.device)]]) })
  assert.equal(node.warnings.length, 2)
  assert.deepEqual(await node.tables.differences(node.form, node.facts), [])
  assert.deepEqual(await cells(), [true, false])

  node.nft('flush ruleset')
  assert.deepEqual(await node.settle(), ['table inet causeway-policy missing', 'table bridge causeway-policy missing'])
  assert.deepEqual(await cells(), [true, false])
})

test('to take a pod out before the form is known takes as many transactions as the pod has elements', async (t) => {
  using node = isolated()
  for (let count = 0; count < 50; count++) node.form.class(`a${count}`, 'ingress', ['p1'])
  const a = node.add(2, { ingress: 'c1' })
  await node.settle()
  const { mock } = t.mock.method(Netlink.prototype, 'transact')
  node.tables.dropLocal(a.device, node.form.locals.get(a.device)!.addrs)
  // of each direction or family: policed devices and addresses, sources, itself, and the class
  assert.equal(mock.callCount(), 10)
  assert.doesNotMatch(node.nft('list ruleset'), /10\.244\.1\.2|fd10:244:0:1::2/)
})

test('a pod that goes before the form is known is taken out, and what goes last are the tables', async () => {
  using node = isolated()
  const a = node.add(2, { ingress: 'c1' })
  await node.settle()
  using next = new PolicyTables({ log: silent, bridgeMac: () => bridgeMac, netns: node.host.netns })
  assert.equal(next.existsInKernel(), true)
  const { addrs } = node.form.locals.get(a.device)!
  next.dropLocal(a.device, addrs)
  next.dropLocal(a.device, addrs)
  assert.doesNotMatch(node.nft('list ruleset'), /10\.244\.1\.2|fd10:244:0:1::2/)
  next.apply(node.form, changeOf({}), { ...node.facts, hasPolicies: false })
  assert.equal(next.existsInKernel(), false)
  assert.deepEqual(next.objects, [])
  next.dropLocal(a.device, addrs)
})

test('a comparison goes on under changes all the time, and changes none of them', { timeout: 120_000 }, async () => {
  using node = isolated()
  const a = node.add(2, { ingress: 'c1' })
  const b = node.add(3)
  await node.settle()
  const members = node.form.members.get('b')!
  let changes = 0
  const timer = setInterval(() => {
    const addr = Addr.parse(`10.9.${changes % 250}.1`)
    const isThere = members.delete(String(addr))
    if (!isThere) members.set(String(addr), addr)
    const change = isThere ? { added: [], removed: [addr] } : { added: [addr], removed: [] }
    node.apply({ members: new Map([['b', change]]) })
    changes++
  }, 1)
  try {
    assert.deepEqual(await node.tables.compare(node.form, node.facts), [])
  } finally {
    clearInterval(timer)
  }
  assert.ok(changes > 100)
  assert.deepEqual([await node.tables.differences(node.form, node.facts), node.warnings], [[], []])
  assert.equal(await node.arrives({ family: 4, from: b, to: a }), true)
})

test('a SYN opens a connection only where rules allow it, also from the port that was called', async () => {
  using node = isolated()
  const a = node.add(2, { ingress: 'c1' })
  const c = node.add(4)
  await node.settle()
  for (const family of families) {
    using stack = new DisposableStack()
    const keep = (pod: TestPod, open: () => number): number => stack.adopt(pod.netns.netns.run(open), closeFd)
    keep(c, () => tcpListener(family, 5000))
    const client = keep(a, () => tcpSocket(family))
    bindTo(client, Addr.parse(addrOf(family, 2)), 4000)
    startConnect(client, Addr.parse(addrOf(family, 4)), 5000)
    await eventually(() => isEstablished(client))
    assert.equal(await node.arrives({ family, from: c, to: a, sourcePort: 5000, port: 4000 }), false)
  }
})

function isEstablished(fd: number): boolean {
  try {
    return socketAddress(fd, 'remote') !== undefined
  } catch {
    return false
  }
}

async function eventually(isSo: () => boolean): Promise<void> {
  for (let waitedMs = 0; !isSo(); waitedMs += 5) {
    assert.ok(waitedMs < 3000)
    await sleep(5)
  }
}
