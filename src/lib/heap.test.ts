import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Heap } from './heap.ts'

test('gives what was put in, the least first, also when more comes meanwhile', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(20), { nil: undefined }), { maxLength: 40 }), (steps) => {
      const heap = new Heap<number>((a, b) => a - b)
      const model: number[] = []
      for (const step of steps) {
        if (step === undefined) {
          assert.equal(heap.pop(), model.sort((a, b) => a - b).shift())
        } else {
          heap.push(step)
          model.push(step)
        }
      }
      for (const each of model.sort((a, b) => a - b)) assert.equal(heap.pop(), each)
      assert.equal(heap.pop(), undefined)
    }),
  )
})
