// Gives each node its pod CIDRs, for clusters whose kube-controller-manager does not (--allocate-node-cidrs=false), tells in the status of
// Causeway's objects what the nodes make of them, and on policies what of them cannot be enforced. Of several controllers one leads; each term
// as leader begins with nothing but the API's state (allocation-term.ts, status/status-term.ts, policy-term.ts).
import type { ApiClient } from '#/cluster/client.ts'
import { type Clock, systemClock } from '#/cluster/clock.ts'
import { nodesPath } from '#/cluster/paths.ts'
import { Reflector } from '#/cluster/reflector.ts'
import { LeaderElection } from '#/cluster/leader-election.ts'
import type { Prefix } from '#/lib/addr.ts'
import type { Logger } from '#/lib/log.ts'
import type { KubeNode } from '#/model/kubernetes.ts'
import { podCidrConfigProblems } from '#/plan/pod-cidrs.ts'
import { type Problem } from '#/model/problems.ts'
import { AllocationTerm, type TermStatus } from './allocation-term.ts'
import { PolicyTerm } from './policy-term.ts'
import type { Recorder } from './problem-reports.ts'
import { StatusTerm } from './status/status-term.ts'

export type ControllerOptions = {
  /** The cluster CIDRs in order of preference; the family of the first is the primary one. */
  readonly clusterCIDRs: readonly Prefix[]
  readonly nodeMaskSizes: { readonly 4: number; readonly 6: number }
  /** Whether nodes get pod CIDRs; else only statuses are written. */
  readonly givesPodCIDRs: boolean
  /** This controller's name: unique among all that run, and over restarts. */
  readonly identity: string
  readonly leaseNamespace: string
}

export type ControllerDeps = {
  readonly client: ApiClient
  readonly log: Logger
  /** An EventRecorder. */
  readonly recorder: Recorder
  readonly clock?: Clock
  readonly random?: () => number
}

export type ControllerStatus = {
  readonly isLeader: boolean
  /** The identity of the leader as last seen; "" for nobody. */
  readonly leader: string
  /** Why the lease could not be read or written the last time. */
  readonly leaseError?: string
  /** State of the current term; only a leader that gives pod CIDRs has one. */
  readonly term?: TermStatus
  /** What policies say that cannot be enforced as written; only a leader knows. */
  readonly policyProblems?: readonly Problem[]
}

/** What a leader does, as long as it leads. */
type Term = {
  readonly nodes: Reflector<KubeNode>
  readonly allocation: AllocationTerm | undefined
  readonly statuses: StatusTerm
  readonly policies: PolicyTerm
}

const leaseName = 'causeway-controller'

export class Controller implements AsyncDisposable {
  readonly #options: ControllerOptions
  readonly #deps: ControllerDeps & { readonly clock: Clock; readonly random: () => number }
  readonly #election: LeaderElection
  #term: Term | undefined

  /** Throws on cluster CIDRs or mask sizes that cannot work; the message has one line for each problem. */
  constructor(options: ControllerOptions, deps: ControllerDeps) {
    const problems = options.givesPodCIDRs ? podCidrConfigProblems(options) : []
    if (problems.length > 0) throw new Error(problems.join('\n'))
    const { clock = systemClock, random = Math.random } = deps
    const { leaseNamespace: namespace, identity } = options
    this.#options = options
    this.#deps = { ...deps, clock, random }
    this.#election = new LeaderElection(
      { namespace, name: leaseName, identity },
      {
        client: deps.client,
        log: deps.log,
        clock,
        random,
        onStarted: (signal) => this.#beginTerm(signal),
        onStopped: () => this.#endTerm(),
      },
    )
  }

  /** Begins in the background; never throws. */
  start(): void {
    this.#election.start()
  }

  status(): ControllerStatus {
    const leaseError = this.#election.lastError
    return {
      isLeader: this.#election.isLeader,
      leader: this.#election.holder,
      ...(leaseError === undefined ? {} : { leaseError }),
      ...(this.#term?.allocation === undefined ? {} : { term: this.#term.allocation.status }),
      ...(this.#term && { policyProblems: this.#term.policies.problems }),
    }
  }

  /** Waits for the writes under way to end, then gives the lease back. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#election[Symbol.asyncDispose]()
  }

  #beginTerm(signal: AbortSignal): void {
    const { clusterCIDRs, nodeMaskSizes, givesPodCIDRs } = this.#options
    const isLeader = (): boolean => this.#election.isLeader
    const nodes = new Reflector<KubeNode>({ path: nodesPath() }, this.#deps)
    const deps = { ...this.#deps, isLeader, signal, nodes }
    this.#term = {
      nodes,
      allocation: givesPodCIDRs ? new AllocationTerm({ clusterCIDRs, nodeMaskSizes }, deps) : undefined,
      statuses: new StatusTerm(deps),
      policies: new PolicyTerm(deps),
    }
    nodes.start()
    this.#term.statuses.start()
    this.#term.policies.start()
  }

  async #endTerm(): Promise<void> {
    const term = this.#term
    this.#term = undefined
    if (term === undefined) return
    const { allocation, statuses, policies, nodes } = term
    await Promise.all([allocation, statuses, policies, nodes].map(async (part) => part?.[Symbol.asyncDispose]()))
  }
}
