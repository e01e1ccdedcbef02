// What living pods get through: another MTU of the underlay, and an agent that has lost its state.
import assert from 'node:assert/strict'
import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { causeway, eventually, run, TestLab } from './harness.ts'

function statusOf(lab: TestLab): AgentStatus | undefined {
  const { stdout } = run(causeway, ['status', '--lab', lab.name, '--node', 'node-1', '--json'])
  return (JSON.parse(stdout) as { value?: AgentStatus }[])[0]?.value
}

test('pods follow the MTU of the underlay, and lose no large packet afterwards', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--nodes', '2', '--pods', '1')
  lab.mustInside('node-1', 'ip', 'link', 'set', 'eth0', 'mtu', '1400')
  const route = () => lab.mustInside('pod-default-web-1', 'ip', 'route', 'show', '10.244.0.0/16')
  // the resync timer sees at the latest what no notification told
  await eventually('the route has the MTU of the tunnel', () => route().includes('mtu 1350'), 70_000)
  assert.match(lab.mustInside('pod-default-web-1', 'ip', 'link', 'show', 'eth0'), /mtu 1400/)
  lab.mustInside('pod-default-web-1', 'ping', '-c1', '-W1', '-M', 'do', '-s', '1322', pods[1]!.addrs[0]!)
})

test('an agent with a garbled state file forwards, removes no pod, says why it wires none, and goes on once it is mended', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--nodes', '2', '--pods', '1')
  const dir = `/run/causeway-lab/${lab.name}/nodes/node-1`
  const file = `${dir}/state/endpoints.sqlite`
  lab.kill('kubelet')
  lab.kill('agent-node-1')
  for (const end of ['', '-wal']) copyFileSync(`${file}${end}`, `${dir}/saved${end}`)
  for (const end of ['-wal', '-shm']) rmSync(`${file}${end}`, { force: true })
  writeFileSync(file, 'garbage '.repeat(1000))
  const agent = lab.startAgent('node-1')
  try {
    // a route that somebody takes is back: the agent serves all but pods
    lab.mustInside('node-1', 'ip', 'route', 'del', '10.244.1.0/24')
    const answers = () =>
      pods[1]!.addrs.every((addr) => lab.inside('pod-default-web-1', 'ping', '-c1', '-W1', addr).status === 0)
    await eventually('the pods reach each other', answers)
    assert.match(
      statusOf(lab)?.readiness.reasons[0]?.message ?? '',
      /^the node has no pod network yet: cannot use the state file \S+endpoints\.sqlite: file is not a database/,
    )
    rmSync(file)
    for (const end of ['-wal', '']) copyFileSync(`${dir}/saved${end}`, `${file}${end}`)
    await eventually('the agent takes its state up again', () => statusOf(lab)?.readiness.state === 'ready', 60_000)
    assert.deepEqual(
      statusOf(lab)!.endpoints.map(({ pod }) => pod),
      ['default/web-1'],
    )
    assert.ok(answers())
  } finally {
    agent.kill('SIGTERM')
  }
})
