// The quick gate: format, lint, types and the import table, in seconds and without root.
import { spawnSync } from 'node:child_process'

const steps: [string, string[]][] = [
  ['oxfmt', ['--check', 'src', 'web', 'test', 'scripts']],
  ['oxlint', ['--type-aware', '--deny-warnings', '--format=unix', 'src', 'web', 'test', 'scripts']],
  ['tsc', []],
  // what runs in a browser has other names in scope
  ['tsc', ['--project', 'web']],
  ['node', ['--test', '--test-reporter=dot', 'test/arch.test.ts']],
]

let failed = 0
for (const [command, args] of steps) {
  const started = performance.now()
  const { status } = spawnSync(`node_modules/.bin/${command}`, args, { stdio: 'inherit' })
  if (status !== 0) failed++
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${command} ${Math.round(performance.now() - started)} ms`)
}
process.exit(failed === 0 ? 0 : 1)
