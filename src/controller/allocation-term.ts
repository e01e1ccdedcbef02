// One term as leader: from a fresh list of all nodes to every node having its pod CIDRs.
// A decision is kept as pending, and counts as held, until the node is seen with it or is gone: a write whose answer was lost
// may have happened, so no other node may get its prefixes.
import { ApiError, describe, isApiError } from '#/cluster/errors.ts'
import { nodePath } from '#/cluster/paths.ts'
import type { Reflector, ReflectorStatus } from '#/cluster/reflector.ts'
import type { Change } from '#/cluster/store.ts'
import type { Prefix } from '#/lib/addr.ts'
import { hasPodCIDRs, type KubeNode, podCIDRsOf } from '#/model/kubernetes.ts'
import { type Problem } from '#/model/problems.ts'
import { type Cursors, type HolderNode, planPodCidrs, type PodCidrConfig, type PoolUse } from '#/plan/pod-cidrs.ts'
import { ProblemReports } from './problem-reports.ts'
import { WorkQueue } from './work-queue.ts'
import { type TermDeps, writeTimeoutMs } from './term-deps.ts'

export type TermStatus = {
  readonly inSync: boolean
  readonly nodes: {
    readonly total: number
    readonly assigned: number
    readonly pending: number
    readonly unassigned: number
  }
  readonly pools: readonly PoolUse[]
  readonly problems: readonly Problem[]
  readonly watch: ReflectorStatus
  readonly lastError?: string
}

type Pending = { readonly uid: string | undefined; prefixes: readonly Prefix[] }

const concurrentWrites = 8
/** Nodes often join many at once, so wait this long and plan for all of them together. */
const batchMs = 20
const maxConflicts = 5

export class AllocationTerm implements AsyncDisposable {
  readonly #config: PodCidrConfig
  readonly #deps: TermDeps
  readonly #reflector: Reflector<KubeNode>
  readonly #unsubscribe: () => void
  readonly #queue: WorkQueue
  readonly #reports: ProblemReports
  readonly #pending = new Map<string, Pending>()
  #cursors: Cursors = new Map()
  #pools: readonly PoolUse[] = []
  #cancelPlan: (() => void) | undefined
  #lastError: string | undefined

  constructor(config: PodCidrConfig, deps: TermDeps) {
    const { nodes, clock, random } = deps
    this.#config = config
    this.#deps = deps
    this.#reports = new ProblemReports(deps)
    this.#reflector = nodes
    this.#unsubscribe = nodes.subscribe((change) => this.#onChange(change))
    this.#queue = new WorkQueue(
      { concurrency: concurrentWrites, firstRetryMs: 200, maxRetryMs: 30_000 },
      { work: (name) => this.#write(name), clock, random },
    )
  }

  get status(): TermStatus {
    const nodes = [...this.#reflector.objects.values()]
    const assigned = nodes.filter(hasPodCIDRs).length
    const pending = this.#pending.size
    return {
      inSync: this.#reflector.inSync,
      nodes: { total: nodes.length, assigned, pending, unassigned: nodes.length - assigned - pending },
      pools: this.#pools,
      problems: this.#reports.current,
      watch: this.#reflector.status,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe()
    this.#cancelPlan?.()
    await this.#queue[Symbol.asyncDispose]()
  }

  #onChange(change: Change<KubeNode>): void {
    if (change.kind === 'synced') return this.#schedulePlan()
    const { key, object } = change
    if (change.kind === 'deleted' || hasPodCIDRs(object)) this.#settle(key)
    const isNews = change.kind !== 'modified' || allocationFields(change.previous) !== allocationFields(object)
    if (isNews) this.#schedulePlan()
  }

  /** Drops a pending decision, because the API now shows the node's pod CIDRs, or that there is no such node. */
  #settle(name: string): void {
    this.#pending.delete(name)
    this.#queue.remove(name)
  }

