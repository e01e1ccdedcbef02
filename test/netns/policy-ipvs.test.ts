// What IPVS leads to a pod leaves the node's own stack with somebody else's source. A raw socket of the node sends the same, so that no IPVS is
// needed here; the real one is in test/kernels/policy.test.ts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NftClient } from '#/kernel/nftables.ts'
import { Addr, families } from '#/lib/addr.ts'
import { inetTable } from '#/plan/policy/inet-table.ts'
import { Prober } from '../policy/prober.ts'
import { AttackNode } from './policy/attack-node.ts'
import { addrOf } from './policy/table-node.ts'

const numbers = { node: 1, victim: 2, friend: 3, attacker: 4, silent: 5 } as const
type Name = keyof typeof numbers

test('what the node sends with the source of others passes the rules where IPVS is', async () => {
  using node = await AttackNode.create()
  using client = new NftClient(node.host.netns)
  const place = (name: 'victim' | 'friend') => ({
    name,
    netns: node[name].netns,
    device: 'eth0',
    addrs: families.map((family) => Addr.parse(addrOf(family, numbers[name]))),
  })
  using prober = new Prober().at([{ name: 'node', netns: node.host, addrs: [] }, place('victim'), place('friend')])
  const probes = (from: Name, to: 'victim' | 'friend') =>
    families.map((family) => ({
      from: 'node',
      to,
      src: Addr.parse(addrOf(family, numbers[from])),
      dst: Addr.parse(addrOf(family, numbers[to])),
      protocol: 'tcp' as const,
      port: 80,
    }))
  const arrives = (from: Name, to: 'victim' | 'friend') => prober.run(probes(from, to))
  // neighbours have to be known
  await arrives('node', 'victim')
  await arrives('node', 'friend')
  assert.deepEqual(await arrives('attacker', 'victim'), [true, true], 'past the hook forward')

  client.replaceTable(inetTable(node.form, [], { ipvs: true }))
  assert.deepEqual(await arrives('attacker', 'victim'), [false, false])
  assert.deepEqual(await arrives('silent', 'friend'), [false, false])
  assert.deepEqual(await arrives('friend', 'victim'), [true, true])
  assert.deepEqual(await arrives('attacker', 'friend'), [true, true])
  assert.deepEqual(await arrives('node', 'victim'), [true, true], 'from the node itself')

  assert.ok((await node.settle()).length > 0, 'without IPVS these chains go')
  assert.deepEqual(await arrives('attacker', 'victim'), [true, true])
})
