import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BpfEnd, type BpfNode } from '#/model/bpf.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type LearnedRoute, type LearnedRouteChange } from '#/model/bgp.ts'
import {
  type ConnectedSubnet,
  type DesiredNeighbour,
  type DesiredRoute,
  type KernelWay,
  type NetworkSettings,
  type NodeState,
  routeKey,
} from '#/model/network.ts'
import { type Routing, type RoutingState, routings } from '#/model/routing.ts'
import { bpfNodeOf, type BpfNodeObjects } from './bpf-nodes.ts'
import { NodeWays } from './node-ways.ts'
import { type Verdict } from '#/model/verdict.ts'
import { type RemoteContext } from './remote-plan.ts'
import { type NodeChange, type RemoteDelta, RemoteNodes } from './remote-nodes.ts'
import { linkWay } from './testing/link-way.ts'

const settings: NetworkSettings = {
  clusterCIDRs: [Prefix.parse('10.244.0.0/16')],
  vni: 1,
  vxlanPort: 8472,
  opensForwardChains: true,
  routing: 'vxlan',
}
/** Half of the nodes that tests have are on it. */
const subnet: ConnectedSubnet = {
  device: 'eth0',
  addr: Addr.parse('172.30.1.1'),
  prefix: Prefix.parse('172.30.1.0/30'),
  isNodeAddress: true,
}

function contextOf(self: NodeState, routing: Routing = 'vxlan', mtuBytes = 1500): RemoteContext {
  const ways = new NodeWays([
    linkWay('172.30.1.0/30', { mtuBytes }),
    linkWay('0.0.0.0/0', { mtuBytes, kind: 'router' }),
  ])
  return { self, underlay: { 4: mtuBytes }, ways, connected: [subnet], routing, settings }
}

type More = Pick<NodeState, 'routingState' | 'isStarting' | 'life' | 'formerCIDRs' | 'lacksAgent'>

function node(name: string, podCIDRs: string[], addrs: string[], vtepMac?: string, more: More = {}): NodeState {
  return {
    name,
    podCIDRs: podCIDRs.map(Prefix.parse),
    addrs: addrs.map(Addr.parse),
    ...(vtepMac && { vtepMacs: { 4: vtepMac } }),
    ...more,
  }
}

const self = node('node-m', ['10.244.0.0/24'], ['172.30.1.1'])

function stateOf(mode: Routing, sends: RoutingState['sends'], accepts: RoutingState['accepts']): RoutingState {
  return { mode, sends, accepts }
}

/** Few names, CIDRs and addresses, so that claims contradict each other all the time. */
const anyNode = fc.record({
  name: fc.integer({ min: 1, max: 6 }).map((number) => (number === 6 ? 'node-z' : `node-${number}`)),
  podCIDRs: fc.uniqueArray(
    fc
      .tuple(
        fc.constantFrom('10.244', '10.244', '10.244', '10.99', '172.30'),
        fc.nat(6),
        fc.constantFrom(22, 23, 24, 24, 24, 25),
      )
      .map(([net, third, length]) => String(new Prefix(Addr.parse(`${net}.${third}.0`), length))),
    { maxLength: 2 },
  ),
  addrs: fc.uniqueArray(
    fc.oneof(
      fc.nat(7).map((host) => `172.30.1.${host + 1}`),
      fc.constantFrom('10.244.2.9', '10.244.0.9'),
    ),
    { maxLength: 2 },
  ),
  more: fc.constantFrom<More>(
    {},
    { isStarting: true },
    { routingState: stateOf('native', ['native'], ['native']) },
    { routingState: stateOf('native', ['vxlan', 'native'], ['vxlan', 'native']) },
    { routingState: stateOf('auto', ['native'], ['vxlan', 'native']) },
    { lacksAgent: 'it is virtual' },
    { life: { sign: 'ready', readyChanged: '', created: '2026-01-02T00:00:00Z' } },
    { life: { sign: 'ready', readyChanged: '', created: '2026-01-01T00:00:00Z' } },
    { life: { sign: 'agent', readyChanged: '2026-01-01T00:00:00Z', created: '' } },
    { formerCIDRs: [Prefix.parse('10.244.5.0/24')] },
    { formerCIDRs: [Prefix.parse('10.244.4.0/23'), Prefix.parse('192.168.9.0/24')] },
  ),
  mac: fc.option(fc.constantFrom('02:00:00:00:00:01', '02:00:00:00:00:02'), { nil: undefined }),
})
/** Of one node's own CIDRs none overlaps another: who reads Node objects sees to that. */
const anyOrderlyNode = anyNode.filter(
  ({ podCIDRs: [one, two] }) => !one || !two || !Prefix.parse(one).overlaps(Prefix.parse(two)),
)
const anyChange = fc
  .tuple(anyOrderlyNode, fc.boolean())
  .map(([{ name, podCIDRs, addrs, mac, more }, isGone]): NodeChange => [
    name,
    isGone ? undefined : withoutOverlaps(node(name, podCIDRs, addrs, mac, more)),
  ])

