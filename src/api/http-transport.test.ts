// HTTP over a connection, to an agent that ends, falls silent, or never stops.
import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { messageOf } from '#/lib/log.ts'
import { httpTransport } from './http-transport.ts'
import { type AgentTransport } from './transport.ts'

async function withAgent(listener: RequestListener, use: (agent: AgentTransport) => Promise<void>): Promise<void> {
  await using server = createServer(listener)
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', resolve)
  await promise
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const { port } = address
  await use(httpTransport('there', async () => connect(port, '127.0.0.1'), 200)).finally(() =>
    server.closeAllConnections(),
  )
}

const request = { method: 'GET', path: '/v1/x' } as const
const never = new AbortController().signal

test('an answer comes whole, with status and version, and its connection is let go', async () => {
  const closed = Promise.withResolvers<void>()
  await withAgent(
    (asked, response) => {
      asked.socket.on('close', () => closed.resolve())
      response.writeHead(409, { server: 'causeway/9.1.0' }).end(`no ${asked.url}`)
    },
    async (agent) => {
      assert.deepEqual(await agent.send(request, never), { status: 409, text: 'no /v1/x', version: '9.1.0' })
      await closed.promise
    },
  )
})

test('lines come as they are told, however they are cut, without the empty ones', async () => {
  const parts = ['{"a"', ':1}\n\n{"b":2', '}\n', '\n{"ü":', '3}\n{"d":4}\nrest']
  await withAgent(
    (_asked, response) => {
      void (async () => {
        for (const part of parts) {
          response.write(part)
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
        response.end()
      })()
    },
    async (agent) => {
      const { lines } = await agent.open(request, never)
      assert.deepEqual(await Array.fromAsync(lines), ['{"a":1}', '{"b":2}', '{"ü":3}', '{"d":4}', 'rest'])
    },
  )
})

async function failureOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => assert.fail('it has not failed'),
    (error: unknown) => messageOf(error),
  )
}

test('an answer that is cut off, or stops coming, is none', async () => {
  const cut: RequestListener = (asked, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('half')
    setTimeout(() => asked.socket.destroy(), 20)
  }
  await withAgent(cut, async (agent) => assert.notEqual(await failureOf(agent.send(request, never)), ''))
  await withAgent(cut, async (agent) => {
    const { lines } = await agent.open(request, never)
    assert.notEqual(await failureOf(Array.fromAsync(lines)), '')
  })
  const silent: RequestListener = (_asked, response) => void response.writeHead(200).write('half')
  await withAgent(silent, async (agent) => assert.notEqual(await failureOf(agent.send(request, never)), ''))
  await withAgent(
    () => {},
    async (agent) => assert.equal(await failureOf(agent.send(request, never)), 'no answer within 0.2 s'),
  )
})

test('a line without an end is given up', async () => {
  const chunk = 'x'.repeat(1 << 20)
  const endless: RequestListener = (_asked, response) => {
    const more = (): void => {
      while (response.write(chunk));
    }
    response.on('drain', more)
    more()
  }
  await withAgent(endless, async (agent) => {
    const { lines } = await agent.open(request, never)
    assert.match(await failureOf(Array.fromAsync(lines)), /^a line of the answer is longer than 16777216 characters$/)
  })
})
