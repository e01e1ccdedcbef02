import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { checkSpec, decodeSpec, encodeSpec, gatewaysOf, labNodes, type LabSpec, meshOf } from './spec.ts'

const flat: LabSpec = {
  name: 'lab',
  nodes: 4,
  families: 'dual',
  clusterCIDRs: [Prefix.parse('10.244.0.0/16'), Prefix.parse('fd10:244::/48')],
  underlayMtuBytes: 1500,
  subnets: 1,
  routing: 'vxlan',
  podsPerNode: 1,
}
const racked: LabSpec = {
  ...flat,
  subnets: 2,
  racks: { count: 2, tors: 2, router: 'bird', nodeAsns: 'one', bfd: false },
}

test('nodes are dealt to the racks in turn, and the routers of the rack are their gateways', () => {
  assert.deepEqual(
    labNodes(racked).map(({ name, rack, addrs }) => [name, rack, ...addrs.map(String)]),
    [
      ['node-1', 1, '172.30.1.11', 'fd30:0:0:1::b'],
      ['node-2', 2, '172.30.2.12', 'fd30:0:0:2::c'],
      ['node-3', 1, '172.30.1.13', 'fd30:0:0:1::d'],
      ['node-4', 2, '172.30.2.14', 'fd30:0:0:2::e'],
    ],
  )
  assert.deepEqual(gatewaysOf(racked, 4, 2).map(String), ['172.30.2.1', '172.30.2.2'])
  assert.deepEqual(gatewaysOf(flat, 6, 1).map(String), ['fd30:0:0:1::1'])
  assert.equal(labNodes(flat)[0]!.rack, undefined)
})

test('there is a mesh where native routing without racks needs one, or where the spec asks for it', () => {
  assert.equal(meshOf(flat), 'none')
  assert.equal(meshOf({ ...flat, routing: 'native' }), 'auto')
  assert.equal(meshOf({ ...racked, routing: 'native' }), 'none')
  assert.equal(meshOf({ ...racked, mesh: 'full' }), 'full')
})

test('a spec that cannot work is refused in one line', () => {
  checkSpec(flat)
  checkSpec(racked)
  checkSpec({ ...racked, routing: 'native' })
  checkSpec({ ...flat, routing: 'native' })
  checkSpec({ ...flat, subnets: 2, routing: 'auto' })
  assert.throws(() => checkSpec({ ...flat, subnets: 2, routing: 'native' }), /knows no pods/)
  assert.throws(() => checkSpec({ ...racked, racks: { ...racked.racks!, count: 51 } }), /--racks 51: .* from 1 to 50/)
  assert.throws(() => checkSpec({ ...racked, racks: { ...racked.racks!, tors: 3 } }), /--tors 3: .* from 1 to 2/)
})

test('a spec reads back as it was written', () => {
  assert.deepEqual(decodeSpec(encodeSpec(racked)), racked)
})
