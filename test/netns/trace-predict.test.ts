// What a node says its kernel would do with a packet, against real kernel state: on a healthy node no step is an obstacle, and with one fault the
// first obstacle is that fault.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type TracePrediction } from '#/api/schemas/trace-predict.ts'
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
    name: 'the cable is out',
    at: 'peer',
    cause: 'ip link set u1 down',
    mend: 'ip link set u1 up; ip addr add fd30::2/64 dev u1 nodad',
    expected: /^route u CW8104 u has no carrier/,
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
    name: 'an address that no pod has',
    cause: 'true',
    mend: 'true',
    isComing: true,
    wish: { dst: '10.244.1.77' },
    expected:
      /^deliver cw-br0 no pod of node-1 has 10\.244\.1\.77: .* nobody on cw-br0 answers when the kernel asks for its MAC/,
  },
  {
    name: 'an address that no pod has, on the same link',
    cause: 'true',
    mend: 'true',
    wish: { dst: '10.244.1.77' },
    expected: /^deliver eth0 no pod of node-1 has 10\.244\.1\.77: .* nobody on eth0 answers/,
  },
  {
    name: 'an address of a node that is gone',
    cause: 'ip route add default via 172.30.1.2',
    mend: 'ip route del default',
    wish: { dst: '10.244.99.9' },
    expected: /^route u no node has a pod CIDR with 10\.244\.99\.9/,
  },
  {
    name: 'no route in the pod',
    at: 'web',
    cause: 'ip route del default; ip route del 10.244.0.0/16',
    mend: 'ip route add default via 10.244.1.1; ip route add 10.244.0.0/16 via 10.244.1.1 mtu 1450',
    expected: /^route eth0 CW3114 the kernel drops it \(ENETUNREACH\): no route of pod shop\/web leads to /,
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
    const { outerSrc: _, sizeBytes: __, ...own } = asked
    const plain = wish.dst?.startsWith('10.') ? { ...own, dst: isComing ? '10.244.1.2' : '10.244.2.9' } : own
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

for (const datapath of ['bridge', 'ebpf'] as const)
  test(`${datapath}: the next node is told the source that a rule gives a packet, through the tunnel too`, async () => {
    await using scene = await Scene.start(datapath)
    scene.host.sh(
      `nft 'table inet nat { chain c { type nat hook postrouting priority 90; ip saddr 10.244.1.0/24 snat ip to 192.0.2.7; ip6 saddr fd10:244:0:1::/64 masquerade; }; }'`,
    )
    for (const [family, dst, src] of [
      [4, '10.244.2.9', '192.0.2.7'],
      [6, 'fd10:244:0:2::9', 'fd10:244:0:1::1'],
    ] as const) {
      const { leaves } = await scene.ask({ src: scene.node.addrOf('web', family), dst })
      assert.deepEqual(leaves, { device: 'u', outerSrc: '172.30.1.1', outerDst: '172.30.1.2', src })
    }
  })

for (const datapath of ['bridge', 'ebpf'] as const)
  test(`${datapath}: of an address that no pod has it is told how the node knows`, async () => {
    await using scene = await Scene.start(datapath)
    const { host } = scene
    for (const [src, dst] of [
      ['10.244.2.9', '10.244.1.77'],
      ['fd10:244:0:2::9', 'fd10:244:0:1::77'],
    ] as const) {
      const words = async (): Promise<string> => (await scene.obstacles({ src, dst })).join('; ')
      const unused = `^deliver cw-br0 no pod of node-1 has ${dst.replaceAll('.', '\\.')}: its agent knows of none, and `
      assert.match(await words(), new RegExp(`${unused}nobody on cw-br0 answers when the kernel asks for its MAC$`))
      // what a pod that is gone has left
      host.sh(`ip neigh replace ${dst} lladdr 0a:58:00:00:00:77 dev cw-br0 nud stale`)
      assert.match(
        await words(),
        new RegExp(`${unused}the kernel has 0a:58:00:00:00:77 for it from before \\(stale\\)$`),
      )
      // somebody else's container, which has just answered
      host.sh(`ip neigh replace ${dst} lladdr 0a:58:00:00:00:77 dev cw-br0 nud reachable`)
      const { steps } = await scene.ask({ src, dst })
      assert.deepEqual(
        steps.filter(({ isObstacle }) => isObstacle),
        [],
      )
      assert.match(steps.at(-1)?.text ?? '', /knows of none, and somebody on cw-br0 answers for it: 0a:58:00:00:00:77$/)
    }
  })
