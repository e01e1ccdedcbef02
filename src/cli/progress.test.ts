import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { askAll } from '#/api/client.ts'
import { type AgentTransport } from '#/api/transport.ts'
import { Progress } from './progress.ts'

function screen(isTTY: boolean) {
  const written: string[] = []
  return { isTTY, written, write: (text: string) => written.push(text) }
}

function agents(answer: Promise<void>) {
  return ['a', 'b', 'c'].map((node) => {
    const transport: AgentTransport = {
      place: node,
      send: async () => {
        if (node !== 'a') await answer
        return { status: 503, text: 'no' }
      },
      open: async () => Promise.reject(new Error('not asked for')),
    }
    return { node, transport }
  })
}

test('on a terminal it says how many have answered and who is waited for, and is gone at the end', async () => {
  const terminal = screen(true)
  const answer = Promise.withResolvers<void>()
  {
    using progress = new Progress(3, terminal)
    const asking = askAll(progress.counting(agents(answer.promise)), 'plan')
    while (terminal.written.length === 0) await sleep(20)
    answer.resolve()
    await asking
  }
  assert.equal(terminal.written[0], '\r\u001b[K1 of 3 nodes have answered, waiting for b and 1 more')
  assert.equal(terminal.written.at(-1), '\r\u001b[K')
})

test('it is not shown for what is quick, nor where no terminal is', async () => {
  for (const isTTY of [true, false]) {
    const place = screen(isTTY)
    {
      using progress = new Progress(3, place)
      await askAll(progress.counting(agents(Promise.resolve())), 'plan')
    }
    assert.deepEqual(place.written, [])
  }
})
