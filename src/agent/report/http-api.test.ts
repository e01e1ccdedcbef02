import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { askAgent, followAgent } from '#/api/client.ts'
import { type AgentPlan } from '#/api/schemas/plan.ts'
import { type BgpAdvertisedReport, type BgpPeersReport, type BgpRoute } from '#/api/schemas/bgp.ts'
import { type WatchLine } from '#/api/schemas/datapath.ts'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { socketTransport } from '#/api/socket-transport.ts'
import { type ReflectorStatus } from '#/cluster/reflector.ts'
import { silent } from '#/lib/log.ts'
import { type AdvertisedStatus, type PathStatus, type PeerStatus } from '#/model/bgp.ts'
import { version } from '#/model/version.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'
import { AgentApi, type Handlers } from './http-api.ts'

const folder = mkdtempSync(join(tmpdir(), 'causeway-api-'))
const socketPath = join(folder, 'agent.sock')
const agent = socketTransport(socketPath)
let plan: AgentPlan = { node: 'n1', changes: [], problems: [] }
const api = new AgentApi({ socketPath }, { log: silent, checksAnswers: true })
/** Resolved when a stream has seen that its client is gone. */
const gone = Promise.withResolvers<void>()
const handlers: Handlers = {
  readyz: () => ({ status: 200, body: 'ok\n' }),
  plan: async () => ({ status: 200, body: plan }),
  status: () => {
    throw new Error('out of order')
  },
  // what the client does not read as routes: here it is about how pieces travel
  bgpRoutes: ({ peer }) => ({ status: 200, json: pieces(Number(peer), false) }),
  bgpAdvertised: ({ peer }) => ({ status: 200, json: pieces(Number(peer), true) }),
  datapathWatch: ({ from }) => ({
    status: 200,
    stream: async ({ write, signal }) => {
      write({ kind: 'lost', lost: 1 })
      if (from === '10.0.0.1') return write({ kind: 'end', end: 'done' })
      if (from === '10.0.0.2') throw new Error('there is no more')
      if (from === '10.0.0.3') return write({ kind: 'lost', lost: 'many' } as unknown as WatchLine)
      await once(signal, 'abort')
      gone.resolve()
    },
  }),
  ipamRelease: ({ addr, force }) => ({
    status: 200,
    body: { pod: 'default/web', addrs: [addr], message: `${force}` },
  }),
}

async function* pieces(count: number, isCut: boolean) {
  for (let piece = 0; piece < count; piece++) yield `${piece},`.padEnd(1000)
  if (isCut) throw new Error('there is no more')
}

async function send(path: string, body?: string): Promise<{ status: number; text: string }> {
  const method = body === undefined ? 'GET' : 'POST'
  const reply = await agent.send({ method, path, ...(body !== undefined && { body }) }, AbortSignal.timeout(10_000))
  assert.equal(reply.version, version, 'every answer tells the version')
  return { status: reply.status, text: reply.text }
}

