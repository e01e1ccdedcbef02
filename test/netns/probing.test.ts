// Probes of another node, on the real kernel: breaks of a way, and packets that are too large for it, are found within seconds, and no longer than
// they last.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Clock, systemClock } from '#/cluster/clock.ts'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { comesFrom, type OpenArrivals } from '#/agent/probing/arrivals.ts'
import { answersTcp } from '#/agent/probing/tcp-answer.ts'
import { refusesUdp } from '#/agent/probing/udp-answer.ts'
import { openProbeSocket } from '#/agent/probing/echo-sockets.ts'
import { type Peers, Probing, type ProbingDeps } from '#/agent/probing/probing.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { Addr, families, type Family, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { vtepMac } from '#/model/names.ts'
import { type Verdict } from '#/model/verdict.ts'
import { nodeTable } from '#/plan/filter.ts'
import { noRemotePlan } from '#/plan/remote-plan.ts'
import { arrivalSocket } from '#/sys/packet-socket.ts'
import { tcpSocket, wholeDatagramSocket } from '#/sys/socket.ts'
import { TestNetns } from './namespace.ts'

const own = { 4: '172.30.1.1', 6: 'fd30::1' } as const
const ends = { 4: '172.30.2.2', 6: 'fd31::2' } as const
const routers = { 4: '172.30.1.254', 6: 'fd30::fe' } as const
const podCIDRs = { 4: '10.244.2.0/24', 6: 'fd10:244:0:2::/64' } as const
const gateways = { 4: '10.244.2.1', 6: 'fd10:244:0:2::1' } as const
const ownGateways = { 4: '10.244.1.1', 6: 'fd10:244:0:1::1' } as const
const ownCIDRs = { 4: '10.244.1.0/24', 6: 'fd10:244:0:1::/64' } as const

function verdict(family: Family): Verdict {
  const [src, dst] = [Addr.parse(own[family]), Addr.parse(ends[family])]
  const tunnel = { outer: family, src, dst, gateway: Addr.parse('::') }
  return { way: 'vxlan', node: 'node-2', dst: Prefix.parse(podCIDRs[family]), tunnel, mtuBytes: 1450, reason: '' }
}

const plan = {
  ...noRemotePlan,
  verdicts: families.map(verdict),
  tunnelEnds: families.map((family) => Addr.parse(ends[family])),
  underlay: families.map((family) => ({ family, mtuBytes: 1500 })),
}

const peers: Peers = {
  self: {
    name: 'node-1',
    podCIDRs: families.map((family) => Prefix.parse(ownCIDRs[family])),
    addrs: families.map((family) => Addr.parse(own[family])),
  },
  plans: new Map([['node-2', plan]]),
  verdicts: plan.verdicts,
  isNear: () => false,
}

/** So much faster than life, so that what takes seconds takes less here. */
const speed = 5
const fastClock: Clock = {
  monotonicMs: () => performance.now() * speed,
  wallMs: () => Date.now(),
  after: (delayMs, callback) => systemClock.after(delayMs / speed, callback),
}

/** This node, a router, and another node; as pods' packets go, natively, since the tunnel makes no difference here. */
class Scene implements Disposable {
  readonly host = new TestNetns()
  readonly router = new TestNetns()
  readonly peer = new TestNetns()
  changes = 0

