import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type Verdict } from '#/model/verdict.ts'
import { flowsOf } from './flows.ts'
import { type Flow, PeerSilence } from './peer-silence.ts'

/** A network of this node and others: `deaf` are those from which nothing comes, `mute` those that answer no echo request. */
class Scene {
  readonly silence = new PeerSilence()
  readonly packets = new Map<string, { sent: number; received: number }>()
  readonly deaf = new Set<string>()
  readonly mute = new Set<string>()
  nowMs = 0
  asked: string[] = []
  flows: readonly Flow[] = []

  tunnel(node: string, family: Family = 4): string {
    const key = `${node} IPv${family}`
    this.packets.set(key, { sent: 0, received: 0 })
    return key
  }

  /** One round, before which so many packets go to each node, and as many come back from those that are heard. */
  round(packets: number): void {
    this.nowMs += 15_000
    for (const [key, counted] of this.packets) {
      counted.sent += packets
      if (!this.deaf.has(key)) counted.received += packets
    }
    const tunnels = [...this.packets].map(([key, counted], index): Flow => {
      const [node, family] = key.split(' ') as [string, string]
      const gateway = Addr.parse(`10.244.${index + 2}.1`)
      return { key, node, family: family === 'IPv6' ? 6 : 4, way: 'vxlan', gateway, packets: { ...counted } }
    })
    this.take([...tunnels, ...this.flows])
  }

  take(flows: readonly Flow[]): void {
    const asked = this.silence.observe(flows, this.nowMs)
    this.asked = asked.map(({ key }) => key)
    const answered = asked.filter(({ key }) => !this.deaf.has(key) && !this.mute.has(key))
    this.silence.conclude(asked, new Set(answered.map(({ gateway }) => String(gateway))), this.nowMs)
  }

  get problems(): string[] {
    return this.silence
      .problems('node-1', this.nowMs)
      .map(({ code, object, message }) => `${code} ${object}: ${message}`)
  }

  get isolation(): string | undefined {
    return this.silence.isolation(this.nowMs)
  }
}

for (const family of [4, 6] as const)
  test(`a node to which much goes and from which nothing comes is told of after a minute, and no more once anything comes: IPv${family}`, () => {
    const scene = new Scene()
    const key = scene.tunnel('node-2', family)
    scene.tunnel('node-3', family)
    scene.round(100)
    assert.deepEqual(scene.asked, [], 'who is heard is not asked')
    scene.deaf.add(key)
    for (let round = 0; round < 3; round++) scene.round(100)
    assert.deepEqual([scene.asked, scene.problems], [[key], []])
    scene.round(100)
    assert.deepEqual(scene.problems, [
      `CW1306 node/node-2: 400 packets of the tunnel over IPv${family} went to node-2 in 60 s, none came from it, and its gateway 10.244.2.1 answers no echo request`,
    ])
    assert.equal(scene.isolation, undefined, 'another node is heard')
    // the pods stop trying: it is known all the same
    for (let round = 0; round < 10; round++) scene.round(0)
    assert.equal(scene.problems.length, 1)
    scene.deaf.clear()
    scene.round(1)
    assert.deepEqual(scene.problems, [])
  })

test('a sender that wants no answer is no problem, nor is one whose counters begin anew, or who hardly sends', () => {
  const scene = new Scene()
  const key = scene.tunnel('node-2')
  scene.round(100)
  // packets come by another way, or none are sent: the gateway answers
  const counted = scene.packets.get(key)!
  for (let round = 0; round < 20; round++) {
    counted.received = 0
    scene.round(100)
  }
  assert.deepEqual(scene.problems, [])
  scene.mute.add(key)
  scene.round(100)
  scene.packets.set(key, { sent: 0, received: 0 })
  for (let round = 0; round < 20; round++) scene.round(1)
  assert.deepEqual(scene.problems, [], 'packets came')
  const quiet = new Scene()
  quiet.deaf.add(quiet.tunnel('node-2'))
  for (let round = 0; round < 10; round++) quiet.round(0)
  assert.deepEqual([quiet.problems, quiet.asked], [[], []])
})

test('when nothing comes from several nodes and from no other, this node is cut off; one silent node may be at fault itself', () => {
  const scene = new Scene()
  for (const node of ['node-2', 'node-3', 'node-4', 'node-5']) scene.deaf.add(scene.tunnel(node))
  for (let round = 0; round < 5; round++) scene.round(100)
  assert.match(
    scene.isolation!,
    /^packets go to other nodes over IPv4 and nothing comes from any.*: node-2, node-3, node-4, node-5$/,
  )
  assert.match(scene.problems.join('\n'), /^CW1307 node\/node-1: packets go to 4 nodes, nothing comes from them/)
  // the other family is judged by itself
  scene.tunnel('node-2', 6)
  scene.round(100)
  assert.ok(scene.isolation)
  scene.deaf.delete('node-5 IPv4')
  scene.round(100)
  assert.equal(scene.isolation, undefined)
  const pair = new Scene()
  pair.deaf.add(pair.tunnel('node-2'))
  for (let round = 0; round < 8; round++) pair.round(100)
  assert.deepEqual([pair.problems.length, pair.isolation], [1, undefined])
})

