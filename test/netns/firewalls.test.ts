// What firewalls of others drop of pods' packets: told with the rule and a remedy that mends it, and nothing told of what cannot be judged.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readLegacyTables } from '#/kernel/legacy-tables.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type DesiredNetwork, emptyNetwork } from '#/model/network.ts'
import { type Blockade } from '#/reconcile/driver.ts'
import { filteredFamilies, ForwardDriver } from '#/reconcile/forward-driver.ts'
import { Reconciler } from '#/reconcile/reconciler.ts'
import { TestNetns } from './namespace.ts'

const prefixes = (...texts: string[]): Prefix[] => texts.map((text) => Prefix.parse(text))
const complete = { isComplete: true }

const wanted: DesiredNetwork = {
  ...emptyNetwork,
  forwardFor: ['cw-br0'],
  passage: {
    podDevices: ['cw-br0'],
    podCIDRs: prefixes('10.244.0.0/24', 'fd10:244::/64'),
    clusterCIDRs: prefixes('10.244.0.0/16', 'fd10:244::/48'),
    isNative: false,
    underlayDevices: ['u0'],
    tunnel: {
      device: 'cw-vxlan',
      port: 8472,
      ends: ['172.30.1.12', '172.30.1.13', 'fd30::12'].map((text) => Addr.parse(text)),
    },
  },
}

class Host implements Disposable {
  readonly netns = new TestNetns()
  readonly netlink = new Netlink(0, this.netns.netns)
  readonly nftables = new NftClient(this.netns.netns)
  nowMs = 0
  readonly driver = new ForwardDriver(this.nftables, {
    legacyTables: () => this.netns.netns.run(readLegacyTables),
    nowMs: () => this.nowMs,
    filtered: () => this.netns.netns.run(filteredFamilies),
  })
  readonly reconciler = new Reconciler({
    netlink: this.netlink,
    drivers: [this.driver],
    log: silent,
    nowMs: Date.now,
  })

  async blockades(network = wanted): Promise<Blockade[]> {
    await this.reconciler.apply(network, complete)
    return this.reconciler.blockades
  }

  /** What is told of these rules: code, object, and whether pods are cut off. */
  async told(network = wanted): Promise<string[]> {
    const all = await this.blockades(network)
    return all.map(({ problem: { code, object }, cutsPodsOff }) => `${code} ${object}${cutsPodsOff ? ' cut' : ''}`)
  }

  /** Follows the remedy of each problem; it must mend it. */
  async mend(network = wanted): Promise<void> {
    for (const { problem } of await this.blockades(network)) {
      const [, commands] = /before it: (.*); and write/.exec(problem.remedy) ?? []
      assert.ok(commands, problem.remedy)
      this.netns.sh(commands)
    }
    // chains that base chains jump to are followed again only after a while
    this.nowMs += 10_000
    assert.deepEqual(await this.told(network), [])
  }

  [Symbol.dispose](): void {
    this.nftables[Symbol.dispose]()
    this.netlink[Symbol.dispose]()
    this.netns[Symbol.dispose]()
  }
}

const tools = [
  ['iptables', 'ip', '10.244.0.0/16', ''],
  ['ip6tables', 'ip6', 'fd10:244::/48', ''],
  ['iptables-legacy', 'legacy ip', '10.244.0.0/16', ''],
  ['ip6tables-legacy', 'legacy ip6', 'fd10:244::/48', ''],
] as const

