// What an agent tells of its kernel is what iproute2, bridge, nft and iptables print of the same namespaces.
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, test } from 'node:test'
import { readFacts } from '#/agent/report/facts/node.ts'
import { nodeFacts, type NodeFacts } from '#/api/schemas/facts.ts'
import { strictMismatchOf } from '#/api/read.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { libc } from '#/sys/libc.ts'
import { Netns } from '#/sys/netns.ts'
import { TestNetns } from './namespace.ts'

const stack = new DisposableStack()
after(() => stack.dispose())
const [host, pod] = [stack.use(new TestNetns()), stack.use(new TestNetns())]

host.sh(`
  ip link add name br0 type bridge; ip link set br0 up; ip addr add 10.1.0.1/24 dev br0; ip addr add fd01::1/64 dev br0 nodad
  ip link add name veth0 type veth peer name eth0 netns ${pod.name}; ip link set veth0 master br0 up; bridge link set dev veth0 isolated on
  ip link add up0 type veth peer name up1; ip link set up0 up mtu 1400; ip addr add 192.0.2.1/24 dev up0; ip addr add 2001:db8::1/64 dev up0 nodad
  ip link add name vx type vxlan id 7 dstport 8472 local 192.0.2.1 nolearning; ip link set vx up
  ip link add name ex type vxlan external dstport 8473; ip link set ex up
  bridge fdb append 00:11:22:33:44:55 dev vx dst 192.0.2.9
  bridge fdb add 02:00:00:00:00:07 dev veth0 master static
  ip route add 10.2.0.0/16 via 10.1.0.7 src 10.1.0.1 mtu 1300 metric 5 proto 4
  ip route add 10.3.0.0/16 nexthop via 10.1.0.8 weight 1 nexthop via 10.1.0.9 weight 2
  ip route add blackhole 10.4.0.0/16; ip route add throw 10.5.0.0/16 table 77; ip route add 10.6.0.0/16 dev br0 tos 8
  ip route add 10.7.0.0/16 encap ip id 3 src 192.0.2.1 dst 192.0.2.5 via 10.8.0.1 dev ex onlink
  ip -6 route add fd02::/48 via fd01::7 pref high; ip -6 route add unreachable fd03::/48 metric 7
  ip rule add pref 100 from 10.9.0.0/16 to 10.2.0.0/16 iif br0 fwmark 0x10/0xf0 lookup 77
  ip rule add pref 110 not from 10.9.0.0/16 ipproto tcp dport 80-90 sport 5 lookup 78
  ip rule add pref 120 goto 32766; ip rule add pref 130 lookup main suppress_prefixlength 8
  ip -6 rule add pref 140 from fd01::/64 prohibit; ip rule add pref 150 uidrange 5-6 lookup 79
  ip neigh add 10.1.0.7 lladdr 02:00:00:00:00:01 dev br0 nud permanent; ip -6 neigh add fd01::7 lladdr 02:00:00:00:00:02 dev br0 nud stale
  sysctl -qw net.ipv4.conf.veth0.rp_filter=2 net.ipv4.conf.br0.forwarding=1
  nft 'table inet t { set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }; chain c { type filter hook forward priority 5; policy drop; ip saddr @s counter accept; jump d; }; chain d { tcp dport 80 drop comment "no web"; }; }'
`)
pod.sh(
  `ip link set lo up; ip link set eth0 up; ip addr add 10.1.0.2/24 dev eth0; ip route add default via 10.1.0.1; sysctl -qw net.ipv4.conf.eth0.rp_filter=1`,
)

// as an agent is in its node's namespace
libc('setns', [host.netns.fd, 0x40000000], 'the node')

async function read(withRules = false): Promise<NodeFacts> {
  using netlink = new Netlink()
  const sources = {
    nodeName: 'n',
    netlink,
    pods: () => [
      { pod: 'default/web', netns: pod.path, netnsId: '' },
      { pod: 'default/gone', netns: '/gone', netnsId: '' },
    ],
    netnsOf: ({ netns }: { readonly netns: string }) => (netns === '/gone' ? undefined : new Netns(netns)),
    generation: () => undefined,
    settings: {},
    confDir: undefined,
  }
  const facts = await readFacts(sources, { withRules })
  assert.equal(strictMismatchOf(nodeFacts, facts), undefined)
  return facts
}

type Row = Record<string, unknown>
const sorted = (rows: readonly unknown[]): string[] => rows.map((row) => JSON.stringify(row)).toSorted()

