import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { Admission, admissionMs } from './admission.ts'

const pod = { namespace: 'shop', name: 'web', uid: 'u1' }
const patient = new AbortController().signal

function scene(): { clock: ManualClock; admission: Admission; now: { why: string | undefined; news: number } } {
  const clock = new ManualClock()
  const now = { why: 'no labels' as string | undefined, news: 0 }
  return { clock, now, admission: new Admission({ obstacleTo: () => now.why, onNews: () => now.news++, clock }) }
}

test('a pod waits until what it waits for is there, and no longer', async () => {
  const { clock, admission, now } = scene()
  const admitted = admission.admit(pod, patient)
  await clock.advance(1500)
  assert.deepEqual(
    admission.problems.map(({ code, object, message }) => [code, object, message]),
    [['CW3301', 'pod/shop/web', 'no labels']],
  )
  now.why = undefined
  admission.wake()
  assert.equal(await admitted, undefined)
  assert.deepEqual(admission.problems, [])
  assert.equal(clock.nextMs, undefined, 'no timer is left')
})

test('a pod that has waited for too long is refused with the reason, and stays a problem until it is forgotten', async () => {
  const { clock, admission, now } = scene()
  const admitted = admission.admit(pod, patient)
  await clock.advance(admissionMs - 1)
  now.why = 'still no labels'
  await clock.advance(1)
  assert.equal(await admitted, 'still no labels')
  assert.equal(admission.problems.length, 1)
  assert.ok(now.news > 0)
  await clock.advance(60_001)
  assert.deepEqual(admission.problems, [])
})

test('with too many that wait for long, further pods are refused at once', async () => {
  const { clock, admission, now } = scene()
  const waiting = Array.from({ length: 12 }, (_, index) => admission.admit({ ...pod, name: `web-${index}` }, patient))
  await clock.advance(1900)
  const early = admission.admit({ ...pod, name: 'early' }, patient)
  await clock.advance(99)
  waiting.push(early)
  await clock.advance(10)
  assert.equal(await admission.admit(pod, patient), 'no labels')
  now.why = undefined
  admission.wake()
  assert.deepEqual(new Set(await Promise.all(waiting)), new Set([undefined]))
})

test('a call whose runtime has hung up waits no longer', async () => {
  const { admission } = scene()
  const call = new AbortController()
  const admitted = admission.admit(pod, call.signal)
  call.abort()
  assert.equal(await admitted, 'no labels')
})

test('what nobody tells of is noticed too', async () => {
  const { clock, admission, now } = scene()
  const admitted = admission.admit(pod, patient)
  await clock.advance(200)
  now.why = undefined
  await clock.advance(100)
  assert.equal(await admitted, undefined)
})