  #schedulePlan(): void {
    // until the whole list is known, a slot that looks free may be taken
    if (!this.#reflector.inSync || this.#deps.signal.aborted) return
    this.#cancelPlan ??= this.#deps.clock.after(batchMs, () => {
      this.#cancelPlan = undefined
      this.#plan()
    })
  }

  #plan(): void {
    if (!this.#deps.isLeader()) return
    const nodes = [...this.#reflector.objects.values()]
    const { assignments, problems, pools, cursors } = planPodCidrs(
      this.#config,
      nodes.map((node) => this.#holder(node)),
      this.#cursors,
    )
    this.#cursors = cursors
    this.#pools = pools
    for (const { node, prefixes } of assignments) {
      this.#pending.set(node, { uid: this.#reflector.objects.get(node)?.metadata.uid, prefixes })
      this.#queue.add(node)
    }
    const unreadable = nodes.flatMap((node) =>
      podCIDRsOf(node).problems.map((problem) => ({ node: node.metadata.name, problem })),
    )
    this.#reports.update(problems, unreadable, this.#reflector.objects)
  }

  #holder(node: KubeNode): HolderNode {
    const { name, deletionTimestamp } = node.metadata
    const pending = this.#pending.get(name)
    return {
      name,
      held: pending?.prefixes ?? podCIDRsOf(node).prefixes,
      mayAllocate: pending === undefined && !hasPodCIDRs(node) && deletionTimestamp === undefined,
    }
  }

  /** Writes a node's pod CIDRs, as the queue's work: true when nothing is left to write. */
  async #write(name: string): Promise<boolean> {
    try {
      await this.#writeAgainstConflicts(name)
      return true
    } catch (error) {
      if (this.#deps.signal.aborted) return true
      // the node was deleted meanwhile; the watch will report that
      if (isApiError(error, 404)) return true
      this.#failed(name, error)
      return false
    }
  }

  async #writeAgainstConflicts(name: string): Promise<void> {
    let node = this.#reflector.objects.get(name)
    for (let attempt = 1; ; attempt++) {
      const pending = this.#pending.get(name)
      if (node === undefined || pending === undefined || node.metadata.uid !== pending.uid) return
      if (hasPodCIDRs(node)) {
        // another program wrote them, or this controller in a write whose answer was lost: the CIDRs on the node count from now on
        pending.prefixes = podCIDRsOf(node).prefixes
        return
      }
      if (this.#deps.signal.aborted || !this.#deps.isLeader()) return
      try {
        return await this.#patch(node, pending.prefixes)
      } catch (error) {
        if (!isApiError(error, 409) || attempt >= maxConflicts) throw error
      }
      node = await this.#deps.client.get<KubeNode>(nodePath(name), this.#requestOptions())
    }
  }

  async #patch(node: KubeNode, prefixes: readonly Prefix[]): Promise<void> {
    const { name, uid, resourceVersion } = node.metadata
    const podCIDRs = prefixes.map(String)
    // uid and resourceVersion are preconditions: the API answers 409 unless the node is still as it was at the decision
    const body = { metadata: { uid, resourceVersion }, spec: { podCIDR: podCIDRs[0], podCIDRs } }
    await this.#deps.client.patch(nodePath(name), body, 'merge', {}, this.#requestOptions())
    this.#deps.log.info('gave a node its pod CIDRs', { node: name, podCIDRs })
  }

  #requestOptions(): { signal: AbortSignal; timeoutMs: number } {
    return { signal: this.#deps.signal, timeoutMs: writeTimeoutMs }
  }

  #failed(name: string, error: unknown): void {
    const message = describe(error)
    this.#lastError = message
    this.#deps.log.warn('cannot write the pod CIDRs of a node', { node: name, error: message })
    const node = this.#reflector.objects.get(name)
    // an unreachable API cannot take an event either
    if (node !== undefined && error instanceof ApiError) this.#reports.writeFailed(node, message)
  }
}

/** The fields of a node that a plan depends on; a heartbeat changes none of them. */
function allocationFields(node: KubeNode): string {
  const { prefixes, problems } = podCIDRsOf(node)
  return JSON.stringify([prefixes, problems, node.metadata.deletionTimestamp])
}
