// A table of family bridge with real packets: what its matches and actions see and do between two ports of a bridge.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { NftClient } from '#/kernel/nftables.ts'
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type NftAction, type NftChain, type NftMatch, type NftTable } from '#/wire/nftables/ruleset.ts'
import { TestNetns } from './namespace.ts'

const is = { family: 'bridge', name: 'causeway-test' } as const
const address = {
  a: { 4: Addr.parse('10.9.0.1'), 6: Addr.parse('fd09::1') },
  b: { 4: Addr.parse('10.9.0.2'), 6: Addr.parse('fd09::2') },
} as const
const mac = { a: '02:00:00:00:00:0a', b: '02:00:00:00:00:0b', nobody: '02:00:00:00:00:0f' } as const

let host: TestNetns
let pods: { readonly a: TestNetns; readonly b: TestNetns }
let client: NftClient

before(() => {
  host = new TestNetns()
  pods = { a: new TestNetns(), b: new TestNetns() }
  host.sh('ip link add br0 up type bridge')
  for (const [name, pod] of Object.entries(pods) as ['a' | 'b', TestNetns][]) {
    host.sh(`ip link add port-${name} up type veth peer name eth0 address ${mac[name]} netns ${pod.name}`)
    host.sh(`ip link set port-${name} master br0`)
    const to = name === 'a' ? 'b' : 'a'
    pod.sh('sysctl -qw net.ipv6.conf.eth0.accept_dad=0; ip link set lo up; ip link set eth0 up')
    for (const family of [4, 6] as const) {
      const length = family === 4 ? 24 : 64
      pod.sh(`ip address add ${address[name][family]}/${length} dev eth0`)
      pod.sh(`ip neigh replace ${address[to][family]} lladdr ${mac[to]} dev eth0`)
    }
  }
  client = new NftClient(host.netns)
})
after(() => {
  client[Symbol.dispose]()
  for (const each of [host, pods.a, pods.b]) each[Symbol.dispose]()
})

/** Sends a ping from a to b; tells whether an answer came. */
function ping(family: Family): boolean {
  const target = address.b[family].toString()
  return pods.a.netns.run(() => spawnSync('ping', ['-c1', '-W0.3', target]).status === 0)
}

function chain(hook: 'prerouting' | 'forward', rules: readonly (readonly [string, NftMatch[], NftAction])[]): NftChain {
  return {
    name: hook,
    hook: { type: 'filter', hook, priority: -300 },
    rules: rules.map(([comment, match, action]) => ({ comment, match, action })),
  }
}

function load(chains: readonly NftChain[], more: Partial<NftTable> = {}): void {
  client.replaceTable({ ...is, sets: [], ...more, chains })
}

async function counted(): Promise<Record<string, number>> {
  const counters = await client.readCounters('bridge', is.name)
  return Object.fromEntries(counters.map(({ comment, packets }) => [comment, packets]))
}

