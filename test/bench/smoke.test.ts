// Every benchmark at its smallest size: that it runs, cleans up, and gives figures that can be. Not that they are good ones.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { netnsFolder } from '#/sys/netns.ts'

const main = new URL('./main.ts', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'causeway-bench-'))
after(() => rmSync(folder, { recursive: true, force: true }))

type Report = {
  readonly results: Readonly<
    Record<
      string,
      { readonly tables: readonly unknown[]; readonly figures: Readonly<Record<string, number | number[]>> }
    >
  >
}

/** Several times what the longest takes on a busy machine: one that hangs is ended, and told with what it has said. */
const longestMs = 150_000

async function smoke(name: string): Promise<void> {
  const json = join(folder, `${name}.json`)
  const args = ['--disable-warning=ExperimentalWarning', main, '--size', 'smoke', '--json', json, name]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: longestMs })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const [status] = (await once(child, 'close')) as [number]
  assert.equal(status, 0, errors)
  const result = (JSON.parse(readFileSync(json, 'utf8')) as Report).results[name]!
  assert.ok(result.tables.length > 0)
  for (const [figure, samples] of Object.entries(result.figures)) {
    for (const value of [samples].flat())
      assert.ok(Number.isFinite(value) && value >= 0 && value < 1e6, `${figure}: ${value}`)
  }
  const own = new RegExp(`-(b[a-z])?${child.pid}-`)
  const left = readdirSync(netnsFolder).filter((each) => own.test(each))
  assert.deepEqual(left, [])
}

suite('benchmarks', { concurrency: true }, () => {
  for (const name of [
    'pods',
    'datapath',
    'policy',
    'bgp',
    'failover',
    'nodes',
    'controller',
    'descriptors',
    'costs',
    'doctor',
    'trace',
    'ui',
    'connectivity',
  ]) {
    test(`${name} runs, and leaves nothing`, () => smoke(name))
  }
})