/** Nor does a former CIDR overlap one that the node has. */
function withoutOverlaps(each: NodeState): NodeState {
  const { formerCIDRs, podCIDRs } = each
  if (formerCIDRs === undefined) return each
  return { ...each, formerCIDRs: formerCIDRs.filter((cidr) => !podCIDRs.some((own) => own.overlaps(cidr))) }
}

/** Pod CIDRs of these nodes, aggregates, what is elsewhere, and what no node may have. */
const anyLearned = fc
  .record({
    prefix: fc.constantFrom(
      ...[0, 1, 2, 3, 4, 5, 6].map((third) => `10.244.${third}.0/24`),
      '10.244.4.0/22',
      '10.244.0.0/16',
      '10.244.0.128/25',
      '10.244.99.0/24',
      '192.168.0.0/16',
      '172.30.1.0/24',
      '0.0.0.0/0',
    ),
    nextHops: fc.uniqueArray(fc.constantFrom('172.30.1.2', '172.30.1.3', '192.0.2.1', '192.0.2.2', '172.30.1.5'), {
      minLength: 1,
      maxLength: 2,
    }),
    isAllowed: fc.boolean(),
    isGone: fc.boolean(),
  })
  .map(({ prefix, nextHops, isAllowed, isGone }): LearnedRouteChange => {
    const route = learned(prefix, nextHops, isAllowed)
    return { prefix: route.prefix, route: isGone ? undefined : route }
  })

function learned(prefix: string, nextHops: string[], isAllowed = false): LearnedRoute {
  const hops = nextHops.map((addr) => ({ addr: Addr.parse(addr) }))
  return { prefix: Prefix.parse(prefix), nextHops: hops, peers: ['tor'], isAllowed, isStale: false }
}

/** How the kernel reaches next hops and nodes of another subnet. */
const anyWay = fc
  .tuple(
    fc.constantFrom('192.0.2.1', '192.0.2.2', '172.30.1.5'),
    fc.constantFrom<KernelWay | undefined>(
      undefined,
      { kind: 'not reached', why: 'this node has no route to it' },
      { kind: 'reached', hops: [{ device: 'eth0', gateway: Addr.parse('172.30.1.2') }] },
      { kind: 'reached', hops: [{ device: 'eth1', gateway: Addr.parse('192.0.2.1'), onlink: true }] },
    ),
  )
  .map(([addr, way]) => new Map([[addr, way]]))

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1)

function contentOf(table: RemoteNodes): unknown {
  return JSON.parse(
    JSON.stringify({
      plans: [...table.plans].filter(([, plan]) => plan.verdicts.length + plan.tunnelEnds.length > 0).toSorted(byName),
      others: table.otherRoutes,
      notInstalled: [...table.notInstalled].toSorted(byName),
      ways: table.wayCounts,
      needs: [table.needsOverlay, table.hasNativeSenders, table.leadsOver('eth0')],
      problems: table.problems,
      outside: table.outsideCIDRs,
      mtus: table.overlayMtuBytes,
      self: table.self,
    }),
  )
}

/** What is known at one time. */
class Known {
  readonly nodes = new Map<string, NodeState>()
  readonly learned = new Map<string, LearnedRoute>()
  readonly ways = new Map<string, KernelWay>()