describe('a table of family bridge', () => {
  for (const family of [4, 6] as const) {
    test(`matches what is in frames of IPv${family}`, async () => {
      const { a, b } = { a: address.a[family], b: address.b[family] }
      const type = `ipv${family}_addr` as const
      const icmp: NftMatch = { kind: 'l4proto', protocol: family === 4 ? 'icmp' : 'icmpv6' }
      const echo = family === 4 ? 8 : 128
      const is4or6: NftMatch = { kind: 'family', family }
      const count: NftAction = { kind: 'count' }
      const fromA: NftMatch = { kind: 'device', field: 'iifname', name: 'port-a' }
      load(
        [
          { name: 'to-b', rules: [{ comment: 'there', match: [icmp], action: count }] },
          chain('prerouting', [
            ['device', [fromA, is4or6, icmp], count],
            ['type', [fromA, is4or6, icmp, { kind: 'icmpType', family, types: [echo, 3] }], count],
            ['other type', [fromA, is4or6, icmp, { kind: 'icmpType', family, types: [echo], not: true }], count],
            ['bound', [{ kind: 'keySet', family, fields: ['iifname', 'saddr'], set: 'bound' }, icmp], count],
            [
              'not bound',
              [fromA, { kind: 'keySet', family, fields: ['iifname', 'saddr'], set: 'bound', not: true }],
              count,
            ],
            ['to the MAC of b', [{ kind: 'etherAddr', field: 'daddr', mac: mac.b }, is4or6, icmp], count],
            ['from the MAC of b', [{ kind: 'etherAddr', field: 'saddr', mac: mac.b }, is4or6, icmp], count],
            ['group', [fromA, { kind: 'etherMulticast' }, icmp, is4or6], count],
          ]),
          chain('forward', [
            ['out', [{ kind: 'keySet', fields: ['oifname'], set: 'ports' }, fromA, is4or6, icmp], count],
            ['pair', [{ kind: 'keySet', family, fields: ['saddr', 'daddr'], set: 'pairs' }], count],
            [
              'goto',
              [{ kind: 'addr', field: 'daddr', prefix: new Prefix(b, b.bits) }],
              { kind: 'goto', chain: 'to-b' },
            ],
          ]),
        ],
        {
          keySets: [
            { name: 'bound', type: ['ifname', type], elements: [['port-a', a]] },
            { name: 'ports', type: ['ifname'], elements: [['port-b']] },
            { name: 'pairs', type: [type, type], elements: [[a, b]] },
          ],
        },
      )
      assert.ok(ping(family))
      const seen = await counted()
      // nobody else sends ICMP over IPv4; in IPv6 neighbours may look for one another meanwhile
      const least = {
        device: 1,
        type: 1,
        bound: 1,
        'to the MAC of b': 1,
        'from the MAC of b': 1,
        out: 1,
        pair: 1,
        there: 1,
      }
      for (const [name, packets] of Object.entries(least)) assert.ok(seen[name]! >= packets, `${name}: ${seen[name]}`)
      if (family === 4) assert.deepEqual(seen, { ...least, 'other type': 0, 'not bound': 0, group: 0 })
    })
  }

  test('lets a frame for the wrong MAC reach its pod once it has the right one', () => {
    pods.a.sh(`ip neigh replace ${address.b[4]} lladdr ${mac.nobody} dev eth0`)
    load([])
    assert.ok(!ping(4))
    const toNobody: NftMatch = { kind: 'etherAddr', field: 'daddr', mac: mac.nobody }
    load([chain('prerouting', [['right', [toNobody], { kind: 'setEtherDaddr', mac: mac.b }]])])
    assert.ok(ping(4))
    pods.a.sh(`ip neigh replace ${address.b[4]} lladdr ${mac.b} dev eth0`)
  })

  test('takes a frame for another to be for the host', () => {
    host.sh('ip address add 10.9.0.9/24 dev br0')
    pods.a.sh(`ip neigh replace 10.9.0.9 lladdr ${mac.nobody} dev eth0`)
    const reach = (): boolean => pods.a.netns.run(() => spawnSync('ping', ['-c1', '-W0.3', '10.9.0.9']).status === 0)
    load([])
    assert.ok(!reach())
    const toNobody: NftMatch = { kind: 'etherAddr', field: 'daddr', mac: mac.nobody }
    const bridgeMac = host.ip<{ address: string }>('link show br0')[0]!.address
    load([
      chain('prerouting', [
        ['address', [toNobody], { kind: 'setEtherDaddr', mac: bridgeMac }],
        ['type', [], { kind: 'pktTypeHost' }],
      ]),
    ])
    assert.ok(reach())
  })

  test('drops what is neither IP nor ARP', () => {
    const drop: NftAction = { kind: 'drop', counter: true }
    load([chain('forward', [['others', [{ kind: 'etherType', types: ['ip', 'ip6', 'arp'], not: true }], drop]])])
    assert.ok(ping(4))
    load([chain('forward', [['all', [{ kind: 'etherType', types: ['ip'] }], drop]])])
    assert.ok(!ping(4))
    assert.ok(ping(6))
  })
})
