// What is said of a packet from the facts of a node is what its kernel says at that moment, step by step, healthy and broken.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFacts } from '#/agent/report/facts/node.ts'
import { verdictStatus } from '#/agent/report/verdict-status.ts'
import { type NodeFacts } from '#/api/schemas/facts.ts'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { type TracePrediction } from '#/api/schemas/trace-predict.ts'
import { predictTold } from '#/facts/predict-told.ts'
import { type ToldNode } from '#/facts/told-node.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Addr } from '#/lib/addr.ts'
import { Scene, type Wish } from './trace-scene.ts'

/** What the moment decides: how fresh the kernel's knowledge of a neighbour is, and how it got there. */
const timeless = (told: TracePrediction): unknown => ({
  ...told,
  steps: told.steps.map((step) => ({
    ...step,
    text: step.text
      .replace(/\((stale|reachable|delay|probe)\)/, '(known)')
      .replace(/\((incomplete|failed)\)/, '(silent)'),
  })),
})

async function toldOf({ node }: Scene): Promise<ToldNode> {
  const { agent } = node
  using netlink = new Netlink()
  const facts = await readFacts(
    {
      nodeName: 'node-1',
      netlink,
      pods: () => agent.store.list(),
      netnsOf: (pod) => agent.pods.netnsOf(pod),
      generation: () => agent.ebpf.current,
      settings: { CAUSEWAY_CLUSTER_CIDRS: '10.244.0.0/16,fd10:244::/48', CAUSEWAY_VXLAN_PORT: '8472' },
      confDir: undefined,
    },
    { withRules: true },
  )
  const status = {
    node: 'node-1',
    podCIDRs: ['10.244.1.0/24', 'fd10:244:0:1::/64'],
    verdicts: [...(agent.keeper.remoteNodes?.verdicts ?? [])].map(verdictStatus),
    endpoints: agent.store.list().map(({ pod, addrs, hostDevice, ifName, datapath }) => ({
      pod,
      containerId: '',
      addrs: addrs.map(({ addr }) => String(addr)),
      hostDevice,
      ifName,
      state: 'ready' as const,
      datapath,
    })),
  } as unknown as AgentStatus
  // as it comes out of a file
  return { node: 'node-1', status, facts: JSON.parse(JSON.stringify(facts)) as NodeFacts }
}

const wishes = (scene: Scene): Wish[] =>
  ([4, 6] as const).flatMap((family): Wish[] => {
    const far = family === 4 ? '10.244.2.9' : 'fd10:244:0:2::9'
    const gateway = family === 4 ? '10.244.1.1' : 'fd10:244:0:1::1'
    const [web, other] = [scene.node.addrOf('web', family), scene.node.addrOf('other', family)]
    return [
      { src: web, dst: far },
      { src: web, dst: far, protocol: 'icmp', sizeBytes: '1500', mayFragment: 'no' },
      { src: web, dst: other, protocol: 'udp' },
      { src: web, dst: gateway, protocol: 'icmp' },
      { src: web, dst: family === 4 ? '192.0.2.77' : '2001:db8::77' },
      { src: gateway, dst: other },
      { src: far, dst: web, protocol: 'udp' },
      { src: web, dst: far, answer: 'yes' },
      { src: far, dst: web, protocol: 'icmp', answer: 'yes' },
      // of another node's pod CIDR, from this one's tunnel end
      { src: far, dst: web, protocol: 'icmp', outerSrc: '172.30.1.3' },
    ]
  })

/** Each fault, and what unmakes it. */
const faults: readonly (readonly [make: string, unmake: string])[] = [
  ['true', 'true'],
  ['ip route add blackhole 10.244.2.9/32', 'ip route del blackhole 10.244.2.9/32'],
  [
    'ip rule add pref 9 from 10.244.1.0/24 lookup 77; ip route add 10.244.2.0/24 dev u table 77',
    'ip rule del pref 9; ip route flush table 77',
  ],
  ['ip rule add pref 9 ipproto tcp dport 8080 prohibit', 'ip rule del pref 9'],
  ['ip addr add 10.244.2.9/32 dev u', 'ip addr del 10.244.2.9/32 dev u'],
  ['sysctl -qw net.ipv4.conf.cw-br0.forwarding=0', 'sysctl -qw net.ipv4.conf.cw-br0.forwarding=1'],
  ['sysctl -qw net.ipv6.conf.all.forwarding=0', 'sysctl -qw net.ipv6.conf.all.forwarding=1'],
  ['ip route add 10.244.2.0/25 via 172.30.1.2', 'ip route del 10.244.2.0/25 via 172.30.1.2'],
  [
    "nft 'table ip x { chain c { type filter hook forward priority 0; ip daddr 10.244.2.0/24 tcp dport 8080 drop; }; }'",
    'nft delete table ip x',
  ],
  [
    "nft 'table inet x { chain c { type filter hook postrouting priority 0; udp dport 8472 drop; }; }'",
    'nft delete table inet x',
  ],
  [
    'iptables-legacy -A FORWARD -s 10.244.1.0/24 -p icmp -j DROP',
    'iptables-legacy -D FORWARD -s 10.244.1.0/24 -p icmp -j DROP',
  ],
  [
    "nft 'table ip s { chain c { type nat hook prerouting priority dstnat; ip daddr 192.0.2.77 tcp dport 8080 dnat to 10.244.2.9:80; }; }'",
    'nft delete table ip s',
  ],
  ['ip link set u mtu 1400', 'ip link set u mtu 1500'],
]

