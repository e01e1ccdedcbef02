import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { judge } from '#/connectivity/judge.ts'
import { resultOfProbes } from '#/connectivity/results.ts'
import { probe } from '#/connectivity/testing.ts'
import { UsageError } from './args.ts'
import { testConnectivityCommand } from './test-connectivity.ts'
import { JunitFile } from './test-connectivity-junit.ts'

const good = judge(probe, { verdict: { outcome: 'answered', text: 'it answers' } }, 1)
const result = resultOfProbes('pod-to-pod', [good], 100)

test('the file is a whole document at each moment: begun, ended early, ended', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-junit-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'junit.xml')
  writeFileSync(path, '<testsuites>of an earlier test'.repeat(1000))
  const read = (): string => {
    const text = readFileSync(path, 'utf8')
    assert.match(text, /^<\?xml [^]*<\/testsuites>\n$/)
    assert.equal(text.match(/<\?xml/g)?.length, 1)
    return text
  }
  using junit = new JunitFile(path)
  assert.match(read(), /errors="1"[^]*<error type="test" message="the test was ended before it could say how">/)
  junit.take(result)
  junit.fail('interrupted (SIGINT) at "a < b"')
  assert.match(
    read(),
    /<testsuite name="pod-to-pod" [^]*<error [^>]*message="interrupted \(SIGINT\) at &quot;a &lt; b&quot;">/,
  )
  junit.end([result])
  assert.doesNotMatch(read(), /<error/)
})

test('a file that cannot be written is told as wrong use, and so is one of what tests nothing', async () => {
  assert.throws(() => new JunitFile('/nowhere/junit.xml'), UsageError)
  await assert.rejects(
    async () => testConnectivityCommand.run(['--clean', '--junit', '/nowhere/junit.xml', '--kubeconfig', '/nowhere']),
    /--junit: --clean tests nothing/,
  )
})
