// The relay that is executed in an agent's container, as a process between pipes and a socket.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

const program = new URL('../../build/causeway-api-relay', import.meta.url).pathname

function start(folder: string) {
  return spawn(program, { env: { CAUSEWAY_RUN_DIR: folder }, stdio: ['pipe', 'pipe', 'pipe'] })
}

async function withAgent(serve: (socket: Socket) => void, use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-relay-'))
  const sockets: Socket[] = []
  await using server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  try {
    server.listen(join(folder, 'agent.sock'))
    await once(server, 'listening')
    await use(folder)
  } finally {
    for (const socket of sockets) socket.destroy()
    rmSync(folder, { recursive: true, force: true })
  }
}

test('bytes go both ways, all of them, and the end of the agent is the end of the relay', async () => {
  const size = 20 << 20
  const answer = Buffer.alloc(size)
  for (let at = 0; at < size; at++) answer[at] = (at * 31 + (at >> 13)) & 255
  await withAgent(
    (socket) => socket.once('data', (asked: Buffer) => void socket.end(Buffer.concat([asked, answer]))),
    async (folder) => {
      const relay = start(folder)
      relay.stdin.write('go!')
      const chunks: Buffer[] = []
      for await (const chunk of relay.stdout as AsyncIterable<Buffer>) chunks.push(chunk)
      assert.ok(Buffer.concat(chunks).equals(Buffer.concat([Buffer.from('go!'), answer])))
      assert.equal(relay.exitCode ?? ((await once(relay, 'exit')) as [number])[0], 0)
    },
  )
})

test('much that is sent arrives too', async () => {
  let bytes = 0
  const all = Promise.withResolvers<void>()
  await withAgent(
    (socket) =>
      socket.on('data', (chunk) => {
        bytes += chunk.length
        if (bytes === 5 << 20) {
          all.resolve()
          socket.end()
        }
      }),
    async (folder) => {
      const relay = start(folder)
      relay.stdin.write(Buffer.alloc(5 << 20))
      await all.promise
      await once(relay, 'exit')
    },
  )
})

test('it ends when its client is gone, also while the agent goes on, and while nobody reads', async () => {
  const gone: ((relay: ReturnType<typeof start>) => void)[] = [
    (relay) => relay.stdin.end(),
    (relay) => {
      relay.stdout.destroy()
    },
  ]
  for (const isTalking of [true, false])
    for (const leave of gone)
      await withAgent(
        (socket) => {
          if (isTalking) socket.write(Buffer.alloc(8 << 20))
        },
        async (folder) => {
          const relay = start(folder)
          relay.stdin.on('error', () => {})
          await sleep(50)
          const exited = once(relay, 'exit')
          leave(relay)
          assert.deepEqual(await exited, [0, null])
        },
      )
})

test('without an agent it says where it looked and what the kernel said', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-relay-'))
  try {
    for (const [place, words] of [
      [folder, `causeway-api-relay: ${folder}/agent.sock: No such file or directory\n`],
      [`/${'x'.repeat(200)}`, `causeway-api-relay: /${'x'.repeat(200)}/agent.sock: Filename too long\n`],
    ] as const) {
      const relay = start(place)
      const exited = once(relay, 'exit')
      assert.equal(await text(relay.stderr), words)
      assert.deepEqual(await exited, [1, null])
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
