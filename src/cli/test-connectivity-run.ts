// Runs the scenarios of a connectivity test one after another, and tells each as soon as it is over.
import { type AgentOfNode } from '#/api/client.ts'
import { type ApiClient, type KubeList } from '#/cluster/client.ts'
import { nodesPath, podsPath } from '#/cluster/paths.ts'
import { resultOfFaults, resultOfProbes, skipped, unansweredByProved, withCauses } from '#/connectivity/results.ts'
import { scenarios } from '#/connectivity/scenarios.ts'
import { type Selection } from '#/connectivity/selection.ts'
import {
  type Fault,
  type Outside,
  type Probe,
  type ProbeResult,
  type ScenarioName,
  type ScenarioResult,
  type Site,
  type TestNode,
  type TestPod,
} from '#/connectivity/types.ts'
import { sampleOf } from '#/connectivity/ways.ts'
import { type FollowedPacket } from '#/doctor/types.ts'
import { Addr } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import {
  fieldsOf,
  internalAddressesOf,
  type KubeNode,
  type KubeObject,
  listOf,
  type Pod,
  podCIDRsOf,
} from '#/model/kubernetes.ts'
import { agentSelector } from './access/agent-pods.ts'
import { type AgentChoice } from './access/source.ts'
import { examine } from './doctor-examine.ts'
import { alike, subjectOf } from './doctor-text.ts'
import { refused, TestRefused } from './test-connectivity-namespace.ts'
import { askAgents, gatewayOf, type Sent, sendAll } from './test-connectivity-probes.ts'
import { awaitPods, clusterService, makeObjects } from './test-connectivity-site.ts'

export type Session = {
  readonly client: ApiClient
  readonly agents: readonly AgentOfNode[]
  /** Why nodes that should have an agent and have none may be missing. */
  readonly unlisted: string | undefined
  readonly choice: AgentChoice
  readonly selection: Selection
  readonly image: string
  readonly outside: readonly Outside[] | undefined
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** How far a scenario is. */
  readonly progress: (name: ScenarioName, done: number, all: number) => void
  readonly tell: (result: ScenarioResult) => void
}

export type ChosenNode = TestNode & { readonly object: KubeNode }

async function listed<T extends KubeObject>(
  client: ApiClient,
  path: string,
  labelSelector?: string,
): Promise<KubeList<T>> {
  try {
    return await client.list<T>(path, labelSelector === undefined ? {} : { labelSelector })
  } catch (error) {
    throw refused(`${path} cannot be listed`, error)
  }
}

/** The nodes that are tested: those that have an agent, or as many of them as are wanted. */
export async function chooseNodes(
  client: ApiClient,
  agents: readonly AgentOfNode[],
  count: number | undefined,
): Promise<ChosenNode[]> {
  const { items } = await listed<KubeNode>(client, nodesPath())
  const objects = new Map(items.map((node) => [node.metadata.name, node]))
  const withAgent = agents.map(({ node }) => node).filter((name) => objects.has(name))
  if (withAgent.length === 0) throw new TestRefused('no node of the cluster has an agent that could be asked')
  return sampleOf(withAgent, count).map((name) => {
    const object = objects.get(name)!
    return { name, object, addrs: internalAddressesOf(object).addrs.map(String) }
  })
}

/** The image of the agents: nodes have it. Undefined where no agent runs in a pod. */
export async function agentImage(client: ApiClient, namespace: string): Promise<string | undefined> {
  const { items } = await listed<Pod>(client, podsPath(namespace), agentSelector)
  const images = items.flatMap((pod) => listOf(fieldsOf(pod.spec)['containers']).map((each) => fieldsOf(each)['image']))
  return images.find((image) => typeof image === 'string')
}

/** Families that the node has pod CIDRs of, and its pods have no address of. */
function missingFamilies(nodes: readonly ChosenNode[], pods: readonly TestPod[]): Fault[] {
  return nodes.flatMap(({ name, object }) => {
    const wanted = new Set(podCIDRsOf(object).prefixes.map(({ family }) => family))
    return pods
      .filter((pod) => pod.node === name)
      .flatMap((pod) => {
        const lacked = [...wanted].filter((family) => pod.addrs.every((addr) => Addr.parse(addr).family !== family))
        const text = `it has no address of IPv${lacked.join(', IPv')}, of which the node has a pod CIDR`
        return lacked.length === 0 ? [] : [{ subject: `pod ${pod.name} on ${name}`, node: name, text }]
      })
  })
}

const ofServices: readonly ScenarioName[] = ['service', 'hairpin', 'node-port']
const ofPolicies: readonly ScenarioName[] = ['policy-allow', 'policy-deny']

/** All scenarios of one test. The namespace is there; whoever made it removes it. */
export class ScenarioRun {
  readonly #session: Session
  readonly #nodes: readonly ChosenNode[]
  readonly #namespace: string
  readonly #results: ScenarioResult[] = []
  readonly #packets: FollowedPacket[] = []
  readonly #broken = new Set<string>()
  #readyAtMs = 0
  readonly #packetOf = new Map<ProbeResult, FollowedPacket>()

  constructor(session: Session, nodes: readonly ChosenNode[], namespace: string) {
    this.#session = session
    this.#nodes = nodes
    this.#namespace = namespace
  }

