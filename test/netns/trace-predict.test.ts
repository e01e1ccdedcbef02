// What a node says its kernel would do with a packet, against real kernel state: on a healthy node no step is an obstacle, and with one fault the
// first obstacle is that fault.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type TracePrediction } from '#/api/schemas/trace-predict.ts'
import { findFlows, flowDelete } from '#/kernel/flows.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { type Flow } from '#/wire/netlink/flow.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { Scene, type Wish } from './trace-scene.ts'

const wayOf = ({ way }: TracePrediction): string =>
  way.map(({ place, device, pod }) => `${place} ${device}${pod === undefined ? '' : '@'}`).join(', ')

for (const datapath of ['bridge', 'ebpf'] as const)
  test(`${datapath}: on a healthy node nothing is in the way, and the packet is to be seen at each device`, async () => {
    await using scene = await Scene.start(datapath)
    const { node } = scene
    const [web, other] = ['web', 'other'].map((pod) => node.deviceOf(pod))
    for (const family of [4, 6] as const) {
      const far = family === 4 ? '10.244.2.9' : 'fd10:244:0:2::9'
      const [src, dst] = [node.addrOf('web', family), node.addrOf('other', family)]
      const away = await scene.ask({ src, dst: far })
      assert.equal(
        wayOf(away),
        `queue eth0@, transmit eth0@, receive ${web}, receive cw-br0, queue cw-vxlan, transmit cw-vxlan, queue u, transmit u`,
      )
      assert.deepEqual(away.leaves, { device: 'u', outerSrc: '172.30.1.1', outerDst: '172.30.1.2' })
      const coming = await scene.ask({ src: far, dst: src, protocol: 'udp' })
      assert.equal(
        wayOf(coming),
        `receive u, receive cw-vxlan, queue cw-br0, transmit cw-br0, queue ${web}, transmit ${web}, receive eth0@`,
      )
      const near = await scene.ask({ src, dst })
      const between = datapath === 'bridge' ? '' : 'receive cw-br0, queue cw-br0, transmit cw-br0, '
      assert.equal(
        wayOf(near),
        `queue eth0@, transmit eth0@, receive ${web}, ${between}queue ${other}, transmit ${other}, receive eth0@`,
      )
      const gateway = family === 4 ? '10.244.1.1' : 'fd10:244:0:1::1'
      const toNode = await scene.ask({ src, dst: gateway, protocol: 'icmp' })
      assert.equal(wayOf(toNode), `queue eth0@, transmit eth0@, receive ${web}, receive cw-br0`)
      const fromNode = await scene.ask({ src: gateway, dst: src, protocol: 'icmp' })
      assert.equal(wayOf(fromNode), `queue cw-br0, transmit cw-br0, queue ${web}, transmit ${web}, receive eth0@`)
      const answer = await scene.ask({ src, dst: far, answer: 'yes' })
      const found = [away, coming, near, toNode, fromNode, answer].flatMap(({ steps }) => steps)
      assert.deepEqual(
        found.filter(({ isObstacle, text }) => isObstacle || text.includes('cannot be told')),
        [],
      )
      // something of each kind was looked at
      const kinds = new Set(found.map(({ kind }) => kind))
      for (const kind of ['route', 'mtu', 'neighbour', 'nftables', 'tunnel', 'fdb', 'deliver'] as const)
        assert.ok(kinds.has(kind), kind)
    }
  })

type Fault = {
  readonly name: string
  /** Where the commands run. */
  readonly at?: 'host' | 'web' | 'peer'
  /** On the host, after the cause. */
  readonly flush?: string
  readonly cause: string
  readonly mend: string
  readonly wish?: Wish
  /** The packet comes from node-2. */
  readonly isComing?: true
  /** Of the first obstacle: kind, device and code, and a word of its text. */
  readonly expected: RegExp
}

const drop = (table: string, hook: string, match: string): string =>
  `nft 'table ${table} { chain c { type filter hook ${hook} priority 0; ${match} drop; }; }'`

const outwards6: Wish = { src: 'fd10:244:0:1::2', dst: 'fd10:244:0:2::9' }