for (const [tool, table, cidr] of tools) {
  test(`${tool}: a rule before the default that drops pods' packets is named, with what mends it`, async () => {
    for (const rules of [
      // an unconditional one with rules behind it
      `${tool} -A FORWARD -j REJECT; ${tool} -A FORWARD -p tcp -j ACCEPT`,
      `${tool} -A FORWARD -s ${cidr} -j DROP; ${tool} -A FORWARD -j ACCEPT`,
      `${tool} -A FORWARD -d ${cidr} -m conntrack --ctstate NEW -j REJECT; ${tool} -A FORWARD -j ACCEPT`,
      `${tool} -A FORWARD -i cw-br+ -p tcp --syn -j DROP; ${tool} -A FORWARD -j ACCEPT`,
      `${tool} -A FORWARD ! -i docker0 -m conntrack ! --ctstate ESTABLISHED,RELATED -j DROP; ${tool} -A FORWARD -j ACCEPT`,
      // in a chain that it jumps to, behind what cannot match
      `${tool} -N OTHERS; ${tool} -A FORWARD -j OTHERS; ${tool} -A OTHERS -i lo -j ACCEPT
       ${tool} -A OTHERS -p udp -j ACCEPT; ${tool} -A OTHERS -m mark --mark 0x4000/0x4000 -j ACCEPT
       ${tool} -A OTHERS -p tcp --dport 80 -j ACCEPT; ${tool} -A OTHERS -p tcp -m multiport --dports 22,443 -j ACCEPT
       ${tool} -A OTHERS -p tcp --dport 30000:32767 -j ACCEPT; ${tool} -A OTHERS -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
       ${tool} -A OTHERS -j LOG; ${tool} -A OTHERS -j DROP; ${tool} -A FORWARD -j ACCEPT`,
      `${tool} -t mangle -A FORWARD -o cw-br0 -j DROP; ${tool} -t mangle -A FORWARD -j ACCEPT`,
    ]) {
      using host = new Host()
      host.netns.sh(rules)
      const where = `${table} ${rules.includes('mangle') ? 'mangle' : 'filter'} FORWARD`
      assert.deepEqual(await host.told(), [`CW7001 chain/${where} cut`], rules)
      await host.mend()
    }
  })

  test(`${tool}: an INPUT chain that drops what it does not know is told, for the tunnel and for pods`, async () => {
    for (const ending of [`${tool} -P INPUT DROP`, `${tool} -A INPUT -j REJECT`]) {
      using host = new Host()
      host.netns.sh(`
        ${tool} -A INPUT -i lo -j ACCEPT; ${tool} -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
        ${tool} -A INPUT -p tcp --dport 22 -j ACCEPT; ${tool} -A INPUT -p udp --dport 53 -j ACCEPT
        ${ending}`)
      assert.deepEqual(
        await host.told(),
        [`CW7003 chain/${table} filter INPUT`, `CW7002 chain/${table} filter INPUT cut`],
        ending,
      )
      // a node to which nothing comes through a tunnel needs none
      const { tunnel: _, ...native } = { ...wanted.passage!, isNative: true }
      assert.deepEqual(await host.told({ ...wanted, passage: native }), [`CW7003 chain/${table} filter INPUT`])
      await host.mend()
    }
  })

  test(`${tool}: what other programs usually make is no fault`, async () => {
    using host = new Host()
    host.netns.sh(`
      for chain in KUBE-FORWARD KUBE-SERVICES KUBE-FIREWALL KUBE-POD-FW DOCKER DOCKER-USER DOCKER-ISOLATION-1 DOCKER-ISOLATION-2 cali-FORWARD cali-from
      do ${tool} -N $chain; done
      ${tool} -A FORWARD -j cali-FORWARD; ${tool} -A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES
      ${tool} -A FORWARD -j KUBE-FORWARD; ${tool} -A FORWARD -j DOCKER-USER; ${tool} -A FORWARD -j DOCKER-ISOLATION-1
      ${tool} -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; ${tool} -A FORWARD -o docker0 -j DOCKER
      ${tool} -A FORWARD -i docker0 ! -o docker0 -j ACCEPT; ${tool} -A FORWARD -i docker0 -o docker0 -j ACCEPT
      ${tool} -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP; ${tool} -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
      ${tool} -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
      ${tool} -A DOCKER-USER -j RETURN; ${tool} -A DOCKER-ISOLATION-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-2
      ${tool} -A DOCKER-ISOLATION-2 -o docker0 -j DROP; ${tool} -A DOCKER ! -i docker0 -o docker0 -j DROP
      ${tool} -A INPUT -j KUBE-FIREWALL; ${tool} -A OUTPUT -j KUBE-FIREWALL
      ${tool} -A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP
      ${tool} -A cali-FORWARD -i cali+ -j cali-from; ${tool} -A cali-FORWARD -m mark --mark 0x10000/0x10000 -j ACCEPT
      ${tool} -A cali-from -m mark ! --mark 0x10000/0x10000 -j DROP
      # a policy controller's chains for single pods
      ${tool} -I FORWARD -d ${cidr.replace(/0*\/.*/, '7')} -j KUBE-POD-FW; ${tool} -A KUBE-POD-FW -m mark --mark 0x10000/0x10000 -j RETURN
      ${tool} -A KUBE-POD-FW -j REJECT`)
    assert.deepEqual(await host.told(), [])
  })
}

