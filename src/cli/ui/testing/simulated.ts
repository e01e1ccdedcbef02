// A cluster for tests and benchmarks: agents that answer as real ones do, and are only values. Thousands of them cost nothing but memory.
import { type AgentOfNode } from '#/api/client.ts'
import { operationNames, operationOf } from '#/api/operations.ts'
import { type PeerWay } from '#/api/schemas/peers.ts'
import { type ToldProblem } from '#/api/schemas/problem.ts'
import { type AgentStatus, type VerdictStatus } from '#/api/schemas/status.ts'
import { type NodeSummary, type SummaryPair } from '#/api/schemas/summary.ts'
import { type AgentReply, type AgentRequest, NotReached } from '#/api/transport.ts'
import { version } from '#/model/version.ts'

const partnersOfEach = 8
const podsOfEach = 30
const nodesOfRack = 40

type Sim = {
  readonly index: number
  readonly name: string
  readonly rack: string
  readonly addr: string
  readonly podCIDR: string
  isSilent: boolean
  isOld: boolean
  hangs: boolean
  /** The nodes that it does not reach. */
  readonly cut: Set<string>
  extraProblems: ToldProblem[]
}

export class SimulatedCluster {
  readonly nodes: readonly Sim[]
  readonly #byName: ReadonlyMap<string, Sim>
  /** How many nodes each rack has. */
  readonly #sizes = new Map<string, number>()
  /** How often agents were asked. */
  asked = 0
  /** What each answer waits, as the network and the agent would take. */
  delayMs = 0
  /** Round trips differ from one time to the next, as real ones do. */
  jitters = true

  /** `names`: of the first nodes, instead of node-N. */
  constructor(count: number, names: readonly string[] = []) {
    this.nodes = Array.from({ length: count }, (_, index): Sim => {
      const [high, low] = [index >> 8, index & 255]
      return {
        index,
        name: names[index] ?? `node-${index + 1}`,
        rack: String(Math.floor(index / nodesOfRack) + 1),
        addr: `172.16.${high}.${low}`,
        podCIDR: `10.${64 + high}.${low}.0/24`,
        isSilent: false,
        isOld: false,
        hangs: false,
        cut: new Set(),
        extraProblems: [],
      }
    })
    this.#byName = new Map(this.nodes.map((each) => [each.name, each]))
    for (const { rack } of this.nodes) this.#sizes.set(rack, (this.#sizes.get(rack) ?? 0) + 1)
  }

  node(name: string): Sim {
    const sim = this.#byName.get(name)
    if (sim === undefined) throw new Error(`no simulated node ${name}`)
    return sim
  }

  /** Packets from one to the other are lost from now on. */
  cut(from: string, to: string): void {
    this.node(from).cut.add(to)
  }

  mend(from: string, to: string): void {
    this.node(from).cut.delete(to)
  }

  get agents(): AgentOfNode[] {
    return this.nodes.map((sim) => ({
      node: sim.name,
      pod: `causeway-system/agent-${sim.name}`,
      transport: {
        place: `${sim.name} (simulated)`,
        send: async (request, signal) => this.#answer(sim, request, signal),
        open: () => Promise.reject(new NotReached(`${sim.name}: nothing can be watched at a simulated node`)),
      },
    }))
  }

