import assert from 'node:assert/strict'
import { test } from 'node:test'
import { from, healthy, predictionsOf, sightingAt, to, tunnelWay } from './testing/scene.ts'
import { redirected } from './redirected.ts'
import { judgeTrace } from './verdict.ts'

// the packets of the scene have the address of pod default/b
const taker = { addr: to.addr, pod: to.pod, node: to.node }
const asked = { addr: '10.244.2.9', pod: 'default/asked', node: 'node-2' }

test('who asks for a pod and is answered by another one has not reached the pod', () => {
  const trace = judgeTrace(healthy())
  const verdict = redirected(trace, asked, taker)
  assert.equal(verdict.outcome, 'lost')
  assert.match(
    verdict.text,
    /^the probe never came to pod default\/asked: its destination was replaced by 10\.244\.2\.2 on .*, and pod default\/b has it$/,
  )
  assert.match(verdict.remedy ?? '', /nft list ruleset/)
})

test('the end of a Service, and a pod that replaces the address itself, are no others', () => {
  const trace = judgeTrace(healthy())
  assert.equal(redirected(trace, { addr: '10.96.0.1' }, taker), trace.verdict)
  assert.equal(redirected(trace, taker, taker), trace.verdict)
  const inside = { ...asked, pod: to.pod }
  assert.equal(redirected(trace, inside, { addr: '127.0.0.6' }), trace.verdict)
})

test('what is lost behind the translation is told as that', () => {
  const cut = tunnelWay.there.slice(0, 7).map((place, index) => sightingAt(place, index, 'there'))
  const predictions = { there: predictionsOf(tunnelWay.there), back: predictionsOf(tunnelWay.back) }
  const trace = judgeTrace({ ...healthy(), from, predictions, sightings: cut })
  assert.equal(redirected(trace, asked, taker), trace.verdict)
})
