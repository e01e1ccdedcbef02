import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diagnose } from '#/doctor/diagnose.ts'
import { clusterOf, packetOf, told, type Told as Problems, wholePacket } from '#/doctor/testing/answers.ts'
import { type FollowedPacket } from '#/doctor/types.ts'
import { doctorJson } from './doctor-json.ts'
import { exitStatusOf, renderDiagnosis, summaryOf, type Told } from './doctor-text.ts'
import { newsBetween, watchDiagnosis } from './doctor-watch.ts'

function toldOf(problems: Problems, packets: readonly FollowedPacket[], silent: readonly string[] = []): Told {
  const answers = clusterOf(3, problems, silent)
  return { diagnosis: diagnose(answers, packets), packets, answers, left: 0 }
}

const ring = [wholePacket('node-1', 'node-2'), wholePacket('node-2', 'node-3')]
const denied = packetOf('node-3', 'node-1', { kind: 'policy', text: 'ingress is denied' })

test('the first line says the whole, and what it was proved by', () => {
  assert.equal(
    summaryOf(toldOf([], ring)),
    'nothing is wrong: 2 of 2 packets between pods of 3 nodes came and were answered',
  )
  assert.equal(
    summaryOf(toldOf([], [...ring, denied])),
    'nothing is wrong: 2 of 3 packets between pods of 3 nodes came and were answered, 1 is denied by policies',
  )
  const twin = told('CW1104', 'node/old', 'address 172.30.1.11 is also that of node node-1')
  assert.equal(
    summaryOf(toldOf([['node-1', twin, told('CW3106', 'pod/a/b')]], ring)),
    '2 things are wrong; 2 of 2 packets between pods of 3 nodes came and were answered',
  )
  const silent = toldOf([], [], ['node-1', 'node-2', 'node-3'])
  assert.equal(summaryOf(silent), 'it cannot be told: no agent answers')
  assert.deepEqual(
    [exitStatusOf(toldOf([], ring)), exitStatusOf(toldOf([], [denied])), exitStatusOf(silent)],
    [0, 0, 3],
  )
  assert.equal(exitStatusOf(toldOf([['node-1', twin]], ring)), 1)
})

test('a finding is told with its source, its remedy and what follows; lines fit the terminal', () => {
  const rule = told('CW1301', 'rule/5270', 'packets to 10.244.1.0/24 of node-2 do not go as planned')
  const text = renderDiagnosis(toldOf([['node-1', rule]], [packetOf('node-1', 'node-2'), denied]), 100)
  for (const line of text.split('\n')) assert.ok(line.length <= 100, line)
  assert.match(text, /^1 thing is wrong; 0 of 2 packets/)
  assert.match(text, /^! CW1301 node-1 rule\/5270: packets to 10\.244\.1\.0\/24 of node-2/m)
  assert.match(text, /^! {5}known from: the kernel's own answer/m)
  assert.match(text, /^! {5}remedy: do not delete the rule/m)
  assert.match(text, /^! {5}so: a packet is lost: an ICMP echo over IPv4 from pod default\/web-1-1 on node-1/m)
  assert.match(text, /^- policies deny an ICMP echo over IPv4 from pod default\/web-3-1 on node-3/m)
})

test('many nodes of which the same is wrong are one paragraph', () => {
  const same = (node: string) => [node, told('CW5001', 'setting/CAUSEWAY_X', 'no setting')] as const
  const answers = toldOf([same('node-1'), same('node-2'), same('node-3')], ring)
  assert.match(summaryOf(answers), /^1 thing is wrong/)
  assert.match(renderDiagnosis(answers, 200), /^! CW5001 3 objects \(node-1 setting\/CAUSEWAY_X, /m)
})

test('--json has each finding, each packet, each node, and the exit status', () => {
  const json = doctorJson(toldOf([['node-1', told('CW3106', 'pod/a/b')]], ring, ['node-3']))
  assert.deepEqual(Object.keys(json), [
    'summary',
    'findings',
    'notes',
    'nodes',
    'packets',
    'packetsLeftOut',
    'exitStatus',
  ])
  assert.deepEqual(Object.keys(json.findings[0]!).toSorted(), [
    'code',
    'consequences',
    'explains',
    'how',
    'lost',
    'message',
    'nodes',
    'object',
    'objects',
    'remedy',
  ])
  assert.deepEqual(
    json.nodes.map(({ node, isAnswering }) => [node, isAnswering]),
    [
      ['node-1', true],
      ['node-2', true],
      ['node-3', false],
    ],
  )
  assert.deepEqual(json.packets[0], {
    from: { name: 'default/web-1-1', node: 'node-1' },
    to: { name: 'default/web-2-1', node: 'node-2' },
    family: 4,
    protocol: 'icmp',
    fullBytes: 1450,
    isAnswered: true,
    outcome: 'answered',
    text: 'answered',
  })
  assert.equal(json.exitStatus, 1)
})

test('news are what came and what went; another message of the same object is none', () => {
  const findingsOf = (problems: Problems) => toldOf(problems, ring).diagnosis.findings
  const before = findingsOf([['node-1', told('CW3106', 'pod/a/b', 'one'), told('CW5001', 'setting/X')]])
  const now = findingsOf([
    ['node-1', told('CW3106', 'pod/a/b', 'another')],
    ['node-2', told('CW5001', 'setting/X')],
  ])
  const { came, went } = newsBetween(before, now)
  assert.deepEqual([came.map(({ nodes }) => nodes[0]), went.map(({ nodes }) => nodes[0])], [['node-2'], ['node-1']])
})

test('packets of which nobody knows what became prove nothing', () => {
  const unknown = packetOf('node-1', 'node-2', { outcome: 'untold', text: 'nobody saw the probe' })
  const none = toldOf([], [unknown])
  assert.match(summaryOf(none), /^it cannot be told: 0 of 1 packet .* came and were answered, of 1 it is not known$/)
  assert.equal(exitStatusOf(none), 3)
  const some = toldOf([], [...ring, unknown])
  assert.match(summaryOf(some), /^nothing is wrong: 2 of 3 packets .* answered, of 1 it is not known$/)
  assert.equal(exitStatusOf(some), 0)
  const ofOne = toldOf(
    [],
    [
      ring[0]!,
      packetOf('node-2', 'node-3', { outcome: 'untold' }),
      packetOf('node-3', 'node-1', { outcome: 'untold' }),
    ],
  )
  assert.match(summaryOf(ofOne), /^it cannot be told of node-3: 1 of 3 packets .* answered, of 2 it is not known$/)
  assert.equal(exitStatusOf(ofOne), 3)
})

test('who watches is told when no diagnosis can be made, and what is wrong afterwards', async () => {
  const stop = new AbortController()
  const watchOf = (...times: readonly (Told | undefined)[]) => {
    const lines: string[] = []
    const left = [...times]
    const status = watchDiagnosis({
      examine: async () => {
        const next = left.shift()
        if (left.length === 0) queueMicrotask(() => stop.abort())
        if (next === undefined) throw new Error('the API is away')
        return next
      },
      tell: (_, news) => lines.push(news === undefined ? 'first' : `${news.came.length} came`),
      tellFailure: (error) => lines.push(String(error)),
      signal: stop.signal,
      pauseMs: 1,
    })
    return { lines, status }
  }
  const { lines, status } = watchOf(toldOf([], ring), undefined, undefined)
  assert.equal(await status, 3)
  assert.deepEqual(lines, ['first', 'Error: the API is away', 'Error: the API is away'])
  assert.equal(await watchOf(toldOf([], ring)).status, 3, 'ended before anything was known')
})
