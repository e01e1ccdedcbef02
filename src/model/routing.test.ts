import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type KubeNode } from './kubernetes.ts'
import {
  routingAnnotation,
  routingOf,
  routings,
  routingStateAnnotation,
  routingStateOf,
  routingStateText,
  ways,
} from './routing.ts'
import { problemText } from './problems.ts'

function nodeWith(annotations: Record<string, unknown>): KubeNode {
  return { metadata: { name: 'node-1', annotations } }
}

test('the routing of a node is one of three, none, or a problem', () => {
  assert.deepEqual(routingOf(nodeWith({})), {})
  for (const routing of routings) assert.deepEqual(routingOf(nodeWith({ [routingAnnotation]: routing })), { routing })
  for (const bad of ['', 'Native', 'bgp', ' native']) {
    const { routing, problem } = routingOf(nodeWith({ [routingAnnotation]: bad }))
    assert.equal(routing, undefined)
    assert.match(
      problemText(problem!),
      /annotation causeway\.dev\/routing: ".*" is none of vxlan, native, auto; remedy: correct or remove the annotation/,
    )
  }
})

test('any state is read as it was written, and equal states have equal texts', () => {
  const some = fc.shuffledSubarray([...ways])
  fc.assert(
    fc.property(fc.constantFrom(...routings), some, some, (mode, sends, accepts) => {
      const text = routingStateText({ mode, sends, accepts })
      const { state, problem } = routingStateOf(nodeWith({ [routingStateAnnotation]: text }))
      assert.equal(problem, undefined)
      assert.equal(routingStateText(state!), text)
      assert.equal(routingStateText({ mode, sends: sends.toReversed(), accepts: accepts.toReversed() }), text)
    }),
  )
})

test('ways that a later version adds are ignored; a malformed state is a problem', () => {
  const read = (text: string) => routingStateOf(nodeWith({ [routingStateAnnotation]: text }))
  assert.deepEqual(read('{"mode":"auto","sends":["srv6","native"],"accepts":["vxlan"],"more":1}').state, {
    mode: 'auto',
    sends: ['native'],
    accepts: ['vxlan'],
  })
  const bad = ['', '{', 'null', '[]', '7', '{"mode":"native"}', '{"mode":"none","sends":[],"accepts":[]}']
  for (const text of [...bad, '{"mode":"native","sends":"vxlan","accepts":["vxlan"]}', 'x'.repeat(10_000)]) {
    const { state, problem } = read(text)
    assert.equal(state, undefined, text)
    assert.match(problem!.message, /annotation causeway\.dev\/routing-state: ".*" cannot be read/)
    assert.ok(problemText(problem!).length < 300)
  }
})

test('whatever stands in the annotations, they are read', () => {
  const anyText = fc.oneof(fc.string(), fc.json(), fc.anything())
  fc.assert(
    fc.property(anyText, anyText, (one, other) => {
      const node = nodeWith({ [routingAnnotation]: one, [routingStateAnnotation]: other })
      const { routing } = routingOf(node)
      assert.ok(routing === undefined || routings.includes(routing))
      const { state, problem } = routingStateOf(node)
      assert.ok(state === undefined || problem === undefined)
    }),
  )
})
