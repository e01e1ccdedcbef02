// Leaked endpoints are found by comparing with the live namespaces, and released; nothing else is.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { earlierNetwork, type EarlierNetwork } from '#/agent/endpoints/earlier-network.ts'
import { EndpointGc } from '#/agent/endpoints/endpoint-gc.ts'
import { silent } from '#/lib/log.ts'
import { removeNetns } from '#/sys/netns.ts'
import { TestNetns } from './namespace.ts'
import { podNetwork, PodNode } from './pod-node.ts'

class Watched implements Disposable {
  readonly node = new PodNode()
  nowMs = 0
  readonly logged: string[] = []
  readonly gc: EndpointGc

  constructor(earlier?: EarlierNetwork) {
    this.gc = new EndpointGc(
      { intervalMs: 30_000, graceMs: 60_000 },
      {
        netlink: this.node.netlink,
        datapaths: this.node.datapaths,
        store: this.node.store,
        namespaces: this.node.namespaces,
        clock: { sinceBootMs: () => this.nowMs },
        ...(earlier && { earlier }),
        onChange() {},
        log: { ...silent, warn: (message, fields) => this.logged.push(`${message} ${JSON.stringify(fields)}`) },
      },
    )
  }

  /** Looks once, `afterMs` later. */
  look(afterMs: number): string[] {
    this.nowMs += afterMs
    return this.gc.sweep().map(({ containerId }) => containerId)
  }

  [Symbol.dispose](): void {
    this.gc[Symbol.dispose]()
    this.node[Symbol.dispose]()
  }
}

/** The kernel ends a namespace some time after its last holder left. */
function waitForVeths(node: PodNode, count: number): void {
  const left = `[ $(ip -br link show type veth | wc -l) = ${count} ]`
  node.host.sh(`for i in $(seq 100); do ${left} && exit 0; sleep 0.05; done; exit 1`)
}

