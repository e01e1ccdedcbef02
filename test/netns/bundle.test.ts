// The bundle may be made again while others make it and others start from it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readlinkSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { must, run } from '../e2e/harness.ts'

const root = new URL('../..', import.meta.url).pathname
const link = join(root, 'build/bundle')

async function make(): Promise<number | null> {
  const child = spawn(process.execPath, [join(root, 'scripts/bundle.ts')], { stdio: ['ignore', 'ignore', 'inherit'] })
  const [status] = (await once(child, 'close')) as [number | null]
  return status
}

test('three builds at once, and whoever starts meanwhile has a whole program', async () => {
  must('sh', join(root, 'scripts/setup.sh'), 'run')
  const builds = Promise.all([make(), make(), make()])
  const over = builds.then(() => true)
  let starts = 0
  for (let isOver = false; !isOver; starts++) {
    const { status, stderr } = run('sh', [join(root, 'scripts/run.sh'), 'build/bundle/causeway.cjs', 'help', 'agent'])
    assert.equal(status, 0, stderr)
    isOver = await Promise.race([over, setImmediate(false)])
  }
  assert.ok(starts > 1)
  assert.deepEqual(await builds, [0, 0, 0])
  assert.deepEqual(
    readdirSync(join(root, 'build')).filter((name) => /^bundle\.\d+$/.test(name)),
    [],
    'no unfinished link is left',
  )
})

test('it is made again when a source is newer, and not otherwise; old ones go', () => {
  const setup = () => must('sh', join(root, 'scripts/setup.sh'), 'run')
  setup()
  const first = readlinkSync(link)
  setup()
  assert.equal(readlinkSync(link), first)
  const entry = join(link, 'causeway.cjs')
  const longAgo = new Date(Date.now() - 3_600_000)
  utimesSync(join(root, 'build', first), longAgo, longAgo)
  utimesSync(entry, new Date(0), new Date(0))
  setup()
  assert.notEqual(readlinkSync(link), first)
  assert.ok(statSync(entry).mtimeMs > 0)
  assert.ok(existsSync(join(root, 'build', first)), 'a process may be about to load a part of it')
  must(process.execPath, join(root, 'scripts/bundle.ts'))
  assert.ok(!existsSync(join(root, 'build', first)))
})
