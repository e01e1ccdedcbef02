import assert from 'node:assert/strict'
import { test } from 'node:test'
import { version } from '#/model/version.ts'
import { askAgent, askAll } from './client.ts'
import { type AgentReply, type AgentRequest, type AgentTransport } from './transport.ts'

const plan = { node: 'n1', changes: [], problems: [] }

function agentThat(reply: (request: AgentRequest) => AgentReply | Promise<AgentReply>): AgentTransport {
  return { place: '/run/a.sock', send: async (request) => reply(request), open: unopened }
}

async function unopened(): Promise<never> {
  throw new Error('no stream is asked for here')
}

function replies(status: number, text: string, of: string | undefined = version): AgentTransport {
  return agentThat(() => ({ status, text, version: of }))
}

test('an answer is typed, checked and as it came', async () => {
  const asked: AgentRequest[] = []
  const agent = agentThat((request) => {
    asked.push(request)
    return { status: 200, text: JSON.stringify(plan), version }
  })
  assert.deepEqual(await askAgent(agent, 'plan'), { kind: 'answer', value: plan })
  await askAgent(agent, 'bgpRoutes', { prefix: '10.0.0.0/8', explain: true })
  await askAgent(agent, 'bgpRoutes')
  await askAgent(agent, 'bgpReset', { peer: 'a', how: 'soft' })
  assert.deepEqual(asked, [
    { method: 'GET', path: '/v1/plan' },
    { method: 'GET', path: '/v1/bgp/routes?prefix=10.0.0.0%2F8&explain=true' },
    { method: 'GET', path: '/v1/bgp/routes' },
    { method: 'POST', path: '/v1/bgp/reset', body: '{"peer":"a","how":"soft"}' },
  ])
})

test('a refusal keeps its status and message', async () => {
  const wish = { addr: '10.0.0.2' }
  assert.deepEqual(await askAgent(replies(409, 'in use\n'), 'ipamRelease', wish), {
    kind: 'refusal',
    status: 409,
    message: 'in use',
  })
  assert.deepEqual(await askAgent(replies(404, 'no pod has it\n'), 'ipamRelease', wish), {
    kind: 'refusal',
    status: 404,
    message: 'no pod has it',
  })
})

test("an answer of another version's agent that cannot be read gives a message with both versions and the agent's address", async () => {
  const strange = JSON.stringify({ ...plan, changes: [{ kind: 7 }] })
  const place = 'the agent on /run/a.sock'
  const what = `${place} answers /v1/plan with what this command does not understand: changes[0].kind: expected string, not 7`
  const cases: [AgentTransport, string][] = [
    [replies(200, strange, '9.1.0'), `${what}; that agent is version 9.1.0, this command is version ${version}`],
    [
      replies(404, 'no such operation: /v1/plan; there is /v2/plan\n', '9.1.0'),
      `${place} has no /v1/plan: /v1/plan; there is /v2/plan; that agent is version 9.1.0, this command is version ${version}`,
    ],
    // before the API had versions
    [
      agentThat(() => ({ status: 404, text: 'there is /status, /plan\n' })),
      `${place} has no /v1/plan: there is /status, /plan; that agent is of a version that it does not tell, this command is version ${version}`,
    ],
    [replies(200, strange), what],
  ]
  for (const [agent, message] of cases) {
    assert.deepEqual(await askAgent(agent, 'plan'), { kind: 'mismatch', message })
  }
})

test('all agents are asked at once, and each one that does not answer has its own error', async () => {
  const started: string[] = []
  const both = Promise.withResolvers<void>()
  const slow = (node: string): AgentTransport =>
    agentThat(async () => {
      started.push(node)
      if (started.length === 2) both.resolve()
      await both.promise
      return { status: 200, text: JSON.stringify({ ...plan, node }), version }
    })
  const dead = agentThat(() => Promise.reject(new Error('connect ECONNREFUSED')))
  const outcomes = await askAll(
    [
      { node: 'a', transport: slow('a') },
      { node: 'b', transport: dead },
      { node: 'c', transport: slow('c') },
    ],
    'plan',
  )
  assert.deepEqual(outcomes, [
    { node: 'a', outcome: { kind: 'answer', value: { ...plan, node: 'a' } } },
    {
      node: 'b',
      outcome: {
        kind: 'silence',
        message: 'no agent answers on /run/a.sock: connect ECONNREFUSED; is it running?',
      },
    },
    { node: 'c', outcome: { kind: 'answer', value: { ...plan, node: 'c' } } },
  ])
})

test('each request has a time limit, by the signal that the transport gets', async (context) => {
  let signal: AbortSignal | undefined
  const hung: AgentTransport = {
    place: '/run/a.sock',
    send: async (_request, given) => {
      signal = given
      const { promise, reject } = Promise.withResolvers<never>()
      const giveUp = (): void => reject(given.reason as Error)
      given.addEventListener('abort', giveUp)
      if (given.aborted) giveUp()
      return promise
    },
    open: unopened,
  }
  const enough = new AbortController()
  const limits: number[] = []
  context.mock.method(AbortSignal, 'timeout', (ms: number) => {
    limits.push(ms)
    return enough.signal
  })
  const outcome = askAgent(hung, 'plan')
  enough.abort(new Error('it took too long'))
  assert.deepEqual(await outcome, {
    kind: 'silence',
    message: 'no agent answers on /run/a.sock: it took too long; is it running?',
  })
  assert.equal(signal, enough.signal)
  await askAgent(hung, 'bgpRoutes')
  assert.ok(limits[0]! < limits[1]!, 'a long answer gets longer')
})
