// How the veths of deleted pods go, on the real kernel.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Endpoint } from '#/agent/endpoints/endpoint-store.ts'
import { PortDriver } from '#/datapath/port-driver.ts'
import { VethRemoval } from '#/datapath/veth-removal.ts'
import { AsyncNetlink } from '#/kernel/async-netlink.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { silent } from '#/lib/log.ts'
import { emptyNetwork } from '#/model/network.ts'
import { Reconciler } from '#/reconcile/reconciler.ts'
import { TestNetns } from './namespace.ts'
import { podNetwork, PodNode } from './pod-node.ts'

const veths = 40
const names = Array.from({ length: veths }, (_, index) => `cwv${String(index).padStart(11, '0')}`)

const unplugged = (hostDevice: string) => ({ hostDevice, netns: undefined, ifName: 'eth0' })

class Host implements Disposable {
  readonly netns = new TestNetns()
  readonly pods = new TestNetns()
  readonly netlink = new Netlink(0, this.netns.netns)
  readonly removal = new VethRemoval({
    netlink: this.netlink,
    aside: new AsyncNetlink(this.netns.netns),
    log: silent,
  })

  constructor() {
    const batch = names.map(
      (name, index) => `link add name ${name} master br0 up type veth peer name p${index} netns ${this.pods.name}`,
    )
    this.netns.sh(`ip link add br0 type bridge; ip link add stays type veth peer name peer
      printf '%s\\n' '${batch.join("' '")}' | ip -batch -`)
  }

  count(): number {
    return this.netns.ip('link show type veth').length
  }

  [Symbol.dispose](): void {
    this.netlink[Symbol.dispose]()
    this.netns[Symbol.dispose]()
    this.pods[Symbol.dispose]()
  }
}

test('a veth is cut off at once, and all that are go together, with their far ends and nothing else', async () => {
  using host = new Host()
  const started = performance.now()
  for (const name of names) host.removal.unplug(unplugged(name))
  // one such deletion alone takes some 20 ms
  assert.ok(performance.now() - started < 20 * veths)
  assert.equal(host.netns.sh('ip -br link show group 25463').match(/ DOWN /g)?.length, veths)
  assert.deepEqual(host.netns.ip('link show master br0'), [])
  host.removal.unplug(unplugged(names[0]!))
  host.removal.unplug(unplugged('cwvffffffffff'))
  await host.removal[Symbol.asyncDispose]()
  assert.equal(host.count(), 2, 'those of somebody else')
  assert.deepEqual(host.pods.ip('link show type veth'), [])
})

test('the name of a device that waits for its deletion is free when it is needed', async () => {
  using host = new Host()
  const [name, other] = names as [string, string]
  host.removal.unplug(unplugged(name))
  for (const each of [name, other, 'cwvffffffffff']) host.removal.makeWay(each)
  const found = host.netns.sh('ip -br link show type veth')
  assert.deepEqual([found.includes(`${name}@`), found.includes(`${other}@`)], [false, true])
  assert.deepEqual([host.removal.has(name), host.removal.has(other)], [false, false])
  const [, renamed] = /^(\S+)@/.exec(host.netns.sh('ip -br link show group 25463'))!
  assert.equal(host.removal.has(renamed!), true)
  await host.removal[Symbol.asyncDispose]()
  assert.equal(host.count(), veths - 1 + 2)
})

test('the event loop turns while the kernel waits', async () => {
  using host = new Host()
  for (const name of names) host.removal.unplug(unplugged(name))
  let turns = 0
  // no request of its own: one that needs the lock that the deletion holds would wait for it
  const timer = setInterval(() => turns++, 2)
  await host.removal[Symbol.asyncDispose]()
  clearInterval(timer)
  // a busy machine gives few: none at all would mean that the loop stood still
  assert.ok(turns >= 1, `${turns} turns`)
  assert.equal(host.count(), 2)
})

test('a name inside of a namespace that is needed again is free after a flush', async () => {
  using host = new Host()
  host.removal.unplug(unplugged(names[0]!))
  host.removal.flush()
  assert.equal(host.count(), veths - 1 + 2)
  host.removal.flush()
  await host.removal[Symbol.asyncDispose]()
})

test('the name of the interface is free at once, if the interface is the other end of ours', async () => {
  using host = new Host()
  using other = new TestNetns()
  other.sh('ip link add p1 type veth peer name far')
  host.removal.unplug({ hostDevice: names[0]!, netns: host.pods.path, ifName: 'p0' })
  host.removal.unplug({ hostDevice: names[1]!, netns: other.path, ifName: 'p1' })
  host.removal.unplug({ hostDevice: names[2]!, netns: '/run/netns/gone', ifName: 'p2' })
  const inside = host.pods.sh('ip -br link')
  assert.doesNotMatch(inside, /^p0@/m)
  assert.match(inside, /^cwv[0-9a-f]{11}@\S+ +DOWN/m)
  assert.match(other.sh('ip -br link'), /^p1@/m)
  await host.removal[Symbol.asyncDispose]()
  assert.doesNotMatch(host.pods.sh('ip -br link'), /^cwv/m)
})

test('a pod whose DEL broke off after its veth was unplugged is wired anew, not attached to what is to be deleted', async () => {
  using node = new PodNode()
  using pod = new TestNetns()
  node.add('pod', pod.path)
  const { netlink, store, datapaths } = node
  const [endpoint] = store.list() as [Endpoint]
  const { hostDevice } = endpoint
  const removal = new VethRemoval({ netlink, aside: new AsyncNetlink(node.host.netns), log: silent })
  removal.unplug({ hostDevice, netns: pod.path, ifName: 'eth0' })
  // an agent that knows nothing of that
  const pods = {
    isInUse: () => true,
    rewire: () => datapaths.bridge.wire({ ...endpoint, netns: pod.path }, podNetwork),
  }
  const reconciler = new Reconciler({
    netlink,
    drivers: [new PortDriver(netlink, pods)],
    log: silent,
    nowMs: Date.now,
  })
  const ports = [{ name: hostDevice, pod: 'default/pod', datapath: 'bridge' } as const]
  await reconciler.apply({ ...emptyNetwork, ports }, { isComplete: true })
  await removal[Symbol.asyncDispose]()
  assert.match(node.host.sh('ip -br link show master cw-br0'), new RegExp(`^${hostDevice}@\\S+ +UP`, 'm'))
  assert.match(pod.sh('ip -br addr show dev eth0'), /UP +10\.244\.1\.2\/29/)
})
