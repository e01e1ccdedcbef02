import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type PeerConfig } from '#/model/bgp.ts'
import { checkTable } from '#/wire/nftables/check.ts'
import { renderRule } from '#/wire/nftables/render-rule.ts'
import { nodeTable } from './filter.ts'
import { sessionGuards, withoutOwnPort } from './session-guards.ts'

const common = { port: 179, localAsn: 65_000, remoteAsn: 65_001, families: [4], mode: 'both', allowOwnAsn: 0 } as const
const timers = { holdTimeSeconds: 90, keepaliveSeconds: 30, connectRetrySeconds: 5 }

function peer(name: string, more: Partial<PeerConfig>): PeerConfig {
  return { ...common, timers, name, isReflectorClient: false, nextHopSelf: false, ...more }
}

function rulesFor(listenPort: number | undefined, ...peers: PeerConfig[]): string[] {
  const guards = sessionGuards({ peers, ...(listenPort !== undefined && { listenPort }) })
  const table = nodeTable({ podCIDRs: [], clusterCIDRs: [], podDevices: [], guards })
  checkTable(table)
  return (table.chains.find(({ name }) => name === 'bgp-in')?.rules ?? []).map((rule) => renderRule(rule, 'inet'))
}

test('neighbours with TTL security, and no others, are guarded both ways, in both families', () => {
  const far = { multihopTtl: 3 }
  assert.deepEqual(rulesFor(179, peer('a', {}), peer('b', { addr: Addr.parse('192.0.2.9'), ...far })), [])
  assert.deepEqual(
    rulesFor(
      1790,
      peer('a', { addr: Addr.parse('192.0.2.1'), ttlSecurityHops: 1 }),
      peer('b', { addr: Addr.parse('2001:db8::1'), ttlSecurityHops: 3, port: 1179 }),
      peer('c', { addr: Addr.parse('192.0.2.9'), ...far }),
    ),
    [
      'meta l4proto != tcp accept',
      'ip saddr 192.0.2.1/32 meta l4proto tcp th dport 1790 @th,104,8 & 0x17 != 0x2 ip ttl < 255 counter drop',
      'ip saddr 192.0.2.1/32 meta l4proto tcp th sport 179 ip ttl < 255 counter drop',
      'ip6 saddr 2001:db8::1/128 meta l4proto tcp th dport 1790 @th,104,8 & 0x17 != 0x2 ip6 hoplimit < 253 counter drop',
      'ip6 saddr 2001:db8::1/128 meta l4proto tcp th sport 1179 ip6 hoplimit < 253 counter drop',
    ],
  )
})

test('sessions that other programs of the node have with a neighbour are not guarded where they can be told apart', () => {
  const [addr, localAddr] = [Addr.parse('192.0.2.1'), Addr.parse('192.0.2.7')]
  const own = peer('a', { addr, localAddr, ttlSecurityHops: 1 })
  const [, toOwnPort] = rulesFor(179, own)
  assert.match(toOwnPort!, /^ip saddr 192\.0\.2\.1\/32 ip daddr 192\.0\.2\.7\/32 meta l4proto tcp th dport 179 /)
  // another program has the port
  const guards = sessionGuards({ peers: [own], listenPort: 179 }).map(withoutOwnPort)
  const table = nodeTable({ podCIDRs: [], clusterCIDRs: [], podDevices: [], guards })
  const rules = table.chains.find(({ name }) => name === 'bgp-in')!.rules.map((rule) => renderRule(rule, 'inet'))
  assert.deepEqual(
    rules.map((rule) => /th (\w+ \d+)/.exec(rule)?.[1]),
    [undefined, 'sport 179'],
  )
})

test('a neighbour on a link is guarded there alone, also one whose address is not known', () => {
  const device = 'eth1'
  assert.deepEqual(
    rulesFor(
      undefined,
      peer('a', { device, ttlSecurityHops: 1 }),
      peer('b', { device, addr: Addr.parse('fe80::1'), ttlSecurityHops: 1 }),
    ),
    [
      'meta l4proto != tcp accept',
      'iifname "eth1" ip6 saddr fe80::/10 meta l4proto tcp th sport 179 ip6 hoplimit < 255 counter drop',
      'iifname "eth1" ip6 saddr fe80::1/128 meta l4proto tcp th sport 179 ip6 hoplimit < 255 counter drop',
    ],
  )
})

test('a name of any length makes a rule', () => {
  assert.equal(rulesFor(179, peer('x'.repeat(253), { addr: Addr.parse('192.0.2.1'), ttlSecurityHops: 1 })).length, 3)
})
