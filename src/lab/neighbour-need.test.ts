import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { defaultClusterCIDRs, type LabSpec } from './spec.ts'
import { neededNeighbours, neighbourWarning } from './neighbour-need.ts'

const spec = (some: Partial<LabSpec>): LabSpec => ({
  name: 'lab',
  nodes: 50,
  families: 'ipv4',
  clusterCIDRs: [Prefix.parse(defaultClusterCIDRs[4])],
  underlayMtuBytes: 1500,
  subnets: 1,
  routing: 'vxlan',
  datapath: 'bridge',
  podsPerNode: 1,
  ...some,
})
const tables = [
  { family: 4, name: 'arp_cache', entries: 5, most: 1024 },
  { family: 6, name: 'ndisc_cache', entries: 5, most: 1024 },
] as const

test('nodes of one link need entries for each other, for the router and for pods', () => {
  assert.equal(neededNeighbours(spec({ nodes: 1, podsPerNode: 0 }), 4), 2)
  assert.equal(neededNeighbours(spec({ nodes: 3, podsPerNode: 2 }), 4), 3 * 2 + 2 * 3 + 2 * 6)
  assert.equal(neededNeighbours(spec({}), 4), 50 * 49 + 2 * 50 + 2 * 50)
})

test('subnets and racks divide what is needed', () => {
  assert.equal(neededNeighbours(spec({ subnets: 10, podsPerNode: 0 }), 4), 10 * (5 * 4 + 2 * 5))
  const racks = { count: 10, tors: 2, router: 'bird', nodeAsns: 'one', bfd: false } as const
  assert.equal(neededNeighbours(spec({ subnets: 10, racks, podsPerNode: 0 }), 4), 10 * (5 * 4 + 2 * 5 * 2))
})

test('a lab that does not fit is told with the command that makes room for it, for its families alone', () => {
  assert.equal(
    neighbourWarning(spec({}), tables),
    'the table of neighbours, one for all nodes on this kernel, has room for 1024 entries of IPv4, of which the lab needs about 2650: packets will be lost (CW8107) until somebody runs on the host: sysctl -w net.ipv4.neigh.default.gc_thresh3=8192 net.ipv4.neigh.default.gc_thresh2=4096 net.ipv4.neigh.default.gc_thresh1=2048',
  )
  assert.match(neighbourWarning(spec({ families: 'dual' }), tables) ?? '', /IPv4.*IPv6.*net\.ipv4\..*net\.ipv6\./)
  assert.equal(neighbourWarning(spec({ nodes: 30 }), tables), undefined)
  assert.equal(neighbourWarning(spec({ subnets: 10 }), tables), undefined)
  assert.equal(neighbourWarning(spec({}), []), undefined, 'a kernel that does not tell')
})