  constructor() {
    for (const each of [this.host, this.router, this.peer]) each.sh('sysctl -qw net.ipv6.conf.default.accept_dad=0')
    this.host.sh(`ip link set lo up; ip link add u type veth peer name a netns ${this.router.name}
      ip addr add ${own[4]}/24 dev u; ip addr add ${own[6]}/64 dev u nodad; ip link set u up
      ip addr add 10.244.1.1/24 dev lo; ip addr add fd10:244:0:1::1/64 dev lo nodad`)
    this.peer.sh(`ip link set lo up; ip link add u type veth peer name b netns ${this.router.name}
      ip addr add ${ends[4]}/24 dev u; ip addr add ${ends[6]}/64 dev u nodad; ip link set u up
      ip addr add ${gateways[4]}/24 dev lo; ip addr add ${gateways[6]}/64 dev lo nodad`)
    this.router.sh(`ip link set lo up; ip link set dev a up; ip link set dev b up
      sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
      ip addr add ${routers[4]}/24 dev a; ip addr add ${routers[6]}/64 dev a nodad
      ip addr add 172.30.2.254/24 dev b; ip addr add fd31::fe/64 dev b nodad
      ip route add ${podCIDRs[4]} via ${ends[4]}; ip -6 route add ${podCIDRs[6]} via ${ends[6]}
      ip route add ${ownCIDRs[4]} via ${own[4]}; ip -6 route add ${ownCIDRs[6]} via ${own[6]}`)
    this.host.sh(`ip route add default via ${routers[4]}; ip -6 route add default via ${routers[6]}`)
    this.peer.sh('ip route add default via 172.30.2.254; ip -6 route add default via fd31::fe')
  }

  probing(deps: Partial<ProbingDeps> = {}): Probing {
    return this.host.netns.run(
      () =>
        new Probing({
          nodeName: 'node-1',
          everyMs: 1_000,
          peers: () => peers,
          isLive: () => true,
          isLifeKnown: () => true,
          onChange: () => this.changes++,
          log: silent,
          clock: fastClock,
          answers: async (src, dst) =>
            answersTcp(src, dst, ({ family }) => this.host.netns.run(() => tcpSocket(family)), 100),
          comes: async (sources, waitMs) =>
            comesFrom(sources, waitMs / speed, (filter) => this.host.netns.run(() => arrivalSocket(filter))),
          refuses: async (src, dst, bytes) =>
            refusesUdp(src, dst, bytes, (from) => this.host.netns.run(() => wholeDatagramSocket(from)), 100),
          openSocket: (src) => this.host.netns.run(() => openProbeSocket(src)),
          ...deps,
        }),
    )
  }

  [Symbol.dispose](): void {
    for (const each of [this.host, this.router, this.peer]) each[Symbol.dispose]()
  }
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + 10_000
  while (!isSo()) {
    assert.ok(performance.now() < endMs, what)
    await delay(10)
  }
}

const textsOf = ({ problems }: Probing): string =>
  problems.map(({ code, object, message }) => `${code} ${object}: ${message}`).join('\n')
const statesOf = (probing: Probing): string[] =>
  probing.report().ways.map(({ path, family, state }) => `${path}${family} ${state}`)
const allOk = ['node4 ok', 'node6 ok', 'pod4 ok', 'pod6 ok']

