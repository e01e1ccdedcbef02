// Runs the test suite with node:test, and fails when a test was skipped: a test that passes by skipping proves nothing.
// Usage: test.ts [unit|browser|netns|policy|interop|e2e|faults|bench|kernels][/part of a file's name]...
// Without arguments: all but faults, which takes hours, bench, and kernels, which scripts/kernels runs.
import { globSync } from 'node:fs'
import { basename, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

/** `timeoutMs` ends a test that hangs: several times what the slowest takes on a busy machine. */
type Suite = { name: string; glob: string; concurrency: number; timeoutMs: number; isOnlyOnRequest?: boolean }

// Kernel tests make their own namespaces, and so do labs: they overlap, since much of their time is waiting. Two files of labs at a time
// use a third of two processors.
const suites: Suite[] = [
  { name: 'unit', glob: '{src/**/*,web/**/*,test/*}.test.ts', concurrency: 2, timeoutMs: 300_000 },
  { name: 'browser', glob: 'test/browser/*.test.ts', concurrency: 1, timeoutMs: 300_000 },
  { name: 'netns', glob: 'test/netns/*.test.ts', concurrency: 2, timeoutMs: 400_000 },
  { name: 'policy', glob: 'test/policy/*.test.ts', concurrency: 2, timeoutMs: 400_000 },
  { name: 'interop', glob: 'test/interop/*.test.ts', concurrency: 2, timeoutMs: 600_000 },
  { name: 'e2e', glob: 'test/e2e/*.test.ts', concurrency: 3, timeoutMs: 600_000 },
  { name: 'faults', glob: 'test/faults/*.test.ts', concurrency: 1, timeoutMs: 3_600_000, isOnlyOnRequest: true },
  // each benchmark at its smallest size; who changes one runs it
  { name: 'bench', glob: 'test/bench/*.test.ts', concurrency: 1, timeoutMs: 600_000, isOnlyOnRequest: true },
  // under emulation all is several times slower
  { name: 'kernels', glob: 'test/kernels/*.test.ts', concurrency: 1, timeoutMs: 900_000, isOnlyOnRequest: true },
]

// agents compare what they answer with its schema (docs/decisions/0010-agent-api.md)
process.env['NODE_ENV'] = 'test'

const totals = { passed: 0, failed: 0, skipped: 0 }
const flaky: string[] = []

/** Types are stripped once, not by each of some hundred processes. Labs run what is shipped, as it is shipped: without. */
const compileCache = new URL('../build/compile-cache', import.meta.url).pathname

type Failure = { readonly file: string; readonly name: string }

/** Runs files and shows them; returns what failed. */
async function runFiles(
  files: readonly string[],
  { concurrency, timeoutMs, only }: { concurrency: number; timeoutMs: number; only?: string },
): Promise<{ readonly failures: Failure[]; readonly passed: number; readonly skipped: number }> {
  const stream = run({
    files: [...files],
    concurrency,
    timeout: timeoutMs,
    ...(only !== undefined && { testNamePatterns: [new RegExp(`(^| )${RegExp.escape(only)}$`)] }),
  })
  const failures: Failure[] = []
  let passed = 0
  let skipped = 0
  stream.on('test:pass', (test) => {
    if (test.details.type === 'suite') return
    if (test.skip !== undefined || test.todo !== undefined) skipped++
    else passed++
  })
  stream.on('test:fail', (test) => {
    if (test.details.type !== 'suite') failures.push({ file: test.file ?? test.name, name: test.name })
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  stream.compose(spec).on('end', resolve).pipe(process.stdout, { end: false })
  await promise
  return { failures, passed, skipped }
}

/** A test that fails runs once more, alone: what passes then is told as flaky, and is to be mended before new work. */
async function passesAlone({ file, name }: Failure, timeoutMs: number): Promise<boolean> {
  process.stdout.write(`\n# once more, alone: ${name}\n`)
  // a file that ended before its tests did fails under its own name: then all of it runs
  const isFile = file.endsWith(name)
  const { failures, passed } = await runFiles([file], { concurrency: 1, timeoutMs, ...(!isFile && { only: name }) })
  return failures.length === 0 && passed > 0
}

async function runSuite({ name, glob, concurrency, timeoutMs }: Suite, part: string): Promise<void> {
  if (name === 'e2e' || name === 'faults') delete process.env['NODE_COMPILE_CACHE']
  else process.env['NODE_COMPILE_CACHE'] = compileCache
  const files = globSync(glob)
    .filter((file) => basename(file).includes(part))
    .sort()
  if (files.length === 0) return
  process.stdout.write(`\n# ${name}: ${files.length} files\n`)
  const { failures, passed, skipped } = await runFiles(files, { concurrency, timeoutMs })
  totals.passed += passed
  totals.skipped += skipped
  for (const failure of failures) {
    if (await passesAlone(failure, timeoutMs)) {
      totals.passed++
      flaky.push(`${failure.name} (${relative(process.cwd(), failure.file)})`)
    } else totals.failed++
  }
}

const wanted = process.argv.slice(2).map((word) => {
  const [name, part = ''] = word.split('/')
  return { name, part }
})
const unknown = wanted.filter(({ name }) => !suites.some((suite) => suite.name === name))
if (unknown.length > 0) {
  console.error(`test: no suite "${unknown[0]!.name}"; there are ${suites.map((suite) => suite.name).join(', ')}`)
  process.exit(2)
}
for (const suite of suites) {
  if (wanted.length === 0 && !suite.isOnlyOnRequest) await runSuite(suite, '')
  for (const { name, part } of wanted) if (name === suite.name) await runSuite(suite, part)
}
if (totals.skipped > 0) console.error(`${totals.skipped} tests were skipped: a skipped test counts as a failure`)
if (flaky.length > 0) console.log(`\nflaky, passed when run alone:\n${flaky.map((each) => `  ${each}`).join('\n')}`)
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
process.exit(totals.failed > 0 || totals.skipped > 0 || totals.passed === 0 ? 1 : 0)
