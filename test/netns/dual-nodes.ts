// Two nodes with IPv4 and IPv6 and a pod each, on an underlay that drops and counts whatever shows a pod's address outside of a tunnel. The
// keepers of the nodes' networks run in this process.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mock } from 'node:test'
import { ClusterView } from '#/agent/cluster/cluster-view.ts'
import { readConfig } from '#/agent/config.ts'
import { DirtySet } from '#/agent/network/dirty-set.ts'
import { EndpointStore } from '#/agent/endpoints/endpoint-store.ts'
import { NetworkKeeper } from '#/agent/network/network-keeper.ts'
import { type PodNetworkState } from '#/datapath/datapath.ts'
import { datapathKinds } from '#/datapath/registry.ts'
import { type Reflector } from '#/cluster/reflector.ts'
import { type Listener } from '#/cluster/store.ts'
import { silent } from '#/lib/log.ts'
import { Latest } from '#/lib/signal.ts'
import { type LearnedRouteChange } from '#/model/bgp.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { type PortState } from '#/model/network.ts'
import { problemText } from '#/model/problems.ts'
import { type Routing } from '#/model/routing.ts'
import { nothingToDo } from '#/reconcile/driver.ts'
import { SysctlDriver } from '#/reconcile/sysctl-driver.ts'
import { TestNetns } from './namespace.ts'

export const podAddrs = (number: number): readonly string[] => [`10.244.${number}.9`, `fd10:244:0:${number}::9`]
export const gateways = (number: number): readonly string[] => [`10.244.${number}.1`, `fd10:244:0:${number}::1`]

/** How nodes are attached to the underlay; their own routing decides whether it carries pods' addresses. */
export type Shape = {
  readonly addrs: (number: number) => readonly string[]
  /** Commands on the node, which has eth0 already. */
  readonly onNode: (number: number) => string
  /** Commands on the router that the nodes' devices lead to. */
  readonly onRouter?: string
}

/** One subnet, with a default gateway. */
export const flat: Shape = {
  addrs: (number) => [`172.30.1.${number}`, `fd30::${number}`],
  onNode: (number) => `ip addr add 172.30.1.${number}/24 dev eth0; ip addr add fd30::${number}/64 dev eth0 nodad
    ip route add default via 172.30.1.254; ip -6 route add default via fd30::fe`,
}

export class DualNode implements Disposable {
  readonly host = new TestNetns()
  readonly pod = new TestNetns()
  readonly number: number
  readonly #folder = mkdtempSync(join(tmpdir(), 'causeway-dual-'))
  readonly #store = new EndpointStore(join(this.#folder, 'endpoints.sqlite'))
  readonly #dirt = new DirtySet()
  readonly podNetwork = new Latest<PodNetworkState>({ kind: 'absent', why: 'no pass yet' })
  readonly keeper: NetworkKeeper
  tell: Listener<KubeNode> = () => {}
  ports: readonly PortState[] = []
  routing: Routing = 'vxlan'
  /** What BGP has told since the last pass. */
  learned: LearnedRouteChange[] = []

