// Agent and container runtime are killed in the middle of their work. Nothing of a sandbox may stay behind, and what runs
// must not notice.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { messageOf } from '#/lib/log.ts'
import { eventually, must } from './harness.ts'
import { RuntimeNodes, type TestNode } from './containerd/nodes.ts'
import { addressesIn, linksIn } from './containerd/sandbox.ts'

const firstHostPort = 20_000

/** A killed containerd leaves snapshots on the disk that its database does not know, and fails once for each: kubelet tries again. */
async function runAsKubelet(run: () => Promise<string>): Promise<string> {
  for (;;) {
    try {
      return await run()
    } catch (error) {
      if (!/snapshots\/\d+: file exists/.test(messageOf(error))) throw error
    }
  }
}

/** Starts the sandboxes of so many pods, each with a port of the node, so that every plugin of the chain has work. */
function startMany(
  { containerd }: TestNode,
  count: number,
): { readonly runs: Promise<string>[]; running: () => number } {
  let done = 0
  const runs = Array.from({ length: count }, async (_, index) => {
    const portMappings = [{ containerPort: 80, hostPort: firstHostPort + index }]
    const id = await runAsKubelet(() => containerd.run(`web-${index}`, { portMappings }))
    done++
    return id
  })
  return { runs, running: () => count - done }
}

/** Every sandbox runs, has the addresses that the agent says, none twice, and answers the node next door. */
async function assertConnected(cluster: RuntimeNodes, node: TestNode, ids: readonly string[]): Promise<void> {
  const endpoints = await cluster.endpoints(node)
  assert.equal(endpoints.length, ids.length)
  assert.equal(new Set(endpoints.flatMap(({ addrs }) => addrs)).size, 2 * ids.length)
  for (const id of ids) {
    const { state, addrs, netns } = await node.containerd.cri.status(id)
    assert.equal(state, 'SANDBOX_READY')
    assert.deepEqual(addrs, endpoints.find(({ containerId }) => containerId === id)?.addrs)
    assert.deepEqual(addressesIn(netns), addrs)
    for (const addr of addrs) cluster.lab.mustInside('node-2', 'ping', '-c1', '-W2', addr)
  }
}

/**
 * containerd forgets a namespace and a shim that it made just before it died, and keeps them for ever. No plugin has heard of such
 * a namespace, so it must be as empty as it was made.
 */
async function releaseForgotten({ containerd }: TestNode): Promise<void> {
  await containerd.endForgottenShims()
  for (const netns of containerd.netnsPaths()) {
    assert.deepEqual(linksIn(netns), ['lo'])
    must('umount', netns)
  }
}

test('an agent killed amid ADDs, then amid DELs, loses no sandbox and leaves nothing', async () => {
  await using cluster = await RuntimeNodes.up(1)
  const node = cluster.nodes[0]!
  const { containerd } = node
  const before = await cluster.emptyState(node)

  const { runs, running } = startMany(node, 30)
  await eventually('some sandboxes are wired', async () => (await cluster.endpoints(node)).length >= 8)
  cluster.lab.kill('agent-node-1')
  assert.ok(running() > 0, 'every sandbox was made before the kill')
  cluster.ensureAgents()
  await assertConnected(cluster, node, await Promise.all(runs))

  const ends = containerd.endAll()
  await eventually('some sandboxes are gone', async () => (await cluster.endpoints(node)).length <= 22)
  cluster.lab.kill('agent-node-1')
  await ends
  assert.notEqual(readdirSync(node.spool).length, 0, 'no DEL came while there was no agent')
  cluster.ensureAgents()
  await cluster.returnsTo(before, node)
})

test('a runtime killed amid many sandboxes: what ran runs on, the rest is removed whole and made again', async () => {
  await using cluster = await RuntimeNodes.up(1)
  const node = cluster.nodes[0]!
  const { containerd } = node
  const before = await cluster.emptyState(node)
  const settled = await Promise.all(['old-1', 'old-2', 'old-3'].map((name) => containerd.run(name)))

  const { runs, running } = startMany(node, 30)
  const outcomes = Promise.allSettled(runs)
  await eventually('some sandboxes are wired', async () => (await cluster.endpoints(node)).length >= 8)
  await containerd.kill()
  assert.ok(running() > 0, 'every sandbox was made before the kill')
  await outcomes
  await containerd.launch()

  // as kubelet does: what is not ready is removed, and its pod gets a new sandbox
  const halfMade = (await containerd.cri.list()).filter(({ state }) => state === 'SANDBOX_NOTREADY')
  await Promise.all(halfMade.map(({ id }) => containerd.end(id)))
  const ready = (await containerd.cri.list()).map(({ id }) => id)
  assert.deepEqual(
    settled.filter((id) => !ready.includes(id)),
    [],
  )
  await assertConnected(cluster, node, ready)
  await containerd.endAll()
  assert.deepEqual(await cluster.endpoints(node), [])
  await assertConnected(cluster, node, await Promise.all(startMany(node, 10).runs))

  await containerd.endAll()
  await releaseForgotten(node)
  await cluster.returnsTo(before, node)
})

test('agent and runtime killed together: what is removed before the agent is back stays removed', async () => {
  await using cluster = await RuntimeNodes.up(1)
  const node = cluster.nodes[0]!
  const { containerd } = node
  const before = await cluster.emptyState(node)

  const { runs, running } = startMany(node, 30)
  const outcomes = Promise.allSettled(runs)
  await eventually('some sandboxes are wired', async () => (await cluster.endpoints(node)).length >= 8)
  cluster.lab.kill('agent-node-1')
  await containerd.kill()
  assert.ok(running() > 0, 'every sandbox was made before the kill')
  await outcomes
  // the plugins of the killed runtime live on, and wait with their ADDs for an agent
  await containerd.launch()
  await containerd.endAll()
  assert.notEqual(readdirSync(node.spool).length, 0, 'no DEL came while there was no agent')
  await releaseForgotten(node)
  cluster.ensureAgents()
  await cluster.returnsTo(before, node)
})
