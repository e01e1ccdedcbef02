// Pods that run get a changed MTU, each once, and nothing else of theirs is touched.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PodNetwork } from '#/datapath/datapath.ts'
import { PodRefresher } from '#/agent/pods/pod-refresh.ts'
import { refreshPod } from '#/datapath/refresh.ts'
import { silent } from '#/lib/log.ts'
import { Prefix } from '#/lib/addr.ts'
import { TestNetns } from './namespace.ts'
import { messageIn, podNetwork, PodNode, prevResultOf } from './pod-node.ts'

const overlayOf = (mtuBytes: number) => [
  { dst: Prefix.parse('10.244.0.0/16'), mtuBytes },
  { dst: Prefix.parse('fd10:244::/48'), mtuBytes: mtuBytes - 20 },
]
const wide: PodNetwork = { ...podNetwork, overlay: overlayOf(1450) }
const narrow: PodNetwork = { ...podNetwork, deviceMtuBytes: 1400, overlay: overlayOf(1350) }

test('a pod gets the MTUs of its device and routes, both ways, and CHECK agrees; a second time nothing is to do', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  node.network = wide
  const prevResult = prevResultOf(node.add('pod', pod.path))
  const [endpoint] = node.store.list()
  const mtus = () => [
    ...['eth0'].map((device) => /mtu (\d+)/.exec(pod.sh(`ip link show ${device}`))![1]),
    /mtu (\d+)/.exec(node.host.sh(`ip link show ${endpoint!.hostDevice}`))![1],
    /mtu (\d+)/.exec(pod.sh('ip route show 10.244.0.0/16'))![1],
    /mtu (\d+)/.exec(pod.sh('ip -6 route show fd10:244::/48'))![1],
  ]
  assert.equal(refreshPod(node.netlink, endpoint!, wide), false)
  for (const [network, wanted] of [
    [narrow, ['1400', '1400', '1350', '1330']],
    [wide, ['1500', '1500', '1450', '1430']],
  ] as const) {
    node.network = network
    assert.equal(refreshPod(node.netlink, endpoint!, network), true)
    assert.deepEqual(mtus(), wanted)
    assert.equal(refreshPod(node.netlink, endpoint!, network), false)
    assert.equal(messageIn(node.call('CHECK', 'pod', pod.path, { config: { prevResult } })), '')
  }
})

test('what a later plugin changed stays: its MTU, a route that it took away', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  node.network = wide
  node.add('pod', pod.path)
  const [endpoint] = node.store.list()
  pod.sh('ip link set eth0 mtu 1280; ip route del 10.244.0.0/16')
  refreshPod(node.netlink, endpoint!, narrow)
  assert.match(pod.sh('ip link show eth0'), /mtu 1280/)
  assert.equal(pod.sh('ip route show 10.244.0.0/16'), '')
})

test('an attempt that was cut off after the pod’s end is taken up again', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  node.network = wide
  node.add('pod', pod.path)
  const [endpoint] = node.store.list()
  pod.sh('ip link set eth0 mtu 1400')
  assert.equal(refreshPod(node.netlink, endpoint!, narrow), true)
  assert.match(node.host.sh(`ip link show ${endpoint!.hostDevice}`), /mtu 1400/)
  refreshPod(node.netlink, endpoint!, wide)
  assert.match(pod.sh('ip link show eth0'), /mtu 1500/)
})

test('all pods follow once, at the first call and when the MTUs are others; one that fails is tried again', async () => {
  using node = new PodNode()
  using first = new TestNetns()
  using second = new TestNetns()
  node.network = wide
  const logged: string[] = []
  const say = (message: string, fields: unknown): void => void logged.push(`${message} ${JSON.stringify(fields)}`)
  const refresher = new PodRefresher({
    datapaths: node.datapaths,
    store: node.store,
    namespaces: node.namespaces,
    log: { ...silent, info: say, warn: say },
  })
  node.add('one', first.path)
  node.add('two', second.path)
  await refresher.refresh(wide, false)
  assert.equal(logged.length, 0)
  await refresher.refresh(narrow, false)
  assert.equal(logged.length, 2)
  assert.match(second.sh('ip link show eth0'), /mtu 1400/)
  first.sh('ip link set eth0 mtu 1500')
  await refresher.refresh(narrow, false)
  assert.match(first.sh('ip link show eth0'), /mtu 1500/, 'the same MTUs are no reason to look again')
  {
    using gone = new TestNetns()
    node.add('three', gone.path)
  }
  await refresher.refresh(wide, false)
  assert.match(refresher.failures.join(), /^pod default\/three: \/run\/netns\/\S+ is not there$/)
  await refresher.refresh(wide, false)
  const failures = logged.filter((line) =>
    line.startsWith('the MTU or limit of a pod could not be set {"pod":"default/three"'),
  )
  assert.equal(failures.length, 2)
})
