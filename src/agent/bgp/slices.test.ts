import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inTurns, takeSlice } from './slices.ts'

/** Pieces that take their time. */
function* slowly(count: number, eachMs: number): Generator<readonly number[], void, void> {
  for (let piece = 0; piece < count; piece++) {
    const untilMs = performance.now() + eachMs
    while (performance.now() < untilMs);
    yield piece % 2 === 0 ? [piece, piece] : []
  }
}

test('a slice ends when its time is over, the last one with the list', () => {
  const pieces = slowly(4, 2)
  const slices = [takeSlice(pieces)]
  while (!slices.at(-1)!.isLast) slices.push(takeSlice(pieces))
  assert.ok(slices.length > 1)
  assert.deepEqual(
    slices.flatMap(({ items }) => items),
    [0, 0, 2, 2],
  )
})

test('between slices others have their turn', async () => {
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const items: number[] = []
  for await (const slice of inTurns(slowly(20, 2))) items.push(...slice)
  clearInterval(timer)
  assert.equal(items.length, 20)
  assert.ok(turns >= 5, `${turns} turns`)
})