  /** The results, in the order of the scenarios; each is told as soon as it is known. */
  async run(): Promise<readonly ScenarioResult[]> {
    const { agents, selection } = this.#session
    const names = new Set(this.#nodes.map(({ name }) => name))
    const startMs = performance.now()
    const asked = await askAgents(agents.filter(({ node }) => names.has(node)))
    const agentFaults = {
      all: names.size,
      noun: 'agent',
      what: names.size === 1 ? 'answers' : 'answer',
      faults: asked.faults,
    }
    this.#add(resultOfFaults('agents', agentFaults, performance.now() - startMs))
    const site = await this.#makeSite(asked.observed, asked.agents.values().next().value)
    for (const { name, plan } of scenarios) {
      if (plan === undefined || !selection.names.has(name)) continue
      const planned = plan(site)
      if ('skip' in planned) this.#add(skipped(name, planned.skip))
      else await this.#send(name, planned.probes, asked.agents)
    }
    const hasFailed = this.#results.some(({ state }) => state === 'failed')
    if (selection.names.has('doctor') || (hasFailed && !selection.isWithoutDoctor)) return await this.#askDoctor()
    return this.#results
  }

  #add(result: ScenarioResult): void {
    this.#session.signal.throwIfAborted()
    this.#results.push(result)
    this.#session.tell(result)
  }

  async #makeSite(observed: readonly string[], agent: AgentOfNode | undefined): Promise<Site> {
    const { client, selection, signal, progress, image, timeoutMs, outside } = this.#session
    const startMs = performance.now()
    const isSelected = (name: ScenarioName): boolean => selection.names.has(name)
    const wanted = {
      namespace: this.#namespace,
      nodes: this.#nodes,
      image,
      hasServices: ofServices.some(isSelected),
      hasPolicy: ofPolicies.some(isSelected),
    }
    const made = await makeObjects(client, wanted, signal)
    const tell = (done: number, all: number): void => progress('pods-start', done, all)
    const started = await awaitPods(client, { namespace: this.#namespace, timeoutMs, tell }, signal)
    this.#readyAtMs = performance.now()
    const faults = [...started.faults, ...missingFamilies(this.#nodes, started.pods)]
    const ready = { all: started.wanted, noun: 'pod', what: 'are ready', faults }
    this.#add(resultOfFaults('pods-start', ready, performance.now() - startMs))
    const [kubernetes, dns] = await Promise.all([
      isSelected('kubernetes') ? clusterService(client, 'default', 'kubernetes') : undefined,
      isSelected('dns') ? clusterService(client, 'kube-system', 'kube-dns') : undefined,
    ])
    const guessed = outside === undefined && agent !== undefined && isSelected('outside') ? await gatewayOf(agent) : []
    return {
      nodes: this.#nodes,
      pods: started.pods,
      ...made,
      ...(kubernetes && { kubernetes }),
      ...(dns && { dns }),
      outside: outside ?? guessed,
      observed,
    }
  }

  async #send(name: ScenarioName, probes: readonly Probe[], agents: ReadonlyMap<string, AgentOfNode>): Promise<void> {
    const { signal, progress } = this.#session
    const startMs = performance.now()
    const course = { signal, broken: this.#broken, readyAtMs: this.#readyAtMs }
    const send = async (some: readonly Probe[]): Promise<Sent[]> =>
      sendAll(agents, some, course, (done, all) => progress(name, done, all))
    const first = await send(probes)
    const unanswered = new Set(unansweredByProved(first.map(({ result }) => result)))
    const again = await send(
      [...unanswered].map(({ probe }) => {
        const { isGuess: _, ...proved } = probe
        return proved
      }),
    )
    const sent = [...first.filter(({ result }) => !unanswered.has(result)), ...again]
    for (const { result, packets } of sent) {
      // a node may refuse what is for itself, and what is translated fails for more reasons: both say nothing of ways
      if (result.probe.to.isPod) this.#packets.push(...packets)
      const last = packets.at(-1)
      if (last !== undefined) this.#packetOf.set(result, last)
    }
    this.#add(
      resultOfProbes(
        name,
        sent.map(({ result }) => result),
        performance.now() - startMs,
      ),
    )
  }

  /** What doctor finds fails the test, and names the causes of what has failed before. */
  async #askDoctor(): Promise<readonly ScenarioResult[]> {
    const { agents, choice, unlisted } = this.#session
    const startMs = performance.now()
    this.#session.progress('doctor', 0, 1)
    try {
      const { diagnosis, answers } = await examine(agents, choice, { besides: this.#packets, unlisted })
      const faults = alike(diagnosis.findings).map(([first, ...more]): Fault => {
        const { code, message, remedy, consequences } = first!
        const others = more.length === 0 ? '' : ` and ${more.length} more`
        return { subject: `${subjectOf(first!)}${others}`, text: message, code, remedy, consequences }
      })
      const text =
        faults.length === 0
          ? 'nothing is wrong'
          : `${faults.length === 1 ? '1 thing is' : `${faults.length} things are`} wrong`
      const state = faults.length === 0 ? 'passed' : 'failed'
      this.#add({ name: 'doctor', state, text, probes: [], faults, ms: performance.now() - startMs })
      return withCauses(this.#results, { packetOf: this.#packetOf, answers, findings: diagnosis.findings })
    } catch (error) {
      this.#session.signal.throwIfAborted()
      const fault = { subject: 'causeway doctor', text: messageOf(error) }
      const text = 'it cannot be told'
      this.#add({ name: 'doctor', state: 'failed', text, probes: [], faults: [fault], ms: performance.now() - startMs })
      return this.#results
    }
  }
}
