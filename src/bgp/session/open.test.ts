import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type PeerConfig } from '#/model/bgp.ts'
import { notificationText } from '#/wire/bgp/index.ts'
import { openMessage, restartOf } from '../testing/scripted-peer.ts'
import { peerConfig, restart } from '../testing/world.ts'
import { judgeOpen, type Negotiated, openOf } from './open.ts'

const terms = { routerId: Addr.parse('10.0.0.1'), isOverIpv6: false, isRestarting: false, keptForwarding: false }

function agree(
  config: Partial<PeerConfig>,
  remote: Parameters<typeof openMessage>[0] = {},
  isOverIpv6 = false,
): Negotiated {
  const verdict = judgeOpen(peerConfig(config), { ...terms, isOverIpv6 }, openMessage(remote))
  assert.equal(verdict.kind, 'agreed', JSON.stringify(verdict))
  return (verdict as { negotiated: Negotiated }).negotiated
}

function refusal(config: Partial<PeerConfig>, remote: Parameters<typeof openMessage>[0]): [string, string, number[]] {
  const verdict = judgeOpen(peerConfig(config), terms, openMessage(remote))
  assert.ok(verdict.kind === 'refused', 'it was taken')
  return [notificationText(verdict.notification), verdict.why, [...verdict.notification.data]]
}

test('an OPEN offers what is configured', () => {
  const { asn, holdTimeSeconds, routerId, capabilities } = openOf(peerConfig({ families: [4, 6] }), terms)
  assert.deepEqual([asn, holdTimeSeconds, String(routerId)], [65001, 90, '10.0.0.1'])
  assert.deepEqual(capabilities, {
    families: [4, 6],
    routeRefresh: true,
    enhancedRouteRefresh: true,
    asn: 65001,
    extendedNextHop: [],
    unknown: [],
  })
})

test('IPv4 over IPv6 offers IPv6 next hops (RFC 8950)', () => {
  const over6 = { ...terms, isOverIpv6: true }
  assert.deepEqual(openOf(peerConfig({ families: [4, 6] }), over6).capabilities.extendedNextHop, [4])
  assert.deepEqual(openOf(peerConfig({ families: [6] }), over6).capabilities.extendedNextHop, [])
})

test('graceful restart is offered with its bits', () => {
  const config = peerConfig({ families: [6], gracefulRestart: { ...restart, longLivedStaleTimeSeconds: 3600 } })
  const offered = openOf(config, { ...terms, isRestarting: true, keptForwarding: true }).capabilities
  assert.deepEqual(offered.gracefulRestart, restartOf([6], { isRestarting: true }))
  assert.deepEqual(offered.longLivedRestart, [{ family: 6, keptForwarding: true, staleTimeSeconds: 3600 }])
  const fresh = openOf(peerConfig({ gracefulRestart: restart }), terms).capabilities
  assert.deepEqual(fresh.gracefulRestart?.families, [{ family: 4, keptForwarding: false }])
  assert.equal(fresh.longLivedRestart, undefined)
})

test('another AS than configured is refused', () => {
  assert.deepEqual(refusal({}, { asn: 65003 }).slice(0, 2), [
    'OPEN Message Error/Bad Peer AS',
    'the peer is of AS 65003, expected 65002',
  ])
  assert.equal(refusal({ remoteAsn: 'external' }, { asn: 65001 })[1], 'the peer is of AS 65001, expected any but 65001')
  assert.equal(agree({ remoteAsn: 'external' }, { asn: 4200000000 }).isInternal, false)
})

test('an internal peer with our own router id is refused, an external one is not (RFC 6286)', () => {
  const routerId = terms.routerId
  assert.equal(refusal({ remoteAsn: 65001 }, { asn: 65001, routerId })[0], 'OPEN Message Error/Bad BGP Identifier')
  assert.equal(agree({}, { routerId }).isInternal, false)
  assert.equal(agree({ remoteAsn: 65001 }, { asn: 65001 }).wire.isInternal, true)
})

test('no common family: what we miss stands in the notification', () => {
  assert.deepEqual(refusal({ families: [4, 6] }, { capabilities: { families: [] } }), [
    'OPEN Message Error/Unsupported Capability',
    "no common address family: ours IPv4, IPv6; the peer's none that we know",
    [1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1],
  ])
  assert.deepEqual(agree({ families: [4, 6] }, { capabilities: { families: [6, 4] } }).wire.families, [4, 6])
})

test('the hold time is the smaller one, keepalives come three times as often', () => {
  const timers = (holdTimeSeconds: number, keepaliveSeconds: number): Partial<PeerConfig> => ({
    timers: { holdTimeSeconds, keepaliveSeconds, connectRetrySeconds: 10 },
  })
  const times = ({ holdTimeSeconds, keepaliveSeconds }: Negotiated): number[] => [holdTimeSeconds, keepaliveSeconds]
  assert.deepEqual(times(agree(timers(90, 30), { holdTimeSeconds: 180 })), [90, 30])
  assert.deepEqual(times(agree(timers(90, 30), { holdTimeSeconds: 9 })), [9, 3])
  assert.deepEqual(times(agree(timers(90, 5), { holdTimeSeconds: 180 })), [90, 5])
  assert.deepEqual(times(agree(timers(90, 30), { holdTimeSeconds: 0 })), [0, 0])
  assert.deepEqual(times(agree(timers(0, 0), { holdTimeSeconds: 90 })), [0, 0])
})

test('what depends on both sides needs both', () => {
  const extended = { capabilities: { extendedNextHop: [4 as const] } }
  assert.equal(agree({}, extended, true).wire.extendedNextHop, true)
  assert.equal(agree({}, {}, true).wire.extendedNextHop, false)
  assert.equal(agree({}, extended, false).wire.extendedNextHop, false)
  assert.equal(agree({}).wire.fourOctetAsn, true)
  const old = openMessage({})
  const { asn: _, ...without } = old.capabilities
  const verdict = judgeOpen(peerConfig(), terms, { ...old, capabilities: without })
  assert.ok(verdict.kind === 'agreed' && !verdict.negotiated.wire.fourOctetAsn)

  const gracefulRestart = restartOf([4, 6], { restartTimeSeconds: 60 })
  assert.equal(agree({}, { capabilities: { gracefulRestart } }).restart, undefined)
  assert.equal(agree({ gracefulRestart: restart }).restart, undefined)
  const longLivedRestart = [
    { family: 4 as const, keptForwarding: true, staleTimeSeconds: 7200 },
    { family: 6 as const, keptForwarding: true, staleTimeSeconds: 60 },
  ]
  const terms2 = agree(
    { gracefulRestart: { ...restart, longLivedStaleTimeSeconds: 3600 } },
    { capabilities: { gracefulRestart, longLivedRestart } },
  ).restart
  assert.deepEqual(terms2, {
    restartTimeSeconds: 60,
    onNotification: true,
    families: [4],
    longLivedSeconds: new Map([[4, 3600]]),
  })
})
