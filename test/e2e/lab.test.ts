// The lab as a user meets it: up, connectivity, kubectl, crashes, down.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { countPackets, eventually, must, run, TestLab } from './harness.ts'

/** What the machine itself looks like outside of the lab's namespaces. */
function machine(): string {
  return [must('ip', '-br', 'link'), must('ip', 'route', 'show', 'table', 'all'), must('nft', 'list', 'ruleset')].join(
    '\n--\n',
  )
}

test('up connects every pod with every pod, twice, and down leaves nothing', async () => {
  const before = machine()
  const lab = new TestLab()
  {
    using _up = lab
    const report = lab.up()
    assert.equal(report.nodes.length, 3)
    assert.equal(report.pods.length, 6)
    assert.equal(report.probes.length, 6 * 5 * 2 * 2)
    const again = lab.up()
    assert.deepEqual(again.pods, report.pods)
    assert.equal(lab.pids('').length, 6)
  }
  assert.equal(machine(), before)
  assert.doesNotMatch(must('ip', 'netns'), new RegExp(`cw-${lab.name}-`))
  assert.deepEqual(lab.pids('').length, 0)
  assert.ok(!existsSync(`/run/causeway-lab/${lab.name}`))
  must('./causeway', 'lab', 'down', '--name', lab.name)
})

test('forwarding goes on, without a lost packet, while every agent is dead', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--pods', '1')
  const [from, to] = [pods[0]!, pods[1]!]
  const running = to.addrs.map((addr) => countPackets(`cw-${lab.name}-pod-default-${from.name}`, addr, 200, 0.01))
  await sleep(500)
  lab.kill('agent')
  await sleep(500)
  for (const addr of pods[2]!.addrs) lab.mustInside(`pod-default-${from.name}`, 'ping', '-c1', '-W3', addr)
  for (const flow of running) assert.deepEqual(await flow.finish(), { sent: 200, lost: 0 })
  const restarted = to.addrs.map((addr) =>
    countPackets(`cw-${lab.name}-pod-default-${from.name}`, addr, Infinity, 0.01),
  )
  lab.up('--pods', '1')
  for (const flow of restarted) assert.equal((await flow.stop()).lost, 0)
})

test('SIGTERM ends an agent soon and leaves all that it made: no packet is lost, a pod that comes meanwhile waits', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--pods', '1', '--nodes', '2')
  const [from, to] = [pods[0]!, pods[1]!]
  const kernel = () =>
    lab.mustInside(
      'node-1',
      'sh',
      '-c',
      'ip route; ip -6 route; ip -br link; nft list ruleset | grep -v "counter packets"',
    )
  const before = kernel()
  const running = to.addrs.map((addr) => countPackets(`cw-${lab.name}-pod-default-${from.name}`, addr, 200, 0.01))
  for (const pid of lab.pids('agent')) process.kill(pid, 'SIGTERM')
  await eventually('the end of the agents', () => lab.pids('agent').length === 0)
  for (const flow of running) assert.deepEqual(await flow.finish(), { sent: 200, lost: 0 })
  assert.equal(kernel(), before)
  lab.up('--pods', '1', '--nodes', '2')
})

test('pods are wired and removed while the API is down, also after the agent restarts', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--pods', '1')
  lab.kill('api')
  lab.kill('kubelet')
  lab.kill('agent-node-1')
  const netns = `cw-${lab.name}-extra`
  const dir = `/run/causeway-lab/${lab.name}/nodes/node-1`
  const env = {
    CNI_CONTAINERID: 'extra1',
    CNI_NETNS: `/run/netns/${netns}`,
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/',
    CAUSEWAY_CNI_SOCKET: `${dir}/run/cni.sock`,
    CAUSEWAY_CNI_SPOOL: `${dir}/state/cni-spool`,
    // the agent is only just starting
    CAUSEWAY_CNI_WAIT_MS: '50000',
  }
  const config = JSON.stringify({ cniVersion: '1.1.0', name: 'causeway', type: 'causeway-cni' })
  const call = (command: string) =>
    run('sh', ['-c', `printf %s '${config}' | build/causeway-cni`], { ...env, CNI_COMMAND: command })
  // the agent alone comes back: the API stays away
  const agent = lab.startAgent('node-1')
  must('ip', 'netns', 'add', netns)
  try {
    const added = call('ADD')
    assert.equal(added.status, 0, added.stdout)
    const addrs = (JSON.parse(added.stdout) as { ips: { address: string }[] }).ips.map(
      ({ address }) => address.split('/')[0]!,
    )
    assert.equal(addrs.length, 2)
    for (const addr of pods[2]!.addrs) lab.mustInside('extra', 'ping', '-c1', '-W3', addr)
    for (const addr of addrs) lab.mustInside('pod-default-web-3', 'ping', '-c1', '-W3', addr)
    assert.equal(call('CHECK').status, 1, 'CHECK without prevResult must fail')
    assert.equal(call('DEL').status, 0)
    // cut off at once, and gone a moment later
    await eventually('the end of eth0', () => lab.inside('extra', 'ip', 'link', 'show', 'eth0').status !== 0)
  } finally {
    run('ip', ['netns', 'del', netns])
    agent.kill('SIGTERM')
  }
})

