import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { silent } from '#/lib/log.ts'
import { fieldsOf, type KubeNode, type KubeObject } from '#/model/kubernetes.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { PathEvents } from './path-events.ts'
import { pathsCondition } from './paths-condition.ts'

type Written = Readonly<Record<string, unknown>>

const broken = (text: string, name = 'node-2'): Problem => problem('CW1306', `node/${name}`, text)

test('the condition is written when packets are lost, not again for other words, and taken back when none are for a minute', async () => {
  const clock = new ManualClock()
  const written: Written[] = []
  let node: KubeNode = { metadata: { name: 'node-1' } }
  let problems: readonly Problem[] = []
  await using condition = pathsCondition({
    client: {
      patch: async <T extends KubeObject>(_path: string, body: unknown): Promise<T> => {
        const [each] = fieldsOf(fieldsOf(body)['status'])['conditions'] as Written[]
        written.push(each!)
        node = { metadata: { name: 'node-1' }, status: { conditions: [each!] } }
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as the client does
        return {} as T
      },
    },
    node: () => node,
    problems: () => problems,
    log: silent,
    clock,
  })
  const told = (): string[] => written.map(({ status, reason }) => `${String(status)} ${String(reason)}`)
  condition.notice()
  await clock.advance(120_000)
  assert.deepEqual(told(), [], 'a node on which nothing was ever wrong has no such condition')
  problems = [broken('one')]
  condition.notice()
  await clock.advance(10)
  assert.deepEqual(told(), ['True PacketsAreLost'])
  assert.match(String(written[0]!['message']), /^CW1306 node\/node-2: one; remedy: /)
  assert.ok(written[0]!['lastTransitionTime'])
  problems = [broken('two')]
  condition.notice()
  await clock.advance(30_000)
  assert.equal(written.length, 1)
  problems = [broken('two'), broken('three', 'node-3')]
  condition.notice()
  await clock.advance(30_000)
  assert.deepEqual(told(), ['True PacketsAreLost', 'True PacketsAreLost'])
  // it comes and goes
  for (let turn = 0; turn < 5; turn++) {
    problems = []
    condition.notice()
    await clock.advance(20_000)
    problems = [broken('two'), broken('three', 'node-3')]
    condition.notice()
    await clock.advance(20_000)
  }
  assert.equal(written.length, 2)
  problems = []
  condition.notice()
  await clock.advance(59_000)
  assert.equal(written.length, 2)
  await clock.advance(2_000)
  assert.deepEqual(told().slice(2), ['False PacketsArrive'])
})

test('an Event is recorded for each problem once in ten minutes, and one when all is well again', async () => {
  const clock = new ManualClock()
  const told: string[] = []
  const node = () => ({ metadata: { name: 'node-1', uid: 'u1' } })
  const recorder = {
    record: (_to: unknown, type: string, reason: string, message: string) =>
      told.push(`${type} ${reason} ${message.slice(0, 19)}`),
  }
  using events = new PathEvents({ node, recorder, clock })
  events.update([])
  await clock.advance(120_000)
  assert.deepEqual(told, [])
  for (let turn = 0; turn < 5; turn++) {
    events.update([broken('one')])
    await clock.advance(10_000)
    events.update([])
    await clock.advance(30_000)
  }
  assert.deepEqual(told, ['Warning CausewayPathBroken CW1306 node/node-2:'])
  await clock.advance(40_000)
  assert.deepEqual(told.slice(1), ['Normal CausewayPathsWhole packets arrive at a'])
  await clock.advance(600_000)
  events.update([broken('one')])
  assert.equal(told.length, 3)
})