test('rules that cannot be judged are called no fault', async () => {
  for (const rule of [
    '-m mark ! --mark 0x20/0x20 -j DROP',
    '-m limit --limit 1/s -j DROP',
    '-m physdev --physdev-is-bridged -j DROP',
    '-m statistic --mode random --probability 0.5 -j DROP',
    // these may accept everything
    '-m mark --mark 0x1/0x1 -j ACCEPT',
    '-p tcp ! --dport 22 -j ACCEPT',
    '-p tcp --dport 1024:65535 -j ACCEPT',
    '-j NFQUEUE',
  ]) {
    using host = new Host()
    host.netns.sh(
      `iptables -A FORWARD ${rule}; iptables -A FORWARD ${rule.includes('DROP') ? '-p udp' : ''} -j DROP; iptables -A FORWARD -p udp -j ACCEPT`,
    )
    assert.deepEqual(await host.told(), [], rule)
  }
})

test('a firewall with a rule for each other node is no fault', async () => {
  using host = new Host()
  host.netns.sh(`
    for node in 172.30.1.12 172.30.1.13; do iptables -A INPUT -s $node -p udp --dport 8472 -j ACCEPT; done
    iptables -A INPUT -i cw-br0 -j ACCEPT; iptables -A INPUT -s 172.30.1.99 -p udp --dport 8472 -j DROP; iptables -P INPUT DROP
    for pods in 10.244.1.0/24 10.244.2.0/24; do iptables -A FORWARD -s $pods -j ACCEPT; iptables -A FORWARD -d $pods -j ACCEPT; done
    iptables -A FORWARD -j DROP; iptables -A FORWARD -p udp -j ACCEPT; sysctl -qw net.bridge.bridge-nf-call-iptables=0`)
  assert.deepEqual(await host.told(), [])
  // it has no rule for packets between pods of this node, which it sees only where the bridge hands them to it
  host.netns.sh('sysctl -qw net.bridge.bridge-nf-call-iptables=1')
  assert.deepEqual(await host.told(), ['CW7006 chain/ip filter FORWARD cut'])
})

test('policies of legacy iptables are told: our accepts cannot stand there', async () => {
  using host = new Host()
  host.netns.sh('iptables-legacy -P FORWARD DROP; ip6tables-legacy -P FORWARD DROP')
  assert.deepEqual(await host.told(), [
    'CW7001 chain/legacy ip filter FORWARD cut',
    'CW7001 chain/legacy ip6 filter FORWARD cut',
  ])
  await host.mend()
})

test('an nft firewall with sets and verdict maps', async () => {
  using host = new Host()
  host.netns.sh(`nft -f - <<'EOF'
table inet fw {
  set admins { type ipv4_addr; flags interval; elements = { 192.0.2.0/24 } }
  chain input {
    type filter hook input priority filter; policy drop;
    ct state vmap { established : accept, related : accept, invalid : drop }
    iif lo accept
    iifname { "lo", "eth1" } tcp dport { 22, 6443, 10250 } accept
    ip saddr @admins accept
    meta l4proto { icmp, ipv6-icmp } accept
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ip daddr { 10.0.0.0/8, 172.16.0.0/12 } jump private
    ip6 daddr fd00::/8 reject
    accept
  }
  chain private { iifname "wg0" accept; counter reject with icmp type admin-prohibited; }
}
table inet sleeping { flags dormant; chain forward { type filter hook forward priority filter; policy drop; }; }
EOF`)
  assert.deepEqual((await host.told()).toSorted(), [
    'CW7001 chain/inet fw forward cut',
    'CW7001 chain/inet fw forward cut',
    'CW7002 chain/inet fw input cut',
    'CW7003 chain/inet fw input',
  ])
  const all = await host.blockades()
  assert.ok(
    all.some(({ problem }) => /rule 2 of chain private \(handle \d+\): meta nfproto ipv4 reject/.test(problem.message)),
  )
  assert.ok(
    all.some(({ problem }) => /\(IPv6\): rule 2 of chain forward .*ip6 daddr fd00::\/8 reject/.test(problem.message)),
  )
  await host.mend()
})

