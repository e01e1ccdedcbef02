// A real container runtime with our plugin at the head of a conflist, driven through its CRI socket as kubelet does.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serveEcho } from '#/lab/probe/echo.ts'
import { messageOf } from '#/lib/log.ts'
import { nodeNetns } from '#/lab/spec.ts'
import { hostPortTableName } from '#/model/names.ts'
import { Netns, netnsPath } from '#/sys/netns.ts'
import { eventually, must } from './harness.ts'
import { RuntimeNodes, type TestNode } from './containerd/nodes.ts'
import { addressesIn, askFrom, insideOf } from './containerd/sandbox.ts'

const hostPort = 18_080

test('a sandbox has the addresses that the agent says, and reaches the sandboxes of both nodes', async () => {
  await using cluster = await RuntimeNodes.up(2)
  const sandboxes = []
  for (const node of cluster.nodes) {
    const before = await cluster.emptyState(node)
    const ids = [await node.containerd.run('web-1'), await node.containerd.run('web-2')]
    sandboxes.push({ node, before, ids })
  }
  const all = []
  for (const { node, ids } of sandboxes) {
    const endpoints = await cluster.endpoints(node)
    assert.deepEqual(endpoints.map(({ containerId }) => containerId).toSorted(), ids.toSorted())
    for (const id of ids) {
      const status = await node.containerd.cri.status(id)
      assert.equal(status.state, 'SANDBOX_READY')
      const endpoint = endpoints.find(({ containerId }) => containerId === id)
      assert.match(endpoint?.pod ?? '', /^default\/web-[12]$/)
      assert.equal(status.addrs.length, 2)
      assert.deepEqual(status.addrs, endpoint?.addrs)
      assert.deepEqual(addressesIn(status.netns), endpoint?.addrs)
      all.push(status)
    }
  }
  for (const from of all)
    for (const to of all) for (const addr of to.addrs) insideOf(from.netns, 'ping', '-c1', '-W2', addr)
  for (const { node, before, ids } of sandboxes) {
    for (const id of ids) await node.containerd.end(id)
    await cluster.returnsTo(before, node)
  }
})

test('sixty sandboxes at once have addresses of their own, and nothing of them stays', async () => {
  await using cluster = await RuntimeNodes.up(1)
  const node = cluster.nodes[0]!
  const { containerd } = node
  const before = await cluster.emptyState(node)
  const ids = await Promise.all(Array.from({ length: 60 }, (_, index) => containerd.run(`web-${index}`)))
  const statuses = await Promise.all(ids.map((id) => containerd.cri.status(id)))
  const told = statuses.flatMap(({ addrs }) => addrs)
  assert.equal(new Set(told).size, 120)
  assert.deepEqual((await cluster.endpoints(node)).flatMap(({ addrs }) => addrs).toSorted(), told.toSorted())
  for (const { netns, addrs } of statuses) assert.deepEqual(addressesIn(netns), addrs)
  await containerd.endAll()
  await cluster.returnsTo(before, node)
})

/** The pod's host port is reached from everywhere, at each address of the node. */
async function assertHostPortServed(cluster: RuntimeNodes, node: TestNode, netns: string): Promise<void> {
  const { containerd } = node
  const neighbour = await containerd.cri.status(await containerd.run('neighbour'))
  using inside = new Netns(netns)
  await using _echo = await serveEcho(inside, 'web')
  const places = {
    'the other node': netnsPath(nodeNetns(cluster.lab.name, 'node-2')),
    'the node itself': netnsPath(node.netnsName),
    'another sandbox': neighbour.netns,
    'the sandbox itself': netns,
  }
  for (const [place, from] of Object.entries(places))
    for (const addr of node.addrs) {
      const answer = await askFrom(from, addr, hostPort).catch(messageOf)
      assert.equal(answer, 'web', `from ${place} to ${addr}`)
    }
}

test('the plugins after ours do their part: hostPort, bandwidth, sysctl', async () => {
  await using cluster = await RuntimeNodes.up(1)
  const node = cluster.nodes[0]!
  const { containerd } = node
  const before = await cluster.emptyState(node)
  const id = await containerd.run('web', {
    portMappings: [{ containerPort: 8080, hostPort }],
    annotations: { 'kubernetes.io/ingress-bandwidth': '10M', 'kubernetes.io/egress-bandwidth': '10M' },
  })
  const { netns } = await containerd.cri.status(id)
  const [{ hostDevice } = { hostDevice: '' }] = await cluster.endpoints(node)
  await assertHostPortServed(cluster, node, netns)
  assert.equal(insideOf(netns, 'sysctl', '-n', 'net.ipv4.conf.eth0.accept_redirects').trim(), '0')
  assert.match(
    must('ip', 'netns', 'exec', node.netnsName, 'tc', 'qdisc', 'show', 'dev', hostDevice),
    /tbf .* rate 10Mbit/,
  )
  await containerd.endAll()
  await cluster.returnsTo(before, node)
})

test('without plugins for them, host ports and limits of bandwidth are ours; addresses that a pod asks for reach us', async () => {
  await using cluster = await RuntimeNodes.up(1, [])
  const node = cluster.nodes[0]!
  const { containerd } = node
  const before = await cluster.emptyState(node)
  const addr = '10.244.0.77'
  const id = await containerd.run('web', {
    portMappings: [{ containerPort: 8080, hostPort }],
    annotations: { 'kubernetes.io/ingress-bandwidth': '10M', 'causeway.dev/ips': addr },
  })
  const { addrs, netns } = await containerd.cri.status(id)
  assert.equal(addrs[0], addr)
  const [{ hostDevice } = { hostDevice: '' }] = await cluster.endpoints(node)
  const qdiscs = must('ip', 'netns', 'exec', node.netnsName, 'tc', 'qdisc', 'show', 'dev', hostDevice)
  assert.match(qdiscs, /tbf .* rate 10Mbit/)
  // what is ours comes back, whatever somebody does
  must('ip', 'netns', 'exec', node.netnsName, 'nft', 'flush', 'ruleset')
  const tables = (): string => must('ip', 'netns', 'exec', node.netnsName, 'nft', 'list', 'tables')
  await eventually('the host port is back', () => tables().includes(hostPortTableName))
  await assertHostPortServed(cluster, node, netns)
  await containerd.endAll()
  await cluster.returnsTo(before, node)
})
