import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ApiError } from '../api-error.ts'
import { deepEqual, dig, parseJson, type JsonObject } from '../json.ts'
import { builtinDefinitions } from '../kinds/builtin.ts'
import type { KubeObject } from '../objects.ts'
import { SchemaNode } from '../schema/schema.ts'
import { fromFieldsV1, toFieldsV1 } from './field-set.ts'
import { applyConfiguration, trackUpdate, type Manager } from './managed-fields.ts'

const type = new SchemaNode({ $ref: '#/definitions/io.k8s.api.core.v1.Pod' }, builtinDefinitions())
const manager = (name: string, operation: Manager['operation'] = 'Apply'): Manager => ({
  name,
  operation,
  apiVersion: 'v1',
  subresource: undefined,
  time: '2026-01-01T00:00:00Z',
})
const pod = (spec: JsonObject, labels: Record<string, string> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', labels },
  spec,
})
const apply = (live: KubeObject | undefined, config: KubeObject, name: string, force = false): KubeObject =>
  applyConfiguration(live, config, type, manager(name), force)

test('apply records what it sets and takes back what it no longer sets', () => {
  const first = apply(undefined, pod({ nodeName: 'a', hostname: 'h' }, { x: '1', y: '2' }), 'me')
  assert.deepEqual(first.metadata.managedFields?.[0]?.fieldsV1, {
    'f:metadata': { 'f:labels': { 'f:x': {}, 'f:y': {} } },
    'f:spec': { 'f:hostname': {}, 'f:nodeName': {} },
  })
  const second = apply(first, pod({ nodeName: 'a' }, { x: '1' }), 'me')
  assert.deepEqual(second['spec'], { nodeName: 'a' })
  assert.deepEqual(second.metadata.labels, { x: '1' })
})

test('what another manager also owns stays', () => {
  const one = apply(undefined, pod({}, { x: '1' }), 'one')
  const two = apply(one, pod({}, { x: '1', y: '2' }), 'two')
  const gone = apply(two, pod({}, {}), 'one')
  assert.deepEqual(gone.metadata.labels, { x: '1', y: '2' })
})

test('changing what another owns is a conflict unless forced', () => {
  const one = apply(undefined, pod({ containers: [{ name: 'c', image: 'a' }] }), 'one')
  const changed = pod({ containers: [{ name: 'c', image: 'b' }] })
  assert.throws(
    () => apply(one, changed, 'two'),
    (error) =>
      error instanceof ApiError &&
      error.code === 409 &&
      error.message === 'Apply failed with 1 conflict: conflict with "one": .spec.containers[name="c"].image' &&
      error.details?.causes?.[0]?.reason === 'FieldManagerConflict',
  )
  const forced = apply(one, changed, 'two', true)
  assert.equal(dig(forced, 'spec', 'containers', '0'), undefined)
  assert.deepEqual(forced['spec'], { containers: [{ name: 'c', image: 'b' }] })
  const owner = forced.metadata.managedFields?.find((entry) => entry.manager === 'one')
  assert.equal(dig(owner?.fieldsV1, 'f:spec', 'f:containers', 'k:{"name":"c"}', 'f:image'), undefined)
})

test('an update takes over what it changes', () => {
  const one = apply(undefined, pod({ hostname: 'a', subdomain: 's' }), 'one')
  const next = { ...one, spec: { hostname: 'b', subdomain: 's' } }
  const updated = trackUpdate(one, next, type, manager('kubectl-edit', 'Update'))
  const fields = Object.fromEntries(
    (updated.metadata.managedFields ?? []).map((entry) => [entry.manager, entry.fieldsV1['f:spec']]),
  )
  assert.deepEqual(fields, { one: { 'f:subdomain': {} }, 'kubectl-edit': { 'f:hostname': {} } })
})

test('applying the same again changes nothing', () => {
  const containers = fc.uniqueArray(
    fc.record({ name: fc.constantFrom('a', 'b', 'c'), image: fc.constantFrom('x', 'y') }),
    { selector: ({ name }) => name, minLength: 1 },
  )
  const config = fc
    .record({ containers, labels: fc.dictionary(fc.constantFrom('k', 'l'), fc.constantFrom('1', '2')) })
    .map(({ containers: list, labels }) => pod({ containers: list }, labels))
  fc.assert(
    fc.property(config, config, (first, second) => {
      const live = apply(apply(undefined, first, 'me'), second, 'me')
      assert.ok(deepEqual(apply(live, second, 'me'), live))
      assert.ok(deepEqual(live['spec'], second['spec']))
    }),
  )
})

test('FieldsV1 round-trips, and anything can be read', () => {
  const { set } = fc.letrec<{ set: JsonObject }>((tie) => ({
    set: fc.oneof(
      { maxDepth: 3 },
      fc.constant({}),
      fc.dictionary(fc.constantFrom('f:a', 'f:b', 'k:{"n":1}', 'v:"x"'), tie('set'), {
        maxKeys: 3,
        noNullPrototype: true,
      }),
    ),
  }))
  fc.assert(fc.property(set, (fields) => assert.deepEqual(toFieldsV1(fromFieldsV1(fields)), fields)))
  fc.assert(fc.property(fc.jsonValue(), (value) => void toFieldsV1(fromFieldsV1(parseJson(JSON.stringify(value))))))
})
