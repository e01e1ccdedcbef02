// Ctrl-C while a lab is being made, or changed: it says what is left and how to go on, and `up` and `down` find their way.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { lockLab } from '#/lab/lock.ts'
import { causeway, must, run, TestLab } from './harness.ts'

type Ended = { readonly status: number; readonly stdout: string; readonly stderr: string }

/** An `up` that gets the signal as soon as it has printed `moment`. */
async function interruptedUp(
  lab: TestLab,
  moment: string,
  signal: 'SIGINT' | 'SIGTERM',
  ...options: readonly string[]
): Promise<Ended> {
  const child = spawn(causeway, ['lab', 'up', '--name', lab.name, ...options])
  let stdout = ''
  let stderr = ''
  let isSent = false
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
    if (!isSent && stderr.includes(moment)) isSent = child.kill(signal)
  })
  const [status] = (await once(child, 'close')) as [number]
  return { status, stdout, stderr }
}

function namespacesOf(lab: TestLab): string[] {
  return must('ip', 'netns').match(new RegExp(`cw-${lab.name}-\\S+`, 'g')) ?? []
}

function assertGone(lab: TestLab): void {
  assert.deepEqual(namespacesOf(lab), [])
  assert.deepEqual(lab.pids(''), [])
  assert.ok(!existsSync(`/run/causeway-lab/${lab.name}`))
}

for (const [moment, signal, status] of [
  ['underlay', 'SIGINT', 130],
  ['Kubernetes API', 'SIGTERM', 143],
  ['nodes ready', 'SIGINT', 130],
] as const)
  test(`${signal} at "${moment}": up says how to go on, goes on with its options, and down leaves nothing`, async () => {
    const lab = new TestLab()
    {
      using _lab = lab
      const ended = await interruptedUp(lab, moment, signal, '--nodes', '2', '--pods', '1', '--families', 'ipv4')
      assert.equal(ended.status, status, ended.stderr)
      assert.match(ended.stderr, new RegExp(`interrupted \\(${signal}\\)`))
      assert.match(ended.stderr, new RegExp(`lab "${lab.name}" has \\d+ processes and \\d+ namespaces so far`))
      assert.match(ended.stderr, new RegExp(`causeway lab up --name ${lab.name}$`, 'm'))
      assert.match(ended.stderr, new RegExp(`causeway lab down --name ${lab.name}$`, 'm'))
      assert.equal(ended.stdout, '')
      assert.ok(namespacesOf(lab).length > 0, 'what was made stays')
      const { nodes, pods, probes } = lab.up()
      assert.deepEqual([nodes.length, pods.length, probes.length], [2, 2, 4])
    }
    assertGone(lab)
  })

test('a second up of a lab at the same time is refused, and touches nothing', async () => {
  const lab = new TestLab()
  await using _lock = await lockLab(lab.name)
  const { status, stderr } = run(causeway, ['lab', 'up', '--name', lab.name])
  assert.deepEqual(
    [status, stderr],
    [
      1,
      `causeway: another command is changing lab "${lab.name}" ("lab up", "lab break" or "lab mend"): wait for its end, or end it\n`,
    ],
  )
  assertGone(lab)
})

test('down after an interrupted up leaves nothing', async () => {
  const lab = new TestLab()
  {
    using _lab = lab
    // as an up leaves it that is killed while it tries out the kernel
    must('ip', 'netns', 'add', `cw-${lab.name}-preflight`)
    assert.equal((await interruptedUp(lab, 'Kubernetes API', 'SIGINT')).status, 130)
  }
  assertGone(lab)
})

test('an up that shrinks a lab and is interrupted is gone on with by the next', async () => {
  using lab = new TestLab()
  lab.up('--nodes', '3', '--pods', '1')
  const ended = await interruptedUp(lab, 'Kubernetes API', 'SIGINT', '--nodes', '2')
  assert.equal(ended.status, 130, ended.stderr)
  const { nodes, pods } = lab.up()
  assert.deepEqual([nodes.length, pods.length], [2, 2])
  assert.ok(!namespacesOf(lab).includes(`cw-${lab.name}-node-3`))
  assert.deepEqual(lab.pids('agent-node-3'), [])
})

test('with --foreground an interrupted up takes down what it made', async () => {
  const lab = new TestLab()
  const ended = await interruptedUp(lab, 'Kubernetes API', 'SIGINT', '--foreground')
  assert.equal(ended.status, 130, ended.stderr)
  assert.match(ended.stderr, new RegExp(`nothing is left of lab "${lab.name}"`))
  assertGone(lab)
  assert.equal(run(causeway, ['lab', 'down', '--name', lab.name]).status, 0)
})
