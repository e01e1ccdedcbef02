// `causeway doctor` of a lab: what it says of one in which all is well, of agents that do not answer, and while somebody breaks it. All faults:
// test/faults.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { causeway, eventually, must, run, TestLab } from './harness.ts'

type Json = {
  readonly summary: string
  readonly findings: readonly { readonly code: string; readonly object: string }[]
  readonly packets: readonly { readonly isAnswered: boolean; readonly fullBytes?: number }[]
  readonly nodes: readonly { readonly node: string; readonly isAnswering: boolean }[]
}

function doctor(lab: TestLab, ...args: readonly string[]) {
  return run(causeway, ['doctor', '--lab', lab.name, ...args])
}

test('doctor finds nothing in a healthy lab, follows packets, and tells what comes and goes', async (t) => {
  using lab = new TestLab()
  lab.up('--nodes', '2', '--pods', '1')
  const folder = mkdtempSync(join(tmpdir(), 'causeway-doctor-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const bundle = join(folder, 'bundle.json.gz')

  await t.test('a healthy lab: packets in both families, small and large', () => {
    const { status, stdout, stderr } = doctor(lab, '--json')
    assert.equal(status, 0, stdout + stderr)
    const { summary, findings, packets } = JSON.parse(stdout) as Json
    assert.equal(summary, 'nothing is wrong: 8 of 8 packets between pods of 2 nodes came and were answered')
    assert.deepEqual([findings, packets.filter(({ isAnswered }) => !isAnswered)], [[], []])
    assert.deepEqual(
      packets.map(({ fullBytes }) => fullBytes),
      [1450, 1450, 1430, 1430, undefined, undefined, undefined, undefined],
    )
  })

  await t.test('through the API server it says the same', () => {
    const { status, stdout, stderr } = run(causeway, ['doctor', '--kubeconfig', lab.kubeconfig])
    assert.equal(status, 0, stdout + stderr)
    assert.match(stdout, /^nothing is wrong: 8 of 8 packets/)
  })

  await t.test('--node tells what is at or with that node, and refuses one that there is not', () => {
    assert.equal(doctor(lab, '--node', 'node-2').status, 0)
    const { status, stderr } = doctor(lab, '--node', 'node-9')
    assert.equal(status, 2)
    assert.match(stderr, /--node node-9: there are node-1, node-2$/m)
  })

  await t.test('--watch tells news alone, and ends with Ctrl-C', async () => {
    const child = spawn(causeway, ['doctor', '--lab', lab.name, '--watch'], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      let output = ''
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
      const says = async (pattern: RegExp) => eventually(String(pattern), () => pattern.test(output))
      await says(/^nothing is wrong: /m)
      must(causeway, 'lab', 'break', 'pod-mtu', '--name', lab.name)
      must(causeway, 'support-bundle', bundle, '--lab', lab.name)
      await says(/^\d\d:\d\d:\d\d new\n! CW3115 node-1 pod\/default\/web-1: /m)
      must(causeway, 'lab', 'mend', 'pod-mtu', '--name', lab.name)
      await says(/^\d\d:\d\d:\d\d gone: CW3115 node-1 pod\/default\/web-1$/m)
      child.kill('SIGINT')
      const [status] = (await once(child, 'exit')) as [number]
      assert.equal(status, 0)
      assert.equal(output.match(/nothing is wrong/g)?.length, 1)
    } finally {
      child.kill('SIGKILL')
    }
  })

  await t.test('of a support bundle it finds what kernels had, without packets', () => {
    const { status, stdout, stderr } = run(causeway, ['doctor', '--bundle', bundle])
    assert.equal(status, 1, stderr)
    assert.match(stdout, /^1 thing is wrong; no packets were sent\n\n! CW3115 node-1 pod\/default\/web-1: /)
    assert.equal(run(causeway, ['doctor', '--bundle', bundle, '--watch']).status, 2)
  })

  await t.test('an agent that is gone is a finding, and the node is still sent packets', () => {
    lab.kill('agent-node-2')
    const { status, stdout } = doctor(lab, '--json')
    const { findings, nodes, packets } = JSON.parse(stdout) as Json
    assert.equal(status, 1)
    assert.deepEqual(
      findings.map(({ code, object }) => `${code} ${object}`),
      ['CW6001 node/node-2'],
    )
    assert.deepEqual(
      nodes.map(({ isAnswering }) => isAnswering),
      [true, false],
    )
    assert.ok(packets.length > 0 && packets.every(({ isAnswered }) => isAnswered))
  })

  await t.test('without any agent it cannot be told', () => {
    lab.kill('agent-node-1')
    const { status, stdout } = doctor(lab)
    assert.equal(status, 3)
    assert.match(stdout, /^it cannot be told: no agent answers$/m)
  })
})

test('a lab without pods is examined by its nodes themselves', () => {
  using lab = new TestLab()
  lab.up('--nodes', '2', '--pods', '0', '--families', 'ipv4')
  const { status, stdout, stderr } = doctor(lab)
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /^nothing is wrong: 4 of 4 packets of 2 nodes came and were answered$/m)
})
