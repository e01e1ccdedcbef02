import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type Findings, findingsOf } from './findings.ts'
import { judgeNode } from './judge.ts'
import { type Target } from './targets.ts'
import { type Fate, nodeWay, podWay, SimulatedWay } from './testing.ts'

const lost: Fate = () => 'lost'
const fine: Fate = () => 1

/** The ways to some nodes, all of which go on together. */
class Scene {
  readonly sims = new Map<string, SimulatedWay>()
  readonly heard = new Set<string>()
  nowMs = 0

  add(...targets: readonly Target[]): void {
    for (const target of targets) this.sims.set(target.key, new SimulatedWay(target, this.nowMs))
  }

  node(name: string): void {
    this.add(nodeWay(name), podWay(name))
  }

  /** What becomes of the packets to these nodes, of one path or of both. */
  fate(fate: Fate, path: 'node' | 'pod' | 'both', ...nodes: readonly string[]): void {
    for (const sim of this.sims.values()) {
      const { target } = sim.way
      if (nodes.includes(target.node) && (path === 'both' || target.path === path)) sim.fate = fate
    }
  }

  pass(ms: number): void {
    for (const sim of this.sims.values()) sim.pass(ms)
    this.nowMs += ms
  }

  get nodes(): ReturnType<typeof judgeNode>[] {
    const byNode = Map.groupBy(this.sims.values(), ({ way }) => way.target.node)
    return [...byNode].map(([node, sims]) =>
      judgeNode(
        node,
        sims.map(({ way }) => way),
        this.nowMs,
        (end) => this.heard.has(end),
      ),
    )
  }

  get states(): string[] {
    return this.nodes.flatMap(({ ways }) => ways.map(({ way, state }) => `${way.target.path} ${state}`))
  }

  get found(): Findings {
    return findingsOf(this.nodes, { ownName: 'node-1', nowMs: this.nowMs, toWall: (ms) => ms })
  }

  get told(): string[] {
    return this.found.problems.map(({ code, object, message }) => `${code} ${object}: ${message}`)
  }
}

test('a tunnel that is broken is told with what is reached all the same, and at once as lasting', () => {
  const scene = new Scene()
  scene.node('node-2')
  scene.node('node-3')
  scene.pass(10_000)
  assert.deepEqual([scene.told, scene.states], [[], ['node ok', 'pod ok', 'node ok', 'pod ok']])
  scene.fate(lost, 'pod', 'node-2')
  scene.pass(4_000)
  assert.deepEqual(scene.told, [
    'CW1306 node/node-2: node-2: no answer since 00:00:10 UTC from its gateway 10.244.2.1 through the tunnel, but from its address 172.30.1.2',
  ])
  assert.deepEqual(
    [scene.found.lasting.length, scene.found.broken, scene.found.isolation],
    [1, new Set(['node-2']), undefined],
  )
  scene.sims.get('node-2 pod IPv4')!.way.signs.hear(scene.nowMs)
  assert.match(scene.told[0]!, /; packets of node-2 arrive here$/)
  assert.ok(scene.states.includes('pod one way'))
})

test('a node that answers nothing may have died, which is not this node’s to tell for a minute', () => {
  const scene = new Scene()
  scene.node('node-2')
  scene.node('node-3')
  scene.pass(10_000)
  scene.fate(lost, 'both', 'node-2')
  scene.pass(4_000)
  assert.deepEqual(scene.told, [
    'CW1306 node/node-2: node-2: no answer at all since 00:00:10 UTC, from its address 172.30.1.2, its gateway 10.244.2.1 through the tunnel: it is off or cut off, or this node is',
  ])
  assert.deepEqual(scene.found.lasting, [])
  scene.pass(60_000)
  assert.equal(scene.found.lasting.length, 1)
})

test('an address that does not answer probes any more is no problem while pods’ packets arrive', () => {
  const scene = new Scene()
  scene.node('node-2')
  scene.pass(10_000)
  scene.fate(lost, 'node', 'node-2')
  scene.pass(60_000)
  assert.deepEqual([scene.told, scene.states], [[], ['node broken', 'pod ok']])
  const shy = new Scene()
  shy.node('node-2')
  shy.fate(lost, 'node', 'node-2')
  shy.pass(60_000)
  assert.deepEqual([shy.told, shy.states], [[], ['node unknown', 'pod ok']], 'it has never answered there')
})

