import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type DesiredNeighbour, type DesiredRoute, type NodeState } from '#/model/network.ts'
import { type PeerContext } from './overlay.ts'
import { type NodeChange, PeerTable } from './peers.ts'

const settings = { clusterCIDRs: [Prefix.parse('10.244.0.0/16')], vni: 1, vxlanPort: 8472, opensForwardChains: true }

function contextOf(self: NodeState, mtuBytes = 1500): PeerContext {
  return { self, underlay: { 4: mtuBytes }, settings }
}

function node(name: string, podCIDRs: string[], addrs: string[], vtepMac?: string): NodeState {
  return {
    name,
    podCIDRs: podCIDRs.map(Prefix.parse),
    addrs: addrs.map(Addr.parse),
    ...(vtepMac && { vtepMacs: { 4: vtepMac } }),
  }
}

const self = node('node-m', ['10.244.0.0/24'], ['172.30.1.1'])

/** Few names, CIDRs and addresses, so that claims contradict each other all the time. */
const anyNode = fc.record({
  name: fc.integer({ min: 1, max: 6 }).map((number) => (number === 6 ? 'node-z' : `node-${number}`)),
  podCIDRs: fc.uniqueArray(
    fc
      .tuple(fc.nat(6), fc.constantFrom(22, 23, 24, 24, 24, 25))
      .map(([third, length]) => String(new Prefix(Addr.parse(`10.244.${third}.0`), length))),
    { maxLength: 2 },
  ),
  addrs: fc.uniqueArray(
    fc.nat(7).map((host) => `172.30.1.${host + 1}`),
    { maxLength: 2 },
  ),
  mac: fc.option(fc.constantFrom('02:00:00:00:00:01', '02:00:00:00:00:02'), { nil: undefined }),
})
const anyChange = fc
  .tuple(anyNode, fc.boolean())
  // of one node's own CIDRs none overlaps another: who reads Node objects sees to that
  .filter(
    ([
      {
        podCIDRs: [one, two],
      },
    ]) => !one || !two || !Prefix.parse(one).overlaps(Prefix.parse(two)),
  )
  .map(([{ name, podCIDRs, addrs, mac }, isGone]): NodeChange => [
    name,
    isGone ? undefined : node(name, podCIDRs, addrs, mac),
  ])

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1)

function contentOf(table: PeerTable): unknown {
  return JSON.parse(
    JSON.stringify({
      plans: [...table.plans].filter(([, plan]) => plan.routes.length + plan.tunnelEnds.length > 0).toSorted(byName),
      problems: table.problems,
      outside: table.outsideCIDRs,
      mtus: table.overlayMtuBytes,
      self: table.self,
    }),
  )
}

function fromScratch(nodes: ReadonlyMap<string, NodeState>, context: PeerContext): PeerTable {
  const table = new PeerTable(context)
  table.update([...nodes].toSorted(byName))
  return table
}

function take<T>(changes: ReadonlyMap<string, T | undefined>, into: Map<string, T>): void {
  for (const [key, value] of changes) {
    if (value === undefined) into.delete(key)
    else into.set(key, value)
  }
}

/** What is in the kernel of somebody who does nothing but what the deltas say. */
class Follower {
  readonly routes = new Map<string, DesiredRoute>()
  readonly neighbours = new Map<string, DesiredNeighbour>()
  readonly tunnelEnds = new Set<string>()

  follow({ routes, neighbours, tunnelEnds }: ReturnType<PeerTable['update']>): void {
    take(routes, this.routes)
    take(neighbours, this.neighbours)
    for (const [key, { isWanted }] of tunnelEnds) this.tunnelEnds[isWanted ? 'add' : 'delete'](key)
  }

  content(): unknown {
    return {
      routes: [...this.routes.values()].map((route) => JSON.stringify(route)).toSorted(),
      neighbours: [...this.neighbours.values()].map((each) => JSON.stringify(each)).toSorted(),
      tunnelEnds: [...this.tunnelEnds].toSorted(),
    }
  }
}

function wantedBy(table: PeerTable): unknown {
  const plans = [...table.plans.values()]
  return {
    routes: plans.flatMap(({ routes }) => routes.map((route) => JSON.stringify(route))).toSorted(),
    neighbours: plans.flatMap(({ neighbours }) => neighbours.map((each) => JSON.stringify(each))).toSorted(),
    tunnelEnds: [...new Set(plans.flatMap(({ tunnelEnds }) => tunnelEnds.map(String)))].toSorted(),
  }
}

test('whatever changed in whatever order, the table is as if made from scratch, and who follows the deltas has it all', () => {
  fc.assert(
    fc.property(fc.array(fc.array(anyChange, { maxLength: 4 }), { maxLength: 12 }), (portions) => {
      const table = new PeerTable(contextOf(self))
      const follower = new Follower()
      const nodes = new Map<string, NodeState>()
      for (const portion of portions) {
        follower.follow(table.update(portion))
        take(new Map(portion), nodes)
        assert.deepEqual(contentOf(table), contentOf(fromScratch(nodes, contextOf(self))))
        assert.deepEqual(follower.content(), wantedBy(table))
      }
    }),
    { numRuns: 600 },
  )
})

test('another context plans all peers anew, a portion at a time', () => {
  fc.assert(
    fc.property(fc.array(anyChange, { maxLength: 8 }), anyNode, (changes, { podCIDRs, addrs }) => {
      const table = new PeerTable(contextOf(self))
      table.update(changes)
      const other = contextOf(node(self.name, podCIDRs, addrs), 9000)
      for (const _ of table.changeContext(other, 2));
      const nodes = new Map<string, NodeState>()
      take(new Map(changes), nodes)
      assert.deepEqual(contentOf(table), contentOf(fromScratch(nodes, other)))
    }),
    { numRuns: 300 },
  )
})

test('a node that comes touches nothing but itself; the first with another tunnel MTU touches all', () => {
  const table = new PeerTable(contextOf(self))
  assert.equal(table.update([['a', node('a', ['10.244.1.0/24'], ['172.30.1.2'])]]).isWholesale, true)
  const second = table.update([['b', node('b', ['10.244.2.0/24'], ['172.30.1.3'])]])
  assert.deepEqual([...second.routes.keys()], ['10.244.2.0/24'])
  assert.deepEqual([...second.tunnelEnds.keys()], ['172.30.1.3'])
  assert.equal(second.isWholesale, false)
})

test('a flannel node is reached at its own VTEP, others at the shared one', () => {
  const table = new PeerTable(contextOf(self))
  table.update([
    ['a', node('a', ['10.244.1.0/24'], ['172.30.1.2'], 'aa:bb:cc:00:00:01')],
    ['b', node('b', ['10.244.2.0/24'], ['172.30.1.3'])],
  ])
  const [flannel, ours] = ['a', 'b'].map((name) => table.plans.get(name)!)
  assert.deepEqual(JSON.parse(JSON.stringify(flannel!.neighbours)), [
    { device: 'cw-vxlan', addr: '10.244.1.0', mac: 'aa:bb:cc:00:00:01' },
  ])
  assert.equal(String(flannel!.routes[0]!.gateway), '10.244.1.0')
  assert.deepEqual(ours!.neighbours, [])
  assert.equal(String(ours!.routes[0]!.gateway), '169.254.42.1')
})