test('an endpoint whose namespace ended is released after two looks and the grace, with a word why', () => {
  using watched = new Watched()
  using alive = new TestNetns()
  const { node } = watched
  node.add('alive', alive.path)
  {
    using dying = new TestNetns()
    node.add('dead', dying.path)
  }
  waitForVeths(node, 1)
  assert.deepEqual(watched.look(0), [])
  assert.deepEqual(watched.look(59_999), [])
  assert.deepEqual(watched.look(1), ['dead'])
  assert.deepEqual(watched.look(600_000), [])
  assert.equal(watched.gc.released, 1)
  assert.match(watched.logged[0]!, /^released a leaked address .*"addrs":\["10\.244\.1\.3".*is not there/)
  assert.deepEqual(
    node.store.list().map(({ containerId }) => containerId),
    ['alive'],
  )
  assert.equal(node.host.ip('link show type veth').length, 1)
})

test('in another network of the same machine what is gone is released at the first look, and what lives is not', () => {
  let known: EarlierNetwork = { has: () => false }
  using watched = new Watched({ has: (endpoint) => known.has(endpoint) })
  using alive = new TestNetns()
  const { store } = watched.node
  const start = (boot: string, cookie: string): void => void (known = earlierNetwork(store, { bootId: boot }, cookie))
  start('boot', '1')
  watched.node.add('alive', alive.path)
  for (const id of ['dead', 'dead-too']) {
    using dying = new TestNetns()
    watched.node.add(id, dying.path)
  }
  waitForVeths(watched.node, 1)
  // an agent that is started again in the same network, that cannot tell its network, and that knows of another boot only
  for (const [boot, cookie] of [
    ['boot', '1'],
    ['boot', ''],
    ['boot', '1'],
    ['other', '1'],
    ['other', '1'],
  ] as const) {
    start(boot, cookie)
    assert.deepEqual(watched.look(0), [], `${boot} ${cookie}`)
  }
  // a node that is a container and was started anew
  start('other', '2')
  assert.deepEqual(watched.look(0), ['dead', 'dead-too'])
  assert.deepEqual(watched.look(3_600_000), [])
})

test('a single look after a long time releases nothing', () => {
  using watched = new Watched()
  {
    using dying = new TestNetns()
    watched.node.add('dead', dying.path)
  }
  waitForVeths(watched.node, 0)
  assert.deepEqual(watched.look(3_600_000), [])
})

test('the grace begins anew for a namespace that came back and for another ADD', () => {
  using watched = new Watched()
  using pod = new TestNetns()
  const link = join(watched.node.folder, 'netns')
  symlinkSync(pod.path, link)
  watched.node.add('pod', link)
  watched.node.host.sh('ip -br link show type veth | cut -d@ -f1 | xargs -n1 ip link del')
  unlinkSync(link)
  assert.deepEqual(watched.look(0), [])
  symlinkSync(pod.path, link)
  assert.deepEqual(watched.look(60_000), [])
  unlinkSync(link)
  assert.deepEqual(watched.look(60_000), [])
  symlinkSync(pod.path, link)
  watched.node.add('pod', link)
  watched.node.host.sh('ip -br link show type veth | cut -d@ -f1 | xargs -n1 ip link del')
  unlinkSync(link)
  // the kernel's clock may stand still between two of our calls
  assert.deepEqual(watched.look(0), [])
  assert.deepEqual(watched.look(60_000), ['pod'])
})

test('a path that is another namespace now, or none any more, tells the same', () => {
  using watched = new Watched()
  using other = new TestNetns()
  const { node } = watched
  const paths = ['one', 'two'].map((name) => join(node.folder, name))
  for (const path of paths) {
    using dying = new TestNetns()
    symlinkSync(dying.path, path)
    node.add(path.endsWith('one') ? 'one' : 'two', path)
  }
  waitForVeths(node, 0)
  rmSync(paths[0]!)
  symlinkSync(other.path, paths[0]!)
  rmSync(paths[1]!)
  writeFileSync(paths[1]!, '')
  watched.look(0)
  assert.deepEqual(watched.look(60_000), ['one', 'two'])
  assert.match(watched.logged[0]!, /is another namespace now/)
  assert.match(watched.logged[1]!, /is no namespace/)
})

test('a namespace that lives on without its name keeps its endpoint: its processes use the address', async () => {
  using watched = new Watched()
  const pod = new TestNetns()
  const holder = pod.netns.run(() => spawn('sleep', ['60']))
  try {
    watched.node.add('nameless', pod.path)
    pod.netns[Symbol.dispose]()
    removeNetns(pod.name)
    watched.look(0)
    assert.deepEqual(watched.look(600_000), [])
  } finally {
    holder.kill('SIGKILL')
  }
  await new Promise((resolve) => holder.once('exit', resolve))
  waitForVeths(watched.node, 0)
  watched.look(0)
  assert.deepEqual(watched.look(60_000), ['nameless'])
})

test('what cannot be seen is not gone: a folder that is not there at all', () => {
  using watched = new Watched()
  using pod = new TestNetns()
  const { node } = watched
  const folder = join(node.folder, 'netns')
  mkdirSync(folder)
  symlinkSync(pod.path, join(folder, 'pod'))
  node.add('pod', join(folder, 'pod'))
  node.host.sh('ip -br link show type veth | cut -d@ -f1 | xargs -n1 ip link del')
  rmSync(folder, { recursive: true })
  watched.look(0)
  assert.deepEqual(watched.look(600_000), [])
})

test('a DEL that was cut off is brought to its end, although the namespace of its pod lives', () => {
  using watched = new Watched()
  using pod = new TestNetns()
  const { node } = watched
  node.add('pod', pod.path)
  node.store.setState(node.store.list()[0]!, 'leaving')
  assert.deepEqual(watched.look(0), [])
  assert.deepEqual(watched.look(60_000), ['pod'])
  assert.equal(node.host.sh('ip -br link show type veth'), '')
})

test('an ADD that was cut off is taken back, device and address, although its namespace lives', () => {
  using watched = new Watched()
  using pod = new TestNetns()
  const { node } = watched
  node.add('pod', pod.path)
  const { containerId, ifName, netns, hostDevice, datapath } = node.store.list()[0]!
  // as it was before the last step of the ADD
  node.store.reserve({ containerId, ifName, netns, hostDevice, datapath, pod: 'default/pod' }, podNetwork.podCIDRs)
  assert.deepEqual(watched.look(0), [])
  assert.deepEqual(watched.look(60_000), ['pod'])
  assert.equal(node.host.sh('ip -br link show type veth'), '')
})
