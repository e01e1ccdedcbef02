// What happens to a node while it runs: another address, other pod CIDRs, a network card that goes down, a cut-off API. And who
// may bring packets through its tunnel.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { causeway, eventually, must, run, TestLab, type UpReport } from './harness.ts'

type LabPod = UpReport['pods'][number]

function reaches(lab: TestLab, from: LabPod, to: LabPod): boolean {
  return to.addrs.every((addr) => lab.inside(`pod-default-${from.name}`, 'ping', '-c1', '-W1', addr).status === 0)
}

function statusOf(lab: TestLab, node: string): AgentStatus {
  const { stdout } = run(causeway, ['status', '--lab', lab.name, '--node', node, '--json'])
  return (JSON.parse(stdout) as { value: AgentStatus }[])[0]!.value
}

test('a node that gets another address is reached at it, from all nodes, soon', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--pods', '1')
  // or the kernel takes the new address away along with the old one
  lab.mustInside('node-2', 'sysctl', '-qw', 'net.ipv4.conf.eth0.promote_secondaries=1')
  lab.mustInside('node-2', 'ip', 'addr', 'add', '172.30.1.112/24', 'dev', 'eth0')
  const addresses = ['172.30.1.112', 'fd30:0:0:1::c']
  await lab.patchAddresses(
    'node-2',
    addresses.map((address) => ({ type: 'InternalIP', address })),
  )
  for (const node of ['node-1', 'node-3']) {
    await eventually(`the route of ${node}`, () =>
      lab.mustInside(node, 'ip', 'route', 'show', '10.244.1.0/24').includes('dst 172.30.1.112'),
    )
  }
  lab.mustInside('node-2', 'ip', 'addr', 'del', '172.30.1.12/24', 'dev', 'eth0')
  for (const [from, to] of [
    [0, 1],
    [1, 0],
    [2, 1],
  ] as const)
    await eventually(`${pods[from]!.name} reaches ${pods[to]!.name}`, () => reaches(lab, pods[from]!, pods[to]!))
  assert.match(lab.mustInside('node-2', 'ip', 'route', 'show', '10.244.0.0/24'), /src 172\.30\.1\.112/)
})

test('a node that is given other pod CIDRs keeps its pods going, and gives new ones addresses of the new', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--pods', '2', '--nodes', '2')
  const [first, second] = pods.filter(({ node }) => node === 'node-2') as [LabPod, LabPod]
  // pods are left as they are by whoever looks after Pod objects
  lab.kill('kubelet')
  const node = JSON.parse(lab.kubectl('get', 'node', 'node-2', '-o', 'json')) as {
    metadata: Record<string, unknown>
    spec: Record<string, unknown>
    status: { addresses: unknown }
  }
  lab.kubectl('delete', 'node', 'node-2')
  const again = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'node-2', labels: node.metadata['labels'] },
    spec: { podCIDR: '10.244.77.0/24', podCIDRs: ['10.244.77.0/24', 'fd10:244:0:77::/64'] },
  }
  must('sh', '-c', `printf '%s' '${JSON.stringify(again)}' | kubectl --kubeconfig ${lab.kubeconfig} create -f -`)
  await lab.patchAddresses('node-2', node.status.addresses)
  await eventually('the new route on node-1', () =>
    lab.mustInside('node-1', 'ip', 'route').includes('10.244.77.0/24  encap'),
  )
  await eventually('the new gateway', () => statusOf(lab, 'node-2').podCIDRs.includes('10.244.77.0/24'))
  // those that run keep their gateway and each other
  assert.ok(reaches(lab, first, second))
  lab.mustInside(`pod-default-${first.name}`, 'ping', '-c1', '-W2', '10.244.1.1')
  const gateways = lab.mustInside('node-2', 'ip', '-br', 'addr', 'show', 'cw-br0')
  assert.match(gateways, /10\.244\.77\.1\/24/)
  assert.match(gateways, /10\.244\.1\.1\/24/)
  // and the other node, in both directions, until another node is given their pod CIDR
  const other = pods.find((pod) => pod.node === 'node-1')!
  await eventually('the other node reaches them', () => reaches(lab, other, first) && reaches(lab, first, other))
  const annotation = (): string => lab.kubectl('get', 'node', 'node-2', '-o', 'jsonpath={.metadata.annotations}')
  assert.match(annotation(), /"causeway\.dev\/former-pod-cidrs":"10\.244\.1\.0\/24,fd10:244:0:1::\/64"/)
  createNode(lab, 'heir', ['10.244.1.0/24'], '172.30.1.99')
  await eventually('the route to the heir', () =>
    lab.mustInside('node-1', 'ip', 'route', 'show', '10.244.1.0/24').includes('dst 172.30.1.99'),
  )
})

