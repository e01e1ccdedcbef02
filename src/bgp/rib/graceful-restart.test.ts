// The helper's side of graceful restart (RFC 4724 section 4.2), long-lived routes (RFC 9494) and refreshes (RFC 7313).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Family } from '#/lib/addr.ts'
import { peerConfig, RibRig, type SessionOptions, speakerConfig } from './testing/rib-rig.ts'

const restarting = { kind: 'restarting', families: [4, 6] } as const

function kept(...families: readonly Family[]): SessionOptions {
  const flags = families.map((family) => ({ family, keptForwarding: true }))
  const gracefulRestart = { isRestarting: true, onNotification: true, restartTimeSeconds: 60, families: flags }
  return { localAddrs: ['10.0.0.1', '2001:db8::1'], remote: { gracefulRestart } }
}

/** One neighbour with routes, and one that is told of them. */
function pair(watching: SessionOptions = {}) {
  const rig = new RibRig(speakerConfig({ peers: [peerConfig('node'), peerConfig('watcher')] }))
  const node = rig.up('node', kept(4, 6))
  const watcher = rig.up('watcher', {
    asn: 65_002,
    addr: '10.0.0.3',
    localAddrs: ['10.0.0.1', '2001:db8::1'],
    ...watching,
  })
  rig.announce(node, ['10.1.0.0/24', '10.2.0.0/24'])
  rig.announce(node, ['2001:db8:1::/64'], { nextHop: '2001:db8::2' })
  rig.settle()
  watcher.events.length = 0
  return { rig, node, watcher }
}

const stale = (rig: RibRig): string[] => [...rig.routes].filter(([, { isStale }]) => isStale).map(([prefix]) => prefix)
const known = (rig: RibRig): string[] => [...rig.routes.keys()].sort()

test('without graceful restart all routes go', () => {
  const { rig, node, watcher } = pair()
  rig.down(node)
  rig.settle()
  assert.deepEqual(known(rig), [])
  assert.deepEqual(watcher.prefixes, [])
  assert.deepEqual(rig.rib.counts('node'), { received: 0, accepted: 0, advertised: 0 })
})

test('routes of a neighbour that restarts are kept, as stale ones, and nobody else is told', () => {
  const { rig, node, watcher } = pair()
  rig.down(node, restarting)
  rig.settle()
  assert.deepEqual(stale(rig).sort(), ['10.1.0.0/24', '10.2.0.0/24', '2001:db8:1::/64'])
  assert.deepEqual(
    rig.paths({ prefix: '10.1.0.0/24' }).map(({ isStale }) => isStale),
    [true],
  )
  assert.deepEqual(watcher.events, [])
})

test('families that it does not keep go at once', () => {
  const { rig, node } = pair()
  rig.down(node, { kind: 'restarting', families: [6] })
  rig.settle()
  assert.deepEqual(known(rig), ['2001:db8:1::/64'])
})

test('what it sends again is fresh, and what it did not send again goes with End-of-RIB', () => {
  const { rig, node, watcher } = pair()
  rig.down(node, restarting)
  const back = rig.up('node', kept(4, 6))
  rig.announce(back, ['10.1.0.0/24'])
  rig.settle()
  assert.deepEqual(stale(rig).sort(), ['10.2.0.0/24', '2001:db8:1::/64'])
  assert.deepEqual(watcher.events, [])
  rig.endOfRib(back, 4)
  rig.settle()
  assert.deepEqual(known(rig), ['10.1.0.0/24', '2001:db8:1::/64'])
  assert.deepEqual(watcher.events, ['withdraw 4 10.2.0.0/24'])
  rig.endOfRib(back, 6)
  rig.settle()
  assert.deepEqual(known(rig), ['10.1.0.0/24'])
})

test('a neighbour that comes back without having kept forwarding loses its routes at once', () => {
  const { rig, node } = pair()
  rig.down(node, restarting)
  rig.up('node', kept(6))
  rig.settle()
  assert.deepEqual(known(rig), ['2001:db8:1::/64'])
  rig.up('node')
  rig.settle()
  assert.deepEqual(known(rig), [])
})

test('when the time is over stale routes go', () => {
  const { rig, node, watcher } = pair()
  rig.down(node, restarting)
  rig.settle()
  rig.rib.sweepStale('node', 4)
  rig.settle()
  assert.deepEqual(known(rig), ['2001:db8:1::/64'])
  assert.deepEqual(watcher.prefixes, ['2001:db8:1::/64'])
})

test('a second restart does not keep what the first left stale', () => {
  const { rig, node } = pair()
  rig.down(node, restarting)
  const back = rig.up('node', kept(4, 6))
  rig.announce(back, ['10.1.0.0/24'])
  rig.down(back, restarting)
  rig.settle()
  assert.deepEqual(known(rig), ['10.1.0.0/24'])
})

