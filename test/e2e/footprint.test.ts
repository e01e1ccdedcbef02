// What an agent costs its node when nothing happens.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { must, TestLab } from './harness.ts'

const maxResidentBytes = 84 << 20
const maxProcessorShare = 0.02
const settleMs = 5000
const watchMs = 10_000
/** USER_HZ, the unit of processor time in /proc, is 100 on every Linux. */
const ticksPerSecond = 100

function residentBytes(pid: number): number {
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}

/** Seconds of processor time that a process has used: utime and stime of proc(5). */
function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

test('an agent stays below 84 MiB and uses next to no processor time', async () => {
  using lab = new TestLab()
  lab.up()
  await sleep(settleMs)
  const pids = lab.pids('agent')
  assert.equal(pids.length, 3)
  const before = pids.map(processorSeconds)
  await sleep(watchMs)
  for (const [index, pid] of pids.entries()) {
    const resident = residentBytes(pid)
    assert.ok(resident < maxResidentBytes, `agent ${index + 1} takes ${(resident / (1 << 20)).toFixed(1)} MiB`)
    const share = (processorSeconds(pid) - before[index]!) / (watchMs / 1000)
    assert.ok(share < maxProcessorShare, `agent ${index + 1} uses ${(share * 100).toFixed(1)} % of a processor`)
  }
})

test('what an agent in a pod loads has nothing of the lab, and no package but the FFI', () => {
  must('sh', 'scripts/setup.sh', 'run')
  const folder = new URL('../../build/bundle/', import.meta.url).pathname
  const loaded = new Set<string>()
  const load = (name: string): void => {
    if (loaded.has(name)) return
    loaded.add(name)
    for (const [, next] of readFileSync(folder + name, 'utf8').matchAll(/^const \w+ = require\("\.\/([^"]+)"\)/gm))
      load(next!)
  }
  const main = readFileSync(`${folder}causeway.cjs`, 'utf8')
  const [, agentChunk] = /require\("\.\/([^"]+)"\)+\.agentCommand/.exec(main) ?? []
  assert.ok(agentChunk, 'the chunk of the agent command')
  load(agentChunk)
  const sources = [...loaded].flatMap((name) =>
    [...readFileSync(folder + name, 'utf8').matchAll(/^\/\/ ((?:src|node_modules)\/\S+)/gm)].map(
      ([, source]) => source!,
    ),
  )
  assert.ok(sources.includes('src/agent/agent.ts'))
  assert.deepEqual(
    sources.filter((source) => /^src\/(lab|controller)\/|^node_modules/.test(source)),
    [],
  )
  assert.ok(readdirSync(folder).length > loaded.size)
})
