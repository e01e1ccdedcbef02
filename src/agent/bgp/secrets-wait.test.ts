import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { type Secrets, type SecretState } from '#/plan/bgp-passwords.ts'
import { SecretsWait } from './secrets-wait.ts'

const ref = (name: string) => ({ namespace: 'ns', name, key: 'password' })
const known = (...names: readonly string[]): Secrets =>
  new Map(names.map((name): [string, SecretState] => [`ns/${name}`, { kind: 'missing', why: 'there is none' }]))

test('a plan waits until every Secret was read, be it there or not', () => {
  const clock = new ManualClock()
  const wait = new SecretsWait({ clock, onOver: () => assert.fail('nothing to wait for') })
  assert.equal(wait.isOn([], known()), false)
  assert.equal(wait.isOn([ref('a'), ref('b')], known('a')), true)
  assert.equal(wait.isOn([ref('a'), ref('b')], known('a', 'b')), false)
  assert.equal(clock.nextMs, undefined)
})

test('it waits half a minute at most, once for each time that there is something to wait for', async () => {
  const clock = new ManualClock()
  let overs = 0
  const wait = new SecretsWait({ clock, onOver: () => overs++ })
  assert.equal(wait.isOn([ref('a')], known()), true)
  await clock.advance(29_999)
  assert.deepEqual([wait.isOn([ref('a'), ref('b')], known('b')), overs], [true, 0])
  await clock.advance(1)
  assert.deepEqual([wait.isOn([ref('a')], known()), overs], [false, 1])
  await clock.advance(60_000)
  assert.deepEqual([wait.isOn([ref('a'), ref('c')], known()), overs], [false, 1])
  assert.equal(wait.isOn([ref('a')], known('a')), false)
  assert.equal(wait.isOn([ref('d')], known('a')), true)
  wait.cancel()
  assert.equal(clock.nextMs, undefined)
})
