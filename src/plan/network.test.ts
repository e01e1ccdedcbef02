import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type NodeState, type NodeWay } from '#/model/network.ts'
import { type PlannedDatapath } from './datapath-plan.ts'
import { NodeWays } from './node-ways.ts'
import { linkWay } from './testing/link-way.ts'
import { problemText } from '#/model/problems.ts'
import { type Problem } from '#/model/problems.ts'
import { planNetwork, type Plan, type PlanInput, problemsOfCIDRs } from './network.ts'
import { RemoteNodes } from './remote-nodes.ts'

function node(name: string, podCIDRs: string[], addrs: string[]): NodeState {
  return { name, podCIDRs: podCIDRs.map(Prefix.parse), addrs: addrs.map(Addr.parse) }
}

const one = node('node-1', ['10.244.1.0/24', 'fd10:244:0:1::/64'], ['172.30.1.11', 'fd30::b'])
const two = node('node-2', ['10.244.2.0/24', 'fd10:244:0:2::/64'], ['172.30.1.12', 'fd30::c'])

const settings = {
  clusterCIDRs: ['10.244.0.0/16', 'fd10:244::/48'].map(Prefix.parse),
  vni: 1,
  vxlanPort: 8472,
  opensForwardChains: true,
  routing: 'vxlan' as const,
}

/** A datapath with one device. */
const pods: PlannedDatapath = {
  podDevice: 'pods0',
  plan: ({ served }) => ({
    sysctls: [],
    links: [{ kind: 'bridge', name: 'pods0', mac: '02:00:00:00:00:01' }],
    addresses: served.map((cidr) => ({ device: 'pods0', addr: cidr.at(1), prefixLength: cidr.length })),
  }),
}

/** As seen by the first of the nodes. */
type Planned = Plan & { readonly problems: readonly Problem[] }

function plan(nodes: NodeState[], { ways = [], ...more }: Partial<PlanInput> & { ways?: NodeWay[] } = {}): Planned {
  const { underlay = { 4: 1500, 6: 1500 } } = more
  const remoteNodes = new RemoteNodes({
    self: nodes[0]!,
    underlay,
    ways: new NodeWays(ways),
    connected: [],
    routing: 'vxlan',
    settings,
  })
  remoteNodes.update(nodes.map((each) => [each.name, each]))
  const input: PlanInput = {
    remoteNodes,
    isComplete: true,
    keepsOverlay: false,
    underlay,
    ports: [],
    datapaths: [pods],
    settings,
    ...more,
  }
  return { ...planNetwork(input), problems: problemsOfCIDRs(input) }
}

const blackholes = ({ network }: Plan): string[] =>
  network.routes.flatMap(({ kind, dst }) => (kind === 'blackhole' ? [String(dst)] : []))

test('a node that advertises its pod CIDRs has blackholes behind them with routing vxlan too', () => {
  assert.deepEqual(blackholes(plan([one])), [])
  assert.deepEqual(blackholes(plan([one], { isAdvertised: true })), ['10.244.1.0/24', 'fd10:244:0:1::/64'])
})

test('an underlay too narrow for IPv6 takes IPv6 from no device', () => {
  const underlay = { 4: 1000, 6: 1000 }
  const { network, deviceMtuBytes } = plan([one, two], { underlay })
  assert.equal(deviceMtuBytes, 1280)
  assert.deepEqual(
    network.links.flatMap((link) => (link.kind === 'vxlan' ? [link.mtuBytes] : [])),
    [1280],
  )
  const ofIPv4 = [one, two].map((each) => ({ ...each, podCIDRs: each.podCIDRs.filter(({ family }) => family === 4) }))
  assert.equal(plan(ofIPv4, { underlay }).deviceMtuBytes, 1000)
})

test('with routing vxlan blackholes cover what is to go through the tunnel or not at all', () => {
  const three = node('node-3', ['10.244.3.0/24'], ['172.30.1.13'])
  const absent = node('node-4', ['10.244.5.0/24'], [])
  const virtual = { ...node('node-5', ['10.244.6.0/24'], []), lacksAgent: 'it is virtual' }
  const all = [one, two, three, absent, virtual]
  assert.deepEqual(blackholes(plan(all)), ['10.244.2.0/23', '10.244.5.0/24', 'fd10:244:0:2::/64'])
  const routing = { mode: 'native', sends: ['native'], accepts: ['native'] } as const
  // what goes natively, though this node's routing is vxlan, needs its way
  const ways = new NodeWays([linkWay('172.30.1.0/24')])
  const table = new RemoteNodes({ self: one, underlay: { 4: 1500 }, ways, connected: [], routing: 'vxlan', settings })
  table.update([['node-3', { ...three, routingState: routing }]])
  assert.deepEqual(table.covered.prefixes, [])
})

