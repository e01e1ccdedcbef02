// What a bundle foretells: nothing arrives that no node says it would have, and what agents left out is not taken for nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Prediction, type Step } from '#/trace/types.ts'
import { type ForetoldInput, judgeForetold } from './trace-foretold-verdict.ts'

const step = (kind: Step['kind'], text: string, more: Partial<Step> = {}): Step => ({
  kind,
  text,
  isObstacle: false,
  ...more,
})
const on = (node: string, ...steps: Step[]): Prediction => ({ node, steps, way: [] })

const route = step('route', 'route 10.0.0.0/8', { device: 'eth0' })
const arrival = step('deliver', 'a process of this node waits on TCP port 80')
const closed = step('deliver', 'no process of this node waits on TCP port 80: its kernel refuses the connection (RST)')
const blackhole = step('route', 'a blackhole', {
  device: 'eth0',
  isObstacle: true,
  code: 'CW1302',
  remedy: 'remove it',
})

const healthy: ForetoldInput = {
  probe: { wish: { protocol: 'tcp', port: 80 } },
  to: { addr: '10.0.0.2', node: 'b' },
  predictions: { there: [on('a', route), on('b', arrival)], back: [on('b', route), on('a', arrival)] },
  silences: [],
  cuts: [],
  leaves: { device: 'eth0', outerDst: '172.16.0.2' },
}
const judged = (other: Partial<ForetoldInput>): ReturnType<typeof judgeForetold> =>
  judgeForetold({ ...healthy, ...other })
const { back } = healthy.predictions

test('it arrives where its end says so', () => {
  assert.deepEqual(judged({}), {
    outcome: 'arrives',
    text: 'it would arrive and be answered: nothing that a and b told is in its way',
  })
})

test('of an address that no node has nothing is known', () => {
  const told = judged({ to: { addr: '8.8.8.8' }, predictions: { there: [on('a', route)], back: [] } })
  assert.equal(told.outcome, 'untold')
  assert.match(
    told.text,
    /^it would leave a by eth0, in a tunnel to 172.16.0.2: no pod, no node and no pod CIDR .* has 8\.8\.8\.8$/,
  )
})

test('a port at which nothing listens is closed, where it was asked for', () => {
  const predictions = { there: [on('a', route), on('b', closed)], back }
  const told = judged({ predictions })
  assert.equal(told.outcome, 'closed')
  assert.match(told.text, /no process of b waits on TCP port 80/)
  assert.equal(judged({ predictions, probe: { wish: { protocol: 'tcp' } } }).outcome, 'arrives')
})

test('what agents left out is not taken for nothing', () => {
  const [routes, rules] = ['9 routes are not told', '9 rules of firewalls are not told'].map((why) => [
    { node: 'a', why },
  ])
  for (const cuts of [routes!, rules!]) assert.equal(judged({ cuts }).outcome, 'untold')
  const predictions = { there: [on('a', blackhole), on('b', arrival)], back }
  // the route in the way may not be the one that the kernel takes
  assert.equal(judged({ predictions, cuts: routes! }).outcome, 'untold')
  assert.equal(judged({ predictions, cuts: rules! }).outcome, 'ends')
})

test('what is in the way counts there, and back only where all is told', () => {
  const silences = [{ node: 'b', why: 'silent' }]
  const there = { there: [on('a', blackhole)], back: [] }
  assert.deepEqual(judged({ predictions: there, silences }), {
    outcome: 'ends',
    text: 'it would end on a, eth0: a blackhole',
    remedy: 'remove it',
    obstacle: { node: 'a', direction: 'there', step: blackhole },
  })
  const answer = { there: healthy.predictions.there, back: [on('b', blackhole)] }
  assert.equal(judged({ predictions: answer, silences }).outcome, 'untold')
  assert.match(judged({ predictions: answer }).text, /^it would arrive, and its answer would end on b/)
})

test('an address of a pod CIDR that no pod has is known to end, where its node told of its pods', () => {
  const to = { addr: '10.0.0.77', cidrNode: 'b' }
  const nobody = step('deliver', 'no pod of b has 10.0.0.77', { device: 'cw-br0', isObstacle: true })
  const told = judged({ to, predictions: { there: [on('a', route), on('b', nobody)], back: [] } })
  assert.deepEqual([told.outcome, told.text], ['ends', 'it would end on b, cw-br0: no pod of b has 10.0.0.77'])
})