test('a way that breaks is told of, and a way through which only small packets go, with who says so', async () => {
  using scene = new Scene()
  await using probing = scene.probing()
  probing.start()
  await until(() => statesOf(probing).join() === allOk.join(), 'all answers')
  await until(() => probing.report().ways.every(({ full }) => (full?.answered ?? 0) > 0), 'packets of the full size')
  assert.deepEqual([textsOf(probing), scene.changes], ['', 0])
  const [way] = probing.report().ways
  assert.deepEqual([way!.small.sizeBytes, way!.full!.sizeBytes, way!.src, way!.dst], [84, 1500, own[4], ends[4]])
  assert.ok(way!.rttMs!.least <= way!.rttMs!.median && way!.rttMs!.most < 1000)

  scene.peer.sh(`nft 'add table inet t; add chain inet t in { type filter hook input priority 0; }
    add rule inet t in ip daddr ${gateways[4]} drop'`)
  const brokenMs = fastClock.monotonicMs()
  await until(() => probing.problems.length > 0, 'a break is told')
  const tookMs = fastClock.monotonicMs() - brokenMs
  assert.ok(tookMs < 5_000, `told after ${tookMs} ms`)
  assert.match(
    textsOf(probing),
    /^CW1306 node\/node-2: node-2: no answer since \d\d:\d\d:\d\d UTC from its gateway 10\.244\.2\.1 through the tunnel, but from its address 172\.30\.2\.2, its address fd31::2, its gateway fd10:244:0:2::1 through the tunnel$/,
  )
  assert.deepEqual([probing.lasting.length, probing.isolation], [1, undefined])
  scene.peer.sh('nft delete table inet t')
  await until(() => probing.problems.length === 0, 'it is over')

  scene.router.sh('ip link set dev b mtu 1400')
  await until(() => probing.problems.length > 0, 'a narrow way is told')
  await until(() => statesOf(probing).every((each) => each.endsWith('small only')), 'all ways are narrow')
  assert.match(
    textsOf(probing),
    /^CW8101 node\/node-2: packets of 1500 bytes to its address 172\.30\.2\.2 are lost \(172\.30\.1\.254 says: fragmentation needed, it takes 1400 bytes at most\)/,
  )
  assert.match(textsOf(probing), /fd31::2 are lost \(fd30::fe says: packet too big, it takes 1400 bytes at most\)/)
  scene.router.sh('ip link set dev b mtu 1500')
  await until(() => probing.problems.length === 0, 'it is over')

  scene.host.sh('ip link set u mtu 1300')
  await until(() => probing.problems.length > 0, 'what the own device does not take is told')
  await until(() => statesOf(probing).every((each) => each.endsWith('small only')), 'all ways are narrow')
  assert.match(textsOf(probing), /172\.30\.2\.2 are lost \(this node says: /)
})

test('a firewall that refuses echo requests alone breaks nothing', async () => {
  using scene = new Scene()
  await using probing = scene.probing()
  probing.start()
  await until(() => statesOf(probing).join() === allOk.join(), 'all answers')
  scene.peer.sh(`nft 'add table inet t; add chain inet t in { type filter hook input priority 0; }
    add rule inet t in icmp type echo-request drop; add rule inet t in icmpv6 type echo-request drop'`)
  await until(() => statesOf(probing).every((each) => each.endsWith('unknown')), 'nothing is known any more')
  await delay(2_000)
  assert.deepEqual([textsOf(probing), probing.isolation, scene.changes], ['', undefined, 0])
  const { ways } = await probing.probe({ nodes: ['node-2'], count: 1 })
  assert.ok(ways.every(({ state }) => state === 'unknown'))
})

/** Datagrams from the gateways of the other node, as its own probes and packets of its pods go. */
function talkFrom(peer: TestNetns): readonly ChildProcess[] {
  const talk = (family: Family): string =>
    `import socket, time
s = socket.socket(socket.AF_INET${family === 6 ? '6' : ''}, socket.SOCK_DGRAM)
s.bind(('${gateways[family]}', 0))
while True:
  s.sendto(b'x', ('${ownGateways[family]}', 9))
  time.sleep(0.05)`
  return families.map((family) => spawn('ip', ['netns', 'exec', peer.name, 'python3', '-c', talk(family)]))
}

test('frames for the MAC of somebody else are no packets that come', async () => {
  using scene = new Scene()
  await using probing = scene.probing()
  probing.start()
  await until(() => statesOf(probing).join() === allOk.join(), 'all answers')
  const talkers = talkFrom(scene.peer)
  try {
    const wrong = 'lladdr 02:00:5e:00:53:01 nud permanent dev a'
    scene.router.sh(`ip neigh replace ${own[4]} ${wrong}; ip -6 neigh replace ${own[6]} ${wrong}`)
    await until(() => probing.problems.length > 0, 'the way is broken')
    assert.match(textsOf(probing), /^CW1306 node\/node-2: node-2: no answer at all/)
  } finally {
    for (const talker of talkers) talker.kill('SIGKILL')
  }
})

test('what comes to the MAC that all ends of tunnels share is for this node, though no device has it', async () => {
  using scene = new Scene()
  const talkers = talkFrom(scene.peer)
  try {
    for (const [mac, isOurs] of [
      [vtepMac, true],
      ['02:43:57:ff:ff:fe', false],
      ['02:43:58:ff:ff:ff', false],
    ] as const) {
      const to = `lladdr ${mac} nud permanent dev a`
      scene.router.sh(`ip neigh replace ${own[4]} ${to}; ip -6 neigh replace ${own[6]} ${to}`)
      await delay(100)
      for (const family of families) {
        const open: OpenArrivals = (filter) => scene.host.netns.run(() => arrivalSocket(filter))
        const isThere = await comesFrom(Prefix.parse(podCIDRs[family]), isOurs ? 5_000 : 300, open)
        assert.equal(isThere, isOurs, `${mac} over IPv${family}`)
      }
    }
  } finally {
    for (const talker of talkers) talker.kill('SIGKILL')
  }
})

test('a firewall that refuses echo requests and TCP breaks nothing while packets of pods come', async () => {
  using scene = new Scene()
  const { host, peer } = scene
  await using probing = scene.probing()
  probing.start()
  await until(() => statesOf(probing).join() === allOk.join(), 'all answers')
  const talkers = talkFrom(peer)
  try {
    const rules = `nft 'add table inet t; add chain inet t in { type filter hook input priority 0; policy drop; }
      add rule inet t in icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept'`
    for (const each of [host, peer]) each.sh(rules)
    await until(() => statesOf(probing).every((each) => /^pod\d unknown|^node\d broken/.test(each)), 'all are silent')
    await delay(4_000)
    assert.deepEqual([textsOf(probing), probing.isolation, scene.changes], ['', undefined, 0])
  } finally {
    for (const talker of talkers) talker.kill('SIGKILL')
  }
  await until(() => probing.problems.length > 0, 'nothing comes any more')
  assert.match(textsOf(probing), /^CW1306 node\/node-2: node-2: no answer at all/)
})

/** At the other node's INPUT. */
const input = (scene: Scene, rules: string): void => {
  scene.peer.sh('nft delete table inet t 2>/dev/null || true')
  if (rules !== '') scene.peer.sh(`nft 'table inet t { chain in { type filter hook input priority 0; ${rules} }; }'`)
}
const echoes = '{ echo-request }'

test('a firewall that limits echo requests, how many or how large, is told from a way that loses packets', async () => {
  using scene = new Scene()
  await using probing = scene.probing({ everyMs: 100 })
  probing.start()
  await until(() => statesOf(probing).join() === allOk.join(), 'all answers')
  const isLossy = (): boolean => probing.ways.every(({ way }) => way.isLossy)
  input(scene, `icmp type ${echoes} numgen random mod 3 0 drop; icmpv6 type ${echoes} numgen random mod 3 0 drop;`)
  await until(isLossy, 'echo requests are lost')
  await until(() => probing.ways.every(({ way }) => way.others.loss.outcome === 'echoes'), 'connections are not')
  assert.deepEqual([textsOf(probing), scene.changes], ['', 0])
  const asked = await probing.probe({ nodes: ['node-2'] })
  assert.ok(asked.ways.every(({ state }) => state === 'ok' || state === 'unknown'))

  input(scene, 'numgen random mod 3 0 drop;')
  await until(() => probing.problems.length > 0, 'loss is told')
  assert.match(textsOf(probing), /^CW8102 .* connections that were tried/)

  input(scene, `icmp type ${echoes} meta length 1000-2000 drop; icmpv6 type ${echoes} meta length 1000-2000 drop;`)
  await until(() => probing.problems.length === 0, 'it is over')
  await until(() => probing.ways.every(({ way }) => way.isSmallOnly), 'large echo requests are lost')
  await until(
    () => probing.ways.every(({ way }) => way.others.sizes.outcome(fastClock.monotonicMs()) === 'echoes'),
    'large datagrams are not',
  )
  assert.deepEqual([textsOf(probing), new Set(statesOf(probing)).size], ['', 4])
  input(scene, 'meta length 1000-2000 drop;')
  await until(() => probing.problems.length > 0, 'a narrow way is told')
  assert.match(textsOf(probing), /^CW8101 .* arrive$/)
})

test('connection tracking has one entry for each way, however many probes went', async () => {
  using scene = new Scene()
  // where nobody asks for connections, the kernel keeps none
  for (const each of [scene.host, scene.peer])
    each.sh(
      "nft 'add table inet t; add chain inet t o { type filter hook output priority 0; }; add rule inet t o ct state new accept'",
    )
  await using probing = scene.probing()
  probing.start()
  await until(() => statesOf(probing).join() === allOk.join(), 'all answers')
  await until(() => probing.report().ways.every(({ small }) => small.sent >= 10), 'some have gone')
  for (const each of [scene.host, scene.peer])
    assert.equal(Number(each.sh('sysctl -n net.netfilter.nf_conntrack_count')), 4)
})

test('who answers nothing at all is one finding, which this node does not tell as its own for a minute', async () => {
  using scene = new Scene()
  await using probing = scene.probing()
  probing.start()
  await until(() => statesOf(probing).join() === allOk.join(), 'all answers')
  scene.router.sh('ip link set dev b down')
  await until(() => probing.problems.length > 0, 'silence is told')
  assert.match(
    textsOf(probing),
    /^CW1306 node\/node-2: node-2: no answer at all since .* it is off or cut off, or this node is/,
  )
  assert.deepEqual(probing.lasting, [])
})

test('nodes are asked when somebody wants to know, whoever they are', async () => {
  using scene = new Scene()
  await using probing = scene.probing({ everyMs: 0 })
  const { ways, isOn } = await probing.probe({ nodes: ['node-2', 'nobody'], count: 3 })
  assert.deepEqual(
    ways.map(({ path, family, state, small, full }) => [path, family, state, small.answered, full?.answered]),
    [
      ['node', 4, 'ok', 3, 3],
      ['node', 6, 'ok', 3, 3],
      ['pod', 4, 'ok', 3, 3],
      ['pod', 6, 'ok', 3, 3],
    ],
  )
  assert.equal(isOn, false)
  scene.router.sh('ip link set dev b mtu 1400')
  const narrow = await probing.probe({ nodes: ['node-2'] })
  assert.deepEqual(
    narrow.ways.map(({ state, full }) => [state, full?.sent, full?.refused?.mtuBytes]),
    Array.from({ length: 4 }, () => ['small only', 5, 1400]),
  )
})

for (const family of [4, 6] as const)
  test(`a node to which packets go, from which none come, and which answers no probe is told of: IPv${family}`, async () => {
    using scene = new Scene()
    const { host, peer } = scene
    using nftables = host.netns.run(() => new NftClient())
    const tunnel = { port: 8472, ends: families.map((each) => Addr.parse(ends[each])) }
    nftables.replaceTable(nodeTable({ podCIDRs: [], clusterCIDRs: [], podDevices: [], tunnel }))
    const clock = new ManualClock()
    await using probing = scene.probing({ everyMs: 0, clock })
    const send = (from: TestNetns, to: string, packets: number): string =>
      from.sh(`bash -c 'for i in $(seq ${packets}); do echo x > /dev/udp/${to}/8472; done' 2>/dev/null || true`)
    const round = async (): Promise<void> => {
      await clock.advance(15_000)
      const looked = probing.round()
      // what is asked has some time to answer
      for (let turn = 0; turn < 12; turn++) {
        await delay(5)
        await clock.advance(100)
      }
      await looked
    }
    await round()
    send(host, ends[family], 30)
    await round()
    assert.deepEqual(probing.problems, [], 'the gateway answers')
    peer.sh('nft "add table inet t; add chain inet t in { type filter hook input priority 0; policy drop; }"')
    if (family === 6) peer.sh('nft add rule inet t in icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept')
    for (let turn = 0; turn < 4; turn++) {
      send(host, ends[family], 30)
      await round()
    }
    assert.match(
      textsOf(probing),
      new RegExp(
        `^CW1306 node/node-2: 1[1-5]\\d packets of the tunnel over IPv${family} went to node-2 in \\d+ s, none came`,
      ),
    )
    assert.equal(scene.changes, 1)
    send(peer, own[family], 1)
    await round()
    assert.deepEqual([probing.problems, scene.changes], [[], 2])
  })