test('with native routing the node has a blackhole behind each pod CIDR, and no tunnel where no node needs one', () => {
  const ways = new NodeWays(['172.30.1.0/24', 'fd30::/64'].map((each) => linkWay(each, { mtuBytes: 9000 })))
  const underlay = { 4: 9000, 6: 9000 }
  const remoteNodes = new RemoteNodes({ self: one, underlay, ways, connected: [], routing: 'native', settings })
  const routingState = { mode: 'native', sends: ['native'], accepts: ['native'] } as const
  remoteNodes.update([['node-2', { ...two, routingState }]])
  const input = { remoteNodes, isComplete: true, underlay, ports: [], datapaths: [pods], settings }
  const { network, hasOverlay, podMtuBytes, deviceMtuBytes } = planNetwork({ ...input, keepsOverlay: false })
  assert.deepEqual(
    network.routes.map(({ kind, dst }) => `${kind} ${dst}`),
    ['native 10.244.2.0/24', 'native fd10:244:0:2::/64', 'blackhole 10.244.1.0/24', 'blackhole fd10:244:0:1::/64'],
  )
  assert.deepEqual([hasOverlay, network.links.length, network.tables.length], [false, 1, 1])
  assert.deepEqual([podMtuBytes, deviceMtuBytes], [{ 4: 9000, 6: 9000 }, 9000])
  assert.ok(!network.sysctls.some(({ path }) => path.includes('cw-vxlan')))
  // kept for those who may not know yet, it holds pods to its MTU
  const kept = planNetwork({ ...input, keepsOverlay: true })
  assert.deepEqual([kept.hasOverlay, kept.network.links.length, kept.network.tables.length], [true, 2, 2])
  assert.deepEqual(kept.podMtuBytes, { 4: 8950, 6: 8930 })
  assert.ok(
    kept.network.sysctls.some(({ path, value }) => path === 'net/ipv4/conf/cw-vxlan/rp_filter' && value === '2'),
  )
})

const routesOf = ({ network }: Plan): string[] =>
  network.routes.flatMap((route) => {
    if (route.kind === 'blackhole') return []
    assert.ok(route.kind === 'overlay')
    return `${route.dst} to ${route.encap.dst} mtu ${route.mtuBytes} src ${route.preferredSource}`
  })

test('a remote node costs one route per family, and each family crosses the underlay of its own family', () => {
  const result = plan([one, two])
  assert.deepEqual(routesOf(result), [
    '10.244.2.0/24 to 172.30.1.12 mtu 1450 src 10.244.1.1',
    'fd10:244:0:2::/64 to fd30::c mtu 1430 src fd10:244:0:1::1',
  ])
  assert.deepEqual(result.problems, [])
  assert.deepEqual(result.podMtuBytes, { 4: 1450, 6: 1430 })
  assert.equal(result.deviceMtuBytes, 1500)
})

test('packets of both families cross in the one underlay family that two nodes share', () => {
  const v6only = node('node-3', ['10.244.3.0/24', 'fd10:244:0:3::/64'], ['fd30::d'])
  assert.deepEqual(routesOf(plan([one, v6only])), [
    '10.244.3.0/24 to fd30::d mtu 1430 src 10.244.1.1',
    'fd10:244:0:3::/64 to fd30::d mtu 1430 src fd10:244:0:1::1',
  ])
})

test('a node without address gets no route, and its problem says why', () => {
  const result = plan([one, node('node-4', ['10.244.4.0/24'], [])])
  assert.deepEqual(routesOf(result), [])
  assert.equal(result.problems.length, 1)
  const { code, object, message, remedy } = result.problems[0]!
  assert.deepEqual(
    [code, object, message],
    ['CW1201', 'node/node-4', 'no route to 10.244.4.0/24: the node has no InternalIP address'],
  )
  assert.match(remedy, /its kubelet set status\.addresses/)
})

test('an underlay MTU that is too small for IPv6 is a problem', () => {
  const { problems } = plan([one, two], { underlay: { 4: 1300, 6: 1300 } })
  assert.match(
    problemText(problems[0]!),
    /leaves 1230 bytes for fd10:244:0:2::\/64; IPv6 needs 1280; remedy: raise .* at least 1350/,
  )
})

test('the tunnel device is never too narrow for the IPv6 of its pods', () => {
  const underlay = { 4: 1300, 6: 1300 }
  const widthsOf = ({ network }: Plan): number[] =>
    network.links.flatMap((link) => (link.kind === 'vxlan' ? [link.mtuBytes] : []))
  assert.deepEqual(widthsOf(plan([one, two], { underlay })), [1280])
  assert.deepEqual(widthsOf(plan([one, two])), [1450])
  const v4only = [one, two].map((each) => ({ ...each, podCIDRs: each.podCIDRs.slice(0, 1) }))
  assert.deepEqual(widthsOf(plan(v4only, { underlay })), [1250])
})

