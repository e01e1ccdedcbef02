// How an observer finds the namespaces of pods: by their addresses, and by both ends of their devices naming each other.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FoundPods } from '#/agent/observe/found-pods.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type PolicyPod } from '#/policy/cluster.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { TestNetns } from './namespace.ts'

const podOf = (name: string, addr: string): PolicyPod => ({
  namespace: 'default',
  name,
  uid: name,
  node: 'node-1',
  labels: {},
  addrs: [Addr.parse(addr)],
  namedPorts: [],
  isHostNetwork: false,
  hasEnded: false,
})

test('a pod is found once it has its address, and no other namespace with that address is taken for it', () => {
  using node = new TestNetns()
  using pod = new TestNetns()
  using elsewhere = new TestNetns()
  using netlink = new Netlink(NETLINK_ROUTE, node.netns)
  let nowMs = 0
  const pods = [podOf('web', '10.244.1.2')]
  const found = new FoundPods({
    netlink,
    pods: () => pods,
    podCIDRs: () => [Prefix.parse('10.244.1.0/24')],
    nowMs: () => nowMs,
  })
  const now = (): string[] => {
    nowMs += 1000
    return found.pods.map(({ pod: name, hostDevice, ifName }) => `${name} ${ifName} ${hostDevice}`)
  }
  // another node's pod, or a forgotten one: the other end of its device is not here
  elsewhere.sh('ip link add eth0 type veth peer name x; ip link set eth0 up; ip addr add 10.244.1.2/24 dev eth0')
  assert.deepEqual(now(), [])
  assert.deepEqual(
    found.missing.map(({ name }) => name),
    ['web'],
  )
  // up, with nothing but an address of the link, as a pod is for a moment
  node.sh(`ip link add veth7 type veth peer name eth0 netns ${pod.name}; ip link set veth7 up`)
  pod.sh('ip link set eth0 up; ip addr add fe80::7/64 dev eth0 nodad')
  assert.deepEqual(now(), [])
  pod.sh('ip addr add 10.244.1.2/24 dev eth0')
  assert.deepEqual(now(), ['default/web eth0 veth7'])
  assert.deepEqual(found.missing, [])
  const [first] = found.pods
  using netns = found.netnsOf(first!)
  assert.equal(netns?.inode, pod.netns.inode)
  node.sh('ip link del veth7')
  assert.deepEqual(now(), [])
})

test('a pod of another node with the same address and the same indices is not taken for it', () => {
  using node = new TestNetns()
  using otherNode = new TestNetns()
  const pods = [new TestNetns(), new TestNetns()]
  try {
    for (const [index, { name }] of pods.entries())
      (index === 0 ? otherNode : node).sh(
        `ip link add veth7 index 70 type veth peer name eth0 index 20 netns ${name}; ip link set veth7 up`,
      )
    for (const pod of pods) pod.sh('ip link set eth0 up; ip addr add 10.244.1.2/24 dev eth0')
    for (const [own, expected] of [
      [otherNode, pods[0]!],
      [node, pods[1]!],
    ] as const) {
      using netlink = new Netlink(NETLINK_ROUTE, own.netns)
      const found = new FoundPods({
        netlink,
        pods: () => [podOf('web', '10.244.1.2')],
        podCIDRs: () => [Prefix.parse('10.244.1.0/24')],
        nowMs: () => 1000,
      })
      using netns = found.netnsOf(found.pods[0]!)
      assert.equal(netns?.inode, expected.netns.inode)
    }
  } finally {
    for (const pod of pods) pod[Symbol.dispose]()
  }
})
