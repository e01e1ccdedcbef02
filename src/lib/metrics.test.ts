import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Registry } from './metrics.ts'

test('counters, gauges and histograms in the words of Prometheus', async () => {
  const registry = new Registry()
  const calls = registry.counter('x_calls_total', 'Calls by "kind".')
  calls.add({ kind: 'a', result: 'ok' })
  calls.add({ result: 'ok', kind: 'a' }, 2)
  const times = registry.histogram('x_seconds', 'How long.', [0.1, 1])
  for (const value of [0.05, 0.1, 0.5, 7]) times.observe({}, value)
  registry.gauge('x_free', 'Free\nones.', () => [{ labels: { cidr: '10.0.0.0/24' }, value: 5 }])
  registry.counterFrom('x_bytes_total', 'Fails.', async () => {
    throw new Error('the kernel is silent')
  })
  assert.equal(
    await registry.render(),
    `# HELP x_calls_total Calls by "kind".
# TYPE x_calls_total counter
x_calls_total{kind="a",result="ok"} 3
# HELP x_seconds How long.
# TYPE x_seconds histogram
x_seconds_bucket{le="0.1"} 2
x_seconds_bucket{le="1"} 3
x_seconds_bucket{le="+Inf"} 4
x_seconds_sum 7.65
x_seconds_count 4
# HELP x_free Free\\nones.
# TYPE x_free gauge
x_free{cidr="10.0.0.0/24"} 5
# HELP x_bytes_total Fails.
# TYPE x_bytes_total counter
`,
  )
})

test('any label value is one line that reads back as what it was', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string(), async (text) => {
      const registry = new Registry()
      registry.counter('x_total', '').add({ label: text })
      const line = (await registry.render()).split('\n')[2]!
      const [, quoted] = /^x_total\{label="(.*)"\} 1$/s.exec(line) ?? []
      const read = quoted?.replaceAll(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter))
      assert.equal(read, text)
    }),
  )
})
