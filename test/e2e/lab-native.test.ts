// Native routing across racks: routers that know of pods by BGP alone, and no packet in VXLAN.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BgpPeersReport } from '#/agent/bgp/reports.ts'
import { causeway, countPackets, eventually, run, TestLab } from './harness.ts'
import { daemons, recovered } from './lab-routers.ts'

/** Counts VXLAN packets that cross the spine, by which all packets between racks go. */
function countVxlan(lab: TestLab): { readonly packets: () => number } {
  const rules = 'table inet probe { chain forward { type filter hook forward priority 0; udp dport 8472 counter; }; }'
  lab.mustInside('router', 'nft', rules)
  return {
    packets: () => Number(/packets (\d+)/.exec(lab.mustInside('router', 'nft', 'list', 'table', 'inet', 'probe'))![1]),
  }
}

/** From the pod of node-1 to that of node-2, which are of different racks, over each family. */
function flowsBetweenRacks(lab: TestLab, addrs: readonly string[], packets: number) {
  return addrs.map((addr) => countPackets(`cw-${lab.name}-pod-default-web-1`, addr, packets, 0.01))
}

for (const kind of ['bird', 'frr'] as const) {
  test(`native routing through ${kind}: pods of different racks reach each other unencapsulated, also while the router's daemon is dead`, async () => {
    using lab = new TestLab()
    const options = ['--racks', '2', '--router', kind, '--nodes', '4', '--pods', '1', '--routing', 'native']
    const { pods, nodes } = lab.up(...options)
    const vxlan = countVxlan(lab)
    const [cidr] = nodes.find(({ name }) => name === 'node-2')!.podCIDRs
    assert.match(lab.mustInside('node-1', 'ip', 'route', 'show', cidr!), /via 172\.30\.1\.1 dev eth0/)
    const { addrs } = pods.find(({ name }) => name === 'web-2')!
    const flows = flowsBetweenRacks(lab, addrs, 300)
    const { speaker } = daemons[kind]('rack-1')
    lab.kill(speaker)
    await eventually("the end of the router's daemon", () => lab.pids(speaker).length === 0)
    for (const flow of flows) assert.deepEqual(await flow.finish(), { sent: 300, lost: 0 })
    lab.up(...options)
    await recovered(lab, kind, 3, 'pod-default-web-1', addrs)
    for (const flow of flowsBetweenRacks(lab, addrs, 100)) assert.deepEqual(await flow.finish(), { sent: 100, lost: 0 })
    assert.equal(vxlan.packets(), 0)
  })
}

// not FRR: Debian's sweeps routes too early when it starts again (docs/lab.md)
test('BIRD on a rack restarts without the loss of a packet between pods; when no node needs the tunnel any more, packets have the full size', async () => {
  using lab = new TestLab()
  const options = ['--racks', '2', '--nodes', '2', '--pods', '1', '--routing', 'native']
  const { pods } = lab.up(...options)
  const { addrs } = pods.find(({ name }) => name === 'web-2')!
  const flows = flowsBetweenRacks(lab, addrs, 1500)
  lab.kill('router-rack-1')
  lab.up(...options)
  for (const flow of flows) assert.deepEqual(await flow.finish(), { sent: 1500, lost: 0 })
  await eventually(
    'the end of the tunnel',
    () => lab.inside('node-1', 'ip', 'link', 'show', 'cw-vxlan').status !== 0,
    60_000,
  )
  // pods follow: nothing is around their packets
  for (const [addr, bytes] of [[addrs[0]!, 1472] as const, [addrs[1]!, 1452] as const]) {
    const ping = ['ping', '-M', 'do', '-c1', '-W3', '-s', String(bytes), addr]
    await eventually(`${bytes} bytes to ${addr}`, () => lab.inside('pod-default-web-1', ...ping).status === 0)
  }
})

test('two routers in each rack, with BFD: nodes use both, and go on with one when the other is cut off', async () => {
  using lab = new TestLab()
  const options = ['--racks', '2', '--tors', '2', '--bfd', '--nodes', '2', '--pods', '1', '--routing', 'native']
  const { pods, nodes } = lab.up(...options)
  const [cidr] = nodes.find(({ name }) => name === 'node-2')!.podCIDRs
  const route = () => lab.mustInside('node-1', 'ip', 'route', 'show', cidr!)
  for (const hop of [/nexthop via 172\.30\.1\.1 dev eth0/, /nexthop via 172\.30\.1\.2 dev eth0/])
    await eventually(`${hop}`, () => hop.test(route()))
  await eventually('BFD with both routers', () => {
    const { stdout } = run(causeway, ['bgp', 'peers', '--json', '--lab', lab.name, '--node', 'node-1'])
    const [answer] = JSON.parse(stdout) as { value?: BgpPeersReport }[]
    return answer?.value?.peers.length === 2 && answer.value.peers.every(({ bfd }) => bfd === 'Up')
  })
  // the link to the nodes, at the switch's end: the router itself sees nothing of it
  lab.mustInside('switches', 'ip', 'link', 'set', 'rack-1b', 'down')
  await eventually(
    'the route by the first router alone',
    () => /via 172\.30\.1\.1 dev eth0/.test(route()) && !route().includes('172.30.1.2'),
    // without BFD it takes the hold time of 90 s
    30_000,
  )
  const { addrs } = pods.find(({ name }) => name === 'web-2')!
  for (const addr of addrs) assert.equal(lab.ask('pod-default-web-1', addr).pod, 'web-2')
})

test('the routing of a running lab changes there and back, and no packet is lost', async () => {
  using lab = new TestLab()
  // nodes tell each other of ways that lead nowhere from another rack: what the routers tell must win
  const options = ['--racks', '2', '--nodes', '2', '--pods', '1', '--mesh', 'full']
  const { pods } = lab.up(...options)
  const agents = lab.pids('agent')
  const { addrs } = pods.find(({ name }) => name === 'web-2')!
  for (const mode of ['native', 'vxlan'] as const) {
    const flows = flowsBetweenRacks(lab, addrs, 1000)
    lab.up(...options, '--routing', mode)
    assert.equal(lab.kubectl('get', 'routing', 'default', '-o', 'jsonpath={.spec.mode}'), mode)
    for (const flow of flows) assert.deepEqual(await flow.finish(), { sent: 1000, lost: 0 })
  }
  assert.deepEqual(lab.pids('agent'), agents)
})
