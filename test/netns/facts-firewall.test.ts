// Packets are followed through the firewalls of a namespace alike from what was told of it and from its kernel: nftables with sets, maps and chains,
// iptables, and legacy iptables.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LiveView } from '#/agent/report/predict/live-view.ts'
import { readFirewalls } from '#/agent/report/facts/firewalls.ts'
import { Cuts } from '#/agent/report/facts/limits.ts'
import { chainsOf } from '#/facts/firewall.ts'
import { Prefix } from '#/lib/addr.ts'
import { type NeededPassage } from '#/model/network.ts'
import { type BaseChain } from '#/obstacles/firewall/inspect.ts'
import { follow, translations } from '#/obstacles/firewall/one-packet.ts'
import { type DeviceFact } from '#/obstacles/firewall/packet.ts'
import { type Passage } from '#/obstacles/firewall/passages.ts'
import { Netns } from '#/sys/netns.ts'
import { TestNetns } from './namespace.ts'

const ruleset = `
  nft 'table inet f {
    set hosts { type ipv4_addr; elements = { 10.0.0.1, 10.0.0.3 }; }
    set nets { type ipv4_addr; flags interval; elements = { 10.0.1.0/24, 10.0.3.0-10.0.3.7 }; }
    set nets6 { type ipv6_addr; flags interval; elements = { fd00:1::/64 }; }
    map verdicts { type inet_service : verdict; elements = { 80 : drop, 443 : goto tls, 53 : accept }; }
    chain entry { type filter hook input priority 0; policy accept; ct state established,related accept; ip saddr @nets drop; ip6 saddr @nets6 reject; }
    chain through { type filter hook forward priority 0; policy drop; iifname "d0" tcp dport vmap @verdicts; ip saddr @hosts accept; ip daddr != @nets meta l4proto icmp accept; jump sub; limit rate 1/second accept; }
    chain sub { ip saddr . ip daddr { 10.0.0.2 . 10.0.2.2 } accept; udp dport 1000-2000 return; meta mark 0x1 accept; oifname { "d1", "d2" } udp dport 53 accept comment "names"; }
    chain tls { ip saddr 10.0.0.0/8 accept; }
  }
  table ip n {
    chain before { type nat hook prerouting priority dstnat; ip daddr 10.96.0.10 tcp dport 80 dnat to 10.0.2.2:8080; ip daddr 10.96.0.11 numgen random mod 2 vmap { 0 : goto a, 1 : goto b }; }
    chain a { dnat to 10.0.2.3; }
    chain b { dnat to 10.0.2.4; }
    chain behind { type nat hook postrouting priority srcnat; oifname "d1" ip saddr 10.0.0.0/16 masquerade; }
  }'
  iptables -P FORWARD DROP; iptables -N T; iptables -A FORWARD -i d0 -j T; iptables -A T -p tcp -m multiport --dports 80,8000:8080 -j ACCEPT; iptables -A T -m comment --comment "not these" -s 10.0.1.0/24 -j REJECT; iptables -A FORWARD -m conntrack --ctstate NEW -p udp -j ACCEPT; iptables -A FORWARD -m mark ! --mark 1 -p icmp -j ACCEPT
  iptables-legacy -A INPUT -p udp --dport 53 ! -s 10.0.0.0/24 -j DROP; iptables-legacy -t nat -A PREROUTING -d 10.96.0.12/32 -p tcp --dport 9 -j DNAT --to-destination 10.0.2.9:99; ip6tables-legacy -P FORWARD DROP; ip6tables-legacy -A FORWARD -p tcp --syn --dport 80 -j ACCEPT
`

const needed: NeededPassage = {
  podDevices: ['d0'],
  podCIDRs: [],
  clusterCIDRs: [],
  isNative: false,
  underlayDevices: [],
}

const addrs = {
  4: ['10.0.0.1', '10.0.0.2', '10.0.1.7', '10.0.2.2', '10.0.3.5', '10.96.0.10', '10.96.0.11', '10.96.0.12'],
  6: ['fd00:1::1', 'fd00:2::1'],
} as const
const devices = ['d0', 'd1', 'd3'] as const

function* passages(): Generator<Passage> {
  const named = (name: string): DeviceFact => ({ kind: 'named', name, index: Number(name.slice(1)) + 2 })
  const none: DeviceFact = { kind: 'none' }
  for (const family of [4, 6] as const)
    for (const src of addrs[family])
      for (const dst of addrs[family])
        for (const protocol of ['tcp', 'udp', 'icmp'] as const)
          for (const dport of protocol === 'icmp' ? [0] : [53, 80, 443, 1500, 9])
            for (const hook of ['prerouting', 'input', 'forward', 'postrouting'] as const)
              for (const layer of ['ip', 'nat'] as const) {
                const [iif, oif] = [devices[(dport + src.length) % 3]!, devices[(dport + dst.length) % 3]!]
                yield {
                  purpose: 'pods',
                  what: 'this packet',
                  hooks: [hook],
                  layer,
                  packet: {
                    family,
                    iif: hook === 'postrouting' ? none : named(iif),
                    oif: hook === 'forward' || hook === 'postrouting' ? named(oif) : none,
                    src: [Prefix.parse(`${src}/${family === 4 ? 32 : 128}`)],
                    dst: [Prefix.parse(`${dst}/${family === 4 ? 32 : 128}`)],
                    protocol,
                    ...(protocol === 'icmp' ? { icmpType: family === 4 ? 8 : 128 } : { dport, sport: 40_000 }),
                    ctState: dport === 9 ? 'established' : 'new',
                    isLocal: hook === 'input',
                  },
                }
              }
}

const told = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each))

async function outcomeOf(chains: readonly BaseChain[], passage: Passage): Promise<string> {
  const { blockade, ...rest } = await follow(chains, passage, needed)
  const found = passage.layer === 'nat' ? await translations(chains, passage, async () => {}) : undefined
  const ends = found?.found.map(({ kind, addr, isSure, path, number, ...more }) => ({
    kind,
    addr: addr && String(addr),
    isSure,
    path,
    number,
    port: 'port' in more ? more.port : undefined,
  }))
  return told({ ...rest, blockade, by: found?.chainName, ends })
}

test('what becomes of a packet is the same from the facts as from the kernel', async () => {
  using ns = new TestNetns()
  ns.sh(ruleset)
  const facts = await readFirewalls(ns.netns, { withRules: true }, new Cuts(''))
  // as it comes out of a file
  const copied = JSON.parse(JSON.stringify(facts)) as typeof facts
  using live = LiveView.ofPod(new Netns(ns.path))
  const [kernel, foretold] = [await live.chains(), chainsOf(copied)]
  assert.equal(foretold.length, kernel.length)
  const kinds = new Map<string, number>()
  for (const passage of passages()) {
    const [expected, found] = [await outcomeOf(kernel, passage), await outcomeOf(foretold, passage)]
    assert.equal(found, expected, told(passage))
    const { blockade, unsure, ends } = JSON.parse(found) as { blockade?: unknown; unsure: string[]; ends?: unknown[] }
    const kind = blockade ? 'dropped' : ends ? 'translated' : unsure.length > 0 ? 'unsure' : 'passed'
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  for (const kind of ['dropped', 'translated', 'unsure', 'passed'])
    assert.ok((kinds.get(kind) ?? 0) > 20, told([...kinds]))
})
