// A node with the eBPF datapath: its namespace, in which this process is from then on, a bpffs, and the parts of an agent that make pods and
// keep the network, each as it is. `restart` does what kill -9 and the next agent do.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ClusterView } from '#/agent/cluster/cluster-view.ts'
import { type AgentConfig, readConfig } from '#/agent/config.ts'
import { EndpointStore } from '#/agent/endpoints/endpoint-store.ts'
import { DirtySet } from '#/agent/network/dirty-set.ts'
import { NetworkKeeper } from '#/agent/network/network-keeper.ts'
import { PodsPart } from '#/agent/pods-part.ts'
import { PolicyPart, type PolicyPartDeps } from '#/agent/policy-part.ts'
import { CniHandler } from '#/agent/pods/cni-handler.ts'
import { type ApiClient } from '#/cluster/client.ts'
import { type Reflector } from '#/cluster/reflector.ts'
import { type Listener } from '#/cluster/store.ts'
import { type PodNetworkState } from '#/datapath/datapath.ts'
import { setDraining } from '#/datapath/ebpf/drain.ts'
import { type DeniedPacket, EbpfState, PolicyMaps, programsAt } from '#/datapath/programs.ts'
import { openDatapaths } from '#/datapath/registry.ts'
import { unwirePod } from '#/datapath/veth.ts'
import { Announcer } from '#/datapath/announcer.ts'
import { BpfMap } from '#/kernel/bpf/map.ts'
import { PerCpuMap } from './typed-map.ts'
import { findLink } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { silent } from '#/lib/log.ts'
import { Latest, Signal } from '#/lib/signal.ts'
import { type DatapathName } from '#/model/datapath.ts'
import { type Routing } from '#/model/routing.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { PolicyTables } from '#/reconcile/policy/policy-tables.ts'
import { type Urgency } from '#/agent/network/reconcile-loop.ts'
import { libc } from '#/sys/libc.ts'
import { NamespaceFinder } from '#/sys/namespaces.ts'
import {
  mapLayouts,
  type ProgramName,
  type trafficKinds,
  trafficKinds as kindNumbers,
  trafficKindsPerPod,
} from '#/wire/bpf/maps.ts'
import { TestBpffs } from './bpf-fixture.ts'
import { TestNetns } from './namespace.ts'
import { codeOf, messageIn, request } from './pod-node.ts'

const CLONE_NEWNET = 0x40000000

function kubeNode(number: number, podCIDRs: readonly string[], addresses: readonly string[]): KubeNode {
  return {
    metadata: { name: `node-${number}`, uid: `u${number}` },
    spec: { podCIDRs: [...podCIDRs] },
    status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
  }
}