test('devices, addresses and neighbours are those of iproute2', async () => {
  const [node, web, gone] = (await read()).namespaces
  assert.equal(web?.pod, 'default/web')
  assert.deepEqual([gone?.error, gone?.links], ['its namespace is gone', []])
  for (const [facts, namespace] of [
    [node!, host],
    [web, pod],
  ] as const) {
    const links = namespace.ip<Row>('link show').map((link) => {
      const { flags, linkinfo = {} } = link as { flags: string[]; linkinfo?: Row }
      return {
        index: link['ifindex'],
        name: link['ifname'],
        kind: linkinfo['info_kind'] ?? '',
        mac: link['address'],
        mtuBytes: link['mtu'],
        isUp: flags.includes('UP'),
        hasCarrier: flags.includes('LOWER_UP'),
      }
    })
    assert.deepEqual(
      sorted(
        facts.links.map(({ index, name, kind, mac, mtuBytes, isUp, hasCarrier }) => ({
          index,
          name,
          kind,
          mac,
          mtuBytes,
          isUp,
          hasCarrier,
        })),
      ),
      sorted(links),
    )
    const addresses = namespace.ip<Row>('addr show').flatMap((link) =>
      (link['addr_info'] as Row[]).map((each) => ({
        device: link['ifname'],
        addr: each['local'],
        prefixLength: each['prefixlen'],
      })),
    )
    assert.deepEqual(sorted(facts.addresses), sorted(addresses))
  }
  assert.deepEqual(node!.links.find(({ name }) => name === 'vx')?.vxlan, {
    vni: 7,
    port: 8472,
    isExternal: false,
    local: '192.0.2.1',
  })
  assert.equal(node!.links.find(({ name }) => name === 'ex')?.vxlan?.isExternal, true)
  const port = node!.links.find(({ name }) => name === 'veth0')
  assert.deepEqual([port?.master, port?.port?.isOpen], ['br0', false])
  assert.equal(node!.links.find(({ name }) => name === 'up0')?.hasCarrier, false)
  const known = node!.neighbours.filter(({ device }) => device === 'br0')
  assert.deepEqual(
    sorted(known),
    sorted([
      { device: 'br0', addr: '10.1.0.7', mac: '02:00:00:00:00:01', state: 'permanent' },
      { device: 'br0', addr: 'fd01::7', mac: '02:00:00:00:00:02', state: 'stale' },
    ]),
  )
  const entries = node!.bridgeEntries.map(({ device, mac, bridge, dst, origin }) =>
    [device, mac, bridge, dst, origin].join(' '),
  )
  assert.ok(entries.includes('veth0 02:00:00:00:00:07 br0  static'), entries.join('\n'))
  assert.ok(
    node!.bridgeEntries.some(
      ({ device, mac, dst }) => device === 'vx' && mac === '00:11:22:33:44:55' && dst === '192.0.2.9',
    ),
  )
})

const leadNowhere = new Set(['blackhole', 'unreachable', 'prohibit', 'throw'])

/** A route as `ip -j route show table all` tells it, in the words of the facts. */
function ofIp(family: 4 | 6, each: Row) {
  const protocols: Readonly<Record<string, number>> = { kernel: 2, boot: 3, static: 4 }
  const tables: Readonly<Record<string, number>> = { main: 254, local: 255, default: 253 }
  const { dst, type = 'unicast', table = 'main', metric = 0, protocol, prefsrc, metrics = [] } = each
  const bits = family === 4 ? 32 : 128
  const text =
    dst === 'default'
      ? family === 4
        ? '0.0.0.0/0'
        : '::/0'
      : String(dst).includes('/')
        ? String(dst)
        : `${String(dst)}/${bits}`
  const hops = (each['nexthops'] as Row[] | undefined) ?? [each]
  const [first] = metrics as Row[]
  return {
    dst: text,
    type,
    table: tables[String(table)] ?? Number(table),
    metric,
    protocol: protocols[String(protocol)] ?? Number(protocol),
    src: prefsrc,
    mtuBytes: first?.['mtu'],
    hops: leadNowhere.has(String(type))
      ? []
      : hops.map(({ dev, gateway }) => [gateway, dev].filter(Boolean).join(' ')).toSorted(),
  }
}