const faults: readonly Fault[] = [
  {
    name: 'a blackhole route',
    cause: 'ip route add blackhole 10.244.2.9/32',
    mend: 'ip route del blackhole 10.244.2.9/32',
    expected: /^route cw-br0 CW1302 .*blackhole 10\.244\.2\.9/,
  },
  {
    name: 'a blackhole route of IPv6',
    cause: 'ip -6 route add blackhole fd10:244:0:2::9/128',
    mend: 'ip -6 route del blackhole fd10:244:0:2::9/128',
    wish: outwards6,
    expected: /^route cw-br0 CW1302 .*blackhole fd10:244:0:2::9/,
  },
  {
    name: 'no forwarding of IPv6',
    cause: 'sysctl -qw net.ipv6.conf.all.forwarding=0',
    mend: 'sysctl -qw net.ipv6.conf.all.forwarding=1',
    wish: outwards6,
    expected: /^route cw-br0 CW2002 net\.ipv6\.conf\.all\.forwarding is 0/,
  },
  {
    name: 'echo requests of IPv6, by ip6tables',
    cause: 'ip6tables -A FORWARD -p icmpv6 --icmpv6-type echo-request -j DROP',
    mend: 'nft delete table ip6 filter',
    wish: { ...outwards6, protocol: 'icmp' },
    expected: /^nftables cw-br0 CW7001 table ip6 filter drops this packet/,
  },
  {
    name: 'a rule before main',
    cause: 'ip route add default via 172.30.1.2 table 77; ip rule add pref 100 to 10.244.2.0/24 lookup 77',
    mend: 'ip rule del pref 100; ip route flush table 77',
    expected: /^route cw-br0 CW1301 rule 100: from all to 10\.244\.2\.0\/24 lookup 77/,
  },
  {
    name: "another's address",
    cause: 'ip addr add 10.244.2.9/32 dev u',
    mend: 'ip addr del 10.244.2.9/32 dev u',
    expected: /^route cw-br0 CW1303 address 10\.244\.2\.9 on device u/,
  },
  {
    name: 'the other node is silent',
    at: 'peer',
    flush: 'ip neigh flush dev u',
    cause: 'ip link set u1 arp off',
    mend: 'ip link set u1 arp on',
    expected: /^neighbour u node node-2 \(172\.30\.1\.2\) does not answer/,
  },
  {
    name: 'a wrong MAC of the VTEP',
    cause: 'ip neigh replace 169.254.42.1 lladdr 02:00:00:00:00:09 dev cw-vxlan nud permanent',
    mend: 'ip neigh replace 169.254.42.1 lladdr 02:43:57:ff:ff:ff dev cw-vxlan nud permanent',
    expected: /^neighbour cw-vxlan the VTEP .* sends to 02:00:00:00:00:09/,
  },
  {
    name: 'nftables on the forward hook',
    cause: drop('inet fw', 'forward', 'ip saddr . tcp dport { 10.244.1.2 . 8080, 10.244.1.3 . 8080 }'),
    mend: 'nft delete table inet fw',
    expected: /^nftables cw-br0 CW7001 table inet fw drops this packet/,
  },
  {
    name: 'nftables for another port',
    cause: drop('inet fw', 'forward', 'tcp dport 8081'),
    mend: 'nft delete table inet fw',
    expected: /^$/,
  },
  {
    name: 'legacy iptables',
    cause: 'iptables-legacy -A FORWARD -p tcp --sport 40000 -j DROP',
    mend: 'iptables-legacy -F FORWARD',
    expected: /^nftables cw-br0 CW7001 table legacy ip filter drops this packet/,
  },
  {
    name: 'echo requests alone',
    cause: drop('inet fw', 'forward', 'icmp type echo-request'),
    mend: 'nft delete table inet fw',
    wish: { protocol: 'icmp' },
    expected: /^nftables cw-br0 CW7001 .*icmp/,
  },
  {
    name: 'the port of the tunnel, outwards',
    cause: drop('netdev fw', 'egress device u', 'udp dport 8472'),
    mend: 'nft delete table netdev fw',
    expected: /^nftables u CW7002 table netdev fw drops the tunnel's packet/,
  },
  {
    name: 'the port of the tunnel, inwards',
    cause: drop('inet fw', 'input', 'udp dport 8472'),
    mend: 'nft delete table inet fw',
    isComing: true,
    expected: /^nftables u CW7002 table inet fw drops the tunnel's packet/,
  },
  {
    name: 'a tunnel end that is none',
    cause: 'true',
    mend: 'true',
    isComing: true,
    wish: { outerSrc: '172.30.1.99' },
    expected: /^nftables u Causeway's own table inet causeway drops it: .*whoever is no node/,
  },
  {
    name: 'strict rp_filter',
    cause: 'sysctl -qw net.ipv4.conf.cw-vxlan.rp_filter=1; ip route add 10.244.2.9/32 via 172.30.1.2',
    mend: 'sysctl -qw net.ipv4.conf.cw-vxlan.rp_filter=2; ip route del 10.244.2.9/32',
    isComing: true,
    expected: /^route cw-vxlan CW1203 rp_filter of cw-vxlan is strict/,
  },
  {
    name: 'no forwarding',
    cause: 'sysctl -qw net.ipv4.conf.cw-vxlan.forwarding=0',
    mend: 'sysctl -qw net.ipv4.conf.cw-vxlan.forwarding=1',
    isComing: true,
    expected: /^route cw-vxlan CW2002 net\.ipv4\.conf\.cw-vxlan\.forwarding is 0/,
  },
  {
    name: 'a wrong MAC of the pod',
    cause: 'ip neigh replace 10.244.1.2 lladdr 02:00:00:00:00:09 dev cw-br0 nud permanent',
    mend: 'ip neigh del 10.244.1.2 dev cw-br0',
    isComing: true,
    expected: /^neighbour cw-br0 pod shop\/web .* sends to 02:00:00:00:00:09/,
  },
  {
    name: 'a small MTU of the pod',
    at: 'web',
    cause: 'ip link set eth0 mtu 1300',
    mend: 'ip link set eth0 mtu 1500',
    isComing: true,
    wish: { sizeBytes: '1400' },
    expected: /^mtu eth0 CW3111 1400 bytes are more than 1300/,
  },
  {
    name: 'a pod that is down',
    at: 'web',
    cause: 'ip link set eth0 down',
    mend: 'ip link set eth0 up; ip route replace default via 10.244.1.1; ip route replace 10.244.0.0/16 via 10.244.1.1 mtu 1450',
    isComing: true,
    expected: /^deliver eth0 eth0 of pod shop\/web is down/,
  },
  {
    name: 'a pod without its address',
    at: 'web',
    cause: 'ip addr del 10.244.1.2/24 dev eth0',
    mend: 'ip addr add 10.244.1.2/24 dev eth0; ip route replace default via 10.244.1.1; ip route replace 10.244.0.0/16 via 10.244.1.1 mtu 1450',
    isComing: true,
    expected: /^neighbour cw-br0 pod shop\/web|^deliver eth0 CW3106 no interface of pod shop\/web has 10\.244\.1\.2/,
  },
  {
    name: 'rules in the pod',
    at: 'web',
    cause: drop('inet mesh', 'output', 'tcp dport 8080'),
    mend: 'nft delete table inet mesh',
    expected: /^nftables eth0 in the namespace of pod shop\/web: table inet mesh drops/,
  },
  {
    name: 'a packet larger than the way',
    cause: 'true',
    mend: 'true',
    wish: { sizeBytes: '1480', mayFragment: 'no' },
    expected: /^mtu eth0 1480 bytes are more than 1450, the MTU of the route: the kernel refuses to send it/,
  },
  {
    name: 'the egress of the bridge',
    cause: drop('netdev fw', 'egress device cw-br0', 'ip daddr 10.244.1.2'),
    mend: 'nft delete table netdev fw',
    isComing: true,
    expected: /^nftables cw-br0 CW7001 table netdev fw drops this packet/,
  },
  {
    name: 'no route in the pod',
    at: 'web',
    cause: 'ip route del default; ip route del 10.244.0.0/16',
    mend: 'ip route add default via 10.244.1.1; ip route add 10.244.0.0/16 via 10.244.1.1 mtu 1450',
    expected: /^route eth0 the kernel has no way \(ENETUNREACH\)/,
  },
]

