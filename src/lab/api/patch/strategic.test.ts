import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isObject, parseJson, type JsonObject } from '../json.ts'
import { builtinDefinitions } from '../kinds/builtin.ts'
import { SchemaNode } from '../schema/schema.ts'
import { strategicMerge, StrategicPatchError } from './strategic.ts'

const pod = new SchemaNode({ $ref: '#/definitions/io.k8s.api.core.v1.Pod' }, builtinDefinitions())
const spec = (value: JsonObject): JsonObject => ({ spec: value })
const merged = (original: JsonObject, patch: JsonObject): unknown =>
  strategicMerge(spec(original), spec(patch), pod)['spec']

test('lists with a merge key are merged item by item', () => {
  assert.deepEqual(
    merged(
      {
        containers: [
          { name: 'a', image: 'x', env: [{ name: 'E', value: '1' }] },
          { name: 'b', image: 'y' },
        ],
      },
      {
        containers: [
          { name: 'a', image: 'z', env: [{ name: 'F', value: '2' }] },
          { name: 'c', image: 'w' },
        ],
      },
    ),
    {
      containers: [
        {
          name: 'a',
          image: 'z',
          env: [
            { name: 'E', value: '1' },
            { name: 'F', value: '2' },
          ],
        },
        { name: 'b', image: 'y' },
        { name: 'c', image: 'w' },
      ],
    },
  )
})

test('$patch deletes and replaces', () => {
  assert.deepEqual(
    merged({ containers: [{ name: 'a' }, { name: 'b' }] }, { containers: [{ name: 'a', $patch: 'delete' }] }),
    { containers: [{ name: 'b' }] },
  )
  assert.deepEqual(merged({ containers: [{ name: 'a' }] }, { containers: [{ $patch: 'replace' }, { name: 'z' }] }), {
    containers: [{ name: 'z' }],
  })
  assert.deepEqual(merged({ securityContext: { a: 1, b: 2 } }, { securityContext: { $patch: 'replace', c: 3 } }), {
    securityContext: { c: 3 },
  })
  assert.deepEqual(merged({ nodeName: 'x', securityContext: { a: 1 } }, { securityContext: { $patch: 'delete' } }), {
    nodeName: 'x',
  })
})

test('lists without a merge key are replaced, null deletes', () => {
  assert.deepEqual(
    merged({ tolerations: [{ key: 'a' }], nodeName: 'n' }, { tolerations: [{ key: 'b' }], nodeName: null }),
    { tolerations: [{ key: 'b' }] },
  )
})

test('$setElementOrder sorts and $deleteFromPrimitiveList removes', () => {
  assert.deepEqual(
    merged(
      { containers: [{ name: 'a' }, { name: 'server' }, { name: 'b' }] },
      { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }], containers: [{ name: 'b', image: 'i' }] },
    ),
    { containers: [{ name: 'server' }, { name: 'b', image: 'i' }, { name: 'a' }] },
  )
  assert.deepEqual(
    strategicMerge(
      { metadata: { finalizers: ['a', 'b'] } },
      { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'], finalizers: ['c'] } },
      pod,
    ),
    {
      metadata: { finalizers: ['b', 'c'] },
    },
  )
})

test('$retainKeys drops the other members of a union', () => {
  assert.deepEqual(
    merged(
      { volumes: [{ name: 'v', emptyDir: {} }] },
      { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/' } }] },
    ),
    { volumes: [{ name: 'v', hostPath: { path: '/' } }] },
  )
})

test('a list item without its merge key is refused', () => {
  assert.throws(() => merged({ containers: [] }, { containers: [{ image: 'x' }] }), StrategicPatchError)
  assert.throws(() => merged({}, { securityContext: { $patch: 'explode' } }), StrategicPatchError)
})

test('any patch either merges or throws StrategicPatchError, and the original stays', () => {
  const original = spec({ containers: [{ name: 'a', ports: [{ containerPort: 1 }] }], volumes: [{ name: 'v' }] })
  const keys = fc.constantFrom(
    'spec',
    'containers',
    'name',
    'ports',
    '$patch',
    '$retainKeys',
    '$setElementOrder/containers',
    'volumes',
  )
  const { value: anyPatch } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('a', 'delete', 'replace', null, 1),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(keys, tie('value'), { maxKeys: 4 }),
    ),
  }))
  fc.assert(
    fc.property(anyPatch, (value) => {
      const patch = parseJson(JSON.stringify({ spec: value }))
      const before = JSON.stringify(original)
      try {
        strategicMerge(original, isObject(patch) ? patch : {}, pod)
      } catch (error) {
        assert.ok(error instanceof StrategicPatchError, String(error))
      }
      assert.equal(JSON.stringify(original), before)
    }),
    { numRuns: 500 },
  )
})
