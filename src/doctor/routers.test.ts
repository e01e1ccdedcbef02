// One router, or one node, in the way of several pairs of nodes is one finding.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diagnose } from './diagnose.ts'
import { clusterOf, packetOf, told, wholePacket, withPeers, type Told } from './testing/answers.ts'
import { type Finding } from './types.ts'

const tooBig = { by: 'fd30:0:0:2::1', why: 'packet too big', mtuBytes: 1400 }
const counts = { sizeBytes: 84, sent: 60, answered: 0 }

/** `says`: what a router said to one node of packets to another. */
function findingsOf(
  count: number,
  problems: Told,
  says: (from: string, to: string) => typeof tooBig | undefined,
): Finding[] {
  const all = new Map(problems.map(([node, ...own]) => [node, own]))
  const answers = withPeers(clusterOf(count, problems), (from, to) => {
    const sign = all.get(from)?.find(({ object }) => object === `node/${to}` || object === `node/${from}`)
    const refused = says(from, to)
    const size = { ...counts, ...(refused && { refused }) }
    if (sign?.code === 'CW8101') return { state: 'small only', full: size }
    return sign === undefined ? {} : { state: 'broken', small: size }
  })
  const nodes = answers.map(({ node }) => node)
  return [
    ...diagnose(
      answers,
      nodes.map((node, at) => wholePacket(node, nodes[(at + 1) % count]!)),
    ).findings,
  ]
}

const narrow = (node: string) =>
  told('CW8101', `node/${node}`, `packets of 1500 bytes to its address are lost, and small ones to ${node} arrive`)

test('a router that narrows the way to several nodes is one finding', () => {
  // two subnets, and the router's device towards node-1 and node-3 takes less: only node-2 sends by it
  const [finding, ...more] = findingsOf(3, [['node-2', narrow('node-1'), narrow('node-3')]], () => tooBig)
  assert.deepEqual(more, [])
  assert.deepEqual(
    [finding!.code, finding!.objects, finding!.nodes],
    ['CW8101', ['node/node-1', 'node/node-3'], ['node-2']],
  )
  assert.equal(
    finding!.message,
    'large packets from node-2 to 2 nodes (node-1, node-3) are lost: fd30:0:0:2::1 says: packet too big, it takes 1400 bytes at most',
  )
  assert.match(finding!.remedy, /^on what has the address fd30:0:0:2::1: .*\(1400 bytes\)$/)
  assert.equal(finding!.consequences.length, 1)
})

test('two routers, or two limits of one, are two findings; a way of which no router says anything is another', () => {
  const four = ['node-1', 'node-3', 'node-4', 'node-5'].map(narrow)
  const problems: Told = [['node-2', ...four]]
  const found = findingsOf(5, problems, (_, to) => {
    if (to === 'node-5') return undefined
    return to === 'node-4' ? { ...tooBig, mtuBytes: 1300 } : tooBig
  })
  assert.deepEqual(
    found.map(({ objects }) => objects),
    [['node/node-1', 'node/node-3'], ['node/node-4'], ['node/node-5']],
  )
})

test('a link between routers that is narrow at both ends is one finding', () => {
  const ends = { 'node-1': 'a', 'node-2': 'b', 'node-3': 'a', 'node-4': 'b' }
  const problems: Told = [
    ['node-1', narrow('node-2'), narrow('node-4')],
    ['node-2', narrow('node-1'), narrow('node-3')],
    ['node-3', narrow('node-2'), narrow('node-4')],
    ['node-4', narrow('node-1'), narrow('node-3')],
  ]
  const [finding, ...more] = findingsOf(4, problems, (from) => ({
    ...tooBig,
    by: ends[from as keyof typeof ends] === 'a' ? '10.0.0.1' : '10.0.0.2',
  }))
  assert.deepEqual(more, [])
  assert.match(finding!.remedy, /^on what has the address 10\.0\.0\.1 and 10\.0\.0\.2: /)
  assert.deepEqual(finding!.nodes, ['node-1', 'node-2', 'node-3', 'node-4'])
})

test('a router that has no route to several nodes is one finding', () => {
  const silent = (node: string) => told('CW1306', `node/${node}`)
  const noRoute = { by: '172.30.2.1', why: 'no route to the network' }
  const problems: Told = [['node-2', silent('node-1'), silent('node-3')]]
  const answers = withPeers(clusterOf(4, problems), (from, to) =>
    from === 'node-2' && to !== 'node-4' ? { state: 'broken', small: { ...counts, refused: noRoute } } : {},
  )
  const [finding, ...more] = diagnose(answers, [packetOf('node-2', 'node-3'), wholePacket('node-2', 'node-4')]).findings
  assert.deepEqual(more, [])
  assert.equal(
    finding!.message,
    'packets from node-2 to 2 nodes (node-1, node-3) are lost: 172.30.2.1 says: no route to the network',
  )
  assert.equal(finding!.consequences.length, 2)
})

const lossy = (node: string) => told('CW8102', `node/${node}`, `${node}: its gateway did not answer 11 of 60 probes`)

test('a node with which all others lose some packets is one finding', () => {
  const isOfOne = (from: string, to: string): boolean => from === 'node-1' || to === 'node-1'
  const lossyTo = (from: string, to: string) => (isOfOne(from, to) ? ({ state: 'lossy' } as const) : {})
  const objectsOf = (problems: Told) =>
    diagnose(withPeers(clusterOf(3, problems), lossyTo), []).findings.map(({ objects, nodes }) => [objects, nodes])
  const all: Told = [
    ['node-1', lossy('node-2'), lossy('node-3')],
    ['node-2', lossy('node-1')],
    ['node-3', lossy('node-1')],
  ]
  assert.deepEqual(objectsOf(all), [[['node/node-1'], ['node-1', 'node-2', 'node-3']]])
  // the others have not told it yet
  assert.deepEqual(objectsOf(all.slice(0, 1)), [[['node/node-1'], ['node-1']]])
  // and two ways of nodes that have whole ones are two
  const whole = withPeers(clusterOf(4, [['node-1', lossy('node-2'), lossy('node-3')]]), (from, to) =>
    from === 'node-1' && to !== 'node-4' ? { state: 'lossy' } : {},
  )
  assert.deepEqual(
    diagnose(whole, []).findings.map(({ objects }) => objects),
    [['node/node-2'], ['node/node-3']],
  )
})

test('an API server that answers no node is one finding', () => {
  const answers = clusterOf(3).map((each) => ({
    ...each,
    status: {
      ...each.status!,
      api: { ...each.status!.api, phase: 'backoff' as const, lastError: 'connect ECONNREFUSED' },
    },
  }))
  const [finding, ...more] = diagnose(answers, []).findings
  assert.deepEqual(more, [])
  assert.deepEqual([finding!.code, finding!.nodes], ['CW6002', ['node-1', 'node-2', 'node-3']])
})
