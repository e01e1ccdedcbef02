import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AgentRequest, type AgentTransport } from '#/api/transport.ts'
import { UsageError } from './args.ts'
import { withTrace } from './trace-run.ts'

const pair = {
  from: { addr: '10.244.0.2', pod: 'default/a', node: 'node-1' },
  to: { addr: '10.244.0.3', pod: 'default/b', node: 'node-1' },
}

/** An agent of node-1 that watches, and answers a probe with this. */
function agentThatSends(reply: { readonly status: number; readonly body: unknown }): AgentTransport {
  const answers: Readonly<Record<string, { readonly status: number; readonly body: unknown }>> = {
    '/v1/trace/ends': { status: 200, body: { node: 'node-1', pairs: [pair] } },
    '/v1/trace/predict': { status: 200, body: { node: 'another', steps: [], way: [] } },
    '/v1/trace/send': reply,
  }
  return {
    place: 'a socket',
    send: async ({ path }: AgentRequest) => {
      const { status, body } = answers[path.split('?')[0]!]!
      return Promise.resolve({ status, text: typeof body === 'string' ? body : JSON.stringify(body) })
    },
    open: async (_request, signal) =>
      Promise.resolve({
        status: 200,
        lines: (async function* () {
          yield JSON.stringify({ kind: 'ready', ready: { node: 'node-1', nowMs: 1, kernel: '6.1.0' } })
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        })(),
      }),
  }
}

const wish = { from: 'a', to: 'b', protocol: 'icmp' } as const

test('the agent of this node alone is asked by the name that it has', async () => {
  const body = { node: 'node-1', sentAtMs: 1, refused: { code: 'EPERM' } }
  const agents = [{ node: 'this node', transport: agentThatSends({ status: 200, body }) }]
  const { verdict, blind, facts } = await withTrace(agents, wish, async (run) => Promise.resolve(run))
  assert.equal(verdict.outcome, 'not-sent')
  assert.deepEqual(blind, [])
  // and speaks for that node alone
  assert.deepEqual(
    [...new Set([...facts.predictions.there, ...facts.predictions.back].map(({ node }) => node))],
    ['node-1'],
  )
})

test('a probe that no agent takes for one is wrong use', async () => {
  const reply = { status: 400, body: 'sizeBytes: 5: expected 36 to 65535\n' }
  const agents = [{ node: 'node-1', transport: agentThatSends(reply) }]
  await assert.rejects(
    withTrace(agents, { ...wish, sizeBytes: 5 }, async (run) => Promise.resolve(run)),
    (error) => error instanceof UsageError && error.message.includes('expected 36 to 65535'),
  )
})