before(() => api.start(handlers))
after(async () => {
  await api[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

test('operations are answered as text or JSON, at once or later; one that fails is answered with 500 and its message', async () => {
  assert.deepEqual(await send('/readyz'), { status: 200, text: 'ok\n' })
  assert.deepEqual(await send('/v1/plan'), { status: 200, text: '{"node":"n1","changes":[],"problems":[]}\n' })
  assert.deepEqual(await send('/v1/status'), { status: 500, text: 'out of order\n' })
})

test('a path, or a version of a path, that is not served is answered with those that are', async () => {
  const there =
    '/v1/status, /v1/plan, /v1/ipam/release, /v1/bgp/routes, /v1/bgp/advertised, /v1/datapath/watch, /readyz'
  // /metrics is an operation that this server has no handler of
  for (const path of ['/status', '/v2/status', '/v1/none', '/v1', '/', '/metrics', '/v1/status/', '//v1/status']) {
    const { status, text: why } = await send(path)
    assert.equal(status, 404, path)
    assert.match(why, /^no such operation: /)
    assert.ok(why.endsWith(`; there is ${there}\n`), why)
  }
})

test('a long answer is sent in pieces, and one that fails midway is cut off', async () => {
  const { status, text: long } = await send('/v1/bgp/routes?peer=1000')
  assert.deepEqual([status, long.length], [200, 1_000_000])
  await assert.rejects(send('/v1/bgp/advertised?peer=3'), /aborted/)
  assert.deepEqual(await send('/v1/bgp/advertised?peer=0'), { status: 500, text: 'there is no more\n' })
  assert.deepEqual(await send('/readyz'), { status: 200, text: 'ok\n' })
})

test('a stream goes on until it has told all, fails, or its client goes', async () => {
  const follow = async (from: string, stop = new AbortController()) => {
    const lines: WatchLine[] = []
    const wish = { from, to: '10.0.0.9' }
    const take = (line: WatchLine): void => {
      lines.push(line)
      if (from === '10.0.0.4') stop.abort()
    }
    return { outcome: await followAgent(agent, 'datapathWatch', wish, take, { signal: stop.signal }), lines }
  }
  const first = { kind: 'lost', lost: 1 }
  assert.deepEqual(await follow('10.0.0.1'), {
    outcome: { kind: 'answer', value: 2 },
    lines: [first, { kind: 'end', end: 'done' }],
  })
  for (const from of ['10.0.0.2', '10.0.0.3'])
    assert.equal((await follow(from)).outcome.kind, 'silence', 'half an answer is no whole one')
  assert.deepEqual(await follow('10.0.0.4'), { outcome: { kind: 'answer', value: 1 }, lines: [first] })
  await gone.promise
  const refused = await follow('web')
  assert.deepEqual(refused.outcome, { kind: 'refusal', status: 400, message: 'from: "web" is no IP address' })
})

test('an operation that changes something needs POST, one that shows something needs GET', async () => {
  assert.deepEqual(await send('/v1/ipam/release', '{"addr":"10.0.0.2","force":true}'), {
    status: 200,
    text: '{"pod":"default/web","addrs":["10.0.0.2"],"message":"true"}\n',
  })
  assert.deepEqual(await send('/v1/ipam/release'), { status: 405, text: 'only POST is served\n' })
  assert.deepEqual(await send('/readyz', '{}'), { status: 405, text: 'only GET is served\n' })
})

test('a request that does not match its schema is refused, and the field is named', async () => {
  assert.deepEqual(await send('/v1/ipam/release', '{"addr":"web"}'), {
    status: 400,
    text: 'addr: "web" is no IP address\n',
  })
  assert.deepEqual(await send('/v1/bgp/routes?prefix=10.0.0.0'), {
    status: 400,
    text: 'prefix: "10.0.0.0" is no CIDR, such as 10.244.1.0/24\n',
  })
  assert.deepEqual(await send('/v1/plan?peer=x'), { status: 400, text: 'peer: is unknown; nothing can be asked\n' })
})

test('a body that is too large or no JSON is refused', async () => {
  assert.equal((await send('/v1/ipam/release', JSON.stringify('x'.repeat(70_000)))).status, 413)
  const socket = connect(socketPath)
  socket.write('POST /v1/ipam/release HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nconnection: close\r\n\r\n{x}')
  const response = await text(socket)
  assert.match(response, /^HTTP\/1\.1 400 [^]*the body is no JSON/)
})

test('in tests an answer that is not as declared is an error of the server', async () => {
  const sound = plan
  const told = { code: 'CW1001', object: 'x', message: 'y', how: 'h', remedy: 'r', hint: 'z' }
  plan = { node: 'n1', changes: [], problems: [told] }
  assert.deepEqual(await send('/v1/plan'), {
    status: 500,
    text: 'the answer to /v1/plan is not as declared: problems[0].hint: the schema does not declare it\n',
  })
  plan = { node: 'n1', changes: [] } as unknown as AgentPlan
  assert.deepEqual(await askAgent(agent, 'plan'), {
    kind: 'refusal',
    status: 500,
    message: 'the answer to /v1/plan is not as declared: problems: is missing',
  })
  plan = sound
})

/** `true` when each of two types takes the values of the other, and no field is in only one of them. */
type Same<A, B> = [A, B, keyof A, keyof B] extends [B, A, keyof B, keyof A] ? true : never

test('the schemas declare all that the values of other rooms have', () => {
  const peer: Same<PeerStatus, BgpPeersReport['peers'][number]> = true
  const path: Same<PathStatus, Omit<BgpRoute, 'kernel'>> = true
  const advertised: Same<AdvertisedStatus, BgpAdvertisedReport['routes'][number]> = true
  // a client reads the kinds of a newer agent too
  const object: Same<Omit<ObjectStatus, 'kind'>, Omit<AgentStatus['objects'][number], 'kind'>> = true
  const watch: Same<ReflectorStatus, Omit<AgentStatus['api'], 'inSync' | 'nodes'>> = true
  assert.deepEqual([peer, path, advertised, object, watch], [true, true, true, true, true])
})