test('a tunnel that has never answered is told after half a minute, where the node answers and nothing comes', () => {
  const scene = new Scene()
  scene.node('node-2')
  scene.fate(lost, 'pod', 'node-2')
  scene.pass(29_000)
  assert.deepEqual([scene.told, scene.states], [[], ['node ok', 'pod unknown']])
  scene.pass(2_000)
  assert.match(
    scene.told.join('\n'),
    /^CW1306 node\/node-2: node-2: no answer since .* from its gateway 10\.244\.2\.1 through the tunnel/,
  )
  scene.heard.add('172.30.1.2')
  assert.deepEqual([scene.told, scene.states], [[], ['node ok', 'pod unknown']], 'it may be told not to answer')
  const dark = new Scene()
  dark.node('node-2')
  dark.fate(lost, 'both', 'node-2')
  dark.pass(120_000)
  assert.deepEqual([dark.told, dark.states], [[], ['node unknown', 'pod unknown']], 'nothing is known of it')
  const native = new Scene()
  const { tunnel: _, ...way } = { ...podWay(), way: 'native' as const }
  native.add(nodeWay(), way)
  native.fate(lost, 'pod', 'node-2')
  native.pass(120_000)
  assert.deepEqual(native.told, [], 'a firewall may refuse it')
})

test('a firewall that refuses echo requests and TCP is told from a break by packets of pods that come in', () => {
  const scene = new Scene()
  scene.node('node-2')
  scene.node('node-3')
  scene.pass(10_000)
  scene.fate(lost, 'both', 'node-2')
  scene.sims.get('node-2 pod IPv4')!.isComing = true
  for (let second = 0; second < 90; second++) {
    scene.pass(1_000)
    assert.deepEqual(scene.told, [], `after ${second + 1} s`)
  }
  assert.deepEqual(scene.states.slice(0, 2), ['node broken', 'pod unknown'])
  assert.equal(scene.found.isolation, undefined)
  // the node answers at its address: then it would at its gateway too
  scene.fate(fine, 'node', 'node-2')
  scene.pass(5_000)
  assert.match(scene.told.join(), /^CW1306 node\/node-2/)
  scene.fate(lost, 'node', 'node-2')
  scene.pass(5_000)
  assert.deepEqual(scene.told, [])
  // nothing comes in any more
  scene.sims.get('node-2 pod IPv4')!.isComing = false
  scene.pass(20_000)
  assert.match(scene.told.join(), /^CW1306 node\/node-2: node-2: no answer at all/)
})

test('a node that comes back has the time that its agent takes', () => {
  const scene = new Scene()
  scene.node('node-2')
  scene.pass(10_000)
  scene.fate(lost, 'both', 'node-2')
  scene.pass(30_000)
  scene.fate(fine, 'node', 'node-2')
  scene.sims.get('node-2 pod IPv4')!.way.grantGrace(scene.nowMs)
  scene.pass(20_000)
  assert.deepEqual(scene.told, [])
  scene.pass(15_000)
  assert.equal(scene.told.length, 1)
  scene.fate(fine, 'both', 'node-2')
  scene.pass(5_000)
  assert.deepEqual(scene.told, [])
})

test('many nodes make one problem of this node, and all for a minute mean that this node is cut off', () => {
  const scene = new Scene()
  const names = ['node-2', 'node-3', 'node-4', 'node-5']
  for (const name of names) scene.node(name)
  scene.pass(10_000)
  scene.fate(lost, 'pod', ...names)
  scene.pass(4_000)
  assert.deepEqual(scene.told, [
    'CW1307 node/node-1: 4 nodes answer nothing that goes as packets of pods: node-2, node-3, node-4, node-5',
  ])
  assert.equal(scene.found.isolation, undefined)
  scene.pass(60_000)
  assert.match(scene.found.isolation!, /^no other node answers what goes as packets of pods over IPv4: node-2, /)
  scene.fate(fine, 'pod', 'node-5')
  scene.pass(5_000)
  assert.equal(scene.found.isolation, undefined)
  assert.equal(scene.told.length, 3)
  const pair = new Scene()
  pair.node('node-2')
  pair.pass(10_000)
  pair.fate(lost, 'pod', 'node-2')
  pair.pass(120_000)
  assert.equal(pair.found.isolation, undefined, 'one silent node may be at fault itself')
})