function createNode(lab: TestLab, name: string, podCIDRs: string[], address: string, isReady = true): void {
  const node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: { podCIDR: podCIDRs[0], podCIDRs },
    status: {
      addresses: [{ type: 'InternalIP', address }],
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
    },
  }
  must('sh', '-c', `printf '%s' '${JSON.stringify(node)}' | kubectl --kubeconfig ${lab.kubeconfig} create -f -`)
}

for (const routing of ['vxlan', 'native', 'auto'])
  test(`whatever Node objects claim, what lives goes on, and each cause is one problem: ${routing}`, async () => {
    using lab = new TestLab()
    const { pods } = lab.up('--pods', '1', '--nodes', '2', '--routing', routing)
    const [one, two] = pods as [LabPod, LabPod]
    const expected: [string, string][] = [
      ['CW1103', 'node/aaa-equal'],
      ['CW1103', 'node/aaa-narrow'],
      ['CW1103', 'node/zz-wide'],
      ['CW1104', 'node/aaa-renamed'],
      ['CW1105', 'node/aaa-elsewhere'],
      ['CW1112', 'node/aaa-all'],
      ['CW1112', 'node/aaa-underlay'],
      ['CW1113', 'node/aaa-pod'],
    ]
    createNode(lab, 'zz-wide', ['10.244.0.0/21', 'fd10:244::/56'], '172.30.1.91')
    createNode(lab, 'aaa-equal', ['10.244.1.0/24', 'fd10:244:0:1::/64'], '172.30.1.92')
    createNode(lab, 'aaa-narrow', ['10.244.1.0/25'], '172.30.1.93', false)
    createNode(lab, 'aaa-all', ['0.0.0.0/0', '::/0'], '172.30.1.94')
    createNode(lab, 'aaa-underlay', ['172.30.1.0/24', 'fd30:0:0:1::/64'], '172.30.1.95')
    createNode(lab, 'aaa-elsewhere', ['192.168.0.0/24', '2001:db8::/64'], '172.30.1.96')
    createNode(lab, 'aaa-renamed', ['10.244.88.0/24'], '172.30.1.12', false)
    createNode(lab, 'aaa-pod', ['10.244.89.0/24'], two.addrs[0]!)
    const seen = (node: string): string[] => {
      const problems = statusOf(lab, node).problems.map(({ code, object }) => `${code} ${object}`)
      return [...new Set(problems)].filter((line) => line.includes('/aaa') || line.includes('/zz')).toSorted()
    }
    for (const [node, other] of [
      ['node-1', two],
      ['node-2', one],
    ] as const) {
      const wanted = expected.map(([code, object]) => `${code} ${object}`).toSorted()
      await eventually(`the problems on ${node}`, () => seen(node).join() === wanted.join())
      const gateways = lab.mustInside(node, 'ip', '-br', 'addr', 'show', 'cw-br0')
      assert.match(gateways, node === 'node-1' ? /10\.244\.0\.1\/24/ : /10\.244\.1\.1\/24/)
      assert.ok(reaches(lab, node === 'node-1' ? one : two, other))
    }
    assert.match(lab.askAgent('node-2', '/readyz'), /^ok/)
    // nobody who has the address of a pod may bring packets through the tunnel
    const table = lab.mustInside('node-1', 'nft', 'list', 'table', 'inet', 'causeway')
    assert.ok(!table.split(/[\s,]+/).includes(two.addrs[0]!), table)
    assert.ok(table.split(/[\s,]+/).includes('172.30.1.12'), table)
    lab.kubectl('run', 'late', '--image=any', '--overrides={"spec":{"nodeName":"node-2"}}')
    await eventually('a new pod has both families', () =>
      /10\.244\.1\.\d+ fd10:244:0:1::/.test(lab.kubectl('get', 'pod', 'late', '-o', 'jsonpath={.status.podIPs[*].ip}')),
    )
  })