test("firewalld's tables: the accepts stand before its last reject; its zones are named with its own commands", async () => {
  using host = new Host()
  const tables = (zoneEnd: string): string => `nft -f - <<'EOF'
table inet firewalld {
  chain filter_INPUT {
    type filter hook input priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump filter_INPUT_ZONES
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    ip6 daddr { ::/96, ::ffff:0.0.0.0/96, 2002::/24 } reject with icmpv6 addr-unreachable
    jump filter_FORWARD_ZONES
    reject with icmpx admin-prohibited
  }
  chain filter_INPUT_ZONES { iifname "eth0" goto filter_IN_public; goto filter_IN_public; }
  chain filter_FORWARD_ZONES { iifname "eth0" goto filter_FWD_public; goto filter_FWD_public; }
  chain filter_IN_public { tcp dport 22 accept; ip6 daddr fe80::/64 udp dport 546 accept; meta l4proto { icmp, ipv6-icmp } accept; ${zoneEnd}; }
  chain filter_FWD_public { oifname "eth0" accept; ${zoneEnd}; }
}
EOF`
  host.netns.sh(tables(''))
  assert.deepEqual(await host.told(), [
    'CW7003 chain/inet firewalld filter_INPUT',
    'CW7002 chain/inet firewalld filter_INPUT cut',
  ])
  assert.match(
    host.netns.sh('nft list chain inet firewalld filter_FORWARD'),
    /jump filter_FORWARD_ZONES\s+iifname "cw-br0" accept [^\n]+\s+oifname "cw-br0" accept [^\n]+\s+reject/,
  )
  host.netns.sh('nft flush ruleset')
  host.netns.sh(tables('reject with icmpx admin-prohibited'))
  const all = await host.blockades()
  assert.deepEqual(all.map(({ problem }) => problem.code).toSorted(), ['CW7001', 'CW7002', 'CW7003'])
  for (const { problem } of all) {
    assert.match(problem.message, /chain filter_(IN_public|FWD_public|INPUT) \(handle \d+\): reject/)
    assert.match(
      problem.remedy,
      problem.code === 'CW7002'
        ? /^tell firewalld: firewall-cmd --permanent --add-port=8472\/udp && firewall-cmd --reload$/
        : /^tell firewalld: firewall-cmd --permanent --zone=trusted --add-source=10.244.0.0\/16 && .*--add-source=fd10:244::\/48 && firewall-cmd --reload$/,
    )
  }
})

test("ufw's chains: its own commands", async () => {
  using host = new Host()
  host.netns.sh(`
    for hook in INPUT FORWARD; do
      low=$(echo $hook | tr A-Z a-z)
      iptables -P $hook DROP; iptables -N ufw-before-$low; iptables -N ufw-reject-$low
      iptables -A $hook -j ufw-before-$low; iptables -A $hook -j ufw-reject-$low
      iptables -A ufw-before-$low -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; iptables -A ufw-reject-$low -j REJECT
    done`)
  const all = await host.blockades()
  assert.deepEqual(all.map(({ problem }) => `${problem.code} ${problem.remedy}`).toSorted(), [
    'CW7001 tell ufw: ufw route allow in on cw-br0 && ufw route allow out on cw-br0',
    'CW7002 tell ufw: ufw allow 8472/udp',
    'CW7003 tell ufw: ufw allow in on cw-br0',
  ])
})

test('chains of the family bridge that drop frames of pods', async () => {
  using host = new Host()
  host.netns.sh(
    `nft 'table bridge fw { chain forward { type filter hook forward priority 0; policy drop; ether type arp accept; iifname "tap*" accept; }; }'`,
  )
  assert.deepEqual(await host.told(), ['CW7001 chain/bridge fw forward cut'])
  assert.doesNotMatch(host.netns.sh('nft list ruleset'), /cw-br0/, 'our accepts would match nothing there')
  await host.mend()
})

