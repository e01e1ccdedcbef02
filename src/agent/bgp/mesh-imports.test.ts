// A node that was broken into, among nodes that the plan has configured and a RIB that decides: whose packets it can get.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RibRig } from '#/bgp/rib/testing/rib-rig.ts'
import { Prefix } from '#/lib/addr.ts'
import { type SpeakerConfig } from '#/model/bgp.ts'
import { type BgpMember } from '#/plan/bgp-member.ts'
import { configOf, configurationOf, member, members, peer, planFor } from '#/plan/testing/bgp-scene.ts'

type Configuration = ReturnType<typeof configurationOf>

const configFor = (nodes: readonly BgpMember[], configuration: Configuration = configurationOf()): SpeakerConfig =>
  configOf(planFor(nodes[0]!, nodes, { configuration }))

const upTo = (rig: RibRig, n: number) =>
  rig.up(`node/node-${n}`, { asn: 64_512, addr: `172.30.0.${n}`, localAddr: '172.30.0.1' })

const nextHops = (rig: RibRig): Record<string, string> =>
  Object.fromEntries(
    [...rig.routes].map(([prefix, { nextHops: hops }]) => [prefix, hops.map(({ addr }) => addr).join()]),
  )

const own = (n: number): string[] => member(n).podCIDRs.map(String)

/** All of a cluster, parts of it, what is around it, and what nobody has. */
const tempting = [
  ...[2, 3, 4].flatMap(own),
  '10.244.3.0/25',
  '10.244.3.7/32',
  '10.244.2.128/25',
  '10.244.2.0/23',
  '10.244.0.0/16',
  '10.244.99.0/24',
  'fd10:244:0:3::/65',
  'fd10:244::/48',
  '0.0.0.0/0',
]

test('a node that announces everything gets the packets for its own pods alone, and everything else says why', () => {
  const nodes = members(4)
  const rig = new RibRig(configFor(nodes))
  rig.announce(upTo(rig, 3), own(3))
  rig.announce(upTo(rig, 2), tempting, { localPreference: 1000 })
  rig.settle()
  assert.deepEqual(nextHops(rig), {
    '10.244.2.0/24': '172.30.0.2',
    'fd10:244:0:2::/64': '172.30.0.2',
    '10.244.3.0/24': '172.30.0.3',
    'fd10:244:0:3::/64': '172.30.0.3',
  })
  const why =
    'import policy: it is no pod CIDR that the Node object of node-2 owns, and node-2 is no route reflector of this node'
  for (const prefix of tempting.filter((each) => !own(2).includes(each)))
    assert.ok(rig.reasons({ prefix }).includes(`node/node-2: ${why}`), prefix)
})

test('what a router tells one node, within its limit, reaches no other node and no limit there', () => {
  const nodes = members(3)
  const tor = peer('tor', {
    peerAddress: '192.0.2.254',
    peerASN: 65_001,
    importPolicy: { rules: [{ match: { prefixes: [{ cidr: '20.0.0.0/8', maxLength: 32 }] } }] },
  })
  const rig = new RibRig(configOf(planFor(nodes[0]!, nodes, { peers: [tor] })))
  const two = upTo(rig, 2)
  const router = rig.up('tor', { asn: 65_001, addr: '192.0.2.254', localAddr: '172.30.0.1' })
  const many = Array.from({ length: 12_000 }, (_, n) => `20.${n >> 8}.${n & 255}.0/24`)
  rig.announce(router, many, { asPath: [{ kind: 'sequence', asns: [65_001] }] })
  rig.settle()
  assert.equal(rig.routes.size, many.length)
  assert.deepEqual(
    two.prefixes.filter((prefix) => prefix.startsWith('20.')),
    [],
  )
  assert.ok(two.prefixes.includes('10.244.1.0/24'))
})

test('Node objects that change decide anew on what was received, and no session notices', () => {
  const nodes = members(3)
  const rig = new RibRig(configFor(nodes))
  const two = upTo(rig, 2)
  rig.announce(two, [...own(2), '192.168.7.0/24', '10.244.3.0/24'])
  rig.settle()
  assert.deepEqual(Object.keys(nextHops(rig)).toSorted(), own(2).toSorted())
  const told = (changed: readonly BgpMember[]): string[] => {
    rig.configure(configFor(changed))
    rig.settle()
    return Object.keys(nextHops(rig)).toSorted()
  }
  const extra = { ...member(2), podCIDRs: [...member(2).podCIDRs, Prefix.parse('192.168.7.0/24')] }
  assert.deepEqual(told([nodes[0]!, extra, nodes[2]!]), [...own(2), '192.168.7.0/24'].toSorted())
  // the other node has gone, and this one has got its pod CIDR
  const heir = { ...extra, podCIDRs: [...extra.podCIDRs, Prefix.parse('10.244.3.0/24')] }
  assert.deepEqual(told([nodes[0]!, heir]), [...own(2), '10.244.3.0/24', '192.168.7.0/24'].toSorted())
  assert.deepEqual(told(nodes), own(2).toSorted())
  assert.ok(
    two.events.every((event) => !event.startsWith('begin')),
    'nothing was asked for again',
  )
})

test('a reflector takes from each client what is its own, and tells the others of it; they take it from the reflector', () => {
  const nodes = [member(1, { rr: '' }), member(2), member(3), member(4, { rr: '' })]
  const configuration = configurationOf({ reflectors: { nodeSelector: { matchLabels: { rr: '' } } } })
  const reflector = new RibRig(configFor(nodes, configuration))
  reflector.announce(upTo(reflector, 2), tempting)
  const three = upTo(reflector, 3)
  const four = upTo(reflector, 4)
  reflector.announce(four, own(4))
  reflector.settle()
  // IPv6 routes with IPv4 next hops, as the rig makes them, go no further
  const told = (prefixes: readonly string[]): string[] => prefixes.filter((prefix) => !prefix.includes(':'))
  assert.deepEqual(told(three.prefixes), ['10.244.1.0/24', '10.244.2.0/24', '10.244.4.0/24'])
  assert.deepEqual(told(four.prefixes), ['10.244.1.0/24', '10.244.2.0/24'])

  const client = new RibRig(
    configFor([member(2), member(1, { rr: '' }), member(3), member(4, { rr: '' })], configuration),
  )
  const fromReflector = client.up('node/node-1', { asn: 64_512, addr: '172.30.0.1', localAddr: '172.30.0.2' })
  client.announce(fromReflector, [...own(1), ...own(3)], { nextHop: '172.30.0.3' })
  client.settle()
  assert.deepEqual(Object.keys(nextHops(client)).toSorted(), [...own(1), ...own(3)].toSorted())
})

test('whatever nodes announce in whatever order, no pod CIDR of one leads to another', () => {
  const announcements = fc.array(
    fc.record({ from: fc.integer({ min: 2, max: 4 }), prefix: fc.constantFrom(...tempting), isGone: fc.boolean() }),
    { maxLength: 40 },
  )
  const nodes = members(4)
  fc.assert(
    fc.property(announcements, (all) => {
      const rig = new RibRig(configFor(nodes))
      const sessions = new Map([2, 3, 4].map((n) => [n, upTo(rig, n)]))
      for (const { from, prefix, isGone } of all) {
        if (isGone) rig.withdraw(sessions.get(from)!, [prefix])
        else rig.announce(sessions.get(from)!, [prefix])
      }
      rig.settle()
      for (const [prefix, hop] of Object.entries(nextHops(rig))) {
        const owner = [2, 3, 4].find((n) => own(n).includes(prefix))
        assert.equal(hop, `172.30.0.${owner}`, prefix)
      }
    }),
  )
})
