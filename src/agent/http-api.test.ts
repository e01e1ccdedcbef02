import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { silent } from '#/lib/log.ts'
import { askAgent } from './client.ts'
import { AgentApi, type Served } from './http-api.ts'

const folder = mkdtempSync(join(tmpdir(), 'causeway-api-'))
const socketPath = join(folder, 'agent.sock')
const api = new AgentApi({ socketPath }, silent)
const served: Served = {
  endpoints: {
    '/text': () => ({ status: 200, body: 'ok\n' }),
    '/late': async () => ({ status: 200, body: { late: true } }),
    '/broken': () => {
      throw new Error('out of order')
    },
    '/long': (query) => ({ status: 200, json: pieces(Number(query.get('pieces')), false) }),
    '/cut': () => ({ status: 200, json: pieces(3, true) }),
    '/none-at-all': () => ({ status: 200, json: pieces(0, true) }),
  },
  actions: { '/do': (body) => ({ status: 200, body: { did: body } }) },
}

async function* pieces(count: number, isCut: boolean) {
  for (let piece = 0; piece < count; piece++) yield `${piece},`.padEnd(1000)
  if (isCut) throw new Error('there is no more')
}

before(() => api.start(served))
after(async () => {
  await api[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

test('paths are answered as text or JSON, at once or later; what fails is 500 with its words', async () => {
  assert.deepEqual(await askAgent(socketPath, '/text'), { status: 200, text: 'ok\n' })
  assert.deepEqual(await askAgent(socketPath, '/late?x=1'), { status: 200, text: '{"late":true}\n' })
  assert.deepEqual(await askAgent(socketPath, '/broken'), { status: 500, text: 'out of order\n' })
  assert.deepEqual(await askAgent(socketPath, '/none'), {
    status: 404,
    text: 'there is /text, /late, /broken, /long, /cut, /none-at-all, /do\n',
  })
})

test('what is long is sent piece by piece; half of it is no answer', async () => {
  const { status, text: long } = await askAgent(socketPath, '/long?pieces=1000')
  assert.deepEqual([status, long.length], [200, 1_000_000])
  await assert.rejects(askAgent(socketPath, '/cut'), /aborted/)
  assert.deepEqual(await askAgent(socketPath, '/none-at-all'), { status: 500, text: 'there is no more\n' })
  assert.deepEqual(await askAgent(socketPath, '/text'), { status: 200, text: 'ok\n' })
})

test('an action takes a JSON body by POST, and nothing else', async () => {
  assert.deepEqual(await askAgent(socketPath, '/do', { addr: '10.0.0.2' }), {
    status: 200,
    text: '{"did":{"addr":"10.0.0.2"}}\n',
  })
  assert.deepEqual(await askAgent(socketPath, '/do'), { status: 405, text: 'only POST is served\n' })
  assert.deepEqual(await askAgent(socketPath, '/text', {}), { status: 405, text: 'only GET is served\n' })
})

test('a body that is too large or no JSON is refused', async () => {
  assert.equal((await askAgent(socketPath, '/do', 'x'.repeat(70_000))).status, 413)
  const socket = connect(socketPath)
  socket.write('POST /do HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nconnection: close\r\n\r\n{x}')
  const response = await text(socket)
  assert.match(response, /^HTTP\/1\.1 400 [^]*the body is no JSON/)
})