export class AgentParts implements AsyncDisposable {
  readonly #made = new AsyncDisposableStack()
  readonly dirt = new DirtySet()
  readonly podNetwork = new Latest<PodNetworkState>({ kind: 'absent', why: 'no pass yet' })
  readonly ebpf: EbpfState
  /** Packets that policies deny and programs tell. */
  readonly deniedEarly = new Signal<DeniedPacket>()
  readonly store: EndpointStore
  readonly pods: PodsPart
  readonly keeper: NetworkKeeper
  readonly handler: CniHandler
  readonly #listeners = new Set<Listener<KubeNode>>()
  readonly tell: Listener<KubeNode> = (change) => {
    for (const listener of this.#listeners) listener(change)
  }
  /** Where the node has an API of policies. */
  readonly policy: PolicyPart | undefined

  constructor(node: EbpfNode, client?: ApiClient) {
    const { folder, bpfFolder, objectPath, chain } = node
    const netlink = this.#made.use(new Netlink())
    this.store = this.#made.use(new EndpointStore(join(folder, 'endpoints.sqlite'), { coolDownMs: 0 }))
    this.ebpf = this.#made.use(new EbpfState({ folder: bpfFolder, objectPath, chain }))
    const { store, ebpf, dirt, podNetwork } = this
    const config = readConfig({
      CAUSEWAY_NODE_NAME: 'node-1',
      CAUSEWAY_CLUSTER_CIDRS: '10.244.0.0/16,fd10:244::/48',
      CAUSEWAY_STATE_DIR: folder,
      CAUSEWAY_RUN_DIR: folder,
    })
    const wantedDatapath = () => ({ value: node.wanted, by: 'agent' as const })
    const wake = new Signal<Urgency>()
    const reflector = {
      inSync: true,
      subscribe: (listener: Listener<KubeNode>) => {
        this.#listeners.add(listener)
        return () => {}
      },
    } as unknown as Reflector<KubeNode>
    this.policy = client && this.#made.use(this.#makePolicy(config, { client, netlink, store, nodes: reflector }))
    const policies = this.policy && { policies: this.policy }
    this.pods = this.#made.use(
      new PodsPart(config, { netlink, store, podNetwork, wantedDatapath, ebpf, ...policies, dirt, wake, log: silent }),
    )
    this.keeper = this.#made.use(
      new NetworkKeeper(config, {
        view: new ClusterView({ nodeName: 'node-1' }, { reflector, store, onChange() {} }),
        dirt,
        ports: () => this.pods.ports,
        pods: this.pods.portCalls,
        ebpf,
        datapaths: (ports) => this.pods.plansFor(ports),
        routing: () => node.routing,
        refreshPods: (network, isFull) => this.pods.refresh(network, isFull),
        podNetwork,
        log: silent,
        onChanges() {},
        onNodes() {},
      }),
    )
    const announcer = this.#made.use(new Announcer({ log: silent }))
    const removal = { unplug: (pod: { hostDevice: string }) => unwirePod(netlink, pod) }
    this.handler = new CniHandler({
      store,
      datapaths: openDatapaths({ netlink, removal, announcer, ebpf }),
      datapath: () => this.pods.datapathState?.name ?? 'bridge',
      podNetwork: () => podNetwork.value,
      removal: { flush() {} },
      namespaces: this.#made.use(new NamespaceFinder()),
      ...policies,
      onChange: () => {
        this.policy?.noteEndpoints()
        dirt.mark('port', 'pod-map', 'attachment')
      },
      log: silent,
    })
  }

  #makePolicy(
    { nodeName, settings }: AgentConfig,
    deps: Pick<PolicyPartDeps, 'client' | 'netlink' | 'store' | 'nodes'>,
  ): PolicyPart {
    this.#made.use(deps.client)
    const bridgeMac = () => findLink(deps.netlink, 'cw-br0')?.mac
    const tables = this.#made.use(new PolicyTables({ bridgeMac, log: silent }))
    const maps = this.#made.use(
      new PolicyMaps({ ebpf: this.ebpf, onDenied: (denied) => this.deniedEarly.emit(denied) }),
    )
    const { clusterCIDRs } = settings
    return new PolicyPart(
      { nodeName, clusterCIDRs },
      {
        ...deps,
        sinks: [tables, maps],
        tables,
        bridgeMac,
        programs: () => this.ebpf.current,
        onNews() {},
        log: silent,
      },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync()
  }
}