for (const datapath of ['bridge', 'ebpf'] as const)
  test(`${datapath}: the steps of a packet are the same from the facts as from the kernel`, async () => {
    await using scene = await Scene.start(datapath)
    let steps = 0
    const kinds = new Set<string>()
    // nobody answers for some of the packets' next hops, which takes the kernel a while each time
    for (const [make, unmake] of datapath === 'bridge' ? faults : faults.slice(0, 4)) {
      scene.host.sh(make)
      try {
        // what the kernel has to ask for it has asked for after the first time
        for (const wish of wishes(scene)) await scene.ask(wish)
        const told = await toldOf(scene)
        for (const wish of wishes(scene)) {
          const live = await scene.ask(wish)
          const { protocol = 'tcp', src = '', dst = '' } = wish
          const ports = protocol === 'icmp' ? {} : { port: '8080', sourcePort: '40000' }
          const found = await predictTold(told, [told], { ...wish, src, dst, protocol, ...ports })
          assert.ok(typeof found !== 'string', `${make}: ${JSON.stringify(wish)}: ${JSON.stringify(found)}`)
          assert.deepEqual(timeless(found), timeless(live), `${make}: ${JSON.stringify(wish)}`)
          steps += live.steps.length
          for (const { kind, isObstacle } of live.steps) if (isObstacle) kinds.add(kind)
        }
      } finally {
        scene.host.sh(unmake)
      }
    }
    assert.ok(steps > 300)
    for (const kind of datapath === 'bridge' ? ['route', 'mtu', 'nftables'] : ['route', 'program'])
      assert.ok(kinds.has(kind), kind)
  })

for (const datapath of ['bridge', 'ebpf'] as const)
  test(`${datapath}: an address that no pod has is told of from the facts as from the kernel`, async () => {
    await using scene = await Scene.start(datapath)
    for (const dst of ['10.244.1.77', 'fd10:244:0:1::77']) {
      const src = scene.node.addrOf('web', dst.includes(':') ? 6 : 4)
      const asked = { src, dst, protocol: 'icmp' } as const
      const live = await scene.ask(asked)
      const told = await toldOf(scene)
      assert.match(live.steps.at(-1)?.text ?? '', /^no pod of node-1 has .* nobody on /)
      assert.deepEqual(await predictTold(told, [told], asked), live)
    }
  })

test('what maps of programs hold, and what they lack, is told of as by the kernel', async () => {
  await using scene = await Scene.start('ebpf')
  const { node, web } = scene
  const generation = node.agent.ebpf.current!
  const compare = async (wish: Wish & { readonly src: string; readonly dst: string }, words: RegExp): Promise<void> => {
    // what the kernel has to ask for it has asked for after the first time
    await scene.ask(wish)
    const told = await toldOf(scene)
    const asked = { protocol: 'tcp', port: '8080', sourcePort: '40000', ...wish } as const
    const [live, found] = [await scene.ask(asked), await predictTold(told, [told], asked)]
    assert.ok(typeof found !== 'string')
    assert.match(live.steps.find(({ kind }) => kind === 'program')?.text ?? '', words)
    assert.deepEqual(timeless(found), timeless(live))
  }
  for (const family of [4, 6] as const) {
    const far = family === 4 ? '10.244.2.9' : 'fd10:244:0:2::9'
    const src = node.addrOf('web', family)
    await compare({ src, dst: far }, /carried past it \(way tunnel4\)$/)
    await compare(
      { src: far, dst: src, outerSrc: '172.30.1.3' },
      /^cw_from_tunnel drops it: .* is of node-2, and 172\.30\.1\.3 of node-3$/,
    )
    const map = generation.map(family === 4 ? 'cw_pods4' : 'cw_pods6')
    const key = Addr.parse(src).toBytes()
    const value = map.get(key)!
    map.delete(key)
    await compare({ src, dst: far }, /^cw_from_pod drops .*: the maps have no such address of it$/)
    map.set(key, value)
    await compare({ src, dst: far }, /carried past it/)
  }
  const [link] = web.ip<{ address: string }>('link show dev eth0')
  web.sh('ip link set eth0 address 02:00:00:00:00:99')
  await compare(
    { src: node.addrOf('web'), dst: node.addrOf('other') },
    /^pod shop\/web sends from the MAC 02:00:00:00:00:99/,
  )
  web.sh(`ip link set eth0 address ${link!.address}`)
})

