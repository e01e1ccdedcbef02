import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ApiError } from './errors.ts'
import { readEvent } from './watch.ts'

const read = (line: unknown): ReturnType<typeof readEvent> => readEvent(line, 'watch of /x')
const object = { metadata: { name: 'a', resourceVersion: '5' } }

test('events and bookmarks carry the version to resume from', () => {
  assert.deepEqual(read({ type: 'ADDED', object }), { kind: 'added', object, resourceVersion: '5' })
  assert.deepEqual(read({ type: 'DELETED', object }), { kind: 'deleted', object, resourceVersion: '5' })
  const bookmark = { kind: 'Node', metadata: { resourceVersion: '9', creationTimestamp: null } }
  assert.deepEqual(read({ type: 'BOOKMARK', object: bookmark }), { kind: 'bookmark', resourceVersion: '9' })
})

test('an ERROR event is the Status it holds', () => {
  const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' }
  assert.throws(
    () => read({ type: 'ERROR', object: status }),
    (error) => {
      assert.ok(error instanceof ApiError)
      assert.deepEqual([error.code, error.message], [410, 'watch of /x: 410 Expired: too old resource version'])
      return true
    },
  )
  assert.throws(() => read({ type: 'ERROR' }), /500 Unknown/)
})

test('whatever JSON comes, it is an event or an ApiError of one line', () => {
  const type = fc.oneof(fc.constantFrom('ADDED', 'BOOKMARK', 'ERROR', 'constructor'), fc.string())
  const metadata = fc.dictionary(fc.constantFrom('name', 'resourceVersion', 'uid'), fc.jsonValue())
  const line = fc.oneof(fc.jsonValue(), fc.record({ type, object: fc.oneof(fc.jsonValue(), fc.record({ metadata })) }))
  fc.assert(
    fc.property(line, (value) => {
      try {
        assert.equal(typeof read(value).resourceVersion, 'string')
      } catch (error) {
        assert.ok(error instanceof ApiError, String(error))
        assert.ok(!error.message.includes('\n'))
      }
    }),
  )
})