test('large packets that are lost are told with who refused them, and loss with its counts', () => {
  const scene = new Scene()
  scene.node('node-2')
  scene.pass(10_000)
  const refusal = { by: '172.30.1.254', why: 'fragmentation needed', mtuBytes: 1400 }
  scene.fate((size) => (size === 'full' ? refusal : 1), 'node', 'node-2')
  scene.fate((size) => (size === 'full' ? 'lost' : 1), 'pod', 'node-2')
  scene.pass(6_000)
  assert.deepEqual(scene.told, [
    'CW8101 node/node-2: packets of 1500 bytes to its address 172.30.1.2 are lost (172.30.1.254 says: fragmentation needed, it takes 1400 bytes at most), packets of 1450 bytes to its gateway 10.244.2.1 through the tunnel are lost, and small ones to node-2 arrive',
  ])
  const lossy = new Scene()
  lossy.node('node-2')
  let count = 0
  lossy.fate((size) => (size === 'small' && ++count % 5 === 0 ? 'lost' : 1), 'pod', 'node-2')
  lossy.pass(100_000)
  assert.match(
    lossy.told.join('\n'),
    /^CW8102 node\/node-2: node-2: its gateway 10\.244\.2\.1 through the tunnel did not answer \d+ of 60 probes and \d+ of \d+ connections that were tried$/,
  )
})

test('echo requests that are limited are no finding while connections are answered, and told with the doubt where nothing is', () => {
  const scene = new Scene()
  scene.node('node-2')
  let count = 0
  scene.fate((size) => (size === 'small' && ++count % 3 === 0 ? 'lost' : 1), 'both', 'node-2')
  for (const sim of scene.sims.values()) sim.connects = () => true
  for (let seconds = 0; seconds < 180; seconds++) {
    scene.pass(1_000)
    assert.deepEqual(scene.told, [])
  }
  assert.deepEqual(
    [...scene.sims.values()].map(({ way }) => [way.isLossy, way.others.loss.outcome]),
    [
      [true, 'echoes'],
      [true, 'echoes'],
    ],
  )
  // from now on connections are lost too
  for (const sim of scene.sims.values()) sim.connects = (nowMs) => Math.floor(nowMs / 500) % 3 !== 0
  scene.pass(60_000)
  assert.match(scene.told.join(), /^CW8102 .* connections that were tried$/)
  for (const sim of scene.sims.values()) sim.connects = () => false
  scene.pass(120_000)
  assert.match(
    scene.told.join(),
    /^CW8102 .* probes; nothing but echo requests is answered there, so it may be a firewall/,
  )
  scene.fate(fine, 'both', 'node-2')
  scene.pass(70_000)
  assert.deepEqual(scene.told, [])
})

test('large echo requests that are dropped are no finding while large datagrams arrive, and told with the doubt where nothing is answered', () => {
  const scene = new Scene()
  scene.node('node-2')
  scene.pass(10_000)
  scene.fate((size) => (size === 'full' ? 'lost' : 1), 'pod', 'node-2')
  const { way } = scene.sims.get('node-2 pod IPv4')!
  const refuses = (answer: 'small' | 'full' | 'none'): void => {
    scene.sims.get('node-2 pod IPv4')!.refuses = (size) => answer === 'full' || (answer === 'small' && size === 'small')
  }
  refuses('full')
  for (let seconds = 0; seconds < 60; seconds++) {
    scene.pass(1_000)
    assert.deepEqual(scene.told, [])
  }
  assert.deepEqual([way.isSmallOnly, scene.states], [true, ['node ok', 'pod ok']])
  refuses('small')
  scene.pass(60_000)
  assert.match(scene.told.join(), /^CW8101 .*and small ones to node-2 arrive$/)
  refuses('none')
  scene.fate(fine, 'pod', 'node-2')
  scene.pass(10_000)
  assert.deepEqual(scene.told, [])
  scene.fate((size) => (size === 'full' ? 'lost' : 1), 'pod', 'node-2')
  scene.pass(12_000)
  assert.match(scene.told.join(), /^CW8101 .* arrive; nothing but echo requests is answered there/)
})

test('what the kernel remembers of a path is no problem once the path carries large packets again', () => {
  const scene = new Scene()
  scene.node('node-2')
  scene.pass(10_000)
  scene.fate((size) => (size === 'full' ? 'lost' : 1), 'both', 'node-2')
  scene.pass(6_000)
  scene.sims.get('node-2 pod IPv4')!.way.noteMemory({ dst: Addr.parse('172.30.1.2') }, 1400)
  assert.match(
    scene.told.join('\n'),
    /CW8101.*to its gateway.*are lost \(this node says: it was told that the path to 172\.30\.1\.2 takes 1400 bytes at most, and remembers that\)/,
  )
  scene.fate(fine, 'node', 'node-2')
  scene.pass(10_000)
  assert.deepEqual([scene.told, scene.states], [[], ['node ok', 'pod ok']])
})
