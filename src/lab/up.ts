// Brings a lab up, or completes a partial one: every step makes sure of a state that may exist already.
import { existsSync, rmSync } from 'node:fs'
import { askAgent } from '#/api/client.ts'
import { socketTransport } from '#/api/socket-transport.ts'
import { type ApiClient } from '#/cluster/client.ts'
import { connect } from '#/cluster/connect.ts'
import { isApiError } from '#/cluster/errors.ts'
import { namespacesPath, nodePath, nodesPath, podsPath } from '#/cluster/paths.ts'
import { namesOf } from '#/lib/causes.ts'
import { someOf } from '#/lib/some-of.ts'
import { messageOf } from '#/lib/log.ts'
import { conditionOf, type KubeNode, type Pod, podCIDRsOf } from '#/model/kubernetes.ts'
import { nodeNameOf, podPhaseOf } from '#/model/kubernetes.ts'
import { type PolicyView } from '#/policy/cluster.ts'
import { listNeighbourTables } from '#/kernel/neighbour-tables.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Netns, netnsPath } from '#/sys/netns.ts'
import { labelsOf } from '#/install/settings.ts'
import { agentNamespace, isAgentPod } from './agent-pods.ts'
import { agentStart } from './agents.ts'
import { ensureBpffs } from './bpffs.ts'
import { otherDatapaths } from './datapaths.ts'
import { applyObjects, applyRouting, bgpObjects } from './cluster-objects.ts'
import { ensureDefinitions } from './definitions.ts'
import { labDown } from './down.ts'
import { ensureFlannel, flannelPlanOf } from './flannel/nodes.ts'
import { demoPod, nodeObject } from './kubelet-objects.ts'
import { neighbourWarning } from './neighbour-need.ts'
import { LabPaths } from './paths.ts'
import { readPolicies } from './policies.ts'
import { preflight } from './preflight.ts'
import { lockLab } from './lock.ts'
import { agentRole, apiRole, controllerRole, kubeletRole } from './roles.ts'
import { labProcesses, startProcess, stopProcesses, tailOf } from './processes.ts'
import { readSpec, writeSpec } from './spec-file.ts'
import { LabError, labNodes, type LabSpec, netnsPrefix, nodeMaskSizes, nodeNetns } from './spec.ts'
import { missingPodRoutes, type MissingRoute, missingUnderlayRoutes } from './routers/convergence.ts'
import { ensureRouters, routerRoles } from './routers/daemons.ts'
import { ensureRacks } from './routers/underlay.ts'
import { ensureNode, ensureRouter, labNetns } from './underlay.ts'
import { waitFor } from './wait.ts'
import { removeNetns } from '#/sys/netns.ts'

export type LabContext = {
  /** The command line's interpreter and script. */
  readonly causeway: readonly string[]
  /** The CNI plugin's executable. */
  readonly plugin: string
  /** Receives progress messages, a line at a time. */
  readonly say: (line: string) => void
  /** Stops `up` once the current step is complete: finished parts stay, for the next `up` or for `down`. */
  readonly stop: AbortSignal
}

const startTimeoutMs = 90_000
const readyTimeoutMs = 120_000

/** The time in which a restarted bgpd sweeps its predecessor's routes and has learned all of them again (docs/lab.md). */
const sweepMs = 4000

async function isReady(socketPath: string): Promise<boolean> {
  return (await askAgent(socketTransport(socketPath), 'readyz')).kind === 'answer'
}

async function createMissing(client: ApiClient, path: string, object: object): Promise<void> {
  try {
    await client.create(path, object)
  } catch (error) {
    if (!isApiError(error, 409)) throw error
  }
}

class LabBuild {
  readonly #spec: LabSpec
  readonly #paths: LabPaths
  readonly #context: LabContext
  /** For how long routes must be complete without a break. */
  #calmMs = 0

  constructor(spec: LabSpec, paths: LabPaths, context: LabContext) {
    this.#spec = spec
    this.#paths = paths
    this.#context = context
  }

  #isRunning(role: string): boolean {
    return labProcesses(this.#spec.name).some((process) => process.role === role)
  }

