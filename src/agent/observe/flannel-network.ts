// Flannel's network as an observer sees it: what should be, by the Node objects, and what the kernel has of it.
import { listAddresses } from '#/kernel/addresses.ts'
import { listLinks } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { type Family, type Prefix } from '#/lib/addr.ts'
import { flannelDevice } from '#/model/flannel.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { flannelWays, type FlannelWay } from '#/plan/flannel-ways.ts'
import { podText } from '#/policy/words.ts'
import { type Compared, compareFlannel } from '#/reconcile/flannel/compare.ts'
import { readFlannelState } from '#/reconcile/flannel/kernel-state.ts'
import { podBridge } from '#/reconcile/flannel/own-state.ts'
import { type FlannelView } from '#/predict/flannel.ts'
import { type ObservedCluster } from './cluster.ts'
import { firewallProblems } from './firewalls.ts'
import { FoundPods } from './found-pods.ts'

/** The Linux kernel's default port, which flannel leaves as it is. */
const defaultPort = 8472
/** Several requests of one trace are answered from one reading. */
const freshMs = 300

const nothing: Compared = { verdicts: [], objects: [], problems: [] }

export type FlannelNetworkDeps = {
  readonly cluster: ObservedCluster
  readonly nowMs: () => number
}

export class FlannelNetwork implements Disposable {
  readonly #deps: FlannelNetworkDeps
  readonly #made = new DisposableStack()
  /** For what is read in turns of the event loop, one reading at a time. */
  readonly #slow = this.#made.use(new Netlink())
  /** For synchronous requests only. */
  readonly netlink = this.#made.use(new Netlink())
  readonly found: FoundPods
  #port = defaultPort
  #compared: Compared = nothing
  #readMs: number | undefined
  #reading: Promise<void> | undefined
  #inspecting: Promise<readonly Problem[]> | undefined

  constructor(deps: FlannelNetworkDeps) {
    this.#deps = deps
    const { cluster, nowMs } = deps
    this.found = new FoundPods({
      netlink: this.netlink,
      pods: () => cluster.ownPods,
      podCIDRs: () => this.podCIDRs,
      nowMs,
    })
  }

  get podCIDRs(): readonly Prefix[] {
    return this.#deps.cluster.self?.podCIDRs ?? []
  }

  /** Those of all nodes: flannel's own network is told by no object. */
  get clusterCIDRs(): readonly Prefix[] {
    return [...this.podCIDRs, ...this.#deps.cluster.others.flatMap(({ podCIDRs }) => podCIDRs)]
  }

  get ways(): FlannelWay[] {
    const { self, others } = this.#deps.cluster
    return self === undefined ? [] : flannelWays(self, others)
  }

  readonly view: FlannelView = {
    ways: () => this.ways,
    device: (family: Family) => flannelDevice(family, this.#deps.cluster.self?.vni ?? 1),
  }

  /** The bridge of pods. */
  get podDevice(): string {
    return podBridge
  }

  /** The UDP port of the tunnel, as of the last reading. */
  get port(): number {
    return this.#port
  }

  get nodeAddrs() {
    return listAddresses(this.netlink).map(({ addr }) => addr)
  }

  /** Reads the kernel. Rejects with KernelError. */
  async read(): Promise<Compared> {
    await (this.#reading ??= this.#read().finally(() => (this.#reading = undefined)))
    return this.#compared
  }

  /** Reads the kernel, unless that was just done. Rejects with KernelError. */
  async refresh(): Promise<void> {
    const { nowMs } = this.#deps
    if (this.#readMs === undefined || nowMs() - this.#readMs > freshMs) await this.read()
  }

  /** As of the last reading. */
  get compared(): Compared {
    return this.#compared
  }

  async #read(): Promise<void> {
    const { cluster, nowMs } = this.#deps
    const { self } = cluster
    if (self === undefined) return
    const state = await readFlannelState(this.#slow)
    const device = state.links.find(({ name, vxlan }) => vxlan && name === flannelDevice(4, self.vni))
    const other = state.links.find(({ name, vxlan }) => vxlan && name === flannelDevice(6, self.vni))
    this.#port = (device ?? other)?.vxlan?.port ?? defaultPort
    this.#compared = compareFlannel(self, this.ways, state, cluster.ownPods.length > 0)
    this.#readMs = nowMs()
  }

  /** What firewalls do to packets of pods. Rejects with KernelError. */
  async firewallProblems(): Promise<readonly Problem[]> {
    // rules of a node with a proxy are many: who asks meanwhile gets the same answer
    return (this.#inspecting ??= this.#inspect().finally(() => (this.#inspecting = undefined)))
  }

  async #inspect(): Promise<readonly Problem[]> {
    return firewallProblems({
      ways: this.ways,
      podCIDRs: this.podCIDRs,
      clusterCIDRs: this.clusterCIDRs,
      vni: this.#deps.cluster.self?.vni ?? 1,
      port: this.port,
      underlayDevices: this.#underlayDevices,
    })
  }

  /** The devices with an address by which others know this node. */
  get #underlayDevices(): string[] {
    const known = this.#deps.cluster.self?.addrs ?? []
    const own = listAddresses(this.netlink).filter(({ addr }) => known.some((each) => each.equals(addr)))
    const indices = new Set(own.map(({ index }) => index))
    return listLinks(this.netlink).flatMap(({ index, name }) => (indices.has(index) ? [name] : []))
  }

  get podProblems(): readonly Problem[] {
    return this.found.missing.map((pod) =>
      problem(
        'CW6508',
        `pod/${podText(pod)}`,
        `no namespace of this node has an interface with ${pod.addrs.join(' or ')}: no probe can be sent from it, and packets are not seen in it`,
      ),
    )
  }

  [Symbol.dispose](): void {
    this.#made.dispose()
  }
}
