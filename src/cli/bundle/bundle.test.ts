// What is written is read again; who was silent is noted; a file that is damaged, hostile or of something else is refused in words.
import assert from 'node:assert/strict'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { type AgentOfNode, askAgent } from '#/api/client.ts'
import { operationNames, operationOf } from '#/api/operations.ts'
import { valueOf } from '#/api/testing.ts'
import { type AgentTransport, NotReached } from '#/api/transport.ts'
import { type GenericSchema } from 'valibot'
import { bundleAgents } from './agents.ts'
import { readBundle } from './read.ts'
import { writeBundle } from './write.ts'

const folder = mkdtempSync(join(tmpdir(), 'causeway-bundle-'))
after(() => rmSync(folder, { recursive: true }))

/** An agent whose answers are of the right form, and say nothing that could be. */
function agentOf(node: string, seed: number): AgentOfNode {
  const send: AgentTransport['send'] = async ({ path }) => {
    const name = operationNames.find((each) => operationOf(each).path === path.split('?')[0])!
    const schema = operationOf(name).answer as GenericSchema
    const [value] = fc.sample(valueOf(schema), { seed, numRuns: 1 })
    return { status: 200, text: JSON.stringify(value), version: '0.0.1' }
  }
  return { node, transport: { place: node, send, open: async () => assert.fail() } }
}

const silent = (node: string): AgentOfNode => ({
  node,
  transport: {
    place: node,
    send: () => Promise.reject(new NotReached(`${node} is on fire`)),
    open: async () => assert.fail(),
  },
})

const path = join(folder, 'whole')
const during = async (_: string, ask: () => Promise<void>): Promise<void> => ask()

test('answers are read as they were written, for their owner alone, and silence is noted', async () => {
  const agents = [agentOf('a', 1), silent('b'), agentOf('c', 2)]
  const { answers, silences } = await writeBundle(path, agents, during)
  assert.deepEqual(silences, [{ node: 'b', why: 'b is on fire' }])
  assert.equal(answers, 20)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const { agents: told } = await bundleAgents(path)
  assert.deepEqual(
    told.map(({ node }) => node),
    ['a', 'b', 'c'],
  )
  for (const index of [0, 2]) {
    const [before, later] = await Promise.all([agents, told].map((each) => askAgent(each[index]!.transport, 'ipam')))
    assert.deepEqual(later, before)
  }
  const outcome = await askAgent(told[1]!.transport, 'facts')
  assert.deepEqual(outcome, { kind: 'silence', message: 'b is on fire' })
  // facts that cannot be: an error in words
  const prediction = await askAgent(told[0]!.transport, 'tracePredict', {
    src: '10.0.0.1',
    dst: '10.0.0.2',
    protocol: 'icmp',
    from: 'underlay',
  })
  assert.notEqual(prediction.kind, 'answer')
})

test('what others have left beside the file is not written to, and what ends early leaves nothing', async () => {
  const shared = join(folder, 'shared')
  mkdirSync(shared)
  const [victim, file] = [join(shared, 'victim'), join(shared, 'file')]
  writeFileSync(victim, 'precious')
  symlinkSync(victim, `${file}.part`)
  await writeBundle(file, [agentOf('a', 1)], during)
  assert.equal(readFileSync(victim, 'utf8'), 'precious')
  const stop = new AbortController()
  const endless: AgentOfNode = {
    ...silent('b'),
    transport: { ...silent('b').transport, send: () => Promise.withResolvers<never>().promise },
  }
  const writing = writeBundle(join(shared, 'other'), [endless], during, stop.signal)
  stop.abort(new Error('interrupted'))
  await assert.rejects(writing, /interrupted/)
  assert.deepEqual(readdirSync(shared).toSorted(), ['file', 'file.part', 'victim'])
})

test('a node that says how it is, and not what it has, is told', async () => {
  const agent = agentOf('a', 1)
  const send: AgentTransport['send'] = async (request, limit) =>
    request.path.startsWith(operationOf('facts').path)
      ? { status: 404, text: 'unknown operation', version: '0.0.0' }
      : agent.transport.send(request, limit)
  const { silences } = await writeBundle(
    join(folder, 'old'),
    [{ ...agent, transport: { ...agent.transport, send } }],
    during,
  )
  assert.deepEqual(
    silences.map(({ node }) => node),
    ['a'],
  )
})

test('a file that is damaged, hostile or of something else is refused in words', async () => {
  const whole = readFileSync(path)
  const lines = gunzipSync(whole).toString().split('\n')
  const changed = (change: (line: string) => string): Buffer => gzipSync(lines.map(change).join('\n'))
  const cases: readonly (readonly [string, Buffer, RegExp])[] = [
    ['cut', whole.subarray(0, whole.length / 2), /it is cut off/],
    ['cut in a line', gzipSync(lines.join('\n').slice(0, -2)), /it is cut off in the middle of a line/],
    ['not compressed', Buffer.from('hello'), /it is no gzip file/],
    ['of something else', gzipSync('{"a":1}\n'), /it is no support bundle: kind: is missing/],
    ['no JSON', gzipSync('hello\n'), /line 1 is no JSON/],
    [
      'newer',
      changed((line) => line.replace('"version":1,', '"version":2,')),
      /it has version 2, and this program reads up to 1/,
    ],
    [
      'wrong types',
      changed((line) => line.replace(/"pid":[^,]*/, '"pid":"x"')),
      /line \d+, status of node \w: pid: expected number, not "x"/,
    ],
    [
      'of no time',
      changed((line) => line.replace(/"madeAtMs":\d+/, '"madeAtMs":1e308')),
      /it is no support bundle: madeAtMs: /,
    ],
    ['empty', gzipSync(''), /it is empty/],
    ['a bomb', gzipSync(Buffer.alloc((1 << 26) + 1, 32)), /a line of it has more than 64 MiB/],
    [
      'of empty objects',
      gzipSync(`${lines[0]}\n[${'{},'.repeat(2_000_000)}{}]\n`),
      /a line of it holds more values than any answer/,
    ],
    ['of a node twice', changed((line) => line.replace('"nodes":["a"', '"nodes":["b"')), /nodes: .*holds a name twice/],
  ]
  for (const [what, bytes, words] of cases) {
    const broken = join(folder, 'broken')
    writeFileSync(broken, bytes)
    await assert.rejects(readBundle(broken), words, what)
  }
  // a later program may have asked for more
  writeFileSync(
    path,
    changed((line) => line.replace('"operation":"plan"', '"operation":"later"')),
  )
  assert.equal((await readBundle(path)).answers.get('a')?.has('plan'), false)
  await assert.rejects(readBundle(join(folder, 'none')), /--bundle .*none: ENOENT/)
})