  async #answer(sim: Sim, request: AgentRequest, signal: AbortSignal): Promise<AgentReply> {
    this.asked++
    if (sim.hangs) await aborted(signal)
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs))
    if (sim.isSilent) throw new NotReached(`the agent in pod causeway-system/agent-${sim.name} does not run`)
    const path = request.path.split('?')[0]
    const name = operationNames.find((each) => operationOf(each).path === path)
    const refusal = (status: number, text: string): AgentReply => ({ status, text, version })
    if (name === 'summary' && !sim.isOld) return { status: 200, text: JSON.stringify(this.summary(sim)), version }
    if (name === 'status') return { status: 200, text: JSON.stringify(this.status(sim)), version }
    if (name === 'peers') return { status: 200, text: JSON.stringify(this.#peers(sim)), version }
    if (name === 'pods')
      return {
        status: 200,
        text: JSON.stringify({ node: sim.name, pods: this.#pods(request.path), more: 0 }),
        version,
      }
    if (name === 'policyList') return { status: 200, text: JSON.stringify({ ...noPolicies, node: sim.name }), version }
    return refusal(404, `no such operation: ${path}`)
  }

  #partners(sim: Sim): Sim[] {
    const { index } = sim
    const count = Math.min(partnersOfEach, this.nodes.length - 1)
    return Array.from({ length: count }, (_, step) => this.nodes[(index + step + 1) % this.nodes.length]!)
  }

  #rttMs(sim: Sim, other: Sim): number {
    const base = sim.rack === other.rack ? 0.08 : 0.3
    return Math.round(base * (this.jitters ? 1 + Math.random() / 5 : 1) * 1000) / 1000
  }

  #isCut(sim: Sim, other: Sim): boolean {
    return sim.cut.has(other.name) || other.isSilent
  }

  #pair(sim: Sim, other: Sim): SummaryPair {
    const state = this.#isCut(sim, other) ? 'broken' : 'ok'
    return {
      to: other.name,
      state,
      sinceMs: 1_790_000_000_000,
      way: sim.rack === other.rack ? 'native' : 'vxlan',
      ...(state === 'ok' ? { rttMs: this.#rttMs(sim, other) } : { lossShare: 1 }),
    }
  }

  #problems(sim: Sim): ToldProblem[] {
    return [
      ...[...sim.cut].map((to) => ({
        code: 'CW1306',
        object: `node/${to}`,
        message: `${to} has answered nothing since 10:19:21 UTC`,
        how: 'probes of this node',
        remedy: `look at the network between ${sim.name} and ${to}`,
      })),
      ...sim.extraProblems,
    ]
  }

  #verdicts(sim: Sim): AgentStatus['verdicts'] {
    return this.nodes.flatMap((other): VerdictStatus[] =>
      other === sim
        ? []
        : other.rack === sim.rack
          ? [
              {
                podCIDR: other.podCIDR,
                node: other.name,
                way: 'native',
                reason: 'it is on a link of this node',
                mtuBytes: 1500,
                origin: 'direct',
                nextHops: [{ device: 'eth0', gateway: other.addr }],
              },
            ]
          : [
              {
                podCIDR: other.podCIDR,
                node: other.name,
                way: 'vxlan',
                reason: 'it is on no link of this node',
                mtuBytes: 1450,
                tunnel: { src: sim.addr, dst: other.addr, gateway: other.podCIDR.replace('/24', '') },
              },
            ],
    )
  }

  summary(sim: Sim): NodeSummary {
    const problems = this.#problems(sim)
    const near = this.#sizes.get(sim.rack)! - 1
    return {
      node: sim.name,
      version,
      zone: 'zone-a',
      rack: sim.rack,
      addrs: [sim.addr],
      podCIDRs: [sim.podCIDR],
      readiness: problems.length > 0 ? 'ready with problems' : 'ready',
      datapath: 'ebpf',
      pods: podsOfEach,
      addresses: { cidr: sim.podCIDR, used: podsOfEach, total: 253 },
      crossings: { vxlan: this.nodes.length - 1 - near, native: near, none: 0 },
      bgp: { up: 2, total: 2 },
      policies: { state: 'enforced', selecting: 3 },
      pairs: this.#partners(sim).map((other) => this.#pair(sim, other)),
      problems,
    }
  }

  status(sim: Sim): AgentStatus {
    const problems = this.#problems(sim)
    const verdicts = this.#verdicts(sim)
    return {
      node: sim.name,
      pid: 1,
      podCIDRs: [sim.podCIDR],
      readiness: { state: problems.length > 0 ? 'ready with problems' : 'ready', reasons: [] },
      datapath: { wanted: 'ebpf', wantedBy: 'the cluster', name: 'ebpf' },
      api: { phase: 'watching', restarts: 0, inSync: true, nodes: this.nodes.length },
      policy: { state: 'enforced', policies: 12, selecting: 3 },
      objects: verdicts.slice(0, 200).map(({ podCIDR }) => ({
        kind: 'route',
        key: podCIDR,
        state: 'done',
        sinceMs: 1_790_000_000_000,
        attempts: 0,
      })),
      verdicts,
      endpoints: this.#podsOf(sim).map(({ pod, addrs }, index) => ({
        pod,
        containerId: `c${index}`,
        ifName: 'eth0',
        hostDevice: `cwv${index}`,
        addrs,
        state: 'ready',
        datapath: 'ebpf',
      })),
      problems,
    }
  }

  #peers(sim: Sim): object {
    const ways = this.#partners(sim).map((other): PeerWay => {
      const isCut = this.#isCut(sim, other)
      const rttMs = this.#rttMs(sim, other)
      return {
        node: other.name,
        path: 'pod',
        family: 4,
        dst: other.podCIDR.replace('.0/24', '.1'),
        way: sim.rack === other.rack ? 'native' : 'vxlan',
        state: isCut ? 'broken' : 'ok',
        sinceMs: 1_790_000_000_000,
        windowMs: 60_000,
        small: { sizeBytes: 84, sent: 60, answered: isCut ? 0 : 60 },
        ...(!isCut && { rttMs: { least: rttMs, median: rttMs, most: rttMs } }),
      }
    })
    return { node: sim.name, isOn: true, others: this.nodes.length - 1, ways }
  }

  #podsOf(sim: Sim): { pod: string; node: string; addrs: string[] }[] {
    return Array.from({ length: podsOfEach }, (_, index) => ({
      pod: `shop/web-${sim.name}-${index}`,
      node: sim.name,
      addrs: [sim.podCIDR.replace('.0/24', `.${index + 2}`)],
    }))
  }

  #pods(path: string): object[] {
    const q = new URL(path, 'http://agent').searchParams.get('q') ?? ''
    const found: object[] = []
    for (const sim of this.nodes) {
      if (found.length >= 50) break
      found.push(...this.#podsOf(sim).filter(({ pod }) => pod.includes(q)))
    }
    return found.slice(0, 50)
  }
}

const noPolicies = { state: { kind: 'off' }, policies: [], pods: [], auditedNamespaces: [], refused: [] } as const

async function aborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  return promise
}
