import assert from 'node:assert/strict'
import { test } from 'node:test'
import { routersOf } from './fabric.ts'
import { bgpdConfig, zebraConfig } from './frr.ts'
import { rackedLab } from './testing.ts'

test('a rack router speaks with the spine, and with any neighbour from its subnet', () => {
  const [, tor] = routersOf(rackedLab({}, { router: 'frr' }))
  const text = bgpdConfig(tor!)
  assert.match(text, /^router bgp 65001\n bgp router-id 172\.30\.1\.1$/m)
  assert.match(text, /^ neighbor 172\.30\.0\.0 remote-as 65000$/m)
  assert.match(text, /^ bgp listen range 172\.30\.1\.0\/24 peer-group nodes$/m)
  assert.match(text, /^ neighbor nodes remote-as external$/m)
  assert.match(text, /^ bgp graceful-restart preserve-fw-state$/m)
  assert.match(text, /^ bgp bestpath as-path multipath-relax$/m)
  assert.doesNotMatch(text, /bfd/)
})

test('both families use one session, several paths are used, and the AS that nodes share counts as no loop', () => {
  const [, tor] = routersOf(rackedLab({}, { router: 'frr' }))
  const text = bgpdConfig(tor!)
  for (const family of [4, 6]) {
    const start = text.indexOf(` address-family ipv${family} unicast`)
    assert.notEqual(start, -1)
    assert.deepEqual(text.slice(start, text.indexOf(' exit-address-family', start)).trimEnd().split('\n').slice(1), [
      '  redistribute connected',
      '  maximum-paths 16',
      '  neighbor 172.30.0.0 activate',
      ...(family === 6 ? ['  neighbor 172.30.0.0 route-map to-spine out'] : []),
      '  neighbor nodes activate',
      '  neighbor nodes as-override',
    ])
  }
})

test('routers say which IPv6 address of theirs is the next hop', () => {
  const [spine, tor] = routersOf(rackedLab({}, { router: 'frr' }))
  assert.match(bgpdConfig(tor!), /^route-map to-spine permit 10\n set ipv6 next-hop global fd30::1$/m)
  assert.match(bgpdConfig(spine!), /^route-map to-rack-1 permit 10\n set ipv6 next-hop global fd30::$/m)
  assert.doesNotMatch(bgpdConfig(routersOf(rackedLab({ families: 'ipv4' }, { router: 'frr' }))[1]!), /route-map/)
})

test('IPv6 alone runs over IPv6; the spine has no nodes; BFD is where it is asked for', () => {
  const [spine, tor] = routersOf(rackedLab({ families: 'ipv6' }, { router: 'frr', bfd: true }))
  assert.doesNotMatch(bgpdConfig(spine!), /nodes|ipv4 unicast/)
  assert.match(bgpdConfig(spine!), /^ neighbor fd30::1 remote-as 65001$/m)
  assert.match(bgpdConfig(tor!), /^ bgp listen range fd30:0:0:1::\/64 peer-group nodes$/m)
  assert.match(bgpdConfig(tor!), /^ neighbor nodes bfd$/m)
  assert.match(zebraConfig(tor!), /^hostname rack-1$/m)
})
