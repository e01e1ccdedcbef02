// Underlays of devices for which the kernel that other tests run on may have no module: VLAN and bond.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../e2e/harness.ts'
import { datapaths, KernelLab, movedTo, routings } from './kernel-lab.ts'

const nodes = ['node-1', 'node-2']
const pair = ['--nodes', '2', '--pods', '1', '--datapath', 'ebpf']

/** On an underlay that has just changed under a running lab. */
async function allWays(lab: KernelLab): Promise<void> {
  for (const routing of routings)
    for (const datapath of datapaths) {
      await lab.change(routing, datapath)
      await lab.sizesCross(routing)
      await lab.bytesArrive(1 << 20)
    }
}

/** The lab's switch carries VLAN 100 to the nodes with its tag, and its own addresses are in it. */
const switchOfVlan = `ip link set subnet-1 type bridge vlan_filtering 1
  bridge vlan add dev subnet-1 vid 100 pvid untagged self
  ${nodes.map((node) => `bridge vlan add dev ${node} vid 100`).join('\n')}`

const nodeOfVlan = `ip link add link eth0 name eth0.100 type vlan id 100
  ip link set eth0.100 up
  ${movedTo('eth0.100')}`

const nodeOfBond = `ip link add bond0 type bond mode active-backup miimon 50
  ip link set eth1 master bond0
  ip link set bond0 up
  ${movedTo('bond0')}
  ip link set eth0 down
  ip link set eth0 master bond0
  ip link set eth0 up`

test('the underlay moves to a VLAN', async () => {
  using lab = new KernelLab()
  await lab.start(...pair)
  lab.mustInside('router', 'sh', '-ec', switchOfVlan)
  for (const node of nodes) lab.mustInside(node, 'sh', '-ec', nodeOfVlan)
  await allWays(lab)
})

test('the underlay moves to a bond, one of whose links fails', async () => {
  using lab = new KernelLab()
  await lab.start(...pair)
  for (const node of nodes) {
    const second = `${node}b`
    lab.mustInside(node, 'ip', 'link', 'add', 'eth1', 'type', 'veth', 'peer', second, 'netns', `cw-${lab.name}-router`)
    lab.mustInside('router', 'ip', 'link', 'set', second, 'master', 'subnet-1', 'up')
    lab.mustInside(node, 'sh', '-ec', nodeOfBond)
  }
  await allWays(lab)
  const pings = lab.startPings(0.05)
  const active = () => lab.mustInside('node-1', 'cat', '/sys/class/net/bond0/bonding/active_slave').trim()
  const failed = active()
  lab.mustInside('router', 'ip', 'link', 'set', failed === 'eth0' ? 'node-1' : 'node-1b', 'down')
  await eventually('the other link', () => active() !== failed)
  await lab.settled()
  for (const ping of pings) {
    const { sent, lost } = await ping.stop()
    assert.ok(lost < 40, `${lost} of ${sent} lost, more than in two seconds`)
  }
})