test('chains of the family arp that keep pods and their gateway from finding each other', async () => {
  for (const [rules, tells] of [
    ['arptables -P INPUT DROP', ['CW7001 chain/arp filter INPUT cut']],
    ['arptables -A OUTPUT -o cw-br0 -j DROP', ['CW7001 chain/arp filter OUTPUT cut']],
    [
      "nft 'table arp fw { chain in { type filter hook input priority 0; iifname cw-br0 drop; }; }'",
      ['CW7001 chain/arp fw in cut'],
    ],
    // spoofed gateways on other devices, single hosts, and what nobody can judge
    ['arptables -A INPUT -i eth7 -j DROP; arptables -A INPUT -s 10.244.0.9 -j DROP', []],
    ["nft 'table arp fw { chain in { type filter hook input priority 0; arp operation reply drop; }; }'", []],
  ] as const) {
    using host = new Host()
    host.netns.sh(rules)
    assert.deepEqual(await host.told(), tells, rules)
    await host.mend()
  }
})

test("chains at a device's ingress or egress that drop the tunnel's packets, or pods'", async () => {
  const chain = (table: string, hook: string, rules: string): string =>
    `nft 'table ${table} { chain c { type filter hook ${hook} priority 0; ${rules}; }; }'`
  const native: DesiredNetwork = { ...wanted, passage: { ...wanted.passage!, isNative: true } }
  for (const [rules, network, tells] of [
    [chain('netdev fw', 'ingress device u0', 'udp dport 8472 drop'), wanted, ['CW7002 chain/netdev fw c cut']],
    [chain('inet fw', 'ingress device u0', 'udp dport 8472 drop'), wanted, ['CW7002 chain/inet fw c cut']],
    [chain('netdev fw', 'egress device u0', 'ip protocol udp drop'), wanted, ['CW7002 chain/netdev fw c cut']],
    [chain('netdev fw', 'ingress device cw-vxlan', 'policy drop'), wanted, ['CW7001 chain/netdev fw c cut']],
    [
      chain('netdev fw', 'egress device cw-vxlan', 'ip6 daddr fd10:244::/48 drop'),
      wanted,
      ['CW7001 chain/netdev fw c cut'],
    ],
    [chain('netdev fw', 'ingress device u0', 'ip saddr 10.0.0.0/8 drop'), native, ['CW7001 chain/netdev fw c cut']],
    [chain('netdev fw', 'ingress device u0', 'ip saddr 10.0.0.0/8 drop'), wanted, []],
    [chain('netdev fw', 'ingress device other', 'policy drop'), native, []],
    [chain('netdev fw', 'ingress device u0', 'tcp dport 22 drop; ip saddr 192.0.2.0/24 drop'), native, []],
  ] as const) {
    using host = new Host()
    host.netns.sh('for d in u0 cw-vxlan other; do ip link add $d type veth peer name $d-p; done')
    host.netns.sh(rules)
    assert.deepEqual([...new Set(await host.told(network))], tells, rules)
    await host.mend(network)
  }
})

for (const [tool, table, cidr, elsewhere] of [
  ['iptables', 'ip', '10.244.0.0/16', '192.0.2.9'],
  ['ip6tables', 'ip6', 'fd10:244::/48', '2001:db8::9'],
] as const)
  test(`${tool}: rules that replace addresses of packets between pods`, async () => {
    const native: DesiredNetwork = { ...wanted, passage: { ...wanted.passage!, isNative: true } }
    for (const [rules, network, tells] of [
      [`POSTROUTING -s ${cidr} -j MASQUERADE`, wanted, [`CW7005 chain/${table} nat POSTROUTING`]],
      [`POSTROUTING -j MASQUERADE`, wanted, [`CW7005 chain/${table} nat POSTROUTING`]],
      [`POSTROUTING -o u0 -j SNAT --to ${elsewhere}`, native, [`CW7005 chain/${table} nat POSTROUTING`]],
      [`PREROUTING -i cw-br0 -p tcp -j DNAT --to ${elsewhere}`, wanted, [`CW7005 chain/${table} nat PREROUTING cut`]],
      [`PREROUTING -p tcp -j REDIRECT`, wanted, [`CW7005 chain/${table} nat PREROUTING cut`]],
      // not between pods: what leaves the cluster, another network's, services, one port of one pod
      [`POSTROUTING -o u0 -j MASQUERADE`, wanted, []],
      [`POSTROUTING -s ${cidr} ! -d ${cidr} -j MASQUERADE`, native, []],
      [`POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE`, native, []],
      [`PREROUTING -d ${elsewhere} -p tcp -j DNAT --to ${cidr.replace(/0*\/.*/, '7')}`, native, []],
      [`PREROUTING -p tcp --dport 80 -j REDIRECT`, native, []],
      [`PREROUTING -m addrtype --dst-type LOCAL -p tcp -j REDIRECT`, native, []],
    ] as const) {
      using host = new Host()
      host.netns.sh(`ip link add u0 type veth peer name u1; ${tool} -t nat -A ${rules}`)
      assert.deepEqual(await host.told(network), tells, rules)
      await host.mend(network)
    }
  })