/** Maps that deny what no policy denies any more drop it all the same. */
async function staleDenials(scene: Scene): Promise<void> {
  const { node } = scene
  const generation = node.agent.ebpf.current!
  const maps = (['cw_verdicts', 'cw_policed'] as const).map((name) => generation.map(name))
  const before = maps.map((map) => map.entries())
  await node.removePolicy('web')
  const [src, dst] = [node.addrOf('web'), node.addrOf('other')]
  assert.deepEqual(await scene.obstacles({ src, dst }), [])
  for (const [index, map] of maps.entries()) for (const [key, value] of before[index]!) map.set(key, value)
  const asked = { src, dst, protocol: 'tcp', port: '8080', sourcePort: '40000' } as const
  const [live, told] = [await scene.ask(asked), await toldOf(scene)]
  assert.match(
    live.steps.find(({ isObstacle }) => isObstacle)?.text ?? '',
    /^cw_from_pod drops it, denied by networkpolicy\/shop\/web egress/,
  )
  assert.deepEqual(timeless((await predictTold(told, [told], asked)) as TracePrediction), timeless(live))
}

for (const datapath of ['bridge', 'ebpf'] as const)
  test(`${datapath}: what policies deny is dropped by the rules that were told, and nothing else`, async () => {
    await using scene = await Scene.start(datapath)
    const { node } = scene
    const peer = { podSelector: { matchLabels: { app: 'other' } } }
    const ports = [{ port: 8080, protocol: 'TCP' }]
    await node.setPolicy('web', {
      podSelector: { matchLabels: { app: 'web' } },
      ingress: [{ from: [peer], ports }],
      egress: [],
      policyTypes: ['Ingress', 'Egress'],
    })
    const told = await toldOf(scene)
    const outcomes: string[] = []
    for (const family of [4, 6] as const) {
      const [web, other] = [node.addrOf('web', family), node.addrOf('other', family)]
      const far = family === 4 ? '10.244.2.9' : 'fd10:244:0:2::9'
      const packets = [
        ['allowed', { src: other, dst: web, protocol: 'tcp', port: '8080' }],
        ['another port', { src: other, dst: web, protocol: 'tcp', port: '81' }],
        ['another protocol', { src: other, dst: web, protocol: 'udp', port: '8080' }],
        ['from elsewhere', { src: far, dst: web, protocol: 'tcp', port: '8080' }],
        ['out', { src: web, dst: far, protocol: 'tcp', port: '8080' }],
        ['of others', { src: other, dst: far, protocol: 'tcp', port: '8080' }],
        ['answer', { src: web, dst: other, protocol: 'tcp', port: '8080', answer: 'yes' }],
      ] as const
      for (const [what, wish] of packets) {
        const live = await scene.ask(wish)
        const found = await predictTold(told, [told], { ...wish, sourcePort: '40000' })
        assert.ok(typeof found !== 'string')
        const isDropped = [live, found].map(({ steps: all }) => all.some(({ isObstacle }) => isObstacle))
        outcomes.push(`${family} ${what}: ${isDropped.join(' ')}`)
        // what programs deny themselves is told with the policy that does
        const ofMaps = found.steps.find(({ kind, isObstacle }) => kind === 'program' && isObstacle)
        const direction = {
          'another port': 'ingress',
          'another protocol': 'ingress',
          'from elsewhere': 'ingress',
          out: 'egress',
        }[what as string]
        const isTold = datapath === 'ebpf' && direction !== undefined
        assert.equal(ofMaps !== undefined, isTold, `${family} ${what}`)
        if (isTold)
          assert.match(ofMaps!.text, new RegExp(`^cw_\\w+ drops it, denied by networkpolicy/shop/web ${direction}`))
      }
    }
    if (datapath === 'ebpf') await staleDenials(scene)
    const denied = new Set(['another port', 'another protocol', 'from elsewhere', 'out'])
    assert.deepEqual(
      outcomes,
      ([4, 6] as const).flatMap((family) =>
        ['allowed', 'another port', 'another protocol', 'from elsewhere', 'out', 'of others', 'answer'].map(
          (what) => `${family} ${what}: ${denied.has(what)} ${denied.has(what)}`,
        ),
      ),
    )
  })