test('of two claims on one CIDR or address the first name wins, seen from every node', () => {
  const thief = node('node-9', ['10.244.2.0/25', 'fd10:244:0:9::/64'], ['172.30.1.12', 'fd30::99'])
  const result = plan([one, two, thief])
  assert.ok(!routesOf(result).some((route) => route.startsWith('10.244.2.0/25')))
  assert.match(
    result.problems.map(({ message }) => message).join('\n'),
    /pod CIDR 10\.244\.2\.0\/25 overlaps 10\.244\.2\.0\/24 of node node-2/,
  )
  assert.match(
    result.problems.map(({ message }) => message).join('\n'),
    /address 172\.30\.1\.12 is also that of node node-2/,
  )
  const seenByThief = plan([thief, one, two])
  assert.deepEqual(seenByThief.podCIDRs.map(String), ['fd10:244:0:9::/64'])
})

test('only what leaves the cluster is masqueraded, pod CIDRs outside of the cluster CIDRs included in it', () => {
  const outside = [
    node('node-1', ['192.168.1.0/24'], ['172.30.1.11']),
    node('node-5', ['192.168.5.0/24'], ['172.30.1.15']),
  ]
  const [table] = plan(outside).network.tables
  assert.deepEqual(
    table!.sets.slice(0, 2).map(({ name, elements }) => [name, elements.map(String)]),
    [
      ['cluster4', ['10.244.0.0/16', '192.168.1.0/24', '192.168.5.0/24']],
      ['cluster6', ['fd10:244::/48']],
    ],
  )
})

test('without an underlay address there is a bridge but no overlay', () => {
  const { network } = plan([one], { underlay: {} })
  assert.deepEqual(
    network.links.map(({ kind }) => kind),
    ['bridge'],
  )
  assert.deepEqual([network.neighbours, network.routes], [[], []])
})

const anyNodes = fc.uniqueArray(
  fc.record({
    name: fc.integer({ min: 1, max: 40 }).map((number) => `node-${number}`),
    podCIDRs: fc.array(
      fc
        .tuple(fc.nat(30), fc.integer({ min: 20, max: 26 }))
        .map(([third, length]) => new Prefix(Addr.parse(`10.244.${third}.0`), length)),
      { maxLength: 2 },
    ),
    addrs: fc.array(
      fc.integer({ min: 1, max: 50 }).map((host) => Addr.parse(`172.30.1.${host}`)),
      { maxLength: 1 },
    ),
  }),
  { selector: ({ name }) => name, minLength: 1, maxLength: 12 },
)

test('any cluster: same plan in any order, no route into own CIDRs, never two routes that overlap', () => {
  fc.assert(
    fc.property(anyNodes, (nodes) => {
      const result = plan(nodes)
      const shuffled = plan([nodes[0]!, ...nodes.slice(1).toReversed()])
      assert.deepEqual(routesOf(shuffled), routesOf(result))
      const routes = result.network.routes.filter(({ kind }) => kind === 'overlay')
      const dsts = routes.map(({ dst }) => dst)
      const nodeOf = (index: number) => {
        const route = routes[index]!
        return route.kind === 'overlay' ? route.node : undefined
      }
      for (const [index, dst] of dsts.entries()) {
        assert.ok(!result.podCIDRs.some((own) => own.overlaps(dst)), `${dst} overlaps an own CIDR`)
        for (const [other, second] of dsts.entries()) {
          const sameNode = nodeOf(index) === nodeOf(other)
          assert.ok(index === other || sameNode || !dst.overlaps(second), `${dst} overlaps ${second}`)
        }
      }
    }),
    { numRuns: 500 },
  )
})

test('what firewalls of others must let pass: between pods, and through the tunnel while packets go that way', () => {
  const { passage } = plan([one, two]).network
  assert.deepEqual(passage?.podDevices, ['pods0'])
  assert.deepEqual(passage?.podCIDRs.map(String), ['10.244.1.0/24', 'fd10:244:0:1::/64'])
  assert.deepEqual(passage?.clusterCIDRs.map(String), ['10.244.0.0/16', 'fd10:244::/48'])
  assert.deepEqual([passage?.isNative, passage?.tunnel?.port], [false, 8472])
  assert.deepEqual(passage?.underlayDevices, [])
  const ways = [linkWay('172.30.1.0/24', { device: 'u7' }), linkWay('0.0.0.0/0', { device: 'wan' })]
  assert.deepEqual(plan([one, two], { ways }).network.passage?.underlayDevices, ['u7'])
  assert.ok(passage?.tunnel?.ends.every((addr) => two.addrs.some((each) => each.equals(addr))))
  assert.ok((passage?.tunnel?.ends.length ?? 0) > 0)
  // what is meant for packets that leave the cluster is in no pod's way on a node that is alone
  const alone = plan([one]).network.passage
  assert.deepEqual([alone?.isNative, alone?.tunnel?.device, alone?.tunnel?.ends], [false, 'cw-vxlan', []])
})
