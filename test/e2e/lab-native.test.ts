// Native routing across racks: routers that know of pods by BGP alone, and no packet in VXLAN.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually, TestLab, type UpReport } from './harness.ts'
import { daemons, flowsBetweenRacks, recovered } from './lab-routers.ts'

/** Counts VXLAN packets that cross the spine, by which all packets between racks go. */
function countVxlan(lab: TestLab): { readonly packets: () => number } {
  const rules = 'table inet probe { chain forward { type filter hook forward priority 0; udp dport 8472 counter; }; }'
  lab.mustInside('router', 'nft', rules)
  return {
    packets: () => Number(/packets (\d+)/.exec(lab.mustInside('router', 'nft', 'list', 'table', 'inet', 'probe'))![1]),
  }
}

/** The first pod CIDR of each node. */
function cidrsOf(nodes: UpReport['nodes']): ReadonlyMap<string, string> {
  return new Map(nodes.map(({ name, podCIDRs }) => [name, podCIDRs[0]!]))
}

function isTunnelled(lab: TestLab, node: string, cidr: string): boolean {
  return lab.mustInside(node, 'ip', 'route', 'show', cidr).includes('cw-vxlan')
}

for (const kind of ['bird', 'frr'] as const) {
  test(`native routing through ${kind}: pods of different racks reach each other unencapsulated, also while the router's daemon or an agent is dead`, async () => {
    using lab = new TestLab()
    const options = ['--racks', '2', '--router', kind, '--nodes', '4', '--pods', '1', '--routing', 'native']
    const { pods, nodes } = lab.up(...options)
    const vxlan = countVxlan(lab)
    const cidr = cidrsOf(nodes).get('node-2')!
    assert.match(lab.mustInside('node-1', 'ip', 'route', 'show', cidr), /via 172\.30\.1\.1 dev eth0/)
    const { addrs } = pods.find(({ name }) => name === 'web-2')!
    const flows = flowsBetweenRacks(lab, addrs, 150)
    const { speaker } = daemons[kind]('rack-1')
    lab.kill(speaker)
    await eventually("the end of the router's daemon", () => lab.pids(speaker).length === 0)
    for (const flow of flows) assert.deepEqual(await flow.finish(), { sent: 150, lost: 0 })
    lab.up(...options)
    await recovered(lab, kind, 3, 'pod-default-web-1', addrs)
    const again = flowsBetweenRacks(lab, addrs, Infinity)
    lab.kill('agent-node-2')
    lab.up(...options)
    await recovered(lab, kind, 3, 'pod-default-web-1', addrs)
    for (const flow of again) assert.equal((await flow.stop()).lost, 0)
    assert.equal(vxlan.packets(), 0)
  })
}

// not FRR: Debian's sweeps routes too early when it starts again (docs/lab.md)
test('BIRD on a rack restarts without the loss of a packet between pods; the tunnel goes when no node needs it any more, and comes back', async () => {
  using lab = new TestLab()
  const base = ['--racks', '2', '--nodes', '2', '--pods', '1', '--routing']
  const options = [...base, 'native']
  const { pods, nodes } = lab.up(...options)
  const { addrs } = pods.find(({ name }) => name === 'web-2')!
  const flows = flowsBetweenRacks(lab, addrs, Infinity)
  lab.kill('router-rack-1')
  lab.up(...options)
  await recovered(lab, 'bird', 2, 'pod-default-web-1', addrs)
  const hasTunnel = (node: string) => lab.inside(node, 'ip', 'link', 'show', 'cw-vxlan').status === 0
  await eventually('the end of the tunnels', () => !hasTunnel('node-1') && !hasTunnel('node-2'), 120_000)
  // pods follow: nothing is around their packets
  for (const [addr, bytes] of [[addrs[0]!, 1472] as const, [addrs[1]!, 1452] as const]) {
    const ping = ['ping', '-M', 'do', '-c1', '-W3', '-s', String(bytes), addr]
    await eventually(`${bytes} bytes to ${addr}`, () => lab.inside('pod-default-web-1', ...ping).status === 0)
  }
  const cidr = cidrsOf(nodes).get('node-2')!
  lab.up(...base, 'vxlan')
  await eventually('the way through the tunnel', () => isTunnelled(lab, 'node-1', cidr))
  // by way of their racks' routers nodes of two subnets reach each other natively
  lab.up(...base, 'auto')
  await eventually('the way by the routers', () => !isTunnelled(lab, 'node-1', cidr))
  for (const flow of flows) assert.equal((await flow.stop()).lost, 0)
})

test('a running lab becomes native beside a mesh, and no packet is lost', async () => {
  using lab = new TestLab()
  // nodes tell each other of ways that lead nowhere from another rack: what the routers tell must win
  const options = ['--racks', '2', '--nodes', '2', '--pods', '1', '--mesh', 'full']
  const { pods, nodes } = lab.up(...options)
  const agents = lab.pids('agent')
  const { addrs } = pods.find(({ name }) => name === 'web-2')!
  const flows = flowsBetweenRacks(lab, addrs, Infinity)
  lab.up(...options, '--routing', 'native')
  assert.equal(lab.kubectl('get', 'routing', 'default', '-o', 'jsonpath={.spec.mode}'), 'native')
  const cidrs = cidrsOf(nodes)
  for (const [node, other] of [
    ['node-1', 'node-2'],
    ['node-2', 'node-1'],
  ] as const)
    await eventually(`the way of ${node} by the routers`, () => !isTunnelled(lab, node, cidrs.get(other)!))
  for (const flow of flows) assert.equal((await flow.stop()).lost, 0)
  assert.deepEqual(lab.pids('agent'), agents)
  // what the nodes made of it stands in the objects
  const condition = (object: string, type: string) =>
    lab.kubectl('get', object, '-o', `jsonpath={.status.conditions[?(@.type=="${type}")].message}`)
  for (const [object, type, message] of [
    ['routing/default', 'Applied', 'native on 2 nodes'],
    ['bgppeer/rack-1', 'Established', 'established on 1 node'],
  ] as const)
    await eventually(`${type} of ${object}`, () => condition(object, type) === message)
})
