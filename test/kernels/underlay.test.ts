// Underlays made of devices for which the kernel that tests run on elsewhere may have no module: VLAN, bond, VRF.
import assert from 'node:assert/strict'
import { countPackets, eventually } from '../e2e/harness.ts'
import { KernelLab, movedTo, testInEachDatapath } from './kernel-lab.ts'

const nodes = ['node-1', 'node-2']

/** Both ways of crossing, on an underlay that has just changed under a running lab. */
async function bothWays(lab: KernelLab): Promise<void> {
  await lab.settled()
  await lab.sizesCross('vxlan')
  await lab.bytesArrive(1 << 20)
  lab.kubectl('patch', 'routing', 'default', '--type=merge', '-p', '{"spec":{"mode":"native"}}')
  await lab.sizesCross('native')
  await lab.settled()
  await lab.bytesArrive(1 << 20)
}

const pair = ['--nodes', '2', '--pods', '1', '--routing', 'vxlan']

testInEachDatapath('the underlay moves to a VLAN', async (options) => {
  using lab = new KernelLab()
  lab.up(...pair, ...options)
  const ports = nodes.map((node) => `bridge vlan add dev ${node} vid 100`).join('\n')
  lab.mustInside(
    'router',
    'sh',
    '-ec',
    `ip link set subnet-1 type bridge vlan_filtering 1
    bridge vlan add dev subnet-1 vid 100 pvid untagged self
    ${ports}`,
  )
  const script = `ip link add link eth0 name eth0.100 type vlan id 100; ip link set eth0.100 up\n${movedTo('eth0.100')}`
  for (const node of nodes) lab.mustInside(node, 'sh', '-ec', script)
  await bothWays(lab)
})

testInEachDatapath('the underlay moves to a bond, one of whose links fails', async (options) => {
  using lab = new KernelLab()
  lab.up(...pair, ...options)
  for (const node of nodes) {
    lab.mustInside(node, 'sh', '-ec', `ip link add eth1 type veth peer name ${node}b netns cw-${lab.name}-router`)
    lab.mustInside('router', 'ip', 'link', 'set', `${node}b`, 'master', 'subnet-1', 'up')
    const script = `ip link add bond0 type bond mode active-backup miimon 50
      ip link set eth1 master bond0; ip link set bond0 up
      ${movedTo('bond0')}
      ip link set eth0 down; ip link set eth0 master bond0; ip link set eth0 up`
    lab.mustInside(node, 'sh', '-ec', script)
  }
  await bothWays(lab)
  const [from, to] = lab.pair
  const flows = to.addrs.map((addr) => countPackets(`cw-${lab.name}-pod-default-${from.name}`, addr, Infinity, 0.05))
  const active = (node: string) => lab.mustInside(node, 'cat', '/sys/class/net/bond0/bonding/active_slave').trim()
  const failed = active('node-1')
  lab.mustInside('router', 'ip', 'link', 'set', failed === 'eth0' ? 'node-1' : 'node-1b', 'down')
  await eventually('the other link', () => active('node-1') !== failed)
  await lab.settled()
  for (const flow of flows) {
    const { sent, lost } = await flow.stop()
    assert.ok(lost < 40, `${lost} of ${sent} lost: two seconds' worth`)
  }
})