test('a network card that goes down and comes up again is all that pods notice', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--pods', '1', '--nodes', '2', '--families', 'ipv4')
  lab.mustInside('node-1', 'ip', 'link', 'set', 'eth0', 'down')
  await sleep(500)
  assert.ok(!reaches(lab, pods[0]!, pods[1]!))
  lab.mustInside('node-1', 'ip', 'link', 'set', 'eth0', 'up')
  await eventually('the pods reach each other again', () => reaches(lab, pods[0]!, pods[1]!))
  assert.equal(run(causeway, ['status', '--lab', lab.name]).status, 0)
})

test('an underlay address that is taken away and given back is told, and then not any more', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--pods', '1', '--nodes', '2', '--families', 'ipv4')
  lab.mustInside('node-1', 'ip', 'addr', 'del', '172.30.1.11/24', 'dev', 'eth0')
  const problem = /no device of this node has its address 172\.30\.1\.11/
  await eventually('the problem', () => statusOf(lab, 'node-1').problems.some(({ message }) => problem.test(message)))
  await eventually('a node that is not ready for pods', () => problem.test(lab.askAgent('node-1', '/readyz')))
  assert.equal(lab.askAgent('node-2', '/readyz'), 'ok\n', 'the other one only misses a peer')
  lab.mustInside('node-1', 'ip', 'addr', 'add', '172.30.1.11/24', 'dev', 'eth0')
  await eventually('the end of the problem', () => statusOf(lab, 'node-1').problems.length === 0)
  await eventually('a node that is ready', () => lab.askAgent('node-1', '/readyz') === 'ok\n')
  await eventually('the pods reach each other again', () => reaches(lab, pods[0]!, pods[1]!))
})

test('VXLAN is taken from nodes alone: not from whoever else is on the underlay, and not from pods', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--pods', '1', '--nodes', '2', '--families', 'ipv4')
  const dropped = (node: string, rule: string): number => {
    const table = lab.mustInside(node, 'nft', 'list', 'table', 'inet', 'causeway')
    const line = table.split('\n').find((each) => each.includes(rule)) ?? ''
    return Number(/packets (\d+)/.exec(line)?.[1] ?? Number.NaN)
  }
  // somebody on the underlay who knows it all: VNI, port, addresses of pods
  const [pod] = pods
  const script = `ip link add intruder address 02:00:00:00:00:66 type vxlan id 1 remote 172.30.1.11 dstport 8472 dev br1
    ip link set intruder up; ip addr add 10.244.1.77/16 dev intruder
    ip neigh add ${pod!.addrs[0]} lladdr 02:43:57:ff:ff:ff dev intruder nud permanent`
  const underlay = lab.mustInside('router', 'ip', '-br', 'link', 'show', 'type', 'bridge').split(/\s/)[0]!
  lab.mustInside('router', 'sh', '-ec', script.replace('br1', underlay))
  const before = dropped('node-1', 'whoever is no node')
  assert.notEqual(lab.inside('router', 'ping', '-c2', '-W1', '-i', '0.2', pod!.addrs[0]!).status, 0)
  assert.ok(dropped('node-1', 'whoever is no node') >= before + 2)
  // a pod, whose packets masquerade would make the node's
  lab.mustInside(`pod-default-${pod!.name}`, 'bash', '-c', 'for i in 1 2 3; do echo x >/dev/udp/172.30.1.12/8472; done')
  lab.mustInside(`pod-default-${pod!.name}`, 'bash', '-c', 'echo x >/dev/udp/172.30.1.11/8472')
  assert.ok(dropped('node-1', 'pods may not send VXLAN (IPv4)') >= 4)
  // a pod that sends in the name of a node, to the gateway of its own and of the other node
  const forge = (gateway: string): string =>
    `ip route replace ${gateway}/32 via 10.244.0.1 dev eth0 onlink src 172.30.1.12; echo x >/dev/udp/${gateway}/8472`
  const asNode = (command: string): string => lab.mustInside(`pod-default-${pod!.name}`, 'bash', '-ec', command)
  asNode('ip addr add 172.30.1.12/32 dev lo')
  asNode(forge('10.244.1.1'))
  asNode('ip route replace 10.244.0.1/32 dev eth0 src 172.30.1.12; echo x >/dev/udp/10.244.0.1/8472')
  assert.ok(dropped('node-1', 'pods may not send VXLAN in the name of others (IPv4)') >= 2)
  // and in its own name
  asNode('ip route replace 10.244.0.1/32 dev eth0; echo x >/dev/udp/10.244.0.1/8472')
  assert.ok(dropped('node-1', 'VXLAN to this node from pods') >= 1)
  assert.equal(dropped('node-2', 'whoever is no node'), 0)
  // nor may it end a router's session with the node, which takes a source address that can be made up
  lab.mustInside(`pod-default-${pod!.name}`, 'bash', '-c', 'echo x >/dev/udp/172.30.1.11/3784')
  assert.equal(dropped('node-1', 'pods may not send BFD to this node'), 1)
  assert.ok(reaches(lab, pods[0]!, pods[1]!))
})