  constructor(number: number, attach: (node: DualNode) => void) {
    this.number = number
    this.host.sh(`sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
      sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0; ip link set lo up`)
    attach(this)
    const reflector = {
      inSync: true,
      subscribe: (listener: Listener<KubeNode>) => void (this.tell = listener),
    } as unknown as Reflector<KubeNode>
    const view = new ClusterView({ nodeName: this.name }, { reflector, store: this.#store, onChange() {} })
    const cidrs = '10.244.0.0/16,fd10:244::/48'
    this.keeper = this.host.netns.run(
      () =>
        new NetworkKeeper(readConfig({ CAUSEWAY_NODE_NAME: this.name, CAUSEWAY_CLUSTER_CIDRS: cidrs }), {
          view,
          dirt: this.#dirt,
          ports: () => this.ports,
          pods: { isInUse: () => true, rewire() {} },
          routing: () => this.routing,
          datapaths: () => [datapathKinds.bridge],
          podNetwork: this.podNetwork,
          log: silent,
          onChanges() {},
          onNodes() {},
          learned: { isReady: true, takeChanges: () => this.learned.splice(0) },
        }),
    )
  }

  get name(): string {
    return `node-${this.number}`
  }

  get problems(): string {
    return this.keeper.problems.map(problemText).join('\n')
  }

  /** A whole pass, as after a restart of the agent. */
  async pass(): Promise<void> {
    this.#dirt.markEverything()
    await this.keeper.pass()
    assert.deepEqual(this.keeper.failures, [])
  }

  wirePod(): void {
    const [v4, v6] = podAddrs(this.number)
    const [gateway4, gateway6] = gateways(this.number)
    this.host.sh(`ip link add veth0 master cw-br0 up type veth peer name eth0 netns ${this.pod.name}`)
    this.pod
      .sh(`ip link set lo up; ip link set eth0 up; ip addr add ${v4}/24 dev eth0; ip addr add ${v6}/64 dev eth0 nodad
      ip route add default via ${gateway4}; ip -6 route add default via ${gateway6}`)
  }

  /** Whether an address answers this place, and which source the pod `pod` saw. */
  ask(pod: TestNetns, addr: string, from: TestNetns = this.host): string {
    const family = addr.includes(':') ? 'ip6' : 'ip'
    const icmp = addr.includes(':') ? 'icmpv6 type echo-request' : 'icmp type echo-request'
    pod.sh(`nft -f - <<'RULES'
table inet seen
delete table inet seen
table inet seen {
  set sources { type ${family === 'ip' ? 'ipv4' : 'ipv6'}_addr; flags dynamic; size 64; }
  chain in { type filter hook input priority 0; ${icmp} update @sources { ${family} saddr }; }
}
RULES`)
    from.sh(`ping -n -c1 -W2 ${addr}`)
    const listed = JSON.parse(pod.sh('nft -j list set inet seen sources')) as {
      nftables: { set?: { elem?: string[] } }[]
    }
    return listed.nftables.flatMap(({ set }) => set?.elem ?? []).join()
  }

  [Symbol.dispose](): void {
    this.keeper[Symbol.dispose]()
    this.#store[Symbol.dispose]()
    this.pod[Symbol.dispose]()
    this.host[Symbol.dispose]()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** The underlay is a router between the nodes' devices, which are one subnet, and their default gateway. */
export class DualNodes implements Disposable {
  readonly #stack = new DisposableStack()
  readonly underlay = this.#stack.use(new TestNetns())
  readonly nodes: readonly [DualNode, DualNode]

  constructor({ addrs, onNode, onRouter = '' }: Shape = flat) {
    // sysctls belong to the namespace of the calling thread, which here is the machine's
    mock.method(SysctlDriver.prototype, 'compare', () => nothingToDo)
    this.underlay.sh(`sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0
      ip link add br0 type bridge; ip link set br0 up
      ip addr add 172.30.1.254/24 dev br0; ip addr add fd30::fe/64 dev br0 nodad
      ${onRouter}`)
    const attach = ({ number, host }: DualNode): void => {
      this.underlay.sh(`ip link add port${number} master br0 up type veth peer name eth0 netns ${host.name}`)
      host.sh(`ip link set eth0 up; sysctl -qw net.ipv4.conf.eth0.rp_filter=1; ${onNode(number)}`)
    }
    this.nodes = [this.#stack.use(new DualNode(1, attach)), this.#stack.use(new DualNode(2, attach))]
    const chains = this.nodes.map(
      ({ number }) => `chain in${number} { type filter hook ingress device port${number} priority 0
        ip saddr 10.244.0.0/16 counter drop; ip daddr 10.244.0.0/16 counter drop
        ip6 saddr fd10:244::/48 counter drop; ip6 daddr fd10:244::/48 counter drop; }`,
    )
    this.underlay.sh(`nft -f - <<'RULES'\ntable netdev clear {\n${chains.join('\n')}\n}\nRULES`)
    for (const { number } of this.nodes) this.write(number, addrs(number))
  }

  write(
    number: number,
    addrs: readonly string[],
    podCIDRs: readonly string[] = [`10.244.${number}.0/24`, `fd10:244:0:${number}::/64`],
    annotations: Readonly<Record<string, string>> = {},
  ): void {
    const name = `node-${number}`
    const object: KubeNode = {
      metadata: { name, uid: name, annotations },
      spec: { podCIDRs: [...podCIDRs] },
      status: { addresses: addrs.map((address) => ({ type: 'InternalIP', address })) },
    }
    for (const node of this.nodes) node.tell({ kind: 'added', key: name, object })
  }

  async start(): Promise<void> {
    for (const node of this.nodes) await node.pass()
  }

  /** How many packets with a pod's address came out of the nodes outside of the tunnel. */
  get inTheClear(): number {
    const counters = this.underlay.sh('nft list table netdev clear').matchAll(/packets (\d+)/g)
    return counters.reduce((sum, [, packets]) => sum + Number(packets), 0)
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]()
    mock.restoreAll()
  }
}