  #ensureProcess(role: string, args: readonly string[], env: Record<string, string>): void {
    if (this.#isRunning(role)) return
    const command = [...this.#context.causeway, ...args]
    startProcess({ lab: this.#spec.name, role, command, env, logFile: this.#paths.log(role) })
  }

  #tail(role: string): string {
    const tail = tailOf(this.#paths.log(role), 5)
    return tail === '' ? '' : `; the last lines of ${this.#paths.log(role)}:\n${tail}`
  }

  underlay(): void {
    if (this.#spec.racks) ensureRacks(this.#spec)
    else ensureRouter(this.#spec)
    for (const node of labNodes(this.#spec)) ensureNode(this.#spec, node)
    if (ensureRouters(this.#spec)) this.#calmMs = sweepMs
  }

  /** Makes what agents with the eBPF datapath pin their programs in; those that run may be told to have it at any time from now on. */
  bpffs(): void {
    try {
      ensureBpffs(this.#paths.bpffs)
    } catch (error) {
      // a lab with the bridge needs none until an object asks its nodes for programs; they say then what is missing
      if (this.#spec.datapath !== 'bridge') throw error
    }
  }

  async #converged(what: string, role: string, missingRoutes: () => readonly MissingRoute[]): Promise<void> {
    let missing = ''
    let sinceMs: number | undefined
    const why = (): string => ` (${missing})${this.#tail(role)}`
    await waitFor({ what, timeoutMs: startTimeoutMs, why, stop: this.#context.stop }, async () => {
      const [first] = missingRoutes()
      missing = first === undefined ? '' : `${first.place} has no route to ${first.prefix}`
      sinceMs = first === undefined ? (sinceMs ?? performance.now()) : undefined
      return sinceMs !== undefined && performance.now() - sinceMs >= this.#calmMs ? true : undefined
    })
  }

  /** Waits for the underlay's routes. Before, nodes of different racks do not reach each other, and most do not reach the API. */
  underlayConverged(): Promise<void> {
    return this.#converged('routes between the racks', routerRoles(this.#spec)[0] ?? '', () =>
      missingUnderlayRoutes(this.#spec),
    )
  }

  /** Waits for the routes to pods. Before, packets without encapsulation do not reach pods in other racks. */
  podsConverged(nodes: readonly KubeNode[]): Promise<void> {
    const podCIDRs = new Map(nodes.map((node) => [node.metadata.name, podCIDRsOf(node).prefixes]))
    return this.#converged('routes to all pods', agentRole('node-1'), () => missingPodRoutes(this.#spec, podCIDRs))
  }

  async api(): Promise<ApiClient> {
    this.#ensureProcess(apiRole, ['lab', 'serve-api', '--name', this.#spec.name], {})
    const why = (): string => this.#tail(apiRole)
    return waitFor({ what: 'the lab API', timeoutMs: startTimeoutMs, why, stop: this.#context.stop }, async () => {
      if (!existsSync(this.#paths.kubeconfig)) return undefined
      const client = await connect({ kubeconfig: this.#paths.kubeconfig })
      try {
        await client.list(nodesPath(), { timeoutMs: 1000 })
        return client
      } catch {
        await client[Symbol.asyncDispose]()
        return undefined
      }
    })
  }

  /** Registers the nodes, as kubelets do when they start. A deleted Node object stays deleted until the next `lab up`. */
  async register(client: ApiClient): Promise<void> {
    for (const node of labNodes(this.#spec)) await createMissing(client, nodesPath(), nodeObject(node))
    // the kubelet makes the pods in it
    const metadata = { name: agentNamespace, labels: labelsOf('causeway') }
    await createMissing(client, namespacesPath(), { apiVersion: 'v1', kind: 'Namespace', metadata })
  }

  processes(): void {
    const { name, clusterCIDRs } = this.#spec
    const cidrs = { CAUSEWAY_CLUSTER_CIDRS: clusterCIDRs.join(',') }
    this.#ensureProcess(kubeletRole, ['lab', 'serve-pods', '--name', name], {})
    this.#ensureProcess(controllerRole, ['controller'], {
      ...cidrs,
      CAUSEWAY_KUBECONFIG: this.#paths.kubeconfig,
      CAUSEWAY_NODE_MASK_SIZE_IPV4: String(nodeMaskSizes[4]),
      CAUSEWAY_NODE_MASK_SIZE_IPV6: String(nodeMaskSizes[6]),
    })
    for (const node of labNodes(this.#spec)) {
      if (this.#isRunning(agentRole(node.name))) continue
      using netns = new Netns(netnsPath(nodeNetns(name, node.name)))
      startProcess({ ...agentStart(this.#spec, node.name, this.#context.causeway), netns })
    }
  }

  async nodesReady(client: ApiClient): Promise<KubeNode[]> {
    const wanted = labNodes(this.#spec).map(({ name }) => name)
    let missing: string[] = wanted
    const why = (): string => ` (missing: ${namesOf(missing, 'nodes')})${this.#tail(agentRole(missing[0] ?? ''))}`
    return waitFor({ what: 'ready nodes', timeoutMs: readyTimeoutMs, why, stop: this.#context.stop }, async () => {
      const { items } = await client.list<KubeNode>(nodesPath())
      // conditions from a killed lab are out of date, so the agents themselves are asked
      const answers = await Promise.all(wanted.map((name) => isReady(this.#paths.agentSocket(name))))
      const ready = items.filter(
        (node) => conditionOf(node, 'Ready').status === 'True' && podCIDRsOf(node).prefixes.length > 0,
      )
      missing = wanted.filter((name, index) => !answers[index] || !ready.some(({ metadata }) => metadata.name === name))
      return missing.length === 0 ? items.filter(({ metadata }) => wanted.includes(metadata.name)) : undefined
    })
  }

  /** Waits until every node has told that its pods have the datapath that it is to have, or why they have another; returns the nodes. */
  async datapathsSettled(client: ApiClient): Promise<KubeNode[]> {
    const names = new Set(labNodes(this.#spec).map(({ name }) => name))
    let missing: string[] = []
    const why = (): string => ` (missing: ${namesOf(missing, 'nodes')})${this.#tail(agentRole(missing[0] ?? ''))}`
    const wait = { what: 'the datapath of all nodes', timeoutMs: readyTimeoutMs, why, stop: this.#context.stop }
    return waitFor(wait, async () => {
      const { items } = await client.list<KubeNode>(nodesPath())
      const nodes = items.filter(({ metadata }) => names.has(metadata.name))
      missing = otherDatapaths(this.#spec, nodes).flatMap(({ name, state }) => (state.why === undefined ? [name] : []))
      return missing.length === 0 ? nodes : undefined
    })
  }

  #demoPods() {
    const { podsPerNode } = this.#spec
    return labNodes(this.#spec).flatMap(({ name }, node) =>
      Array.from({ length: podsPerNode }, (_, index) => demoPod(`web-${node * podsPerNode + index + 1}`, name)),
    )
  }

  async demoPods(client: ApiClient): Promise<void> {
    for (const pod of this.#demoPods()) await createMissing(client, podsPath('default'), pod)
  }

  /** Waits for the lab's own pods, and for those that ran before. Others may never run, for reasons of their own. */
  async podsRunning(client: ApiClient): Promise<Pod[]> {
    let waiting: string[] = []
    const nodes = new Set(labNodes(this.#spec).map(({ name }) => name))
    const own = new Set(this.#demoPods().map(({ metadata }) => metadata.name))
    const why = (): string => ` (waiting for: ${namesOf(waiting, 'pods')})${this.#tail(kubeletRole)}`
    return waitFor({ what: 'running pods', timeoutMs: readyTimeoutMs, why, stop: this.#context.stop }, async () => {
      const { items } = await client.list<Pod>(podsPath())
      const ours = items.filter((pod) => nodes.has(nodeNameOf(pod)) && !isAgentPod(pod))
      const still = ours.filter((pod) => podPhaseOf(pod) !== 'Running').map(({ metadata }) => metadata)
      waiting = still.filter(({ namespace, name }) => namespace === 'default' && own.has(name)).map(({ name }) => name)
      return waiting.length === 0 && (await isReady(this.#paths.kubeletSocket)) ? ours : undefined
    })
  }
}

/**
 * Removes the nodes that the lab no longer has. It finds them by their namespaces, which it removes last, so that an `up` after an
 * interrupted one finds them again.
 */
async function shrink(spec: LabSpec, client: ApiClient, stop: AbortSignal): Promise<void> {
  const kept = new Set(labNodes(spec).map(({ name }) => nodeNetns(spec.name, name)))
  const gone = labNetns(spec.name).filter(
    (netns) => netns.startsWith(nodeNetns(spec.name, 'node-')) && !kept.has(netns),
  )
  for (const name of gone.map((netns) => netns.slice(netnsPrefix(spec.name).length))) {
    try {
      await client.delete(nodePath(name))
    } catch (error) {
      if (!isApiError(error, 404)) throw error
    }
    // the node's pods go too: the kubelet, which knows the new size, removes their sandboxes
    await waitFor(
      { what: `the end of the pods of ${name}`, timeoutMs: readyTimeoutMs, why: () => '', stop },
      async () => {
        const { items } = await client.list<Pod>(podsPath(), { fieldSelector: `spec.nodeName=${name}` })
        return items.length === 0 ? true : undefined
      },
    )
    await stopProcesses(spec.name, (role) => role === agentRole(name))
    const paths = new LabPaths(spec.name)
    for (const folder of [paths.nodeRun(name), paths.nodeState(name), paths.nodeBpf(name)])
      rmSync(folder, { recursive: true, force: true })
    removeNetns(nodeNetns(spec.name, name))
  }
}

function placesOf({ racks, subnets }: LabSpec): string {
  if (racks === undefined) return `on ${subnets} subnet${subnets === 1 ? '' : 's'}`
  const routers = `${racks.tors === 1 ? 'a router' : `${racks.tors} routers`} (${racks.router}) each`
  return `in ${racks.count} rack${racks.count === 1 ? '' : 's'} with ${routers}`
}

function warnOfNeighbours(spec: LabSpec, say: LabContext['say']): void {
  using netlink = Netlink.brief()
  const warning = neighbourWarning(spec, listNeighbourTables(netlink))
  if (warning !== undefined) say(warning)
}

export type LabState = {
  readonly nodes: readonly KubeNode[]
  readonly pods: readonly Pod[]
  readonly policies: PolicyView
}

async function build(spec: LabSpec, before: LabSpec | undefined, context: LabContext): Promise<LabState> {
  const { say } = context
  const paths = new LabPaths(spec.name)
  const lab = new LabBuild(spec, paths, context)
  // the kubelet reads the lab's size when it starts, so one that knows the old size must not run on with the new spec
  if (before && before.nodes !== spec.nodes) await stopProcesses(spec.name, (role) => role === kubeletRole)
  writeSpec(paths, spec)
  warnOfNeighbours(spec, say)
  say(`underlay: ${spec.nodes} nodes ${placesOf(spec)}, MTU ${spec.underlayMtuBytes}`)
  lab.underlay()
  if (spec.racks) {
    await lab.underlayConverged()
    say('the routers of all racks know each other')
  }
  say('Kubernetes API, controller, agents')
  await using client = await lab.api()
  await ensureDefinitions(client)
  await applyObjects(client, bgpObjects(spec))
  // with traffic under way, native routing needs routers that know all pods already
  const isSwitchedLast = before !== undefined && spec.routing === 'native'
  await lab.register(client)
  lab.bpffs()
  if (!isSwitchedLast) await applyRouting(client, spec)
  lab.processes()
  await shrink(spec, client, context.stop)
  const ready = await lab.nodesReady(client)
  say(`${ready.length} nodes ready`)
  if (spec.racks) {
    await lab.podsConverged(ready)
    say('the routers of all racks know all pods')
  }
  if (isSwitchedLast) await applyRouting(client, spec)
  const flannel = flannelPlanOf(spec)
  if (flannel) {
    await ensureFlannel(spec, flannel, { client, nodes: ready })
    say(`flannel's kernel state made (${flannel.backend})`)
  }
  const nodes = flannel ? ready : await lab.datapathsSettled(client)
  for (const { name, state } of otherDatapaths(spec, nodes)) say(`${name} has the datapath ${state.name}: ${state.why}`)
  await lab.demoPods(client)
  const pods = await lab.podsRunning(client)
  const still = pods.filter((pod) => podPhaseOf(pod) !== 'Running').map(({ metadata }) => metadata.name)
  say(`${pods.length - still.length} pods running`)
  if (still.length > 0) say(`not running: ${someOf(still)}; see: kubectl describe pod ${still[0]}`)
  return { nodes, pods, policies: await readPolicies(client, { nodes, pods }) }
}

/**
 * Throws LabError with one line; a lab that did not exist before is then taken down again. Throws the reason of `context.stop` when that
 * stops it; then nothing is taken down.
 */
export async function labUp(spec: LabSpec, context: LabContext): Promise<LabState> {
  await using _lock = await lockLab(spec.name)
  preflight(spec.name)
  const before = readSpec(new LabPaths(spec.name))
  try {
    return await build(spec, before, context)
  } catch (error) {
    if (before || context.stop.aborted) throw error
    await labDown(spec.name)
    throw new LabError(`${messageOf(error)}\n(everything was taken down again)`)
  }
}