test('kubectl makes a pod run as it asks, or says why not, and deletes it; a deleted node goes from every kernel and comes back', async () => {
  using lab = new TestLab()
  lab.up('--pods', '1')
  lab.kubectl('run', 'web-x', '--image=any')
  lab.kubectl('wait', '--for=condition=Ready', 'pod/web-x', '--timeout=60s')
  const [addr] = lab.kubectl('get', 'pod', 'web-x', '-o', 'jsonpath={.status.podIPs[*].ip}').split(' ')
  assert.equal(lab.ask('pod-default-web-3', addr!).pod, 'web-x')
  lab.kubectl('delete', 'pod', 'web-x')
  await eventually('the namespace of web-x is gone', () => !existsSync(`/run/netns/cw-${lab.name}-pod-default-web-x`))
  assert.notEqual(lab.inside('pod-default-web-3', 'ping', '-c1', '-W1', addr!).status, 0)

  const make = (name: string, spec: object, annotations = {}) =>
    lab.kubectl('run', name, '--image=any', `--overrides=${JSON.stringify({ metadata: { annotations }, spec })}`)
  make('nowhere', { nodeSelector: { disk: 'ssd' } })
  make('cannot', { nodeName: 'node-1' }, { 'causeway.dev/ips': '192.0.2.1' })
  make('of-node', { hostNetwork: true, nodeName: 'node-1' })
  const wishes = {
    'causeway.dev/ips': '10.244.0.77',
    'causeway.dev/mac': '02:00:00:00:00:77',
    'kubernetes.io/egress-bandwidth': '5M',
  }
  make('wishes', { nodeName: 'node-1' }, wishes)
  lab.kubectl('wait', '--for=condition=Ready', 'pod/of-node', 'pod/wishes', '--timeout=60s')
  assert.equal(lab.ask('node-2', '172.30.1.11').pod, 'of-node')
  assert.match(lab.mustInside('pod-default-wishes', 'ip', 'addr'), /02:00:00:00:00:77[^]* 10.244.0.77\/24/)
  assert.match(lab.mustInside('pod-default-wishes', 'tc', 'qdisc'), /tbf .* rate 5Mbit/)
  await eventually('an Event says why a pod has no node', () =>
    /FailedScheduling .* 0\/3 nodes are available: 3 node\(s\) didn't match Pod's node affinity\/selector\./.test(
      lab.kubectl('describe', 'pod', 'nowhere'),
    ),
  )
  const reason = '-o=jsonpath={.status.conditions[?(@.type=="PodScheduled")].reason}'
  assert.equal(lab.kubectl('get', 'pod', 'nowhere', reason), 'Unschedulable')
  lab.kubectl('label', 'node', 'node-2', 'disk=ssd')
  lab.kubectl('wait', '--for=condition=Ready', 'pod/nowhere', '--timeout=60s')
  await eventually('an Event says why a pod does not run', () =>
    lab.kubectl('describe', 'pod', 'cannot').includes('the requested address 192.0.2.1 is in no pod CIDR of this node'),
  )
  // an up does not wait for what cannot be
  lab.up('--pods', '1')
  lab.kubectl('delete', 'pod', 'of-node')
  assert.ok(existsSync(`/run/netns/cw-${lab.name}-node-1`))

  const routes = () =>
    lab.mustInside('node-1', 'ip', 'route', 'show', 'proto', '67', 'type', 'unicast').trim().split('\n').length
  assert.equal(routes(), 2)
  lab.kubectl('delete', 'node', 'node-3')
  await eventually('the route to node-3 is gone', () => routes() === 1)
  lab.up('--pods', '1')
  // it may have another pod CIDR than before, and keeps the former one until its pods of that have gone
  await eventually('each other node has one route', () => routes() === 2)
  lab.up('--pods', '1', '--nodes', '4')
  assert.equal(routes(), 3)
  lab.up('--pods', '1', '--nodes', '2')
  assert.equal(routes(), 1)
})

