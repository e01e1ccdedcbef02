import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ApiError } from '../api-error.ts'
import { builtinDefinitions } from '../kinds/builtin.ts'
import { decodeProtobuf } from './protobuf-body.ts'
import { protobufFields } from './protobuf-fields.ts'

const definitions = builtinDefinitions()

/** The tag of a field: a varint. */
function tag(number: number, wireType: number): Buffer {
  const value = number * 8 + wireType
  return Buffer.from(value < 128 ? [value] : [(value & 0x7f) | 0x80, value >> 7])
}

function message(number: number, ...parts: readonly (Uint8Array | string)[]): Buffer {
  const payload = Buffer.concat(parts.map((part) => Buffer.from(part)))
  assert.ok(payload.length < 128)
  return Buffer.concat([tag(number, 2), Buffer.from([payload.length]), payload])
}

function integer(number: number, value: number): Buffer {
  return Buffer.concat([tag(number, 0), Buffer.from([value])])
}

const body = (kind: string, raw: Uint8Array, apiVersion = 'v1'): Buffer =>
  Buffer.concat([Buffer.from('k8s\0'), message(1, message(1, apiVersion), message(2, kind)), message(2, raw)])

test('a config map as kubectl create sends it is read', () => {
  const metadata = message(
    1,
    message(1, 'a'),
    message(2, ''),
    integer(7, 0),
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
  assert.deepEqual(decodeProtobuf(body('DeleteOptions', integer(1, 0)), definitions), {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    gracePeriodSeconds: 0,
  })
})

function isUnsupported(error: unknown): boolean {
  return error instanceof ApiError && error.code === 415
}

test('a deployment as kubectl create sends it is read: unset structs are sent as well', () => {
  const resources = message(8, message(1, message(1, 'cpu'), message(2, message(1, '100m'))))
  const container = message(2, message(1, 'a'), message(2, 'x'), resources, integer(16, 0))
  const template = message(3, message(1, message(8)), message(2, container, message(3, ''), integer(11, 0)))
  const strategy = message(4, message(1, ''))
  const spec = message(2, integer(1, 2), message(2, message(1, message(1, 'app'), message(2, 'a'))), template, strategy)
  const status = message(3, integer(1, 0), integer(2, 0))
  const raw = Buffer.concat([message(1, message(1, 'a')), spec, status])
  assert.deepEqual(decodeProtobuf(body('Deployment', raw, 'apps/v1'), definitions), {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'a' },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'a' } },
      template: {
        metadata: {},
        spec: { containers: [{ name: 'a', image: 'x', resources: { limits: { cpu: '100m' } } }] },
      },
      strategy: {},
    },
    status: {},
  })
})

test('what has no field numbers is refused with 415, so that nothing is lost', () => {
  assert.throws(() => decodeProtobuf(body('Node', message(1)), definitions), isUnsupported)
  const affinity = (content: Buffer): Buffer => body('Pod', message(2, message(18, content)))
  assert.throws(() => decodeProtobuf(affinity(message(1)), definitions), isUnsupported)
  assert.deepEqual(decodeProtobuf(affinity(Buffer.alloc(0)), definitions), {
    apiVersion: 'v1',
    kind: 'Pod',
    spec: { affinity: {} },
  })
  const volumes = body('Pod', message(2, message(1, message(1, 'v'))))
  assert.throws(() => decodeProtobuf(volumes, definitions), isUnsupported)
})

test('the numbered types have all members of their schemas, under different numbers', () => {
  const schemas = new Map([...definitions].map(([name, schema]) => [name.split('.').at(-1)!, schema]))
  for (const [type, fields] of protobufFields) {
    const names = [...fields.values()].map(({ name }) => name)
    const { properties, 'x-kubernetes-group-version-kind': kinds } = schemas.get(type) ?? {}
    // options have no schema of their own
    if (properties === undefined) continue
    const members = Object.keys(properties).filter((name) => !kinds || (name !== 'apiVersion' && name !== 'kind'))
    assert.deepEqual(names.toSorted(), members.toSorted(), type)
  }
})

test('any bytes are read or refused with 400 or 415', () => {
  const kind = fc.constantFrom('ConfigMap', 'Service', 'Lease', 'DeleteOptions', 'Namespace', 'Pod')
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