test("what proxies of services and containers' engines do to addresses is no fault", async () => {
  using host = new Host()
  host.netns.sh(`
    for chain in KUBE-SERVICES KUBE-NODEPORTS KUBE-MARK-MASQ KUBE-POSTROUTING DOCKER; do iptables -t nat -N $chain; done
    iptables -t nat -A PREROUTING -j KUBE-SERVICES; iptables -t nat -A POSTROUTING -j KUBE-POSTROUTING
    iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER; iptables -t nat -A DOCKER -p tcp -j DNAT --to 172.17.0.2
    iptables -t nat -A KUBE-SERVICES ! -s 10.244.0.0/16 -d 10.96.0.1/32 -p tcp --dport 443 -j KUBE-MARK-MASQ
    iptables -t nat -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp --dport 443 -j DNAT --to 172.30.1.11:6443
    iptables -t nat -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
    iptables -t nat -A KUBE-NODEPORTS -p tcp -j DNAT --to 10.244.0.3:80
    iptables -t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
    iptables -t nat -A KUBE-POSTROUTING -j MASQUERADE --random-fully
    iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE`)
  assert.deepEqual(await host.told({ ...wanted, passage: { ...wanted.passage!, isNative: true } }), [])
})

test('with the setting "leave", a policy that drops is told, and mended by what is told', async () => {
  using host = new Host()
  host.netns.sh('iptables -P FORWARD DROP')
  const left = { ...wanted, forwardFor: [] }
  assert.deepEqual(await host.told(left), ['CW7001 chain/ip filter FORWARD cut'])
  assert.doesNotMatch(host.netns.sh('iptables -S'), /cw-br0/)
  assert.deepEqual(await host.told(), [])
})

test('who takes our rules out again and again is told, and met with a pause that grows', async () => {
  using host = new Host()
  host.netns.sh('iptables -P FORWARD DROP')
  const ours = (): number => host.netns.sh('iptables -S FORWARD').match(/cw-br0/g)?.length ?? 0
  for (let round = 0; round < 5; round++) {
    assert.deepEqual(await host.told(), [], `round ${round}`)
    assert.equal(ours() > 0, true)
    host.netns.sh('iptables -F FORWARD')
  }
  // paused: what is told is what is so
  assert.deepEqual(await host.told(), ['CW7001 chain/ip filter FORWARD cut', 'CW7004 chain/ip filter FORWARD'])
  assert.equal(ours(), 0)
  for (const pauseMs of [10_000, 20_000, 40_000]) {
    host.nowMs += pauseMs - 1
    await host.told()
    assert.equal(ours(), 0, `before ${pauseMs}`)
    host.nowMs += 1
    assert.deepEqual(await host.told(), ['CW7004 chain/ip filter FORWARD'])
    assert.equal(ours() > 0, true, `after ${pauseMs}`)
    host.netns.sh('iptables -F FORWARD')
  }
  host.nowMs += 80_000
  await host.told()
  host.nowMs += 15 * 60_000
  assert.deepEqual(await host.told(), [], 'who is calm for long is no longer told of')
})

test('a table that only its owner may change is left alone, and what it drops is told', async () => {
  using host = new Host()
  const owner = host.netns.netns.run(() => spawn('nft', ['-i'], { stdio: ['pipe', 'ignore', 'ignore'] }))
  try {
    owner.stdin.write('add table inet owned { flags owner; }\n')
    owner.stdin.write('add chain inet owned forward { type filter hook forward priority 0; policy drop; }\n')
    while (!host.netns.sh('nft list ruleset').includes('policy drop')) await sleep(20)
    assert.deepEqual(await host.told(), ['CW7001 chain/inet owned forward cut'])
    assert.deepEqual(host.reconciler.failures, [])
  } finally {
    const gone = once(owner, 'close')
    owner.stdin.end()
    await gone
  }
})

