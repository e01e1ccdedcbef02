import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainVxlan, routingStateText } from '#/model/routing.ts'
import { type RoutingFacts, routingStateFor } from './routing-state.ts'

function state(more: Partial<RoutingFacts>): string {
  const facts: RoutingFacts = {
    mode: 'vxlan',
    counts: { vxlan: 2, native: 0 },
    needsOverlay: true,
    hasOverlay: true,
    failedKinds: new Set(),
    before: undefined,
    ...more,
  }
  return routingStateText(routingStateFor(facts))
}

const plain = routingStateText(plainVxlan)
const nativeOnly = routingStateText({ mode: 'native', sends: ['native'], accepts: ['native'] })

test('with routing vxlan the state is that of plain VXLAN, with other nodes, without, and without an underlay', () => {
  assert.equal(state({}), plain)
  assert.equal(state({ counts: { vxlan: 0, native: 0 } }), plain)
  assert.equal(state({ counts: { vxlan: 0, native: 0 }, hasOverlay: false }), plain)
})

test('the state says by which way packets are sent, even when the routing prefers another', () => {
  assert.match(state({ counts: { vxlan: 1, native: 1 } }), /"sends":\["vxlan","native"\]/)
  assert.match(state({ mode: 'native', counts: { vxlan: 1, native: 1 } }), /"sends":\["vxlan","native"\]/)
  assert.match(state({ mode: 'auto', counts: { vxlan: 0, native: 1 } }), /"sends":\["native"\]/)
  assert.equal(state({ mode: 'native', counts: { vxlan: 0, native: 1 }, needsOverlay: false }), nativeOnly)
})

test('VXLAN is accepted once the tunnel is there, and not when it could not be made', () => {
  const native = { mode: 'native', counts: { vxlan: 0, native: 1 } } as const
  assert.match(state({ ...native, hasOverlay: false }), /"accepts":\["native"\]/)
  assert.match(state({ ...native }), /"accepts":\["vxlan","native"\]/)
  const before = { mode: 'native', sends: ['native'], accepts: ['native'] } as const
  for (const kind of ['link', 'neighbour', 'table'] as const)
    assert.match(state({ ...native, before, failedKinds: new Set([kind]) }), /"accepts":\["native"\]/)
  assert.match(state({ ...native, before, failedKinds: new Set(['port']) }), /"accepts":\["vxlan","native"\]/)
  // one that was accepted is not refused because of something that failed later
  assert.match(
    state({ ...native, before: plainVxlan, failedKinds: new Set(['table']) }),
    /"accepts":\["vxlan","native"\]/,
  )
})

test('a way whose routes could not be changed still counts as used', () => {
  const facts = { mode: 'native', counts: { vxlan: 0, native: 1 }, needsOverlay: false, before: plainVxlan } as const
  assert.equal(state(facts), nativeOnly)
  assert.match(state({ ...facts, failedKinds: new Set(['route']) }), /"sends":\["vxlan","native"\]/)
})
