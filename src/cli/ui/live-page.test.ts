import assert from 'node:assert/strict'
import { type ServerResponse } from 'node:http'
import { Writable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { type LiveState } from '#/ui/lines.ts'
import { type LiveLine } from '#/ui/contract.ts'
import { Picture } from '#/ui/picture.ts'
import { type News } from './hub.ts'
import { LivePage } from './live-page.ts'

/** What a page reads; while it is paused one line waits, and no other one is taken. */
class Reader extends Writable {
  readonly lines: LiveLine[] = []
  isPaused = false
  #waiting: (() => void) | undefined

  constructor() {
    super({ highWaterMark: 1, decodeStrings: false })
  }

  writeHead(): void {}

  override _write(chunk: string, _encoding: string, callback: () => void): void {
    if (chunk.trim() !== '') this.lines.push(JSON.parse(chunk) as LiveLine)
    if (this.isPaused) this.#waiting = callback
    else process.nextTick(callback)
  }

  resume(): void {
    this.isPaused = false
    this.#waiting?.()
  }
}

test('a page that did not read hears that agents are found again, though no row has changed', async () => {
  const state: { -readonly [Key in keyof LiveState]: LiveState[Key] } = {
    source: 'test',
    version: '0.0.0',
    nowMs: 1,
    askedMs: 1,
  }
  const reader = new Reader()
  let tell: (news: News) => void = () => {}
  const hub = {
    picture: new Picture(),
    state,
    listen: (listener: (news: News) => void): Disposable => {
      tell = listener
      return { [Symbol.dispose]: () => {} }
    },
  }
  using _page = LivePage.open(hub, reader as unknown as ServerResponse, { isGzip: false, onEnd: () => {} })
  await turn()
  reader.isPaused = true
  state.failure = 'no'
  tell({ kind: 'failure', message: 'no' })
  await turn()
  delete state.failure
  Object.assign(state, { nowMs: 3, askedMs: 2, dueMs: 4 })
  tell({ kind: 'nodes', names: new Set() })
  await turn()
  assert.deepEqual(
    reader.lines.map(({ kind }) => kind),
    ['all', 'failure'],
  )
  reader.resume()
  await turn()
  assert.deepEqual(reader.lines.slice(2), [{ kind: 'nodes', changed: [], gone: [], nowMs: 3, askedMs: 2, dueMs: 4 }])
})