test('chains that are jumped to are followed again after a while, or once a base chain has changed; long ones never', async () => {
  using host = new Host()
  host.netns.sh('iptables -N OTHERS; iptables -A FORWARD -j OTHERS')
  assert.deepEqual(await host.told(), [])
  host.netns.sh('iptables -A OTHERS -j DROP')
  host.nowMs += 9_999
  assert.deepEqual(await host.told(), [])
  host.nowMs += 1
  assert.deepEqual(await host.told(), ['CW7001 chain/ip filter FORWARD cut'])
  host.netns.sh('iptables -D OTHERS 1; iptables -A FORWARD -p udp -j LOG')
  assert.deepEqual(await host.told(), [])
  // a table that is made anew is another one, though its rules have the same handles
  const load = (rule: string) =>
    host.netns.sh(`nft -f - <<'EOF'
flush ruleset
table inet fw { chain more { ${rule}; }; chain forward { type filter hook forward priority 0; jump more; accept; }; }
EOF`)
  load('accept')
  assert.deepEqual(await host.told(), [])
  load('drop')
  assert.deepEqual(await host.told(), ['CW7001 chain/inet fw forward cut'])
  const many = Array.from({ length: 1000 }, (_, index) => `ip daddr 10.96.${index >> 8}.${index & 255} drop`).join('; ')
  load(`${many}; drop`)
  assert.deepEqual(await host.told(), [])
})

test('a rule that drops what a bridge carries between pods of the node is named, where the bridge hands it to that rule', async () => {
  using host = new Host()
  const { netns } = host
  using first = new TestNetns()
  using second = new TestNetns()
  netns.sh(`sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1
    ip link add cw-br0 type bridge; ip link set cw-br0 up`)
  for (const [number, pod] of [first, second].entries()) {
    netns.sh(
      `ip link add cwv${number} type veth peer name eth0 netns ${pod.name}; ip link set cwv${number} master cw-br0 up`,
    )
    pod.sh(`ip addr add 10.244.0.${number + 2}/24 dev eth0; ip link set eth0 up`)
  }
  const isCarried = (): boolean => first.sh('ping -n -c 1 -W 1 10.244.0.3 || true').includes('1 received')
  assert.ok(isCarried())
  assert.deepEqual(await host.told(), [])
  for (const [tool, table] of [
    ['iptables-legacy', 'legacy ip'],
    ['iptables', 'ip'],
  ] as const) {
    netns.sh(
      `${tool} -A FORWARD -i cw-br0 -o cw-br0 -s 10.244.0.0/24 -d 10.244.0.0/24 -j DROP; ${tool} -A FORWARD -j ACCEPT`,
    )
    host.nowMs += 10_000
    const [blockade, ...more] = await host.blockades()
    assert.deepEqual(more, [])
    assert.equal(`${blockade?.problem.code} ${blockade?.problem.object}`, `CW7006 chain/${table} filter FORWARD`)
    assert.match(
      blockade!.problem.message,
      /drops packets between pods of this node \(IPv4\), which the bridge hands to it since net\.bridge\.bridge-nf-call-iptables/,
    )
    // the frames themselves say so too
    assert.ok(!isCarried())
    await host.mend()
    assert.ok(isCarried())
    netns.sh(`${tool} -F FORWARD`)
  }
  // without that sysctl no frame meets the rule; and a rule that drops what pods send to other nodes as well is told as that
  netns.sh('iptables -A FORWARD -s 10.244.0.0/16 -j DROP; iptables -A FORWARD -j ACCEPT')
  host.nowMs += 10_000
  assert.deepEqual(await host.told(), ['CW7001 chain/ip filter FORWARD cut'])
  netns.sh(
    'iptables -F FORWARD; iptables -A FORWARD -i cw-br0 -o cw-br0 -j DROP; sysctl -qw net.bridge.bridge-nf-call-iptables=0',
  )
  host.nowMs += 10_000
  assert.deepEqual(await host.told(), [])
  assert.ok(isCarried())
})
