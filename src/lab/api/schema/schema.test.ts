import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseJson } from '../json.ts'
import { builtinDefinitions } from '../kinds/builtin.ts'
import { evaluate, parsePath } from '../kinds/json-path.ts'
import { check } from './check.ts'
import { isSchemaValue } from './read.ts'
import { refPrefix, SchemaNode, type Schema } from './schema.ts'
import { applyDefaults, prune } from './shape.ts'

const node = (schema: Schema): SchemaNode => new SchemaNode(schema, new Map())
const messages = (value: unknown, schema: Schema): string[] =>
  check(parseJson(JSON.stringify(value)), node(schema), 'x').map(({ message }) => message)

test('check finds what the schema forbids', () => {
  assert.deepEqual(messages('a', { type: 'integer' }), [
    'Invalid value: "string": x in body must be of type integer: "string"',
  ])
  assert.deepEqual(messages(0, { type: 'integer', minimum: 1 }), [
    'Invalid value: 0: x in body should be greater than or equal to 1',
  ])
  assert.deepEqual(messages('abc', { type: 'string', pattern: '^b' }), [
    `Invalid value: "abc": x in body should match '^b'`,
  ])
  assert.deepEqual(messages('c', { type: 'string', enum: ['a', 'b'] }), [
    'Unsupported value: "c": supported values: "a", "b"',
  ])
  assert.deepEqual(messages({}, { type: 'object', required: ['y'], properties: { y: { type: 'string' } } }), [
    'Required value',
  ])
  assert.deepEqual(
    messages(['a', 'a'], { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' }),
    ['Duplicate value: "a"'],
  )
  for (const fine of ['8Gi', 4]) assert.deepEqual(messages(fine, { 'x-kubernetes-int-or-string': true }), [])
  assert.equal(messages(1, { oneOf: [{ minimum: 0 }, { minimum: 1 }] }).length, 1)
})

test('prune drops what is unknown and says where it was', () => {
  const schema: Schema = {
    type: 'object',
    properties: {
      a: { type: 'array', items: { type: 'object', properties: { b: { type: 'string' } } } },
      m: { type: 'object', additionalProperties: { type: 'string' } },
      o: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    },
  }
  const unknown: string[] = []
  const pruned = prune({ a: [{ b: 'x', c: 1 }], m: { k: 'v' }, o: { z: 1 }, q: 1, n: null }, node(schema), unknown)
  assert.deepEqual(pruned, { a: [{ b: 'x' }], m: { k: 'v' }, o: { z: 1 } })
  assert.deepEqual(unknown, ['a[0].c', 'q', 'n'])
})

test('defaults fill in missing fields, also inside of defaulted values', () => {
  const schema: Schema = {
    type: 'object',
    properties: { s: { type: 'object', default: {}, properties: { n: { type: 'integer', default: 3 } } } },
  }
  assert.deepEqual(applyDefaults({}, node(schema)), { s: { n: 3 } })
  assert.deepEqual(applyDefaults({ s: { n: 1 } }, node(schema)), { s: { n: 1 } })
})

test('every reference of the built-in types leads somewhere', () => {
  const definitions = builtinDefinitions()
  for (const [name, schema] of definitions) {
    for (const [, target] of JSON.stringify(schema).matchAll(/"\$ref":"([^"]+)"/g))
      assert.ok(definitions.has(target!.slice(refPrefix.length)), `${name} -> ${target}`)
  }
})

test('any JSON is a schema or is not, without an exception', () => {
  assert.ok(isSchemaValue({ type: 'object', properties: { a: { type: 'string', maxLength: 3 } } }))
  assert.ok(!isSchemaValue({ properties: { a: 1 } }))
  assert.ok(!isSchemaValue({ pattern: 1 }))
  fc.assert(
    fc.property(fc.jsonValue(), (value) => typeof isSchemaValue(parseJson(JSON.stringify(value))) === 'boolean'),
  )
})

test('printer column paths are read and followed', () => {
  const value = {
    spec: {
      list: [
        { type: 'A', v: 1 },
        { type: 'Ready', v: 2 },
      ],
      'a.b': 3,
    },
  }
  for (const [path, expected] of [
    ['.spec.list[0].v', 1],
    ['.spec.list[?(@.type=="Ready")].v', 2],
    ['.spec.a\\.b', 3],
    [".spec['a.b']", 3],
    ['.spec.none.x', undefined],
  ] as const)
    assert.deepEqual(evaluate(value, parsePath(path) ?? []), expected, path)
  for (const path of ['spec', '.a..b', '.a[x]', '']) assert.equal(parsePath(path), undefined, path)
  fc.assert(
    fc.property(fc.stringMatching(/^[.a[\]?(@='"0)]{0,20}$/), (path) => void evaluate(value, parsePath(path) ?? [])),
  )
})
