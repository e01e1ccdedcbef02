// What the border of an AS lets in and out.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silent } from '#/lib/log.ts'
import { peerConfig, RibRig, speakerConfig } from './testing/rib-rig.ts'

test("an external neighbour's paths begin with its AS (RFC 4271 section 6.3); an internal one's may begin with any", () => {
  const rig = new RibRig(speakerConfig({ peers: [peerConfig('tor'), peerConfig('inside')] }))
  const tor = rig.up('tor', { asn: 65_001 })
  const inside = rig.up('inside', { asn: 65_000, addr: '10.0.0.3' })
  rig.announce(tor, ['10.1.0.0/24', '10.2.0.0/24', '10.3.0.0/24'])
  rig.settle()
  assert.equal(rig.routes.size, 3)
  rig.announce(tor, ['10.1.0.0/24'], { path: [65_002, 65_001] })
  rig.announce(tor, ['10.2.0.0/24'], { path: [] })
  rig.announce(inside, ['10.4.0.0/24'], { path: [65_002] })
  rig.announce(inside, ['10.5.0.0/24'], { path: [] })
  rig.settle()
  assert.deepEqual([...rig.routes.keys()].sort(), ['10.3.0.0/24', '10.4.0.0/24', '10.5.0.0/24'])
  const rest = "not with the peer's AS 65001 (RFC 4271 section 6.3)"
  assert.deepEqual(rig.reasons({ prefix: '10.1.0.0/24' }), [`tor: the AS path begins with 65002, ${rest}`])
  assert.deepEqual(rig.reasons({ prefix: '10.2.0.0/24' }), [`tor: the AS path begins with no AS, ${rest}`])
})

test('a next hop within the own node is refused', () => {
  const rig = new RibRig(speakerConfig({ peers: [peerConfig('tor')] }))
  const tor = rig.up('tor')
  rig.announce(tor, ['10.1.0.0/24'], { nextHop: '127.0.0.1' })
  rig.announce(tor, ['2001:db8:1::/64'], { nextHop: '::1' })
  rig.settle()
  assert.equal(rig.routes.size, 0)
  assert.deepEqual(rig.reasons({ peer: 'tor' }), [
    "tor: next hop 127.0.0.1 is no host's address",
    "tor: next hop ::1 is no host's address",
  ])
})

test('non-transitive extended communities stay in the AS (RFC 4360 section 6)', () => {
  const rig = new RibRig(speakerConfig({ peers: ['from', 'outside', 'inside'].map((name) => peerConfig(name)) }))
  const from = rig.up('from')
  const outside = rig.up('outside', { asn: 65_002, addr: '10.0.0.3' })
  const inside = rig.up('inside', { asn: 65_000, addr: '10.0.0.4' })
  const [routeTarget, linkBandwidth] = [0x0002_fde8_0000_0001n, 0x4004_fde8_4640_e400n]
  rig.announce(from, ['10.1.0.0/24'], { extendedCommunities: [routeTarget, linkBandwidth] })
  rig.announce(from, ['10.2.0.0/24'], { extendedCommunities: [linkBandwidth] })
  rig.settle()
  assert.deepEqual(outside.belief('10.1.0.0/24')?.attributes.extendedCommunities, [routeTarget])
  assert.equal(outside.belief('10.2.0.0/24')?.attributes.extendedCommunities, undefined)
  assert.deepEqual(inside.belief('10.1.0.0/24')?.attributes.extendedCommunities, [routeTarget, linkBandwidth])
})

test('a neighbour whose attributes leave no room for more does not fill the log with it', () => {
  let warnings = 0
  const peers = [peerConfig('from'), peerConfig('outside')]
  const rig = new RibRig(speakerConfig({ peers }), { ...silent, warn: () => warnings++ })
  const from = rig.up('from')
  const outside = rig.up('outside', { asn: 65_002, addr: '10.0.0.3' })
  const large = { type: 99, flags: 0xe0, value: new Uint8Array(4_060) }
  const send = (count: number): void => {
    for (let med = 0; med < count; med++) {
      rig.announce(from, ['10.1.0.0/24'], { med, unknown: [large] })
      rig.settle()
    }
  }
  send(50)
  assert.equal(outside.belief('10.1.0.0/24'), undefined)
  assert.equal(warnings, 1)
  rig.msPerLook = 10_000
  send(1)
  assert.equal(warnings, 2)
})
