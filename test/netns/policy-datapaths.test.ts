// The policy tables beside both datapaths, and while one takes the place of the other: what was allowed goes on, what is denied stays out.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { findLink } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Addr, families } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { changeOf, tcp, TestForm } from '#/plan/policy/testing/form.ts'
import { PolicyTables } from '#/reconcile/policy/policy-tables.ts'
import { EbpfNode, Flow } from './ebpf-node.ts'
import { dropInvalid, invalidPackets } from './invalid-packets.ts'
import { connects } from './policy/connects.ts'
import { addrOf } from './policy/table-node.ts'

for (const brNetfilter of [0, 1])
  test(`policies hold while the datapath changes, br_netfilter ${brNetfilter ? 'on' : 'off'}`, async () => {
    await using node = new EbpfNode()
    for (const name of ['iptables', 'ip6tables'])
      node.host.sh(`sysctl -qw net.bridge.bridge-nf-call-${name}=${brNetfilter}`)
    node.wanted = 'bridge'
    await node.settle()
    const [one, two, three] = [node.add('one'), node.add('two'), node.add('three')]
    using netlink = new Netlink()
    using tables = new PolicyTables({ log: silent, bridgeMac: () => findLink(netlink, 'cw-br0')?.mac })
    const form = new TestForm()
      .pods('one', addrOf(4, 2), addrOf(6, 2))
      .policy('p1', 'NetworkPolicy', 'ingress', { peers: ['one'], ports: tcp([7000, 7009]) })
      .class('c1', 'ingress', ['p1'])
      .local(node.deviceOf('one'), [addrOf(4, 2), addrOf(6, 2)], {})
      .local(node.deviceOf('two'), [addrOf(4, 3), addrOf(6, 3)], { ingress: 'c1' })
      .local(node.deviceOf('three'), [addrOf(4, 4), addrOf(6, 4)], {})
    const ports = new Map([...form.locals].map(([device, { addrs }]) => [device, addrs]))
    const facts = { hasPolicies: true, ports, changedPorts: new Set<string>() }
    const judge = async (stage: string): Promise<void> => {
      for (const family of families) {
        const dst = Addr.parse(addrOf(family, 3))
        for (const [from, port, isExpected] of [
          [one, 7005, true],
          [three, 7005, false],
          [one, 7010, false],
        ] as const)
          assert.equal(await connects(from, two, { dst, port, isExpected }), isExpected, `${stage}, IPv${family}`)
      }
    }
    // connections that were open before there was any policy
    const open = await Promise.all(families.map((family) => Flow.start(one, two, addrOf(family, 3), 7000 + family)))
    await using stack = new AsyncDisposableStack()
    for (const flow of open) stack.use(flow)
    await tables.compare(form, facts)
    assert.deepEqual(await tables.differences(form, facts), [])
    dropInvalid(node.host)
    await judge('bridge')
    for (const round of [1, 2]) {
      node.wanted = 'ebpf'
      await node.settle()
      await judge(`ebpf, round ${round}`)
      await sleep(200)
      assert.ok(node.packets('one', 'from_pod_local') > 30, `carried in round ${round}`)
      node.wanted = 'bridge'
      await node.settle()
      await judge(`bridge, round ${round}`)
    }
    for (const flow of open) {
      const { slowestMs } = await flow.end()
      assert.ok(slowestMs < 1000, `${slowestMs} ms`)
    }
    assert.equal(invalidPackets(node.host), 0)
    assert.deepEqual(await tables.differences(form, facts), [])
    tables.apply(form, changeOf({}), { ...facts, hasPolicies: false })
    assert.equal(tables.existsInKernel(), false)
  })
