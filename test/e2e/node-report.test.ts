// What an agent tells the rest of its node and the cluster: the runtime's CNI configuration, the node's condition, events.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LabPaths } from '#/lab/paths.ts'
import { causeway, eventually, run, TestLab } from './harness.ts'

function conditionOf(lab: TestLab, type: string): string {
  const path = `{range .status.conditions[?(@.type=="${type}")]}{.status} {.reason}: {.message}{end}`
  return lab.kubectl('get', 'node', 'node-1', '-o', `jsonpath=${path}`)
}

test('the CNI configuration, the condition of the node and its events follow the network', async () => {
  using lab = new TestLab()
  const { status, stderr } = run(causeway, ['lab', 'up', '--name', lab.name, '--nodes', '1', '--pods', '1'])
  assert.equal(status, 0, stderr)

  const cni = new LabPaths(lab.name).nodeCni('node-1')
  const conflist = join(cni.conf, '10-causeway.conflist')
  assert.ok(existsSync(conflist))
  assert.match(lab.kubectl('get', 'node', 'node-1', '-o', 'json'), /"NetworkUnavailable"/)
  assert.equal(
    conditionOf(lab, 'NetworkUnavailable'),
    'False CausewayIsUp: Causeway has set up the network of this node',
  )
  assert.match(conditionOf(lab, 'Ready'), /^True/, "the kubelet's own condition stays")
  const plugin = readFileSync(new URL('../../build/causeway-cni', import.meta.url))
  assert.ok(readFileSync(join(cni.bin, 'causeway-cni')).equals(plugin))

  const versionOf = (): string => lab.kubectl('get', 'node', 'node-1', '-o', 'jsonpath={.metadata.resourceVersion}')
  const version = versionOf()
  await sleep(3000)
  assert.equal(versionOf(), version, 'nothing is written while nothing changes')

  // a device of another kind in the place of ours is not replaced: the network is not as it should be
  const [agent = 0] = lab.pids('agent')
  process.kill(agent, 'SIGSTOP')
  lab.mustInside('node-1', 'sh', '-c', 'ip link del cw-vxlan; ip link add cw-vxlan type bridge')
  process.kill(agent, 'SIGCONT')
  await eventually('the condition', () => conditionOf(lab, 'NetworkUnavailable').startsWith('True'), 60_000)
  assert.match(conditionOf(lab, 'NetworkUnavailable'), /^True CausewayIsNotReady: .*cw-vxlan/)
  await eventually('the event', () => /Warning\s+CausewayProblem.*cw-vxlan/.test(lab.kubectl('get', 'events')))
  assert.ok(existsSync(conflist), 'pods can still be wired')
  lab.mustInside('node-1', 'ip', 'link', 'del', 'cw-vxlan')
  await eventually('the end of it', () => conditionOf(lab, 'NetworkUnavailable').startsWith('False'), 40_000)

  // the same of the bridge: no pod can be wired, and what is on the other device is its owner's
  process.kill(agent, 'SIGSTOP')
  const other = 'ip link del cw-br0; ip link add cw-br0 type veth peer name other0; ip addr add 192.0.2.7/24 dev cw-br0'
  lab.mustInside('node-1', 'sh', '-c', other)
  process.kill(agent, 'SIGCONT')
  const readiness = () => lab.askAgent('node-1', '/readyz')
  await eventually('a node without a bridge', () =>
    /^CW3109 node\/node-1: .*\nCW2001 link\/cw-br0: a device cw-br0 of kind "veth"/.test(readiness()),
  )
  assert.match(lab.mustInside('node-1', 'ip', 'addr', 'show', 'cw-br0'), /192\.0\.2\.7/)
  assert.doesNotMatch(lab.mustInside('node-1', 'ip', 'addr', 'show', 'cw-br0'), /10\.244\./)
  lab.mustInside('node-1', 'ip', 'link', 'del', 'cw-br0')
  await eventually('a bridge', () => readiness() === 'ok\n')

  const { ino } = statSync(conflist)
  lab.kill('agent')
  assert.equal(statSync(conflist).ino, ino, 'the configuration outlives the agent')

  const state = `/run/causeway-lab/${lab.name}/nodes/node-1`
  const cleaned = run('ip', ['netns', 'exec', `cw-${lab.name}-node-1`, causeway, 'clean', '--files'], {
    CAUSEWAY_CNI_BIN_DIR: cni.bin,
    CAUSEWAY_CNI_CONF_DIR: cni.conf,
    CAUSEWAY_STATE_DIR: `${state}/state`,
    CAUSEWAY_RUN_DIR: `${state}/run`,
  })
  assert.equal(cleaned.status, 0, cleaned.stderr)
  assert.equal(cleaned.stdout.split('\n')[0], `rm -r ${conflist}`)
  assert.ok(!existsSync(conflist) && !existsSync(`${state}/state/endpoints.sqlite`))
  assert.equal(run('ip', ['-n', `cw-${lab.name}-node-1`, 'link', 'show', 'cw-br0']).status, 1)
  assert.ok(existsSync(join(cni.bin, 'causeway-cni')), 'for the pods that are still to be removed')
})
