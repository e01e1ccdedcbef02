// Runs the test suite with node:test, and fails when a test was skipped: a test that passes by skipping proves nothing.
// Usage: test.ts [unit|netns|interop|e2e]...   (default: all of them)
import { globSync } from 'node:fs'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

/** `timeoutMs` ends a test that hangs: several times what the slowest takes on a busy machine. */
type Suite = { name: string; glob: string; concurrency: number; timeoutMs: number }

// Kernel tests make their own namespaces, and so do labs: they overlap, since much of their time is waiting.
const suites: Suite[] = [
  { name: 'unit', glob: 'src/**/*.test.ts', concurrency: 2, timeoutMs: 300_000 },
  { name: 'netns', glob: 'test/{arch,netns/*}.test.ts', concurrency: 2, timeoutMs: 400_000 },
  { name: 'interop', glob: 'test/interop/*.test.ts', concurrency: 2, timeoutMs: 600_000 },
  { name: 'e2e', glob: 'test/e2e/*.test.ts', concurrency: 2, timeoutMs: 600_000 },
]

// agents compare what they answer with its schema (docs/decisions/0010-agent-api.md)
process.env['NODE_ENV'] = 'test'

const totals = { passed: 0, failed: 0, skipped: 0 }

/** Types are stripped once, not by each of some hundred processes. Labs run what is shipped, as it is shipped: without. */
const compileCache = new URL('../build/compile-cache', import.meta.url).pathname

async function runSuite(suite: Suite): Promise<void> {
  if (suite.name === 'e2e') delete process.env['NODE_COMPILE_CACHE']
  else process.env['NODE_COMPILE_CACHE'] = compileCache
  const files = globSync(suite.glob).sort()
  if (files.length === 0) return
  process.stdout.write(`\n# ${suite.name}: ${files.length} files\n`)
  const stream = run({ files, concurrency: suite.concurrency, timeout: suite.timeoutMs })
  stream.on('test:pass', (test) => {
    if (test.details.type === 'suite') return
    if (test.skip !== undefined || test.todo !== undefined) totals.skipped++
    else totals.passed++
  })
  stream.on('test:fail', (test) => {
    if (test.details.type !== 'suite') totals.failed++
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  stream.compose(spec).on('end', resolve).pipe(process.stdout, { end: false })
  await promise
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !suites.some((suite) => suite.name === name))
if (unknown.length > 0) {
  console.error(`test: no suite "${unknown[0]}"; there are ${suites.map((suite) => suite.name).join(', ')}`)
  process.exit(2)
}
for (const suite of suites) if (wanted.length === 0 || wanted.includes(suite.name)) await runSuite(suite)
if (totals.skipped > 0) console.error(`${totals.skipped} tests were skipped: a skipped test counts as a failure`)
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
process.exit(totals.failed > 0 || totals.skipped > 0 || totals.passed === 0 ? 1 : 0)