test('each fault is the first obstacle, and none is left when it is mended', async () => {
  await using scene = await Scene.start('bridge')
  assert.equal(scene.node.addrOf('web'), '10.244.1.2')
  const bridge = scene.node.deviceOf('other')
  const [link] = scene.web.ip<{ address: string }>('link show dev eth0')
  const mac = link!.address
  const all: readonly Fault[] = [
    ...faults,
    {
      name: 'a wrong entry of the bridge',
      cause: `bridge fdb replace ${mac} dev ${bridge} master sticky static`,
      mend: `bridge fdb del ${mac} dev ${bridge} master`,
      isComing: true,
      expected: /^fdb cw-br0 cw-br0 sends frames for .* by/,
    },
  ]
  for (const { name, at = 'host', cause, flush, mend, wish = {}, isComing, expected } of all) {
    const asked: Wish = isComing ? { src: '10.244.2.9', dst: '10.244.1.2', ...wish } : wish
    scene[at].sh(cause)
    if (flush !== undefined) scene.host.sh(flush)
    const [first = ''] = await scene.obstacles(asked)
    assert.match(first, expected, name)
    scene[at].sh(mend)
    const { outerSrc: _, sizeBytes: __, ...plain } = asked
    assert.deepEqual(await scene.obstacles(plain), [], `mended: ${name}`)
  }
})

