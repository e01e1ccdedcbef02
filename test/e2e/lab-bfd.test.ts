// Native routing with BFD between nodes and the routers of their racks: what is a failure to it, and what is not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BgpPeersReport } from '#/api/schemas/bgp.ts'
import { type PeerStatus } from '#/model/bgp.ts'
import { causeway, eventually, run, TestLab } from './harness.ts'
import { flowsBetweenRacks } from './lab-routers.ts'

function peersOf(lab: TestLab, node: string): readonly PeerStatus[] {
  const { stdout } = run(causeway, ['bgp', 'peers', '--json', '--lab', lab.name, '--node', node])
  const [answer] = JSON.parse(stdout) as { value?: BgpPeersReport }[]
  return answer?.value?.peers ?? []
}

async function watchedBy(lab: TestLab, node: string, count: number): Promise<void> {
  await eventually(`BFD of ${node} with ${count} routers`, () => {
    const peers = peersOf(lab, node)
    return peers.length === count && peers.every(({ state, bfd }) => state === 'Established' && bfd === 'Up')
  })
}

for (const kind of ['bird', 'frr'] as const) {
  test(`an agent that is stopped and started again is no failure to ${kind} with BFD: no packet is lost`, async () => {
    using lab = new TestLab()
    const options = ['--racks', '2', '--router', kind, '--bfd', '--nodes', '2', '--pods', '1', '--routing', 'native']
    const { pods } = lab.up(...options)
    await watchedBy(lab, 'node-2', 1)
    const { addrs } = pods.find(({ name }) => name === 'web-2')!
    const flows = flowsBetweenRacks(lab, addrs, Infinity)
    for (const pid of lab.pids('agent-node-2')) process.kill(pid, 'SIGTERM')
    await eventually('the end of the agent', () => lab.pids('agent-node-2').length === 0)
    // much longer than BFD takes to find a failure
    await sleep(3000)
    lab.up(...options)
    await watchedBy(lab, 'node-2', 1)
    for (const flow of flows) assert.equal((await flow.stop()).lost, 0)
  })
}

test('two routers in each rack, with BFD: nodes use both, and go on with one when the other is cut off', async () => {
  using lab = new TestLab()
  const options = ['--racks', '2', '--tors', '2', '--bfd', '--nodes', '2', '--pods', '1', '--routing', 'native']
  const { pods, nodes } = lab.up(...options)
  const [cidr] = nodes.find(({ name }) => name === 'node-2')!.podCIDRs
  const route = () => lab.mustInside('node-1', 'ip', 'route', 'show', cidr!)
  for (const hop of [/nexthop via 172\.30\.1\.1 dev eth0/, /nexthop via 172\.30\.1\.2 dev eth0/])
    await eventually(`${hop}`, () => hop.test(route()))
  await watchedBy(lab, 'node-1', 2)
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