test('routes of all types and tables are those of iproute2', async () => {
  const { namespaces } = await read()
  for (const [facts, namespace] of [
    [namespaces[0]!, host],
    [namespaces[1]!, pod],
  ] as const)
    for (const family of [4, 6] as const) {
      const told = JSON.parse(namespace.sh(`ip -d -j -${family} route show table all`)) as Row[]
      // of a route that encapsulates, iproute2 writes two fields "dst" into the same object
      const expected = told
        .filter(({ encap }) => encap === undefined)
        .map((each) => ofIp(family, { ...each, table: each['table'] ?? 254 }))
      const found = facts.routes
        .filter(({ dst, encap }) => dst.includes(':') === (family === 6) && encap === undefined)
        .map(({ dst, type, table, metric, protocol, src, mtuBytes, nextHops }) => ({
          dst,
          type,
          table,
          metric,
          protocol,
          src,
          mtuBytes,
          hops: nextHops.map(({ device, gateway }) => [gateway, device].filter(Boolean).join(' ')).toSorted(),
        }))
      assert.deepEqual(sorted(found), sorted(expected))
    }
  const { routes } = namespaces[0]!
  const to = (dst: string) => routes.find((each) => each.dst === dst)
  assert.deepEqual(to('10.7.0.0/16')?.encap, { vni: 3, src: '192.0.2.1', dst: '192.0.2.5' })
  assert.deepEqual(to('10.7.0.0/16')?.nextHops, [{ device: 'ex', gateway: '10.8.0.1', isOnlink: true }])
  assert.deepEqual(
    [to('10.6.0.0/16')?.tos, to('fd02::/48')?.preference, to('10.3.0.0/16')?.nextHops.length],
    [8, 'high', 2],
  )
})

test('rules are those of iproute2, also in its words', async () => {
  const [node] = (await read()).namespaces
  const words = (['', '-6'] as const).flatMap((family) => host.sh(`ip ${family} rule show`).trim().split('\n'))
  const plain = words.map((line) => line.replaceAll(/\s+/g, ' ').trim())
  const found = node!.rules.map(({ text }) => text.replace(/ lookup 79/, ' uidrange 5-6 lookup 79'))
  assert.deepEqual(found.toSorted(), plain.toSorted())
  assert.equal(node!.rules.find(({ priority }) => priority === 150)?.isNarrow, true)
  assert.equal(node!.rules.find(({ priority }) => priority === 110)?.isNarrow, false)
})

test('sysctls, listeners and firewalls', async () => {
  const server = host.netns.run(() => createServer())
  await new Promise<void>((resolve) => server.listen(4321, '10.1.0.1', resolve))
  try {
    const { namespaces } = await read(true)
    const [node, web] = namespaces
    assert.deepEqual(
      node!.listeners.filter(({ protocol }) => protocol === 'tcp'),
      [{ protocol: 'tcp', port: 4321, addr: '10.1.0.1' }],
    )
    assert.equal(node!.sysctls['net/ipv4/conf/veth0/rp_filter'], '2')
    assert.equal(web!.sysctls['net/ipv4/conf/eth0/rp_filter'], '1')
    assert.equal(node!.sysctls['net/ipv4/conf/br0/forwarding'], '1')
    for (const name of [
      'net/ipv4/ip_forward',
      'net/ipv4/conf/all/rp_filter',
      'net/ipv4/conf/default/rp_filter',
      'net/ipv6/conf/up0/disable_ipv6',
    ])
      assert.equal(node!.sysctls[name], host.sh(`cat /proc/sys/${name}`).trim(), name)
    const chains = node!.chains.map(({ family, table, chain, base, rules }) => ({
      name: `${family} ${table} ${chain}`,
      base,
      comments: rules?.map(({ comment }) => comment),
    }))
    assert.deepEqual(chains, [
      {
        name: 'inet t c',
        base: { hook: 'forward', priority: 5, isNat: false, dropsByPolicy: true },
        comments: [undefined, undefined],
      },
      { name: 'inet t d', base: undefined, comments: ['no web'] },
    ])
    assert.deepEqual(
      node!.sets?.map(({ set, elements }) => [set, (elements?.length ?? 0) > 0]),
      [['s', true]],
    )
    assert.deepEqual(web!.chains, [])
    const [plain] = (await read()).namespaces
    assert.deepEqual([plain!.sets, plain!.chains.map(({ rules }) => rules)], [undefined, [undefined, undefined]])
  } finally {
    server.close()
  }
})
