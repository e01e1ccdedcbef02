// A real container runtime with our plugin at the head of a conflist, driven through its CRI socket as kubelet does.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serveEcho } from '#/lab/probe/echo.ts'
import { Netns } from '#/sys/netns.ts'
import { must } from './harness.ts'
import { execFileAsync } from './containerd/exec.ts'
import { RuntimeNodes } from './containerd/nodes.ts'
import { addressesIn, insideOf } from './containerd/sandbox.ts'

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
  const [node] = cluster.nodes
  const { containerd } = node!
  const before = await cluster.emptyState(node!)
  const ids = await Promise.all(Array.from({ length: 60 }, (_, index) => containerd.run(`web-${index}`)))
  const statuses = await Promise.all(ids.map((id) => containerd.cri.status(id)))
  const told = statuses.flatMap(({ addrs }) => addrs)
  assert.equal(new Set(told).size, 120)
  assert.deepEqual((await cluster.endpoints(node!)).flatMap(({ addrs }) => addrs).toSorted(), told.toSorted())
  for (const { netns, addrs } of statuses) assert.deepEqual(addressesIn(netns), addrs)
  await containerd.endAll()
  await cluster.returnsTo(before, node!)
})

test('the plugins after ours do their part: hostPort, bandwidth, sysctl', async () => {
  await using cluster = await RuntimeNodes.up(1)
  const [node] = cluster.nodes
  const { containerd } = node!
  const before = await cluster.emptyState(node!)
  const id = await containerd.run('web', {
    portMappings: [{ containerPort: 8080, hostPort: 18_080 }],
    annotations: { 'kubernetes.io/ingress-bandwidth': '10M', 'kubernetes.io/egress-bandwidth': '10M' },
  })
  const { netns } = await containerd.cri.status(id)
  {
    using inside = new Netns(netns)
    await using _echo = await serveEcho(inside, 'web')
    for (const addr of ['172.30.1.11', 'fd30:0:0:1::b']) {
      const script = `exec 3<>/dev/tcp/${addr}/18080; echo probe >&3; head -n 1 <&3`
      const answer = await execFileAsync('ip', [
        'netns',
        'exec',
        `cw-${cluster.lab.name}-node-2`,
        'timeout',
        '5',
        'bash',
        '-c',
        script,
      ])
      assert.match(answer, /"pod":"web"/, `hostPort at ${addr}`)
    }
  }
  assert.equal(insideOf(netns, 'sysctl', '-n', 'net.ipv4.conf.eth0.accept_redirects').trim(), '0')
  const [{ hostDevice } = { hostDevice: '' }] = await cluster.endpoints(node!)
  assert.match(
    must('ip', 'netns', 'exec', node!.netnsName, 'tc', 'qdisc', 'show', 'dev', hostDevice),
    /tbf .* rate 10Mbit/,
  )
  await containerd.end(id)
  await cluster.returnsTo(before, node!)
})