  table(context: RemoteContext): RemoteNodes {
    const table = new RemoteNodes(context)
    table.updateKernelWays(this.ways)
    table.update([...this.nodes].toSorted(byName))
    table.updateLearned([...this.learned.values()].map((route) => ({ prefix: route.prefix, route })))
    return table
  }
}

function take<T>(changes: ReadonlyMap<string, T | undefined>, into: Map<string, T>): void {
  for (const [key, value] of changes) {
    if (value === undefined) into.delete(key)
    else into.set(key, value)
  }
}

/** What is in the kernel of somebody who does nothing but what the deltas say, and takes the whole table where one says so. */
class Follower {
  readonly routes = new Map<string, DesiredRoute>()
  readonly neighbours = new Map<string, DesiredNeighbour>()
  readonly tunnelEnds = new Set<string>()
  readonly bpfNodes = new Map<string, BpfNode>()
  readonly bpfEnds = new Map<string, BpfEnd>()
  shared = new Set<string>()

  follow({ routes, neighbours, tunnelEnds, isWholesale, bpf }: RemoteDelta, table: RemoteNodes): void {
    if (isWholesale) {
      this.routes.clear()
      for (const route of [...table.objects(true).routes, ...table.otherRoutes]) this.routes.set(routeKey(route), route)
    } else take(routes, this.routes)
    take(neighbours, this.neighbours)
    const { nodes, ends } = bpf!
    const whole = bpfOf(table)
    // an address that two nodes have makes whoever keeps the entries look at all nodes
    const isShared = ({ addr }: BpfEnd): boolean => whole.ends.filter((each) => each.addr.equals(addr)).length > 1
    const touched = new Set([...nodes.keys(), ...ends.keys(), ...this.shared])
    if (whole.ends.some((end) => touched.has(String(end.addr)) && isShared(end)) || this.shared.size > 0) {
      this.bpfNodes.clear()
      this.bpfEnds.clear()
      for (const each of whole.nodes) this.bpfNodes.set(String(each.prefix), each)
      for (const each of whole.ends) this.bpfEnds.set(String(each.addr), each)
    } else {
      take(nodes, this.bpfNodes)
      take(ends, this.bpfEnds)
    }
    this.shared = new Set(whole.ends.filter(isShared).map(({ addr }) => String(addr)))
    for (const [key, { isWanted }] of tunnelEnds) this.tunnelEnds[isWanted ? 'add' : 'delete'](key)
  }

  content(): unknown {
    return {
      routes: [...this.routes.values()].map((route) => JSON.stringify(route)).toSorted(),
      neighbours: [...this.neighbours.values()].map((each) => JSON.stringify(each)).toSorted(),
      tunnelEnds: [...this.tunnelEnds].toSorted(),
      bpfNodes: [...this.bpfNodes.values()].map((each) => JSON.stringify(each)).toSorted(),
      bpfEnds: [...this.bpfEnds.values()].map((each) => JSON.stringify(each)).toSorted(),
    }
  }
}

function bpfOf(table: RemoteNodes): BpfNodeObjects {
  const all = [...table.plans].toSorted(byName).map(([name, plan]) => bpfNodeOf(name, plan, true))
  return { nodes: all.flatMap(({ nodes }) => nodes), ends: all.flatMap(({ ends }) => ends) }
}

function wantedBy(table: RemoteNodes): unknown {
  const { routes, neighbours, tunnelEnds } = table.objects(true)
  const bpf = bpfOf(table)
  const prefixes = new Map(bpf.nodes.map((each) => [String(each.prefix), each]))
  const addrs = new Map(bpf.ends.map((each) => [String(each.addr), each]))
  return {
    routes: [...routes, ...table.otherRoutes].map((route) => JSON.stringify(route)).toSorted(),
    neighbours: neighbours.map((each) => JSON.stringify(each)).toSorted(),
    tunnelEnds: [...new Set(tunnelEnds.map(String))].toSorted(),
    bpfNodes: [...prefixes.values()].map((each) => JSON.stringify(each)).toSorted(),
    bpfEnds: [...addrs.values()].map((each) => JSON.stringify(each)).toSorted(),
  }
}

type Step =
  | { readonly nodes: readonly NodeChange[] }
  | { readonly learned: readonly LearnedRouteChange[] }
  | { readonly ways: ReadonlyMap<string, KernelWay | undefined> }
