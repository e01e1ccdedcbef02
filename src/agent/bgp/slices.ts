// Long lists in slices that are short enough for keepalives and BFD packets to go out in between.
import { type Pieces } from '#/bgp/rib/listing.ts'
import { type Slice } from './thread-messages.ts'

const sliceMs = 3

/** What comes next of a list, as much of it as a few milliseconds allow. */
export function takeSlice<Item>(pieces: Pieces<Item>): Slice<Item> {
  const untilMs = performance.now() + sliceMs
  const items: Item[] = []
  for (;;) {
    const next = pieces.next()
    if (next.done === true) return { items, isLast: true }
    for (const item of next.value) items.push(item)
    if (performance.now() >= untilMs) return { items, isLast: false }
  }
}

/** All of a list, with a turn of the event loop after each slice. */
export async function* inTurns<Item>(pieces: Pieces<Item>): AsyncGenerator<readonly Item[], void, void> {
  for (;;) {
    const { items, isLast } = takeSlice(pieces)
    yield items
    if (isLast) return
    const { promise, resolve } = Promise.withResolvers<void>()
    setImmediate(resolve)
    await promise
  }
}
