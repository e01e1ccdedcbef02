// What asking the kernel about all pod CIDRs costs: how many questions there are, that they leave others their turns, and that they are put off
// when they have cost their share.
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { WayCheck } from '#/agent/network/way-check.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type NodeState } from '#/model/network.ts'
import { routeProtocol } from '#/model/names.ts'
import { NodeWays } from '#/plan/node-ways.ts'
import { RemoteNodes } from '#/plan/remote-nodes.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { TestNetns } from './namespace.ts'

const nodeCount = 100
const clusterCIDRs = ['10.244.0.0/16', 'fd10:244::/48'].map(Prefix.parse)

function node(number: number): NodeState {
  return {
    name: `node-${number}`,
    podCIDRs: [`10.244.${number}.0/24`, `fd10:244:0:${number}::/64`].map(Prefix.parse),
    addrs: [Addr.parse(`172.30.1.${number}`)],
  }
}

class Scene implements Disposable {
  readonly host = new TestNetns()
  readonly netlink: Netlink
  readonly remoteNodes = new RemoteNodes({
    self: node(1),
    underlay: { 4: 1500 },
    connected: [],
    ways: new NodeWays(),
    routing: 'vxlan',
    settings: { clusterCIDRs, vni: 1, vxlanPort: 8472, opensForwardChains: true, routing: 'vxlan' },
  })
  nowMs = 0
  /** What each full check is said to have cost. */
  costMs = 0
  #cpuMs = 0
  readonly ways: WayCheck
  readonly questions = { count: 0, ofTurn: 0, mostOfTurn: 0 }

  constructor() {
    const routes = Array.from({ length: nodeCount }, (_, index) => {
      const device = index === 0 ? 'cw-br0' : 'u'
      return `route add 10.244.${index + 1}.0/24 dev ${device} proto ${routeProtocol}
        route add fd10:244:0:${index + 1}::/64 dev ${device} proto ${routeProtocol}`
    })
    this.host.sh(`ip link set lo up; ip link add u up type veth peer name far; ip link set far up
      ip link add cw-br0 up type bridge; ip addr add 10.244.1.1/32 dev cw-br0; ip addr add 172.30.1.1/24 dev u
      sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
      ip -batch - <<EOF\n${routes.join('\n')}\nEOF`)
    this.netlink = new Netlink(NETLINK_ROUTE, this.host.netns)
    const getEach = this.netlink.getEach.bind(this.netlink)
    mock.method(this.netlink, 'getEach', (...args: Parameters<Netlink['getEach']>) => {
      const { questions } = this
      questions.count += args[0].length
      questions.ofTurn += args[0].length
      questions.mostOfTurn = Math.max(questions.mostOfTurn, questions.ofTurn)
      getEach(...args)
    })
    this.ways = new WayCheck(this.netlink, {
      nowMs: () => this.nowMs,
      cpuMs: () => (this.#cpuMs += this.costMs),
    })
    this.remoteNodes.update(
      Array.from({ length: nodeCount - 1 }, (_, index) => [`node-${index + 2}`, node(index + 2)] as const),
    )
  }

  /** Returns how many questions were asked. */
  async check(isFull: boolean): Promise<number> {
    const before = this.questions.count
    const input = { podDevice: 'cw-br0', clusterCIDRs, failedRoutes: new Set<string>() }
    const { isDoubtful } = await this.ways.check({ remoteNodes: this.remoteNodes, isFull, ...input })
    assert.deepEqual([isDoubtful, this.ways.problems], [false, []])
    return this.questions.count - before
  }

  [Symbol.dispose](): void {
    this.netlink[Symbol.dispose]()
    this.host[Symbol.dispose]()
  }
}

/** One for each pod CIDR and one for each other node, and two for each of this node's own. */
const allQuestions = 3 * (nodeCount - 1) + 4

test('all pod CIDRs are asked about in portions, between which others have their turns; after that only new ones', async () => {
  using scene = new Scene()
  let isOver = false
  const spin = (): void => {
    scene.questions.ofTurn = 0
    if (!isOver) setImmediate(spin)
  }
  setImmediate(spin)
  assert.equal(await scene.check(true), allQuestions)
  isOver = true
  assert.ok(scene.questions.mostOfTurn <= 64, `${scene.questions.mostOfTurn} questions in one turn`)
  assert.equal(await scene.check(false), 0)
  // what others route by does not depend on this
  scene.remoteNodes.update([['node-7', { ...node(7), life: { sign: 'ready', readyChanged: '', created: '2026' } }]])
  assert.equal(await scene.check(false), 0)
  scene.remoteNodes.update([['node-7', { ...node(7), addrs: [Addr.parse('172.30.1.207')] }]])
  assert.equal(await scene.check(false), 3)
})

test('all are not asked about again before the share of the processor allows it; new ones are, and no time is forgotten', async () => {
  using scene = new Scene()
  scene.costMs = 1500
  assert.equal(await scene.check(true), allQuestions)
  assert.equal(await scene.check(true), allQuestions)
  assert.equal(scene.ways.fullInMs, undefined)
  assert.equal(await scene.check(true), 0)
  assert.equal(scene.ways.fullInMs, 100_000)
  scene.remoteNodes.update([['node-7', { ...node(7), addrs: [Addr.parse('172.30.1.207')] }]])
  assert.equal(await scene.check(false), 3)
  scene.nowMs = 99_999
  assert.equal(await scene.check(false), 0)
  scene.nowMs = 100_001
  assert.equal(await scene.check(false), allQuestions)
  assert.equal(scene.ways.fullInMs, undefined)
})
