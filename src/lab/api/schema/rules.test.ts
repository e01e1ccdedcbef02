import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ApiError } from '../api-error.ts'
import { parseJson } from '../json.ts'
import { definitionStrategy, resourcesOf } from '../kinds/definition.ts'
import { kubeObject, type KubeObject } from '../objects.ts'
import { decode } from '../verbs/decode.ts'
import { evaluate, expressionFault } from './cel.ts'

function definitionWith(properties: object): KubeObject {
  const schema = { type: 'object', properties: { spec: { type: 'object', properties } } }
  const version = { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }
  const spec = { group: 'example.com', names: { kind: 'Widget', plural: 'widgets' }, versions: [version] }
  const definition = { apiVersion: 'v1', kind: 'X', metadata: { name: 'widgets.example.com' }, spec }
  return kubeObject(parseJson(JSON.stringify(definition)))
}

const small = { type: 'integer', minimum: 0, 'x-kubernetes-validations': [{ rule: 'self < 10', message: 'too much' }] }
const size = {
  type: 'string',
  enum: ['S', 'M'],
}
const pair = {
  type: 'object',
  properties: { a: { type: 'integer' }, b: { type: 'integer' } },
  'x-kubernetes-validations': [
    { rule: '!has(self.a) || !has(self.b) || self.a < self.b', fieldPath: '.b' },
    { rule: 'self.a >= oldSelf.a', message: 'about a change' },
  ],
}
const definition = definitionWith({ small, size, pairs: { type: 'array', items: pair } })
const [resource] = resourcesOf(definition, new Map([['io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta', {}]]))

/** What is wrong with a Widget, where it comes in place of another one if that is given. */
function refusals(spec: object, before?: object): string[] {
  const widget = (of: object) => ({ apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'w' }, spec: of })
  const live = before && kubeObject(parseJson(JSON.stringify(widget(before))))
  try {
    decode(resource!, parseJson(JSON.stringify(widget(spec))), 'Strict', [], live)
    return []
  } catch (error) {
    assert.ok(error instanceof ApiError)
    return error.details!.causes!.map(({ field, message }) => `${field}: ${message}`)
  }
}

test('a rule that does not hold is told at its field, in its own words where it has some', () => {
  assert.deepEqual(definitionStrategy.validate!(definition), [])
  assert.deepEqual(refusals({ small: 9, pairs: [{ a: 1 }, { a: 1, b: 2 }] }), [])
  assert.deepEqual(refusals({ small: 10 }), ['spec.small: Invalid value: 10: too much'])
  assert.deepEqual(
    refusals({
      pairs: [
        { a: 1, b: 2 },
        { a: 2, b: 2 },
      ],
    }),
    ['spec.pairs[1].b: Invalid value: "object": failed rule: !has(self.a) || !has(self.b) || self.a < self.b'],
  )
})

test('rules are not evaluated where types are wrong, and beside other faults they are', () => {
  const skipped =
    '<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation'
  assert.deepEqual(refusals({ small: 10, size: 'L' }), [
    'spec.size: Unsupported value: "L": supported values: "S", "M"',
    skipped,
  ])
  assert.deepEqual(refusals({ small: 'x' }).slice(1), [skipped])
  assert.deepEqual(refusals({ small: -1, pairs: [{ a: 2, b: 1 }] }).length, 2)
})

test('what did not fit before may stay, and nothing else', () => {
  assert.deepEqual(refusals({ small: 10, size: 'M' }, { small: 10 }), [])
  assert.deepEqual(refusals({ small: 11 }, { small: 10 }), ['spec.small: Invalid value: 11: too much'])
})

test('a definition whose rule is no expression is refused', () => {
  const wrong = definitionWith({ a: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self ==' }] } })
  const [cause] = definitionStrategy.validate!(wrong)
  assert.match(String(cause?.field), /\[a\]\.x-kubernetes-validations\[0\]\.rule$/)
  assert.match(String(cause?.message), /compilation failed/)
})

test('addresses and CIDRs are those of kube-apiserver', () => {
  const holds = (expression: string, self: unknown): boolean => evaluate(expression, self) === true
  for (const text of ['10.0.0.1', 'fd00::1', '::', '1:2:3:4:5:6:1.2.3.4']) assert.ok(holds('isIP(self)', text), text)
  for (const text of ['', '010.0.0.1', '::ffff:10.0.0.1', 'fe80::1%eth0', '10.0.0.1/32'])
    assert.ok(!holds('isIP(self)', text), text)
  for (const text of ['10.0.0.1/8', '::/0', 'fd00::1/128']) assert.ok(holds('isCIDR(self)', text), text)
  for (const text of ['10.0.0.0/33', '10.0.0.0/08', '10.0.0.0', 'fd00::/129', '::ffff:0:0/96'])
    assert.ok(!holds('isCIDR(self)', text), text)
  assert.ok(holds('cidr(self).masked() == cidr("10.0.0.0/8")', '10.1.2.3/8'))
  assert.ok(holds('cidr(self) != cidr(self).masked() && cidr(self).ip() == ip("10.1.2.3")', '10.1.2.3/8'))
  assert.throws(() => evaluate('ip(self).family() == 4', 'x'), /is no IP address/)
})

test('any text is an expression or is not, without an exception', () => {
  fc.assert(fc.property(fc.string(), (text) => void expressionFault(text)))
})
