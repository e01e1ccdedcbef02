import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { checkSpec, decodeSpec, encodeSpec, gatewaysOf, labNodes, type LabSpec, meshOf, nodeDatapaths } from './spec.ts'

const flat: LabSpec = {
  name: 'lab',
  nodes: 4,
  families: 'dual',
  clusterCIDRs: [Prefix.parse('10.244.0.0/16'), Prefix.parse('fd10:244::/48')],
  underlayMtuBytes: 1500,
  subnets: 1,
  routing: 'vxlan',
  datapath: 'bridge',
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

test('in a mixed lab every other node of each subnet has the bridge', () => {
  const names = (spec: LabSpec): string => [...nodeDatapaths(spec).values()].join(' ')
  assert.equal(names(flat), 'bridge bridge bridge bridge')
  assert.equal(names({ ...flat, datapath: 'ebpf' }), 'ebpf ebpf ebpf ebpf')
  assert.equal(names({ ...flat, datapath: 'mixed' }), 'ebpf bridge ebpf bridge')
  assert.equal(names({ ...racked, datapath: 'mixed' }), 'ebpf ebpf bridge bridge')
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

test('cluster CIDRs that cannot be are refused in one line, in both families', () => {
  const refusal = (families: LabSpec['families'], ...cidrs: string[]): string => {
    try {
      checkSpec({ ...flat, families, clusterCIDRs: cidrs.map(Prefix.parse) })
      return ''
    } catch (error) {
      return messageOf(error)
    }
  }
  assert.equal(refusal('dual', '10.0.0.0/16', 'fd00::/48'), '')
  assert.equal(
    refusal('ipv4', '127.0.0.0/8'),
    '--cluster-cidrs: 127.0.0.0/8 overlaps 127.0.0.0/8, loopback addresses: no pod can have one',
  )
  for (const cidr of ['0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/8', '240.0.0.0/8', '0.0.0.0/0', '126.0.0.0/7'])
    assert.match(refusal('ipv4', cidr), /: no pod can have one$/, cidr)
  for (const cidr of ['::/16', 'fe80::/32', 'ff00::/16', '::/0'])
    assert.match(refusal('ipv6', cidr), /: no pod can have one$/, cidr)
  assert.match(refusal('ipv4', '172.16.0.0/12'), /overlaps 172.30.0.0\/16, the underlay$/)
  assert.match(refusal('ipv6', 'fd30::/32'), /overlaps fd30::\/48, the underlay$/)
  assert.match(refusal('ipv4', '10.0.0.0/16', '10.0.4.0/22'), /10.0.4.0\/22 overlaps 10.0.0.0\/16$/)
  assert.match(refusal('ipv4', '10.0.0.0/23'), /holds 2 node CIDRs of \/24, too few for 4 nodes$/)
  assert.match(refusal('ipv6', 'fd00::/63'), /holds 2 node CIDRs of \/64, too few for 4 nodes$/)
  assert.match(refusal('ipv4', '10.0.0.0/25'), /is smaller than one node's \/24$/)
  assert.match(refusal('dual', '10.0.0.0/16'), /has no IPv6 CIDR/)
  assert.match(refusal('ipv4', '10.0.0.0/16', 'fd00::/48'), /does not fit a lab that is ipv4$/)
})

test('a spec reads back as it was written', () => {
  assert.deepEqual(decodeSpec(encodeSpec(racked)), racked)
  const { datapath: _, ...earlier } = flat
  assert.deepEqual(decodeSpec(encodeSpec(earlier as LabSpec)), flat)
})