test('routes of last resort: marked, behind all others, told only to who knows what that is', () => {
  const { rig, node, watcher } = pair()
  const flags = [{ family: 4, keptForwarding: true, staleTimeSeconds: 60 }] as const
  rig.configure({ peers: [...rig.config.peers, peerConfig('other'), peerConfig('knowing')] })
  const other = rig.up('other', { asn: 65_003, addr: '10.0.0.4' })
  const knowing = rig.up('knowing', { asn: 65_004, addr: '10.0.0.5', remote: { longLivedRestart: flags } })
  rig.announce(node, ['10.3.0.0/24'], { communities: [0xffff_0007] })
  rig.announce(other, ['10.1.0.0/24'], { path: [65_003, 65_003, 65_003] })
  rig.settle()
  rig.down(node, restarting)
  rig.rib.sweepStale('node', 4, { toLongLived: true })
  rig.settle()
  assert.deepEqual(rig.routes.get('10.1.0.0/24')?.peers, ['other'])
  assert.deepEqual(rig.routes.get('10.2.0.0/24')?.peers, ['node'])
  assert.equal(rig.routes.has('10.3.0.0/24'), false, 'NO_LLGR')
  assert.equal(watcher.belief('10.2.0.0/24'), undefined)
  assert.deepEqual(knowing.belief('10.2.0.0/24')?.attributes.communities, [0xffff_0006])
  // its time is over as well
  rig.rib.sweepStale('node', 4)
  rig.settle()
  assert.equal(rig.routes.has('10.2.0.0/24'), false)
})

test('what a refresh does not bring again goes at its end', () => {
  const { rig, node, watcher } = pair()
  rig.refresh(node, 'begin')
  rig.announce(node, ['10.1.0.0/24'])
  rig.settle()
  assert.deepEqual(watcher.events, [])
  assert.deepEqual(stale(rig), [])
  rig.refresh(node, 'end')
  rig.settle()
  assert.deepEqual(watcher.events, ['withdraw 4 10.2.0.0/24'])
  // an end without a beginning is nothing
  rig.refresh(node, 'end')
  rig.settle()
  assert.deepEqual(known(rig), ['10.1.0.0/24', '2001:db8:1::/64'])
})

test('who asks for everything gets it between brackets, if it knows them', () => {
  const ask = (enhancedRouteRefresh: boolean): readonly string[] => {
    const { rig, watcher } = pair({ remote: { enhancedRouteRefresh } })
    rig.refresh(watcher, 'request')
    rig.settle()
    return watcher.events
  }
  const routes = ['announce 4 10.1.0.0/24', 'announce 4 10.2.0.0/24']
  assert.deepEqual(ask(true), ['begin 4', ...routes, 'end 4'])
  assert.deepEqual(ask(false), routes)
})

test('who asks while it is behind gets it when it has caught up', () => {
  const { rig, node, watcher } = pair()
  watcher.credit = 1
  rig.withdraw(node, ['10.1.0.0/24'])
  rig.settle()
  rig.refresh(watcher, 'request')
  rig.refresh(watcher, 'request')
  rig.settle()
  assert.deepEqual(watcher.events, ['withdraw 4 10.1.0.0/24'])
  watcher.drain()
  rig.settle()
  assert.deepEqual(watcher.events, ['withdraw 4 10.1.0.0/24', 'begin 4', 'announce 4 10.2.0.0/24', 'end 4'])
})

test('however often it asks while it is being answered, it is answered once more', () => {
  const { rig, watcher } = pair()
  for (let count = 0; count < 5; count++) rig.refresh(watcher, 'request')
  rig.msPerLook = 4
  rig.turn()
  for (let count = 0; count < 5; count++) rig.refresh(watcher, 'request')
  rig.settle()
  const brackets = watcher.events.filter((event) => !event.startsWith('announce'))
  assert.deepEqual(brackets, ['begin 4', 'end 4', 'begin 4', 'end 4'])
})

test('a neighbour that says the same over and over makes no more work than once', () => {
  const turnsFor = (count: number): number => {
    const { rig, node } = pair()
    rig.announce(
      node,
      Array.from({ length: 5000 }, (_, index) => `10.${100 + (index >> 8)}.${index & 255}.0/24`),
    )
    rig.settle()
    rig.msPerLook = 4
    const { turns } = rig
    for (let done = 0; done < count; done++) {
      rig.refresh(node, 'begin')
      rig.refresh(node, 'end')
      rig.endOfRib(node, 4)
    }
    rig.settle()
    assert.deepEqual(known(rig), ['2001:db8:1::/64'])
    return rig.turns - turns
  }
  assert.equal(turnsFor(1000), turnsFor(1))
})

test('what an earlier session of the same peer says counts no more', () => {
  const { rig, node } = pair()
  const next = rig.up('node', kept(4, 6))
  rig.announce(next, ['10.1.0.0/24'])
  rig.withdraw(node, ['10.1.0.0/24'])
  rig.down(node)
  rig.settle()
  assert.deepEqual(known(rig), ['10.1.0.0/24'])
})

test('after an own restart End-of-RIB waits until neighbours have told theirs (RFC 4724 section 4.1)', () => {
  const peers = [peerConfig('node', { remoteAsn: 65_000, isReflectorClient: true }), peerConfig('watcher')]
  const rig = new RibRig(speakerConfig({ isRestarting: true, peers }))
  const watcher = rig.up('watcher', { asn: 65_002, addr: '10.0.0.3', families: [4] })
  rig.settle()
  const node = rig.up('node', { asn: 65_000 })
  rig.announce(node, ['10.1.0.0/24'])
  rig.settle()
  assert.deepEqual(watcher.events, ['announce 4 10.1.0.0/24'])
  // what is in line is told before
  rig.announce(node, ['10.2.0.0/24'])
  rig.rib.endDeferral()
  rig.settle()
  assert.deepEqual(watcher.events, ['announce 4 10.1.0.0/24', 'announce 4 10.2.0.0/24', 'end-of-rib 4'])
  assert.deepEqual(node.events.toSorted(), ['end-of-rib 4', 'end-of-rib 6'])
  const later = rig.up('watcher', { asn: 65_002, addr: '10.0.0.3', families: [4] })
  rig.settle()
  assert.equal(later.events.at(-1), 'end-of-rib 4')
})