test('two silent nodes are not this node’s fault where others, to which nothing goes, would answer', () => {
  const scene = new Scene()
  const talkedTo = [scene.tunnel('node-2'), scene.tunnel('node-3')]
  for (let number = 4; number <= 10; number++) scene.tunnel(`node-${number}`)
  for (let round = 0; round < 4; round++) scene.round(100)
  const goOn = (): void => {
    for (let round = 0; round < 40; round++) {
      for (const key of talkedTo) scene.packets.get(key)!.sent += 100
      scene.round(0)
      // only those are told of to which packets go
      assert.ok(scene.problems.every((text) => /^CW1306 node\/node-[23]:/.test(text)))
    }
  }
  for (const key of talkedTo) scene.deaf.add(key)
  goOn()
  assert.deepEqual([scene.problems.length, scene.isolation], [2, undefined])
  // no answer says nothing of a node that nobody talks to, but there is no witness any more
  for (const key of scene.packets.keys()) scene.mute.add(key)
  goOn()
  assert.match(scene.isolation!, /: node-2, node-3$/)
})

test('a node that is not there any more, or does not live, is forgotten', () => {
  const scene = new Scene()
  const key = scene.tunnel('node-2')
  scene.deaf.add(key)
  for (let round = 0; round < 5; round++) scene.round(100)
  assert.equal(scene.problems.length, 1)
  scene.packets.clear()
  scene.round(0)
  assert.deepEqual(scene.problems, [])
})

test('without a tunnel a few are asked each round, and those are told that answered before', () => {
  const scene = new Scene()
  scene.flows = Array.from({ length: 100 }, (_, index): Flow => {
    const node = `node-${index + 2}`
    return { key: node, node, family: 4, way: 'native', gateway: Addr.parse(`10.245.${index}.1`) }
  })
  scene.mute.add('node-5')
  const asked = new Set<string>()
  for (let round = 0; round < 12; round++) {
    scene.round(0)
    assert.ok(scene.asked.length <= 64)
    for (const each of scene.asked) asked.add(each)
  }
  assert.equal(asked.size, 100)
  assert.deepEqual(scene.problems, [])
  scene.deaf.add('node-3')
  for (let round = 0; round < 7; round++) scene.round(0)
  assert.match(
    scene.problems.join('\n'),
    /^CW1306 node\/node-3: node-3 answered \d+ s ago and does not any more: its gateway 10\.245\.1\.1 answers no echo request$/,
  )
  scene.deaf.delete('node-3')
  scene.round(0)
  assert.deepEqual(scene.problems, [])
})

test('flows are those to nodes that live: one for each tunnel and family, and one for each pod CIDR without a tunnel', () => {
  const vxlan = (node: string, dst: string, end: string): Verdict => {
    const outer = end.includes(':') ? 6 : 4
    const gateway = Addr.parse('169.254.42.1')
    const tunnel = {
      outer,
      src: Addr.parse(outer === 6 ? 'fd30::1' : '172.30.1.1'),
      dst: Addr.parse(end),
      gateway,
    } as const
    return { way: 'vxlan', node, dst: Prefix.parse(dst), tunnel, mtuBytes: 1400, reason: '' }
  }
  const verdicts: Verdict[] = [
    vxlan('a', '10.244.2.0/24', '172.30.1.2'),
    vxlan('a', '10.244.9.0/24', '172.30.1.2'),
    vxlan('a', 'fd10:244:0:2::/64', 'fd30::2'),
    vxlan('dead', '10.244.3.0/24', '172.30.1.3'),
    { way: 'native', node: 'b', dst: Prefix.parse('10.244.4.0/24'), origin: 'direct', nextHops: [], reason: '' },
    { way: 'none', node: 'c', dst: Prefix.parse('10.244.5.0/24'), reason: '' },
  ]
  const counters = { sent: new Map([['172.30.1.2', 7]]), received: new Map([['fd30::2', 3]]) }
  const flows = flowsOf(verdicts, (node) => node !== 'dead', counters)
  assert.deepEqual(
    flows.map(({ key, gateway, packets }) => [key, String(gateway), packets?.sent, packets?.received]),
    [
      ['a IPv4', '10.244.2.1', 7, 0],
      ['a IPv6', 'fd10:244:0:2::1', 0, 3],
      ['b 10.244.4.0/24', '10.244.4.1', undefined, undefined],
    ],
  )
})
