// Runs the tests of test/kernels, or any other command, on Debian's kernels, each in a virtual machine.
// Usage: main.ts [6.1|6.12]... [part of a test file's name] [-- COMMAND...]
import { messageOf } from '#/lib/log.ts'
import { type DebianKernel, debianKernels, kernelFiles } from './kernels.ts'
import { runInside } from './machine.ts'

const timeoutMs = 60 * 60_000

/** What a kernel prints when something in it went wrong, which no test may cause. */
const splat = /WARNING: CPU|BUG: |Oops|Kernel panic|general protection fault|refcount_t|possible .* deadlock/

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`

function usage(message: string): never {
  console.error(
    `test:kernels: ${message}\nUsage: npm run test:kernels -- [6.1|6.12]... [part of a test file's name] [-- COMMAND...]`,
  )
  process.exit(2)
}

/** Prints what comes line by line, each under the kernel's version. */
function prefixed(version: string): { write: (chunk: string) => void; end: () => void } {
  let rest = ''
  return {
    write(chunk) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()!
      for (const line of lines) console.log(`${version.padEnd(4)} | ${line}`)
    },
    end() {
      if (rest !== '') console.log(`${version.padEnd(4)} | ${rest}`)
    },
  }
}

type Result = { readonly isGood: boolean; readonly summary: string }

async function runOn(kernel: DebianKernel, script: string, interrupted: AbortSignal): Promise<Result> {
  const startedMs = performance.now()
  const files = kernelFiles(kernel)
  console.log(`${kernel.version.padEnd(4)} | Linux ${files.release} of Debian ${kernel.release}`)
  const lines = prefixed(kernel.version)
  let counts = ''
  const limit = AbortSignal.timeout(timeoutMs)
  const outcome = await runInside(files, {
    script,
    signal: AbortSignal.any([interrupted, limit]),
    onOutput(chunk) {
      counts = (counts + chunk).slice(-500)
      lines.write(chunk)
    },
  })
  lines.end()
  const problems: string[] = []
  if (limit.aborted) problems.push(`not done within ${timeoutMs / 60_000} minutes`)
  else if (outcome.status === undefined) problems.push('the machine ended before its job did')
  else if (outcome.status !== 0) problems.push(`exit status ${outcome.status}`)
  if (splat.test(outcome.console)) problems.push('the kernel complained')
  const isGood = problems.length === 0
  if (outcome.status === undefined || splat.test(outcome.console))
    console.log(`\n${outcome.console.trim().slice(-8000)}`)
  const told = /(\d+ passed, \d+ failed, \d+ skipped)\s*$/.exec(counts)?.[1]
  const seconds = `${Math.round((performance.now() - startedMs) / 1000)} s`
  return {
    isGood,
    summary: [`${files.release}: ${isGood ? 'ok' : 'FAILED'}`, told, ...problems, seconds].filter(Boolean).join(', '),
  }
}

const argv = process.argv.slice(2)
const words = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv
const command = argv.slice(words.length + 1)
const asked = debianKernels.filter(({ version }) => words.includes(version))
const filters = words.filter((word) => !asked.some(({ version }) => version === word))
if (filters.length > 1 || (filters.length > 0 && command.length > 0)) usage(`what is "${filters.at(-1)}"?`)
if (process.getuid?.() !== 0) usage('must run as root: it shares the files of this machine with a virtual one')

const tests = ['node_modules/.bin/node', 'scripts/test.ts', ['kernels', ...filters].join('/')]
const inside = command.length > 0 ? command : tests
const script = `cd ${quoted(process.cwd())} && exec ${inside.map(quoted).join(' ')}\n`

const interruption = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interruption.abort())

const results: Result[] = []
for (const kernel of asked.length > 0 ? asked : debianKernels) {
  if (interruption.signal.aborted) break
  try {
    results.push(await runOn(kernel, script, interruption.signal))
  } catch (error) {
    results.push({ isGood: false, summary: `${kernel.version}: FAILED, ${messageOf(error)}` })
  }
}
console.log(`\n${results.map(({ summary }) => summary).join('\n')}`)
if (interruption.signal.aborted) process.exit(130)
process.exit(results.every(({ isGood }) => isGood) ? 0 : 1)