test('another process on the VXLAN port is named as what is in the way, and the node comes up when it is gone', async () => {
  using lab = new TestLab()
  lab.up('--pods', '1', '--nodes', '2', '--families', 'ipv4')
  const [agent] = lab.pids('agent-node-1') as [number]
  // or the agent is faster
  process.kill(agent, 'SIGSTOP')
  const steal = 'ip link del cw-vxlan; ip link add other type vxlan id 9 dstport 8472; ip link set other up'
  lab.mustInside('node-1', 'sh', '-ec', steal)
  process.kill(agent, 'SIGCONT')
  const failure = () => statusOf(lab, 'node-1').objects.find(({ kind, key }) => kind === 'link' && key === 'cw-vxlan')
  await eventually('the failure', () => failure()?.state === 'error')
  assert.match(failure()!.message!, /EADDRINUSE.*UDP port 8472 is taken by another process or VXLAN device/)
  assert.match(failure()!.remedy!, /^find it with "ss -ulpn sport = :8472"/)
  assert.match(lab.askAgent('node-1', '/readyz'), /^CW2001 link\/cw-vxlan: .*EADDRINUSE/)
  // what has no device because of it points there, and has no remedy of its own
  const followers = statusOf(lab, 'node-1').objects.filter(({ state }) => state === 'error')
  for (const { kind, message, remedy } of followers.filter((object) => object.kind !== 'link')) {
    assert.equal(message, 'device cw-vxlan is missing', kind)
    assert.match(remedy!, /^mend what is told of link\/cw-vxlan/, kind)
  }
  assert.ok(followers.some(({ kind }) => kind === 'sysctl'))
  lab.mustInside('node-1', 'ip', 'link', 'del', 'other')
  await eventually('the device', () => failure()?.state === 'done', 40_000)
})

test('a node that learned its IPv6 default route from a router keeps it when it becomes one itself', async (t) => {
  using lab = new TestLab()
  lab.up('--pods', '1', '--nodes', '2')
  const sysctl = (name: string) => lab.mustInside('node-1', 'sysctl', '-n', `net.ipv6.conf.${name}`).trim()
  const learned = () => lab.mustInside('node-1', 'ip', '-6', 'route', 'show', 'default', 'proto', 'ra')
  // as a node is before its first agent
  lab.kill('agent-node-1')
  lab.mustInside('node-1', 'sysctl', '-qw', 'net.ipv6.conf.all.forwarding=0', 'net.ipv6.conf.eth0.accept_ra=1')
  const folder = mkdtempSync(join(tmpdir(), 'radv-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const config = join(folder, 'bird.conf')
  writeFileSync(
    config,
    `protocol device {}
protocol radv { interface "*" { min ra interval 3; max ra interval 4; }; }
`,
  )
  const router = ['netns', 'exec', `cw-${lab.name}-router`, 'bird', '-f', '-c', config, '-s', join(folder, 'ctl')]
  const bird = spawn('ip', router, { stdio: 'ignore' })
  t.after(() => bird.kill('SIGTERM'))
  await eventually('the default route', () => learned().includes('default via fe80'))
  lab.up('--pods', '1', '--nodes', '2')
  assert.equal(sysctl('all.forwarding'), '1')
  assert.equal(sysctl('eth0.accept_ra'), '2')
  assert.match(learned(), /default via fe80/)
})