const anySteps = fc.array(
  fc.oneof(
    fc.array(anyChange, { maxLength: 4 }).map((nodes): Step => ({ nodes })),
    fc.array(anyLearned, { maxLength: 4 }).map((each): Step => ({ learned: each })),
    anyWay.map((ways): Step => ({ ways })),
  ),
  { maxLength: 12 },
)

function takeStep(step: Step, table: RemoteNodes, known: Known): RemoteDelta {
  if ('nodes' in step) {
    take(new Map(step.nodes), known.nodes)
    return table.update(step.nodes)
  }
  if ('ways' in step) {
    take(step.ways, known.ways)
    return table.updateKernelWays(step.ways)
  }
  take(new Map(step.learned.map(({ prefix, route }) => [String(prefix), route])), known.learned)
  return table.updateLearned(step.learned)
}

test('after any changes in any order the table equals one made from scratch, and the sum of the deltas equals the table', () => {
  fc.assert(
    fc.property(anySteps, fc.constantFrom(...routings), (steps, routing) => {
      const context = contextOf(self, routing)
      const table = new RemoteNodes(context)
      const follower = new Follower()
      const known = new Known()
      const verdicts = new Map<string, Verdict>()
      for (const step of steps) {
        const before = [table.needsOverlay, JSON.stringify([table.overlayMtuBytes, table.outsideCIDRs])]
        const delta = takeStep(step, table, known)
        follower.follow(delta, table)
        assert.deepEqual(contentOf(table), contentOf(known.table(context)))
        assert.deepEqual(follower.content(), wantedBy(table))
        const former = new Map([...verdicts].map(([key, verdict]) => [key, JSON.stringify(verdict)]))
        const news = table.takeVerdictChanges()
        take(news, verdicts)
        assert.deepEqual(new Set(verdicts.values()), new Set(table.verdicts))
        for (const [key, verdict] of news)
          assert.notEqual(JSON.stringify(verdict), former.get(key), 'no news without a change')
        const after = [table.needsOverlay, JSON.stringify([table.overlayMtuBytes, table.outsideCIDRs])]
        if (before.some((each, index) => each !== after[index])) assert.ok(delta.isWholesale)
      }
    }),
    { numRuns: 600 },
  )
})

test('another context plans everything anew, a portion at a time', () => {
  const anyContext = fc.tuple(anyOrderlyNode, fc.constantFrom(...routings), fc.constantFrom(1500, 9000))
  fc.assert(
    fc.property(anySteps, anyContext, (steps, [{ podCIDRs, addrs }, routing, mtuBytes]) => {
      const table = new RemoteNodes(contextOf(self))
      const known = new Known()
      for (const step of steps) takeStep(step, table, known)
      const other = contextOf(node(self.name, podCIDRs, addrs), routing, mtuBytes)
      for (const _ of table.changeContext(other, 2));
      assert.deepEqual(contentOf(table), contentOf(known.table(other)))
      for (const prefix of wantedPrefixes(table)) assert.ok(table.wantsRoute(prefix))
    }),
    { numRuns: 300 },
  )
})

function wantedPrefixes(table: RemoteNodes): string[] {
  return [...table.objects(true).routes, ...table.otherRoutes].map(({ dst }) => String(dst))
}

test('a changed learned route changes its own prefix and no other', () => {
  const table = new RemoteNodes(contextOf(self, 'auto'))
  table.update([
    ['a', node('a', ['10.244.1.0/24', '10.244.2.0/24'], ['172.30.1.9'])],
    ['b', node('b', ['10.244.3.0/24'], ['172.30.1.10'])],
  ])
  const told = (route: LearnedRoute): RemoteDelta => table.updateLearned([{ prefix: route.prefix, route }])
  const first = told(learned('10.244.2.0/24', ['172.30.1.2']))
  assert.deepEqual([...first.routes.keys()], ['10.244.2.0/24'])
  assert.deepEqual([first.tunnelEnds.size, first.isWholesale], [0, false])
  assert.equal(told(learned('10.244.2.0/24', ['172.30.1.2'])).routes.size, 0)
  assert.deepEqual([...told(learned('10.244.64.0/20', ['172.30.1.2'])).routes.keys()], ['10.244.64.0/20'])
  const gone = table.updateLearned([{ prefix: Prefix.parse('10.244.2.0/24'), route: undefined }])
  assert.deepEqual(
    [...gone.routes].map(([key, route]) => [key, route?.kind]),
    [['10.244.2.0/24', 'overlay']],
  )
})

