import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError, ApiUnreachable } from '#/cluster/errors.ts'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { silent } from '#/lib/log.ts'
import { type KubeObject } from '#/model/kubernetes.ts'
import { SecretReader } from './secret-reader.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const secret = (data: unknown): KubeObject => ({ metadata: { name: 's' }, data }) as KubeObject
const apiError = (code: number, reason: string) => new ApiError('GET secret', { code, reason, detail: '' })

class Scene {
  readonly clock = new ManualClock()
  readonly asked: string[] = []
  changes = 0
  answer: KubeObject | Error = secret({ password: base64('first') })
  readonly reader: SecretReader

  constructor() {
    this.reader = new SecretReader({
      client: {
        get: async <T extends KubeObject>(path: string): Promise<T> => {
          await Promise.resolve()
          this.asked.push(path)
          if (this.answer instanceof Error) throw this.answer
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as the client does
          return this.answer as T
        },
      },
      onChange: () => (this.changes += 1),
      log: silent,
      clock: this.clock,
      random: () => 0,
    })
  }

  get state() {
    return this.reader.secrets.get('ns/s')
  }

  async wait(ms = 0): Promise<void> {
    await this.clock.advance(ms)
  }
}

const refs = [{ namespace: 'ns', name: 's' }]

test('what is wanted is read by its name, once, and again after five minutes', async () => {
  const scene = new Scene()
  await using reader = scene.reader
  assert.equal(scene.asked.length, 0)
  reader.want(refs)
  reader.want(refs)
  await scene.wait()
  assert.deepEqual(scene.asked, ['/api/v1/namespaces/ns/secrets/s'])
  assert.deepEqual(scene.state, { kind: 'found', data: { password: 'first' } })
  scene.answer = secret({ password: base64('second'), binary: base64('\x00') })
  await scene.wait(299_000)
  assert.equal(scene.asked.length, 1)
  await scene.wait(2_000)
  assert.deepEqual(scene.state, { kind: 'found', data: { password: 'second', binary: '\x00' } })
  assert.equal(scene.changes, 2)
  await scene.wait(301_000)
  assert.equal(scene.changes, 2, 'the same again is no change')
})

test('one that is missing or forbidden is said so, and looked for every fifteen seconds', async () => {
  const scene = new Scene()
  await using reader = scene.reader
  scene.answer = apiError(404, 'NotFound')
  reader.want(refs)
  await scene.wait()
  assert.deepEqual(scene.state, { kind: 'missing', why: 'there is none of this name' })
  scene.answer = apiError(403, 'Forbidden')
  await scene.wait(15_000)
  assert.match(scene.state?.kind === 'missing' ? scene.state.why : '', /agents may not read it .*403 Forbidden/)
  scene.answer = secret({ password: base64('there') })
  await scene.wait(15_000)
  assert.equal(scene.state?.kind, 'found')
})

test('an API that does not answer takes nothing away', async () => {
  const scene = new Scene()
  await using reader = scene.reader
  reader.want(refs)
  await scene.wait()
  scene.answer = new ApiUnreachable('GET secret', new Error('ECONNREFUSED'))
  reader.refresh()
  await scene.wait()
  assert.equal(scene.asked.length, 2)
  assert.deepEqual(scene.state, { kind: 'found', data: { password: 'first' } })
  assert.equal(scene.changes, 1)
})

test('what nobody wants any more is forgotten and not read', async () => {
  const scene = new Scene()
  await using reader = scene.reader
  reader.want(refs)
  await scene.wait()
  reader.want([])
  assert.equal(scene.state, undefined)
  reader.refresh()
  await scene.wait(600_000)
  assert.equal(scene.asked.length, 1)
})

test('a Secret with anything in it is read as far as it has texts', async () => {
  const scene = new Scene()
  await using reader = scene.reader
  scene.answer = secret({ a: base64('x'), b: Buffer.from([0xff, 0xfe]).toString('base64'), c: 7, d: null })
  reader.want(refs)
  await scene.wait()
  assert.deepEqual(scene.state, { kind: 'found', data: { a: 'x' } })
  for (const data of [undefined, 'x', []]) {
    scene.answer = secret(data)
    reader.refresh()
    await scene.wait()
    assert.deepEqual(scene.state, { kind: 'found', data: {} })
  }
})
