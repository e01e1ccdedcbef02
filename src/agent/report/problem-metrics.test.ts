import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from '#/lib/metrics.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { ProblemTimes, registerProblemMetrics } from './problem-metrics.ts'

function scene() {
  const now = { ms: 1_700_000_000_000, problems: [] as readonly Problem[], reasons: [] as readonly Problem[] }
  const registry = new Registry()
  const times = new ProblemTimes(() => now.ms)
  registerProblemMetrics(registry, { problems: () => now.problems, reasons: () => now.reasons, times })
  const samples = async (): Promise<string[]> =>
    (await registry.render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return { now, times, samples }
}

test('a problem has the time when it came, whatever it says meanwhile; one that comes back has a new one', async () => {
  const { now, times, samples } = scene()
  const since = (seconds: number): string =>
    `causeway_problem_since_timestamp_seconds{code="CW1306",object="node/b",about="kernel",readiness="ready with problems"} ${seconds}`
  now.problems = [problem('CW1306', 'node/b', 'm')]
  // a pass sees it before anybody reads metrics
  times.notice(now.problems)
  now.ms += 60_000
  now.problems = [problem('CW1306', 'node/b', 'another message'), problem('CW1306', 'node/c', 'm')]
  assert.deepEqual(await samples(), [
    'causeway_problems{code="CW1306"} 2',
    since(1_700_000_000),
    'causeway_problem_since_timestamp_seconds{code="CW1306",object="node/c",about="kernel",readiness="ready with problems"} 1700000060',
  ])
  now.problems = []
  assert.deepEqual(await samples(), [])
  now.problems = [problem('CW1306', 'node/b', 'm')]
  assert.deepEqual(await samples(), ['causeway_problems{code="CW1306"} 1', since(1_700_000_060)])
})

test('of very many problems the same 50 have samples, and all are counted', async () => {
  const { now, samples } = scene()
  const many = Array.from({ length: 2000 }, (_, index) => problem('CW1201', `node/n${index}`, 'm'))
  now.problems = many
  const first = await samples()
  assert.equal(first.length, 51)
  assert.equal(first[0], 'causeway_problems{code="CW1201"} 2000')
  now.problems = many.toReversed()
  assert.deepEqual(await samples(), first)

  const worst = problem('CW9003', 'node/a', 'm')
  now.problems = [...many, worst]
  now.reasons = [worst]
  assert.deepEqual(
    (await samples()).filter((line) => line.includes('CW9003')),
    [
      'causeway_problems{code="CW9003"} 1',
      'causeway_problem_since_timestamp_seconds{code="CW9003",object="node/a",about="node",readiness="not ready"} 1700000000',
    ],
  )
})
