import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ApiError } from '../api-error.ts'
import { builtinDefinitions } from '../kinds/builtin.ts'
import { decodeProtobuf } from './protobuf-body.ts'

const definitions = builtinDefinitions()

function message(number: number, ...parts: readonly (Uint8Array | string)[]): Buffer {
  const payload = Buffer.concat(parts.map((part) => Buffer.from(part)))
  assert.ok(payload.length < 128)
  return Buffer.concat([Buffer.from([number * 8 + 2, payload.length]), payload])
}

const body = (kind: string, raw: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from('k8s\0'), message(1, message(1, 'v1'), message(2, kind)), message(2, raw)])

test('a config map as kubectl create sends it is read', () => {
  const metadata = message(
    1,
    message(1, 'a'),
    message(2, ''),
    Buffer.from([7 * 8, 0]),
    message(8),
    message(11, message(1, 'k'), message(2, 'v')),
  )
  const raw = Buffer.concat([metadata, message(2, message(1, 'x'), message(2, 'y'))])
  assert.deepEqual(decodeProtobuf(body('ConfigMap', raw), definitions), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', labels: { k: 'v' } },
    data: { x: 'y' },
  })
})

test('a grace period of zero is kept: it is not the same as none', () => {
  assert.deepEqual(decodeProtobuf(body('DeleteOptions', Buffer.from([8, 0])), definitions), {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    gracePeriodSeconds: 0,
  })
})

test('kinds without field numbers are refused with 415', () => {
  assert.throws(
    () => decodeProtobuf(body('Pod', message(1)), definitions),
    (error) => error instanceof ApiError && error.code === 415,
  )
})

test('any bytes are read or refused with 400 or 415', () => {
  const kind = fc.constantFrom('ConfigMap', 'Service', 'Lease', 'DeleteOptions', 'Namespace')
  fc.assert(
    fc.property(kind, fc.uint8Array({ maxLength: 60 }), (name, raw) => {
      try {
        decodeProtobuf(body(name, raw), definitions)
      } catch (error) {
        assert.ok(error instanceof ApiError && (error.code === 400 || error.code === 415), String(error))
      }
    }),
    { numRuns: 2000 },
  )
})