test('network policies are obstacles where they deny, and say what would allow it', async () => {
  await using scene = await Scene.start('bridge')
  await scene.node.setPolicy('web', { podSelector: { matchLabels: { app: 'web' } }, ingress: [] })
  const [first] = (await scene.ask({ src: scene.node.addrOf('other'), dst: scene.node.addrOf('web') })).steps.filter(
    ({ isObstacle }) => isObstacle,
  )
  assert.ok(first?.kind === 'policy' && first.remedy !== undefined, JSON.stringify(first))
  assert.match(first.text, /^ingress of shop\/web is denied: /)
  // the answer is of a connection that is known
  assert.deepEqual(
    await scene.obstacles({ src: scene.node.addrOf('other'), dst: scene.node.addrOf('web'), answer: 'yes' }),
    [],
  )
  assert.deepEqual(await scene.obstacles({ dst: scene.node.addrOf('other') }), [])
})

/** As kube-proxy writes them in its mode nftables, and in its mode iptables. */
const serviceRules = {
  nftables: `nft -f - <<'RULES'
table ip kube-proxy {
  map service-ips {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = {
      10.96.0.10 . udp . 53 : goto service-AAAAAAAA-kube-system/dns/udp/dns,
      10.96.0.80 . tcp . 8080 : goto service-BBBBBBBB-shop/web/tcp/http
    }
  }
  chain mark-for-masquerade { meta mark set mark or 0x4000; }
  chain endpoint-CCCCCCCC-shop/web/tcp/http__10.244.2.9/80 {
    ip saddr 10.244.2.9 jump mark-for-masquerade
    meta l4proto tcp dnat to 10.244.2.9:80
  }
  chain endpoint-DDDDDDDD-shop/web/tcp/http__10.244.1.3/80 {
    ip saddr 10.244.1.3 jump mark-for-masquerade
    meta l4proto tcp dnat to 10.244.1.3:80
  }
  chain service-AAAAAAAA-kube-system/dns/udp/dns { counter; }
  chain service-BBBBBBBB-shop/web/tcp/http {
    ip daddr 10.96.0.80 tcp dport 8080 ip saddr != 10.244.0.0/16 jump mark-for-masquerade
    numgen random mod 2 vmap {
      0 : goto endpoint-CCCCCCCC-shop/web/tcp/http__10.244.2.9/80,
      1 : goto endpoint-DDDDDDDD-shop/web/tcp/http__10.244.1.3/80
    }
  }
  chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }
  chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
  chain nat-output { type nat hook output priority -100; jump services; }
}
RULES`,
  iptables: restored('iptables'),
  'legacy iptables': restored('iptables-legacy'),
} as const

