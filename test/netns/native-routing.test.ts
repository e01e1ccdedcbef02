// Nodes that route natively, on the real kernel: what the routes are, and that a cluster is switched without losing a packet. The
// keepers of three nodes' networks run in this process, each in its node's namespace; what they tell each other goes through Node
// objects, as with an API.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, mock, test } from 'node:test'
import { ClusterView } from '#/agent/cluster/cluster-view.ts'
import { readConfig } from '#/agent/config.ts'
import { DirtySet } from '#/agent/network/dirty-set.ts'
import { EndpointStore } from '#/agent/endpoints/endpoint-store.ts'
import { NetworkKeeper } from '#/agent/network/network-keeper.ts'
import { tunnelLingerMs } from '#/agent/network/tunnel-lifetime.ts'
import { type PodNetwork, type PodNetworkState } from '#/datapath/datapath.ts'
import { datapathKinds } from '#/datapath/registry.ts'
import { routingPublisher } from '#/agent/report/routing-publisher.ts'
import { type Reflector } from '#/cluster/reflector.ts'
import { type Listener } from '#/cluster/store.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { Latest } from '#/lib/signal.ts'
import { type LearnedRouteChange } from '#/model/bgp.ts'
import { annotationsOf, type KubeNode } from '#/model/kubernetes.ts'
import { type Routing, routingStateAnnotation } from '#/model/routing.ts'
import { nothingToDo } from '#/reconcile/driver.ts'
import { SysctlDriver } from '#/reconcile/sysctl-driver.ts'
import { lostIn, sentIn } from '../ping-output.ts'
import { TestNetns } from './namespace.ts'

// sysctls belong to the namespace of the calling thread, which here is the machine's
beforeEach(() => void mock.method(SysctlDriver.prototype, 'compare', () => nothingToDo))

class FakeBgp {
  isReady = true
  #changes: LearnedRouteChange[] = []

  learn(prefix: string, ...nextHops: string[]): void {
    const route = {
      prefix: Prefix.parse(prefix),
      nextHops: nextHops.map((addr) => ({ addr: Addr.parse(addr) })),
      peers: ['tor'],
      isAllowed: false,
      isStale: false,
    }
    this.#changes.push({ prefix: route.prefix, route: nextHops.length > 0 ? route : undefined })
  }

  takeChanges(): LearnedRouteChange[] {
    return this.#changes.splice(0)
  }
}

type Underlay = 'ipv4' | 'ipv6'

const addrOf = (number: number, underlay: Underlay): string =>
  underlay === 'ipv4' ? `172.30.1.${number}` : `fd30::${number}`
const podAddrOf = (number: number): string => `10.244.${number}.9`

/** A node's namespace with a pod, and what of an agent keeps its network. */
const nothingYet = () => new Latest<PodNetworkState>({ kind: 'absent', why: 'no pass yet' })

class Node implements Disposable {
  readonly host = new TestNetns()
  readonly pod = new TestNetns()
  readonly number: number
  readonly bgp = new FakeBgp()
  dirt = new DirtySet()
  readonly #folder = mkdtempSync(join(tmpdir(), 'causeway-native-'))
  #store: EndpointStore
  readonly refreshed: PodNetwork[] = []
  /** That of the keeper that runs. */
  podNetwork = nothingYet()
  keeper: NetworkKeeper
  tell: Listener<KubeNode> = () => {}
  /** What the pod's namespace would be told, in order with what the kernel has then. */
  onRefresh: (network: PodNetwork) => void = () => {}
  readonly #cluster: Cluster

