import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maxSlots } from '#/wire/bpf/maps.ts'
import { Slots } from './slots.ts'

test('a device keeps its slot, also one that an earlier agent gave; a free one is given again, and then is new', () => {
  const slots = new Slots()
  slots.keep(7, 0)
  assert.deepEqual(slots.take(8), { slot: 1, isNew: true })
  assert.deepEqual(slots.take(7), { slot: 0, isNew: false })
  // no two devices have one slot, whatever the maps say
  slots.keep(9, 0)
  assert.equal(slots.slotOf(9), undefined)
  slots.free(7)
  assert.deepEqual(slots.take(9), { slot: 0, isNew: true })
  slots.retain(new Set([8]))
  assert.deepEqual([slots.slotOf(8), slots.slotOf(9)], [1, undefined])
})

test('there are as many slots as a bridge has ports, and no more', () => {
  const slots = new Slots()
  for (let device = 0; device < maxSlots; device++) assert.ok(slots.take(device))
  assert.equal(slots.take(maxSlots), undefined)
  slots.free(3)
  assert.deepEqual(slots.take(maxSlots), { slot: 3, isNew: true })
})