function restored(program: string): string {
  return `${program}-restore --noflush <<'RULES'
*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-B - [0:0]
:KUBE-SEP-C - [0:0]
:KUBE-SEP-D - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -m comment --comment "kube-system/dns:dns cluster IP" -m udp --dport 53 -j KUBE-MARK-MASQ
-A KUBE-SERVICES -d 10.96.0.80/32 -p tcp -m comment --comment "shop/web:http cluster IP" -m tcp --dport 8080 -j KUBE-SVC-B
-A KUBE-SVC-B ! -s 10.244.0.0/16 -d 10.96.0.80/32 -p tcp -m tcp --dport 8080 -j KUBE-MARK-MASQ
-A KUBE-SVC-B -m comment --comment "shop/web:http -> 10.244.2.9:80" -m statistic --mode random --probability 0.5 -j KUBE-SEP-C
-A KUBE-SVC-B -m comment --comment "shop/web:http -> 10.244.1.3:80" -j KUBE-SEP-D
-A KUBE-SEP-C -s 10.244.2.9/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-C -p tcp -m comment --comment "shop/web:http" -m tcp -j DNAT --to-destination 10.244.2.9:80
-A KUBE-SEP-D -s 10.244.1.3/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-D -p tcp -m comment --comment "shop/web:http" -m tcp -j DNAT --to-destination 10.244.1.3:80
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
COMMIT
RULES`
}

/** A connection from port 40000, of which only the first packet is sent. */
const connecting = `python3 -c "import socket; s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('10.244.1.2', 40000)); s.setblocking(0); s.connect_ex(('10.96.0.80', 8080))"`

/** The packet may be on its way still when the process that sent it has ended. */
async function trackedFlow(conntrack: Netlink): Promise<Flow> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const flows = await findFlows(conntrack, () => true)
    const flow = flows.find(({ srcPort, dstPort }) => srcPort === 40_000 && dstPort === 80)
    if (flow) return flow
    await sleep(20)
  }
  assert.fail('the connection is not tracked')
}

test("a Service is told with its ends, and the rest of the way is that to one of them; connection tracking's where it has one", async () => {
  await using scene = await Scene.start('bridge')
  const other = scene.node.pods.get('other')!
  const remove = {
    nftables: 'nft delete table ip kube-proxy',
    iptables: 'nft delete table ip nat',
    'legacy iptables': 'iptables-legacy -t nat -F; iptables-legacy -t nat -X',
  }
  for (const [mode, rules] of Object.entries(serviceRules)) {
    scene.host.sh(rules)
    const found = await scene.ask({ dst: '10.96.0.80' })
    const step = found.steps.find(({ kind }) => kind === 'service')
    assert.match(
      step?.text ?? '',
      /^10\.96\.0\.80:8080 \(shop\/web.*\) is translated into one of 2: 10\.244\.\d\.\d:80, 10\.244\.\d\.\d:80, by .*; what follows is for /,
      mode,
    )
    const { addr, ...rest } = found.translatedTo!
    assert.deepEqual(rest, { port: 80, among: 2 }, mode)
    assert.equal(found.leaves?.outerDst, addr === '10.244.2.9' ? '172.30.1.2' : undefined, mode)
    assert.deepEqual(
      found.steps.filter(({ isObstacle }) => isObstacle),
      [],
      mode,
    )
    const elsewhere = await scene.ask({ dst: '10.96.0.80', port: '8081' })
    assert.equal(elsewhere.translatedTo, undefined, mode)
    // where the bridge does not show its frames to the rules, an answer of a pod of this node is not translated back
    scene.host.sh('sysctl -qw net.bridge.bridge-nf-call-iptables=0')
    const [first, second] = await Promise.all([
      scene.obstacles({ dst: '10.96.0.80' }),
      scene.ask({ dst: '10.96.0.80' }),
    ])
    const isNear = second.translatedTo!.addr === '10.244.1.3'
    assert.match(first[0] ?? '', isNear ? /^service cw-br0 pod shop\/other answers over the bridge/ : /^$/, mode)
    scene.host.sh('sysctl -qw net.bridge.bridge-nf-call-iptables=1')
    // a connection that is there has its end
    // a refusal would end it at once
    other.sh(`nft 'table inet quiet { chain c { type filter hook input priority 0; tcp dport 80 drop; }; }'`)
    scene.web.sh(connecting)
    using conntrack = new Netlink(NETLINK_NETFILTER)
    const flow = await trackedFlow(conntrack)
    other.sh('nft delete table inet quiet')
    const tracked = await scene.ask({ dst: '10.96.0.80' })
    assert.equal(tracked.translatedTo?.addr, String(flow.dst), mode)
    assert.match(tracked.steps.find(({ kind }) => kind === 'service')!.text, /connection tracking has it at/)
    conntrack.execute(flowDelete(flow))
    scene.host.sh(remove[mode as keyof typeof remove])
  }
})
