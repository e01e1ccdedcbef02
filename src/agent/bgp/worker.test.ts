// The thread's own side: what it leaves behind. Threads come and go, and what C functions opened in one outlives it.
import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { freePort, takenPort } from '#/bgp/testing/taken-port.ts'
import { type FromSpeaker, type ToSpeaker } from './thread-messages.ts'

function sockets(): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      // that of the listing
      return ''
    }
  })
  return targets.filter((target) => target.startsWith('socket:')).length
}

/** Runs a thread until it says that; counts the sockets that it leaves. */
async function leftAfter(messages: readonly ToSpeaker[], kind: FromSpeaker['kind']): Promise<number> {
  const before = sockets()
  const worker = new Worker(new URL('worker.ts', import.meta.url))
  const told = Promise.withResolvers<void>()
  worker.on('message', (message: FromSpeaker) => {
    if (message.kind === kind) told.resolve()
  })
  worker.on('error', told.reject)
  for (const message of messages) worker.postMessage(message)
  await told.promise
  await worker.terminate()
  return sockets() - before
}

function configure(listenPort: number): ToSpeaker {
  const limits = { maxPaths: 1, multipathRelax: false, isRestarting: false }
  const config = { routerId: '10.0.0.1', asn: 65_000, listenPort, ...limits, peers: [], originated: [] }
  return { kind: 'configure', config: JSON.stringify(config) }
}

test('a thread that is stopped leaves no sockets', async () => {
  const port = await freePort()
  const stop = { kind: 'stop', how: 'shutdown', text: '' } as const
  assert.equal(await leftAfter([configure(port), stop], 'stopped'), 0)
})

test('a thread that cannot listen, or that fails, leaves none either', async () => {
  using taken = await takenPort()
  const stop = { kind: 'stop', how: 'shutdown', text: '' } as const
  assert.equal(await leftAfter([configure(taken.port), stop], 'stopped'), 0)
  const port = await freePort()
  assert.equal(await leftAfter([configure(port), { kind: 'configure', config: '{' }], 'failed'), 0)
})
