import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AgentRequest, type AgentTransport } from '#/api/transport.ts'
import { UsageError } from './args.ts'
import { sightingAt } from '#/trace/testing/scene.ts'
import { type Sighting } from '#/trace/types.ts'
import { withTrace } from './trace-run.ts'

const pair = {
  from: { addr: '10.244.0.2', pod: 'default/a', node: 'node-1' },
  to: { addr: '10.244.0.3', pod: 'default/b', node: 'node-1' },
}

/** An agent of node-1 that watches, and answers a probe with this. */
function agentThatSends(
  reply: { readonly status: number; readonly body: unknown },
  {
    to = pair.to.addr,
    busyFor = 0,
    sightings = [],
  }: { readonly to?: string; readonly busyFor?: number; readonly sightings?: readonly Sighting[] } = {},
): AgentTransport {
  const busy = { predict: busyFor, watch: busyFor }
  const answers: Readonly<Record<string, { readonly status: number; readonly body: unknown }>> = {
    '/v1/trace/ends': { status: 200, body: { node: 'node-1', pairs: [{ ...pair, to: { ...pair.to, addr: to } }] } },
    '/v1/trace/predict': { status: 200, body: { node: 'another', steps: [], way: [] } },
    '/v1/trace/send': reply,
  }
  return {
    place: 'a socket',
    send: async ({ path }: AgentRequest) => {
      if (path.startsWith('/v1/trace/predict') && busy.predict-- > 0) return { status: 429, text: 'as many at once' }
      const { status, body } = answers[path.split('?')[0]!]!
      return Promise.resolve({ status, text: typeof body === 'string' ? body : JSON.stringify(body) })
    },
    open: async (_request, signal) => {
      const isBusy = busy.watch-- > 0
      return Promise.resolve({
        status: isBusy ? 429 : 200,
        lines: (async function* () {
          if (isBusy) return yield '4 traces watch already'
          yield JSON.stringify({ kind: 'ready', ready: { node: 'node-1', nowMs: 1, kernel: '6.1.0' } })
          for (const { node: _, ...sighting } of sightings) yield JSON.stringify({ kind: 'sighting', sighting })
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        })(),
      })
    },
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
  const reply = { status: 400, body: 'sizeBytes: 40: expected 44 to 65535\n' }
  const agents = [{ node: 'node-1', transport: agentThatSends(reply) }]
  await assert.rejects(
    withTrace(agents, { ...wish, sizeBytes: 40 }, async (run) => Promise.resolve(run)),
    (error) => error instanceof UsageError && error.message.startsWith('--size 40: expected 44 to 65535'),
  )
})

test('what is no host is no end of a trace', async () => {
  for (const to of ['224.0.0.1', '255.255.255.255', '127.0.0.1', '0.0.0.0', '::1', 'ff02::1', '::']) {
    const agents = [{ node: 'node-1', transport: agentThatSends({ status: 500, body: 'nothing is sent' }, { to }) }]
    await assert.rejects(
      withTrace(agents, { ...wish, to }, async (run) => Promise.resolve(run)),
      (error) => error instanceof UsageError && error.message.startsWith(`${to} is `),
      to,
    )
  }
})

test('an agent that has enough traces is asked again', async () => {
  const body = { node: 'node-1', sentAtMs: 1, refused: { code: 'EPERM' } }
  const agents = [{ node: 'node-1', transport: agentThatSends({ status: 200, body }, { busyFor: 2 }) }]
  const { verdict, blind, notes } = await withTrace(agents, wish, async (run) => Promise.resolve(run))
  assert.equal(verdict.outcome, 'not-sent')
  assert.deepEqual([blind, notes], [[], []])
})

test('the node whose pod CIDR an address is of watches, and says what it would do, though no pod has the address', async () => {
  const asked: string[] = []
  const to = { addr: '10.244.1.77', cidrNode: 'node-2' }
  const agents = ['node-1', 'node-2', 'node-3'].map((node) => {
    const { send, open, place } = agentThatSends({
      status: 200,
      body: { node, sentAtMs: 1, refused: { code: 'EPERM' } },
    })
    const transport: AgentTransport = {
      place,
      send: async (request, signal) => {
        asked.push(`${node} ${request.path.split('?')[0]}`)
        if (!request.path.startsWith('/v1/trace/ends')) return send(request, signal)
        return { status: 200, text: JSON.stringify({ node, pairs: [{ from: pair.from, to }] }) }
      },
      open: async (request, signal) => {
        asked.push(`${node} ${request.path.split('?')[0]}`)
        return open(request, signal)
      },
    }
    return { node, transport }
  })
  const { facts } = await withTrace(agents, { ...wish, to: to.addr }, async (run) => Promise.resolve(run))
  assert.deepEqual(
    facts.predictions.there.map(({ node }) => node),
    ['node-1', 'node-2'],
  )
  assert.deepEqual([facts.predictions.back, facts.to], [[], to])
  assert.deepEqual(asked.filter((each) => each.endsWith('/watch')).toSorted(), [
    'node-1 /v1/trace/watch',
    'node-2 /v1/trace/watch',
  ])
})

test('of many packets kernels are asked only about those that are lost', async () => {
  const asked: string[] = []
  const traced = async (sightings: readonly Sighting[]) => {
    const { place, send, open } = agentThatSends({ status: 200, body: { node: 'node-1', sentAtMs: 1 } }, { sightings })
    const transport: AgentTransport = {
      place,
      send: async (request, signal) => {
        asked.push(request.path.split('?')[0]!.split('/').at(-1)!)
        return send(request, signal)
      },
      open,
    }
    asked.length = 0
    const options = { from: 'a', to: 'b', protocol: 'udp', port: 7, isForetoldIfLost: true } as const
    return await withTrace([{ node: 'node-1', transport }], options, async ({ verdict }) =>
      Promise.resolve(verdict.outcome),
    )
  }
  const back = { node: 'node-1', device: 'eth0', place: 'read', pod: 'default/a' } as const
  assert.equal(await traced([sightingAt(back, 0, 'back')]), 'answered')
  assert.deepEqual(asked, ['ends', 'send'])
  assert.equal(await traced([]), 'lost')
  assert.deepEqual(asked, ['ends', 'send', 'predict', 'predict'])
})

test('an end that one agent does not know, and another does, is known', async () => {
  const reply = { status: 200, body: { node: 'node-1', sentAtMs: 1, refused: { code: 'EPERM' } } }
  const knows = { node: 'node-1', transport: agentThatSends(reply) }
  const isCutOff = (node: string) => {
    const transport = agentThatSends(reply)
    const send = async (request: AgentRequest, signal: AbortSignal) =>
      request.path.startsWith('/v1/trace/ends')
        ? { status: 404, text: '"b" is no pod', version: '0.1.0' }
        : transport.send(request, signal)
    return { node, transport: { ...transport, send } }
  }
  const { verdict } = await withTrace([isCutOff('node-2'), knows], wish, async (run) => Promise.resolve(run))
  assert.equal(verdict.outcome, 'not-sent')
  const nobody = [isCutOff('node-1'), isCutOff('node-2')]
  await assert.rejects(
    withTrace(nobody, wish, async (run) => Promise.resolve(run)),
    (error) => error instanceof UsageError && error.message.startsWith('"b" is no pod'),
  )
})