test('the tunnel is needed until no node may use it; a node that has just joined does not bring it back', () => {
  const table = new RemoteNodes(contextOf(self, 'native'))
  const join = (more: More) => table.update([['a', node('a', ['10.244.1.0/24'], ['172.30.1.2'], undefined, more)]])
  assert.equal(table.needsOverlay, false)
  join({ isStarting: true })
  assert.equal(table.needsOverlay, false)
  const wanted: readonly [More, boolean][] = [
    [{}, true],
    [{ routingState: stateOf('auto', ['native'], ['vxlan', 'native']) }, true],
    [{ routingState: stateOf('native', ['vxlan', 'native'], ['vxlan', 'native']) }, true],
    [{ routingState: stateOf('native', ['native'], ['vxlan', 'native']) }, false],
  ]
  for (const [more, isNeeded] of wanted) {
    join(more)
    assert.equal(table.needsOverlay, isNeeded, JSON.stringify(more))
  }
})

test('a new node changes only its own objects; the first with another tunnel MTU changes those of all', () => {
  const table = new RemoteNodes(contextOf(self))
  assert.equal(table.update([['a', node('a', ['10.244.1.0/24'], ['172.30.1.2'])]]).isWholesale, true)
  const second = table.update([['b', node('b', ['10.244.2.0/24'], ['172.30.1.3'])]])
  assert.deepEqual([...second.routes.keys()], ['10.244.2.0/24'])
  assert.deepEqual([...second.tunnelEnds.keys()], ['172.30.1.3'])
  assert.equal(second.isWholesale, false)
})

test('a flannel node is reached at its own VTEP, others at the shared one', () => {
  const table = new RemoteNodes(contextOf(self))
  table.update([
    ['a', node('a', ['10.244.1.0/24'], ['172.30.1.2'], 'aa:bb:cc:00:00:01')],
    ['b', node('b', ['10.244.2.0/24'], ['172.30.1.3'])],
  ])
  const { routes, neighbours } = table.objects(true)
  // the flannel node's alone: others have none
  assert.deepEqual(JSON.parse(JSON.stringify(neighbours)), [
    { device: 'cw-vxlan', addr: '10.244.1.0', mac: 'aa:bb:cc:00:00:01' },
  ])
  const gatewayOf = (name: string): string => {
    const route = routes.find((each) => each.node === name)
    assert.ok(route?.kind === 'overlay')
    return String(route.gateway)
  }
  assert.equal(gatewayOf('a'), '10.244.1.0')
  assert.equal(gatewayOf('b'), '169.254.42.1')
})

test('a node is missed when no way leads to it though it is set up, has an address and is not off', () => {
  const accepts = { routingState: stateOf('native', ['native'], ['native']) }
  const life = { sign: 'agent', readyChanged: '2026-01-01T00:00:00Z', created: '' } as const
  const isMissed = (routing: Routing, more: More, addrs = ['192.0.2.2']): boolean | undefined => {
    const table = new RemoteNodes(contextOf(self, routing))
    table.update([['a', node('a', ['10.244.1.0/24'], addrs, undefined, more)]])
    return table.plans.get('a')?.isMissed
  }
  assert.equal(isMissed('native', accepts), true)
  assert.equal(isMissed('native', { ...accepts, life }), true, 'not Ready, perhaps because of the same')
  assert.equal(isMissed('native', { ...accepts, life: { ...life, isSilent: true } }), false)
  assert.equal(isMissed('native', { isStarting: true }), false)
  assert.equal(isMissed('native', { lacksAgent: 'it is virtual' }), false)
  assert.equal(isMissed('native', accepts, []), false)
  assert.equal(isMissed('native', accepts, ['172.30.1.2']), false, 'straight')
  assert.equal(isMissed('native', {}), false, 'through the tunnel')
})
