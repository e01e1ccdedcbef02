// What `causeway ipam` is told by the agent: holders, disagreements of store and kernel, release by hand.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { symlinkSync, unlinkSync } from 'node:fs'
import { test } from 'node:test'
import { Ipam } from '#/agent/endpoints/ipam.ts'
import { readParams } from '#/api/message.ts'
import { operations } from '#/api/operations.ts'
import { Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { TestNetns } from './namespace.ts'
import { podNetwork, PodNode } from './pod-node.ts'

class Watched implements Disposable {
  readonly node = new PodNode()
  podCIDRs = podNetwork.podCIDRs
  changes = 0
  readonly ipam = new Ipam({
    store: this.node.store,
    netlink: this.node.netlink,
    datapaths: this.node.datapaths,
    namespaces: this.node.namespaces,
    podCIDRs: () => this.podCIDRs,
    isLeaving: () => false,
    leaksReleased: () => 3,
    onChange: () => this.changes++,
    log: silent,
  })

  async findings(): Promise<string[]> {
    const { findings } = await this.ipam.check()
    return findings.map(({ object, message, remedy }) =>
      `${object}: ${message}; ${remedy}`.replaceAll(/cwv\w+/g, 'VETH'),
    )
  }

  deviceOf(id: string): string {
    return this.node.store.list().find(({ containerId }) => containerId === id)!.hostDevice
  }

  [Symbol.dispose](): void {
    this.node[Symbol.dispose]()
  }
}

test('show tells who holds what, since when and why, and what is free', () => {
  using watched = new Watched()
  using pod = new TestNetns()
  const { node, ipam } = watched
  const startedMs = Date.now()
  node.add('web', pod.path)
  node.store.reserve(
    { containerId: 'half', ifName: 'eth0', netns: '/x/y', pod: 'default/half', hostDevice: 'cwv0', datapath: 'bridge' },
    watched.podCIDRs,
  )
  watched.podCIDRs = [...podNetwork.podCIDRs.slice(0, 1), Prefix.parse('fd10:244:0:9::/64')]
  const { cidrs, addresses, leaksReleased } = ipam.show()
  assert.deepEqual(cidrs, [
    { cidr: '10.244.1.0/29', total: '5', used: '2', coolingDown: '0', free: '3' },
    {
      cidr: 'fd10:244:0:9::/64',
      total: '18446744073709551614',
      used: '0',
      coolingDown: '0',
      free: '18446744073709551614',
    },
  ])
  assert.equal(leaksReleased, 3)
  const rows = addresses.map(({ addr, state, pod: holder, why = '' }) => `${addr} ${holder} ${state} ${why}`.trimEnd())
  assert.deepEqual(rows, [
    '10.244.1.3 default/half being set up its ADD did not come to its end',
    'fd10:244:0:1::3 default/half being set up its ADD did not come to its end; from fd10:244:0:1::/64, which new pods get no addresses from',
    '10.244.1.2 default/web in use',
    'fd10:244:0:1::2 default/web in use from fd10:244:0:1::/64, which new pods get no addresses from',
  ])
  const web = addresses.find(({ addr }) => addr === '10.244.1.2')!
  assert.ok(Date.parse(web.since!) >= startedMs)
  assert.deepEqual([web.netns, web.containerId, web.ifName, web.cidr], [pod.path, 'web', 'eth0', '10.244.1.0/29'])
})

test('two containers in one namespace have the addresses of each other, and that is no finding', async () => {
  using watched = new Watched()
  using shared = new TestNetns()
  using apart = new TestNetns()
  const { node } = watched
  node.add('one', shared.path)
  node.add('two', shared.path, { env: { CNI_IFNAME: 'eth1' } })
  node.add('three', apart.path)
  assert.deepEqual(await watched.findings(), [])
  shared.sh('ip addr add 10.244.1.4/32 dev eth1')
  const told = await watched.findings()
  assert.equal(told.length, 2)
  for (const finding of told) assert.match(finding, /it has 10\.244\.1\.4, which belongs to pod default\/three/)
})

test('check names each disagreement with what to do, and is silent when there is none', async () => {
  using watched = new Watched()
  using first = new TestNetns()
  using second = new TestNetns()
  const { node } = watched
  const link = join(node.folder, 'netns')
  symlinkSync(second.path, link)
  node.add('one', first.path)
  node.add('two', link)
  assert.deepEqual(await watched.findings(), [])
  first.sh('ip addr del 10.244.1.2/29 dev eth0')
  second.sh('ip addr add 10.244.1.2/32 dev eth0')
  assert.deepEqual(await watched.findings(), [
    'pod/default/one: 10.244.1.2 is not on its eth0: somebody removed it; delete the pod, so that it is made anew',
    'pod/default/two: it has 10.244.1.2, which belongs to pod default/one; delete the pod that should not have it, so that it is made anew',
  ])
  second.sh('ip addr del 10.244.1.2/32 dev eth0')
  first.sh('ip addr add 10.244.1.2/29 dev eth0')
  node.host.sh('ip link add name cwv0123456789a address 02:43:00:00:00:0a type veth peer name x')
  unlinkSync(link)
  assert.deepEqual(await watched.findings(), [
    'device/VETH: no pod has this veth; wait for the next pass of the agent, which removes it; if it stays, causeway status tells why',
    `pod/default/two: ${link} is not its namespace, and its namespace lives on under another name or none; delete the pod; if there is none of that name any more, causeway ipam release 10.244.1.3 --force, which takes the network from it should it live`,
  ])
  node.host.sh(
    `ip link del cwv0123456789a; ip link del ${watched.deviceOf('two')}; ip link del ${watched.deviceOf('one')}`,
  )
  assert.deepEqual(await watched.findings(), [
    'pod/default/one: its veth VETH is gone; wait for the next pass of the agent, which makes it anew; causeway status tells why when it cannot',
    `pod/default/two: 10.244.1.3 fd10:244:0:1::3 leaked, ${link} is not there; wait, as the agent releases it within two minutes, or do it now: causeway ipam release 10.244.1.3`,
  ])
})

test('release gives back what is leaked, what lives only by force, and says what it did', () => {
  using watched = new Watched()
  using pod = new TestNetns()
  const { node, ipam } = watched
  const link = join(node.folder, 'netns')
  symlinkSync(pod.path, link)
  node.add('web', link)
  assert.match(JSON.stringify(ipam.release({ addr: '10.244.1.9' }).body), /^"no pod of this node has 10\.244\.1\.9/)
  for (const body of [undefined, 7, {}, { addr: 7 }, { addr: 'web' }]) {
    const read = readParams(operations.ipamRelease, new URLSearchParams(), JSON.stringify(body) ?? '')
    assert.ok('mismatch' in read, 'which the server answers with 400')
  }
  const refused = ipam.release({ addr: '10.244.1.2' })
  assert.equal(refused.status, 409)
  assert.match(refused.body, /in use: the namespace of pod default\/web lives; .* --force/)
  const forced = ipam.release({ addr: 'fd10:244:0:1::2', force: true })
  assert.equal(forced.status, 200)
  assert.match(forced.body.message, /^taken by force from a pod that lives/)
  assert.deepEqual([node.store.list(), node.host.sh('ip -br link show type veth')], [[], ''])
  node.add('web', link)
  node.host.sh(`ip link del ${watched.deviceOf('web')}`)
  unlinkSync(link)
  const { status, body } = ipam.release({ addr: '10.244.1.3' })
  assert.equal(status, 200)
  const { pod: holder, addrs, message } = body
  assert.deepEqual([holder, addrs], ['default/web', ['10.244.1.3', 'fd10:244:0:1::3']])
  assert.match(message, /is not there; its veth is gone, its addresses cool down$/)
  assert.equal(watched.changes, 2)
})