test('up after kill -9 of everything but the kernel state mends the lab', async () => {
  using lab = new TestLab()
  const before = lab.up('--pods', '1')
  lab.kill('')
  must('ip', 'netns', 'del', `cw-${lab.name}-pod-default-web-2`)
  const after = lab.up('--pods', '1')
  assert.deepEqual(after.nodes, before.nodes)
  assert.equal(after.pods.length, 3)
})

/** On a busy machine; a full pass, which finds everything, comes each minute only. */
const repairMs = 15_000

test('what somebody deletes or changes is back soon', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--pods', '1')
  const sabotage = [
    'ip route del 10.244.1.0/24',
    // systemd-networkd takes routes that it does not know when it starts (ManageForeignRoutes)
    'ip route flush proto 67',
    'ip -6 route flush proto 67',
    // udev gives devices the address that it thinks best (MACAddressPolicy)
    'ip link set cw-vxlan address 9a:00:00:00:00:01',
    'ip -6 route replace fd10:244:0:1::/64 dev lo',
    'ip link del cw-vxlan',
    'ip link del cw-br0',
    'nft delete table inet causeway',
    'nft delete table netdev causeway',
    'nft flush chain inet causeway postrouting',
    'ip neigh flush nud permanent dev cw-vxlan',
    'sysctl -qw net.ipv4.ip_forward=0',
    'ip link set cw-vxlan mtu 1300',
    'ip link set cw-br0 down',
    'ip addr flush dev cw-br0',
  ]
  const isAsPlanned = () => {
    const { status, stdout } = run('./causeway', ['plan', '--lab', lab.name, '--node', 'node-1'])
    if (status !== 0) throw new Error(stdout)
    return true
  }
  for (const command of sabotage) {
    lab.mustInside('node-1', ...command.split(' '))
    await eventually(`after "${command}" all as planned`, isAsPlanned, repairMs)
    for (const addr of pods[1]!.addrs) lab.mustInside('pod-default-web-1', 'ping', '-c1', '-W3', addr)
  }
  // the veth of a pod too
  const [veth] = lab.mustInside('node-1', 'ip', '-br', 'link', 'show', 'type', 'veth').match(/cwv[0-9a-f]+/) ?? []
  lab.mustInside('node-1', 'ip', 'link', 'del', veth!)
  await eventually(
    'the pod is wired again',
    () => pods[1]!.addrs.every((addr) => lab.inside('pod-default-web-1', 'ping', '-c1', '-W3', addr).status === 0),
    repairMs,
  )
  await eventually('nothing is wrong', () => run('./causeway', ['status', '--lab', lab.name]).status === 0, repairMs)
})

test('pods are masqueraded to the outside only', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--pods', '1')
  const { Netns, netnsPath } = await import('#/sys/netns.ts')
  const { serveEcho } = await import('#/lab/probe/echo.ts')
  using router = new Netns(netnsPath(`cw-${lab.name}-router`))
  await using _outside = await serveEcho(router, 'outside')
  const ask = async (place: string, addr: string): Promise<string> => {
    const script = `exec 3<>/dev/tcp/${addr}/8080; echo probe >&3; head -n 1 <&3`
    const { promise, resolve } = Promise.withResolvers<string>()
    const { execFile } = await import('node:child_process')
    // not spawnSync: the echo is served by this very process
    execFile(
      'ip',
      ['netns', 'exec', `cw-${lab.name}-${place}`, 'timeout', '5', 'bash', '-c', script],
      (_error, stdout) => resolve(stdout),
    )
    return (JSON.parse(await promise) as { source: string }).source
  }
  assert.equal(await ask('pod-default-web-1', '172.30.1.1'), '172.30.1.11')
  assert.equal(await ask('pod-default-web-1', 'fd30:0:0:1::1'), 'fd30:0:0:1::b')
  assert.equal(lab.ask('pod-default-web-1', pods[1]!.addrs[0]!).source, pods[0]!.addrs[0])
  // node to pod: the gateway's address, which every node can route back to
  assert.equal(lab.ask('node-1', pods[1]!.addrs[0]!).source, '10.244.0.1')
})