  constructor(number: number, cluster: Cluster) {
    this.number = number
    this.#cluster = cluster
    const { underlay } = cluster
    cluster.switch.sh(`ip link add port${number} master br0 up type veth peer name eth0 netns ${this.host.name}`)
    this.host.sh(`sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
      sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv4.conf.eth0.rp_filter=0
      ip link set lo up; ip link set eth0 up
      ip addr add ${addrOf(number, underlay)}/${underlay === 'ipv4' ? 24 : 64} dev eth0 ${underlay === 'ipv6' ? 'nodad' : ''}`)
    ;[this.#store, this.keeper] = this.#start()
  }

  get name(): string {
    return `node-${this.number}`
  }

  #start(): [EndpointStore, NetworkKeeper] {
    const store = new EndpointStore(join(this.#folder, 'endpoints.sqlite'))
    const reflector = {
      inSync: true,
      subscribe: (listener: Listener<KubeNode>) => void (this.tell = listener),
    } as unknown as Reflector<KubeNode>
    const view = new ClusterView({ nodeName: this.name }, { reflector, store, onChange() {} })
    const config = readConfig({ CAUSEWAY_NODE_NAME: this.name, CAUSEWAY_CLUSTER_CIDRS: '10.244.0.0/16' })
    this.podNetwork = nothingYet()
    this.dirt = new DirtySet()
    const keeper = this.host.netns.run(
      () =>
        new NetworkKeeper(config, {
          view,
          dirt: this.dirt,
          ports: () => [],
          pods: { isInUse: () => true, rewire() {} },
          routing: () => view.self?.routing ?? this.#cluster.routing,
          learned: this.bgp,
          refreshPods: async (network) => {
            this.refreshed.push(network)
            this.onRefresh(network)
          },
          datapaths: () => [datapathKinds.bridge],
          podNetwork: this.podNetwork,
          log: silent,
          onChanges() {},
          onNodes() {},
          nowMs: () => this.#cluster.nowMs,
        }),
    )
    return [store, keeper]
  }

  restart(): void {
    this.keeper[Symbol.dispose]()
    this.#store[Symbol.dispose]()
    ;[this.#store, this.keeper] = this.#start()
  }

  wirePod(): void {
    this.host.sh(`ip link add veth0 master cw-br0 up type veth peer name eth0 netns ${this.pod.name}`)
    this.pod.sh(`ip link set lo up; ip link set eth0 up; ip addr add ${podAddrOf(this.number)}/24 dev eth0
      ip route add default via 10.244.${this.number}.1 mtu 1430`)
  }

  routes(prefix = ''): string {
    return this.host.sh(`ip route show proto 67 ${prefix}`).replaceAll(/ +/g, ' ').trim()
  }

  get hasTunnel(): boolean {
    return this.host.sh('ip -br link').includes('cw-vxlan')
  }

  get problems(): string {
    return this.keeper.problems.map(({ message }) => message).join('\n')
  }

  [Symbol.dispose](): void {
    this.keeper[Symbol.dispose]()
    this.#store[Symbol.dispose]()
    this.pod[Symbol.dispose]()
    this.host[Symbol.dispose]()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

class Cluster implements Disposable {
  readonly #stack = new DisposableStack()
  readonly switch = this.#stack.use(new TestNetns())
  readonly underlay: Underlay
  readonly nodes: readonly Node[]
  routing: Routing = 'vxlan'
  nowMs = 0
  readonly #objects = new Map<string, KubeNode>()

  constructor(count: number, underlay: Underlay = 'ipv4') {
    this.underlay = underlay
    this.switch.sh('ip link add br0 type bridge; ip link set br0 up')
    this.nodes = Array.from({ length: count }, (_, index) => this.#stack.use(new Node(index + 1, this)))
    for (const node of this.nodes) this.#write(this.#object(node))
  }

  #object({ name, number }: Node): KubeNode {
    return {
      metadata: { name, uid: name },
      spec: { podCIDRs: [`10.244.${number}.0/24`] },
      status: {
        addresses: [{ type: 'InternalIP', address: addrOf(number, this.underlay) }],
        conditions: [{ type: 'NetworkUnavailable', status: 'False', reason: 'CausewayIsUp' }],
      },
    }
  }

  #write(object: KubeNode): void {
    this.#objects.set(object.metadata.name, object)
    for (const node of this.nodes) node.tell({ kind: 'added', key: object.metadata.name, object })
  }

  annotate({ name }: Node, annotations: Record<string, string>): void {
    const object = this.#objects.get(name)!
    const all = { ...annotationsOf(object), ...annotations }
    this.#write({ ...object, metadata: { ...object.metadata, annotations: all } })
  }

  stateOf({ name }: Node): string | undefined {
    return annotationsOf(this.#objects.get(name)!)[routingStateAnnotation]
  }

  restart(node: Node): void {
    node.restart()
    for (const object of this.#objects.values()) node.tell({ kind: 'added', key: object.metadata.name, object })
  }

  /** One pass of one node, and what it then tells. */
  async pass(node: Node): Promise<boolean> {
    const { failed } = await node.keeper.pass()
    assert.equal(failed, 0, JSON.stringify(node.keeper.failures))
    let hasTold = false
    const publisher = routingPublisher({
      node: () => this.#objects.get(node.name),
      state: () => node.keeper.routingState,
      client: {
        patch: async (_path: string, body: unknown) => {
          hasTold = true
          this.annotate(node, (body as { metadata: { annotations: Record<string, string> } }).metadata.annotations)
          return {} as never
        },
      },
      log: silent,
    })
    publisher.notice()
    await publisher[Symbol.asyncDispose]()
    return hasTold
  }

  /** Until nobody has anything more to do or to tell. */
  async settle(): Promise<void> {
    for (let round = 0; round < 10; round++) {
      let told = 0
      for (const node of this.nodes) if (await this.pass(node)) told++
      if (told === 0) return
    }
    assert.fail('the nodes do not come to rest')
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]()
    mock.restoreAll()
  }
}

async function clusterOf(count: number, underlay?: Underlay, routing: Routing = 'vxlan'): Promise<Cluster> {
  const cluster = new Cluster(count, underlay)
  cluster.routing = routing
  await cluster.settle()
  for (const node of cluster.nodes) node.wirePod()
  return cluster
}

/** Packets that may still be under way when ping is ended. */
const underWay = 50

/** A running ping of full packets, both of whose directions cross; ends on SIGINT and must have lost nothing. */
function flow(from: Node, to: Node): { end(): Promise<number> } {
  const pid = join(tmpdir(), `${from.pod.name}-${to.number}.pid`)
  const running = from.pod.shAsync(
    `ping -n -i 0.004 -s 1372 -M do -W 2 ${podAddrOf(to.number)} & echo $! > ${pid}; wait $! || true`,
  )
  return {
    async end() {
      // until there are so many more: what was sent before is all judged
      from.pod.sh(`sleep 0.5; kill -INT $(cat ${pid}); rm ${pid}`)
      const output = await running
      const judged = (sentIn(output) ?? 0) - underWay
      assert.ok(judged > 0, `too few packets: ${output}`)
      assert.deepEqual(lostIn(output, judged), [], `${from.name} to ${to.name}`)
      return judged
    },
  }
}

function ping(from: Node, to: Node): void {
  from.pod.sh(`ping -n -c1 -W3 -M do -s 1372 ${podAddrOf(to.number)}`)
}

test('nodes of one subnet reach each other straight, with a blackhole behind their own pod CIDRs and nothing encapsulated', async () => {
  using cluster = await clusterOf(3, 'ipv4', 'native')
  const [one, two] = cluster.nodes as [Node, Node]
  for (const from of cluster.nodes) for (const to of cluster.nodes) if (from !== to) ping(from, to)
  assert.match(
    one.routes('10.244.2.0/24'),
    /^10\.244\.2\.0\/24 via 172\.30\.1\.2 dev eth0 src 10\.244\.1\.1 metric \d+$/,
  )
  assert.match(one.routes('10.244.1.0/24'), /^blackhole 10\.244\.1\.0\/24 metric 4294967295$/)
  // the bridge's own route goes before it; where that is gone, nothing leaves
  assert.match(one.host.sh('ip route get 10.244.1.77'), /dev cw-br0/)
  two.host.sh('ip link del cw-br0')
  assert.match(two.host.sh('ip route get 10.244.2.9 2>&1 || true'), /Invalid argument/)
})

test('without a tunnel no VXLAN is accepted, and pods have the full MTU', async () => {
  using cluster = await clusterOf(2, 'ipv4', 'native')
  const [one] = cluster.nodes as [Node]
  const told = '{"mode":"native","sends":["native"],"accepts":["native"]}'
  assert.deepEqual(
    cluster.nodes.map((node) => cluster.stateOf(node)),
    [told, told],
  )
  // nobody can have missed it by then
  assert.equal(one.hasTunnel, true)
  cluster.nowMs += tunnelLingerMs
  await cluster.settle()
  assert.deepEqual(
    cluster.nodes.map(({ hasTunnel }) => hasTunnel),
    [false, false],
  )
  const podNetwork = one.podNetwork.value
  assert.ok(podNetwork.kind === 'there')
  assert.deepEqual(
    podNetwork.network.overlay.map(({ mtuBytes }) => mtuBytes),
    [1500],
  )
  ping(one, cluster.nodes[1]!)
})

test('IPv4 pods cross an IPv6 underlay natively', async () => {
  using cluster = await clusterOf(2, 'ipv6', 'native')
  const [one, two] = cluster.nodes as [Node, Node]
  assert.match(one.routes('10.244.2.0/24'), /via inet6 fd30::2 dev eth0/)
  ping(one, two)
  ping(two, one)
})

test('equal paths that BGP tells are one route; what it tells else is admitted or refused with a reason', async () => {
  using cluster = await clusterOf(2, 'ipv4', 'native')
  const [one] = cluster.nodes as [Node]
  one.bgp.learn('10.244.2.0/24', '172.30.1.101', '172.30.1.102')
  one.bgp.learn('10.244.64.0/18', '172.30.1.101')
  one.bgp.learn('10.244.65.0/24', '192.0.2.1')
  one.bgp.learn('0.0.0.0/0', '172.30.1.101')
  await cluster.settle()
  assert.match(
    one.routes('10.244.2.0/24').replaceAll(/\s+/g, ' '),
    /^10\.244\.2\.0\/24 src 10\.244\.1\.1 metric \d+ nexthop via 172\.30\.1\.101 dev eth0 weight 1 nexthop via 172\.30\.1\.102 dev eth0 weight 1$/,
  )
  assert.match(one.routes('10.244.64.0/18'), /via 172\.30\.1\.101 dev eth0/)
  assert.deepEqual(
    [...one.keeper.remoteNodes!.notInstalled],
    [
      ['10.244.65.0/24', 'its next hop 192.0.2.1 is not reached: this node has no route to it'],
      ['0.0.0.0/0', 'it is a default route; an import policy whose rule names the prefix allows it'],
    ],
  )
  // one path less, then another way altogether
  one.bgp.learn('10.244.2.0/24', '172.30.1.102')
  one.bgp.learn('10.244.64.0/18')
  await cluster.pass(one)
  assert.match(one.routes('10.244.2.0/24'), /via 172\.30\.1\.102 dev eth0/)
  assert.equal(one.routes('10.244.64.0/18'), '')
  one.bgp.learn('10.244.2.0/24')
  await cluster.pass(one)
  assert.match(one.routes('10.244.2.0/24'), /via 172\.30\.1\.2 dev eth0/)
})

for (const underlay of ['ipv4', 'ipv6'] as const)
  test(`node addresses without a subnet, and routers some hops away, are reached as the kernel reaches them (${underlay})`, async () => {
    using cluster = await clusterOf(2, underlay, 'native')
    const [one, two] = cluster.nodes as [Node, Node]
    const [ip, length, hostLength] = underlay === 'ipv4' ? (['ip', 24, 32] as const) : (['ip -6', 64, 128] as const)
    const at = (number: number): string => addrOf(number, underlay)
    const via = (number: number): RegExp => new RegExp(` via (inet6 )?${at(number)} dev eth0 `)
    const [router, unknown] = underlay === 'ipv4' ? ['203.0.113.9', '198.51.100.1'] : ['2001:db8:9::9', '2001:db8:8::1']
    for (const node of [one, two]) {
      node.host.sh(`${ip} addr del ${at(node.number)}/${length} dev eth0
        ip addr add ${at(node.number)}/${hostLength} dev eth0 ${underlay === 'ipv6' ? 'nodad' : ''}`)
      // as DHCPv6 with router advertisements, or a cloud, leaves it
      node.host.sh(`${ip} route replace ${underlay === 'ipv4' ? '172.30.1.0/24' : 'fd30::/64'} dev eth0`)
      node.bgp.learn(`10.244.${3 - node.number}.0/24`, at(3 - node.number))
      node.dirt.markUnderlay()
    }
    one.host.sh(`${ip} route add ${router} via ${at(101)}`)
    one.bgp.learn('10.244.64.0/18', router)
    one.bgp.learn('10.244.65.0/24', unknown)
    await cluster.settle()
    assert.match(one.routes('10.244.2.0/24'), via(2))
    ping(one, two)
    assert.match(one.routes('10.244.64.0/18'), via(101))
    const why = `its next hop ${unknown} is not reached: this node has no route to it`
    assert.deepEqual([...one.keeper.remoteNodes!.notInstalled], [['10.244.65.0/24', why]])
    assert.deepEqual(one.problems, '')

    // another way of the kernel's, noticed by the route that leads to it
    one.host.sh(`${ip} route replace ${router} via ${at(102)}`)
    const moved = { dst: Prefix.parse(`${router}/${hostLength}`), table: 254 }
    assert.equal(one.keeper.mayDivert(moved), true)
    one.dirt.markWays()
    await cluster.pass(one)
    assert.match(one.routes('10.244.64.0/18'), via(102))

    // none, or one that BGP itself brought, is no way to the next hop
    one.host.sh(`${ip} route del ${router} via ${at(102)}; ${ip} route add ${router} via ${at(2)} proto 67 metric 7`)
    one.dirt.markWays()
    await cluster.pass(one)
    assert.equal(one.routes('10.244.64.0/18'), '')
    // with a default route there is one, and a gateway that is on the link by its word alone
    one.host.sh(`${ip} route add ${router} via ${at(2)} proto 67 metric 7 || true
      ${ip} route add default via ${underlay === 'ipv4' ? '192.0.2.254' : '2001:db8:7::fe'} dev eth0 onlink`)
    one.dirt.markWays()
    await cluster.pass(one)
    assert.match(one.routes('10.244.64.0/18'), /via (inet6 )?(192\.0\.2\.254|2001:db8:7::fe) dev eth0 .*onlink/)
  })

test('what BGP told while the kernel gave no answers is not lost', async () => {
  using cluster = await clusterOf(2, 'ipv4', 'native')
  const [one] = cluster.nodes as [Node]
  one.host.sh('ip route add 203.0.113.9 via 172.30.1.101')
  one.bgp.learn('10.244.64.0/18', '203.0.113.9')
  const failing = mock.method(Netlink.prototype, 'getEach', () => {
    throw new Error('recv: ENOBUFS')
  })
  await assert.rejects(one.keeper.pass(), /ENOBUFS/)
  failing.mock.restore()
  await cluster.pass(one)
  assert.match(one.routes('10.244.64.0/18'), /via 172\.30\.1\.101 dev eth0/)
})

test('a restarted agent keeps what BGP told the one before, until BGP has told everything again', async () => {
  using cluster = await clusterOf(2, 'ipv4', 'auto')
  const [one] = cluster.nodes as [Node]
  one.bgp.learn('10.244.2.0/24', '172.30.1.101', '172.30.1.102')
  one.bgp.learn('10.244.64.0/18', '172.30.1.101')
  one.bgp.learn('10.244.128.0/18', '172.30.1.101')
  await cluster.settle()
  const before = one.routes()
  one.bgp.isReady = false
  cluster.restart(one)
  await cluster.settle()
  assert.equal(one.routes(), before)
  one.bgp.learn('10.244.64.0/18', '172.30.1.102')
  await cluster.pass(one)
  assert.match(one.routes('10.244.64.0/18'), /via 172\.30\.1\.102/)
  assert.match(one.routes('10.244.128.0/18'), /via 172\.30\.1\.101/)
  one.bgp.isReady = true
  await cluster.pass(one)
  assert.equal(one.routes('10.244.128.0/18'), '')
  assert.match(one.routes('10.244.2.0/24'), /via 172\.30\.1\.2 dev eth0/)
})

test('a cluster is switched to native and back, node by node or by all at once, and no packet is lost', async () => {
  using cluster = await clusterOf(3)
  const [one, two, three] = cluster.nodes as [Node, Node, Node]
  const flows = [flow(one, two), flow(two, three), flow(three, one)]
  const wayOf = (from: Node, to: Node): string =>
    from.routes(`10.244.${to.number}.0/24`).includes('encap') ? 'vxlan' : 'native'
  assert.equal(cluster.stateOf(one), undefined)
  assert.equal(wayOf(one, two), 'vxlan')
  // by the annotation, one after the other
  for (const node of cluster.nodes) {
    cluster.annotate(node, { 'causeway.dev/routing': 'native' })
    await cluster.settle()
    assert.ok(cluster.nodes.every(({ hasTunnel }) => hasTunnel))
    assert.equal(wayOf(node, node === one ? two : one), 'native')
  }
  cluster.nowMs += tunnelLingerMs
  await cluster.settle()
  assert.ok(cluster.nodes.every(({ hasTunnel }) => !hasTunnel))
  // back, one after the other: the first makes a tunnel, and uses it only when the others have theirs
  let wayAtRefresh = ''
  two.onRefresh = () => (wayAtRefresh = wayOf(two, one))
  cluster.annotate(two, { 'causeway.dev/routing': 'vxlan' })
  await cluster.pass(two)
  assert.deepEqual([two.hasTunnel, wayOf(two, one)], [true, 'native'])
  assert.equal(cluster.stateOf(two), '{"mode":"vxlan","sends":["vxlan","native"],"accepts":["vxlan","native"]}')
  assert.deepEqual(
    two.refreshed.at(-1)?.overlay.map(({ mtuBytes }) => mtuBytes),
    [1450],
  )
  assert.equal(wayAtRefresh, 'native')
  await cluster.settle()
  assert.deepEqual([wayOf(two, one), wayOf(one, two)], ['vxlan', 'native'])
  for (const node of [one, three]) cluster.annotate(node, { 'causeway.dev/routing': 'vxlan' })
  await cluster.settle()
  for (const from of cluster.nodes)
    for (const to of cluster.nodes) if (from !== to) assert.equal(wayOf(from, to), 'vxlan')
  // and all at once, both ways
  for (const routing of ['native', 'auto', 'vxlan'] as const) {
    for (const node of cluster.nodes) cluster.annotate(node, { 'causeway.dev/routing': routing })
    await cluster.settle()
    assert.equal(wayOf(one, three), routing === 'vxlan' ? 'vxlan' : 'native')
    cluster.nowMs += tunnelLingerMs
    await cluster.settle()
  }
  for (const each of flows) assert.ok((await each.end()) > 20)
  assert.equal(cluster.stateOf(one), '{"mode":"vxlan","sends":["vxlan"],"accepts":["vxlan","native"]}')
})

test('where a native route cannot be made the tunnel stays, and is told of by an agent that has just started, too', async () => {
  using cluster = await clusterOf(2)
  const [one, two] = cluster.nodes as [Node, Node]
  const running = flow(one, two)
  // the kernel takes no broadcast address for a gateway
  one.bgp.learn('10.244.2.0/24', '172.30.1.255')
  cluster.routing = 'native'
  const passBoth = async (): Promise<void> => {
    const { failed } = await one.keeper.pass()
    assert.equal(failed, 1)
    await cluster.pass(two)
  }
  await passBoth()
  await passBoth()
  const state = '{"mode":"native","sends":["vxlan","native"],"accepts":["native"]}'
  assert.equal(JSON.stringify(one.keeper.routingState), state)
  cluster.annotate(one, { 'causeway.dev/routing-state': state })
  cluster.restart(one)
  one.bgp.learn('10.244.2.0/24', '172.30.1.255')
  await passBoth()
  assert.equal(JSON.stringify(one.keeper.routingState), state)
  cluster.nowMs += tunnelLingerMs
  await passBoth()
  cluster.nowMs += tunnelLingerMs
  await passBoth()
  assert.match(one.routes('10.244.2.0/24'), /encap/)
  assert.deepEqual([one.hasTunnel, two.hasTunnel], [true, true])
  one.bgp.learn('10.244.2.0/24')
  await cluster.settle()
  assert.equal(one.routes('10.244.2.0/24').includes('encap'), false)
  cluster.nowMs += tunnelLingerMs
  await cluster.settle()
  assert.deepEqual([one.hasTunnel, two.hasTunnel], [false, false])
  await running.end()
})

test('a node of another subnet is reached through the tunnel until BGP tells a way, and again when it does not any more', async () => {
  using cluster = await clusterOf(2)
  const [one, two] = cluster.nodes as [Node, Node]
  // each is behind a router for the other
  for (const node of cluster.nodes) {
    const [own, other] = [addrOf(node.number, 'ipv4'), addrOf(3 - node.number, 'ipv4')]
    node.host.sh(`ip addr flush dev eth0; ip addr add ${own}/32 dev eth0
      ip addr add 172.31.0.${node.number}/24 dev eth0; ip route add ${other}/32 via 172.31.0.${3 - node.number} src ${own}`)
    cluster.restart(node)
  }
  cluster.routing = 'native'
  await cluster.settle()
  assert.match(one.routes('10.244.2.0/24'), /encap .* dst 172\.30\.1\.2/)
  assert.match(
    one.problems,
    /routing is native, but VXLAN is used to 10\.244\.2\.0\/24 of node-2, where BGP tells no way/,
  )
  ping(one, two)
  const running = flow(one, two)
  one.bgp.learn('10.244.2.0/24', '172.31.0.2')
  await cluster.settle()
  assert.match(one.routes('10.244.2.0/24'), /via 172\.31\.0\.2 dev eth0/)
  assert.equal(one.problems, '')
  one.bgp.learn('10.244.2.0/24')
  await cluster.settle()
  assert.match(one.routes('10.244.2.0/24'), /encap/)
  await running.end()
})