export class EbpfNode implements AsyncDisposable {
  readonly #stack = new DisposableStack()
  readonly host = this.#stack.use(new TestNetns())
  readonly #bpffs = this.#stack.use(new TestBpffs())
  readonly folder = mkdtempSync(join(tmpdir(), 'causeway-ebpf-'))
  readonly bpfFolder = join(this.#bpffs.path, 'node')
  readonly pods = new Map<string, TestNetns>()
  objectPath: string | undefined
  chain: readonly string[] = []
  wanted: DatapathName = 'ebpf'
  routing: Routing = 'vxlan'
  agent: AgentParts

  constructor() {
    // bpf(2) and sysctls act in the namespace of the calling thread
    libc('setns', [this.host.netns.fd, CLONE_NEWNET], 'the test node')
    this.host.sh(`ip link set lo up; ip link add u type veth peer name u1; ip link set u up; ip link set u1 up
      ip addr add 172.30.1.1/24 dev u; ip addr add fd30::1/64 dev u nodad`)
    this.agent = new AgentParts(this)
    this.#stack.defer(() => rmSync(this.folder, { recursive: true, force: true }))
    this.tellNodes()
  }

  /** Two other nodes, on the link of this one. */
  tellNodes(): void {
    for (const number of [1, 2, 3]) this.addNode(number)
  }

  addNode(
    number: number,
    podCIDRs = [`10.244.${number}.0/24`, `fd10:244:0:${number}::/64`],
    addresses: readonly string[] = [`172.30.1.${number}`],
  ): void {
    const object = kubeNode(number, podCIDRs, addresses)
    this.agent.tell({ kind: 'added', key: object.metadata.name, object })
  }

  removeNode(number: number): void {
    const object = kubeNode(number, [], [])
    this.agent.tell({ kind: 'deleted', key: object.metadata.name, object })
  }

  /** A pass as the agent makes them; `isWhole`: as after its start, or once a minute. */
  async pass(isWhole = true): Promise<void> {
    if (isWhole) this.agent.dirt.markEverything()
    await this.agent.pods.decideDatapath()
    await this.agent.keeper.pass()
    this.agent.policy?.noteGround()
    assert.deepEqual(this.agent.keeper.failures, [])
  }

  /** Passes until nothing is left to do. */
  async settle(): Promise<void> {
    for (const isWhole of [true, false, false]) await this.pass(isWhole)
    const { ebpf } = this.agent
    if (ebpf.current === undefined || ebpf.jiffiesHz > 0) return
    while (ebpf.jiffiesHz === 0) await sleep(20)
    await this.pass()
  }

  /** The agent is gone without a word, and another one comes. */
  async restart(): Promise<void> {
    await this.agent[Symbol.asyncDispose]()
    this.agent = await this.nextAgent()
    this.tellNodes()
  }

  protected async nextAgent(): Promise<AgentParts> {
    return new AgentParts(this)
  }

  /** A namespace for a pod that is to be added. */
  newPod(id: string): TestNetns {
    const pod = this.#stack.use(new TestNetns())
    this.pods.set(id, pod)
    return pod
  }

  add(id: string, config: Record<string, unknown> = {}): TestNetns {
    const pod = this.newPod(id)
    const reply = this.agent.handler.handle(request('ADD', id, pod.path, { config }))
    assert.equal(codeOf(reply), 0, messageIn(reply))
    return pod
  }

  delete(id: string): void {
    const reply = this.agent.handler.handle(request('DEL', id, this.pods.get(id)!.path))
    assert.equal(codeOf(reply), 0, messageIn(reply))
  }

  deviceOf(id: string): string {
    return this.agent.store.find({ containerId: id, ifName: 'eth0' })!.hostDevice
  }

  /** Whether the pod's host device has its programs. */
  programsAt(id: string): ReturnType<typeof programsAt> {
    using netlink = new Netlink()
    return programsAt(netlink, this.agent.ebpf, this.deviceOf(id))
  }

  attach(device: string, name: ProgramName): void {
    using netlink = new Netlink()
    const { hooks, current } = this.agent.ebpf
    hooks.attach(netlink, findLink(netlink, device)!, { hook: 'ingress', name, program: current!.program(name) })
  }

  /** What the agent does first on the way back to the bridge. */
  drain(): void {
    setDraining(this.bpfFolder, true)
  }

  /** How many packets a pod sent or got in one way. */
  packets(id: string, kind: keyof typeof trafficKinds): number {
    const generation = this.agent.ebpf.current!
    using netlink = new Netlink()
    const { index } = findLink(netlink, this.deviceOf(id))!
    const slot = this.agent.ebpf.slots.slotOf(index)!
    const counters = new PerCpuMap(generation.map('cw_traffic'), mapLayouts.cw_traffic)
    const values = counters.get({ index: slot * trafficKindsPerPod + kindNumbers[kind] }) ?? []
    return values.reduce((sum, { packets }) => sum + Number(packets), 0)
  }

  /** A map's entries, keys as hexadecimal digits. */
  entries(map: keyof typeof mapLayouts): string[] {
    const [generation] = this.generations
    using opened = BpfMap.openPinned(join(this.bpfFolder, generation!, 'maps', map))
    return opened.entries().map(([key]) => Buffer.from(key).toString('hex'))
  }

  get generations(): string[] {
    const names = this.host.sh(`ls ${this.bpfFolder} 2>/dev/null || true`).split('\n').filter(Boolean)
    return names.filter((name) => name !== 'links')
  }

  get links(): string[] {
    return this.host.sh(`ls ${this.bpfFolder}/links 2>/dev/null || true`).split('\n').filter(Boolean)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent[Symbol.asyncDispose]()
    this.#stack.dispose()
  }
}

const script = new URL('echo-process.ts', import.meta.url).pathname

function start(netns: TestNetns, ...args: readonly string[]): ChildProcess {
  return netns.netns.run(() =>
    spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  )
}

/** One connection from a pod to another that asks and is answered all the time. */
export class Flow implements AsyncDisposable {
  readonly #server: ChildProcess
  readonly #client: ChildProcess
  #printed = ''

  private constructor(server: ChildProcess, client: ChildProcess) {
    this.#server = server
    this.#client = client
    client.stdout!.on('data', (chunk: Buffer) => (this.#printed += String(chunk)))
  }

  /** `served`: where the other pod really listens, when `addr` and `port` are translated. */
  static async start(
    from: TestNetns,
    to: TestNetns,
    addr: string,
    port: number,
    { periodMs = 2, served = { addr, port } }: { periodMs?: number; served?: { addr: string; port: number } } = {},
  ): Promise<Flow> {
    const server = start(to, 'serve', served.addr, String(served.port))
    await once(server.stdout!, 'data')
    const client = start(from, 'ask', addr, String(port), String(periodMs))
    const flow = new Flow(server, client)
    await once(client.stdout!, 'data')
    return flow
  }

  /** Ends the connection; it must have been answered to its end. */
  async end(): Promise<{ readonly answers: number; readonly slowestMs: number }> {
    this.#client.stdin!.end()
    const [status] = (await once(this.#client, 'close')) as [number | null]
    assert.equal(status, 0, 'the connection was cut')
    return JSON.parse(this.#printed.split('\n')[1]!) as { answers: number; slowestMs: number }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of [this.#client, this.#server]) {
      if (each.exitCode !== null || each.signalCode !== null) continue
      each.kill('SIGKILL')
      await once(each, 'exit')
    }
  }
}
