// Tells problems of the allocation: each once when it comes up, in the log and as a Warning event on every node concerned.
import type { Logger } from '#/lib/log.ts'
import { type EventType, type KubeNode, type ObjectReference, referenceTo } from '#/model/kubernetes.ts'
import type { PodCidrProblem } from '#/plan/pod-cidrs.ts'

export type Recorder = {
  record(regarding: ObjectReference, type: EventType, reason: string, message: string): void
}

type Report = { readonly reason: string; readonly message: string; readonly nodes: readonly string[] }

export class ProblemReports {
  readonly #log: Logger
  readonly #recorder: Recorder
  #current: ReadonlyMap<string, Report> = new Map()

  constructor(deps: { readonly log: Logger; readonly recorder: Recorder }) {
    this.#log = deps.log
    this.#recorder = deps.recorder
  }

  /** What is wrong now, one line each. */
  get current(): readonly string[] {
    return [...this.#current.values()].map(({ message }) => message)
  }

  /** `unreadable` are the pod CIDRs on nodes that are none. A problem that went away and comes back is told again. */
  update(
    problems: readonly PodCidrProblem[],
    unreadable: readonly { readonly node: string; readonly message: string }[],
    nodes: ReadonlyMap<string, KubeNode>,
  ): void {
    const reports = [
      ...problems.map(reportOf),
      ...unreadable.map(({ node, message }) => ({ reason: 'PodCIDRInvalid', message, nodes: [node] })),
    ]
    const previous = this.#current
    this.#current = new Map(reports.map((report) => [`${report.reason} ${report.message}`, report]))
    for (const [key, report] of this.#current) if (!previous.has(key)) this.#tell(report, nodes)
  }

  writeFailed(node: KubeNode, error: string): void {
    this.#recorder.record(referenceTo('v1', 'Node', node), 'Warning', 'CIDRAssignmentFailed', error)
  }

  #tell({ reason, message, nodes: names }: Report, nodes: ReadonlyMap<string, KubeNode>): void {
    this.#log.warn('pod CIDR problem', { reason, problem: message })
    for (const name of new Set(names)) {
      const node = nodes.get(name)
      if (node !== undefined) this.#recorder.record(referenceTo('v1', 'Node', node), 'Warning', reason, message)
    }
  }
}

/** CIDRNotAvailable is the reason kube-controller-manager uses; the others have no model there. */
function reportOf(problem: PodCidrProblem): Report {
  switch (problem.kind) {
    case 'exhausted':
      return {
        reason: 'CIDRNotAvailable',
        message: `node ${problem.node} gets no pod CIDRs: every IPv${problem.family} cluster CIDR is used up; add one or remove nodes`,
        nodes: [problem.node],
      }
    case 'outside':
      return {
        reason: 'PodCIDROutsideClusterCIDR',
        message: `node ${problem.node} has pod CIDR ${problem.prefix}, which is in no cluster CIDR; it is left as it is`,
        nodes: [problem.node],
      }
    case 'crossing':
      return {
        reason: 'PodCIDROutsideClusterCIDR',
        message: `node ${problem.node} has pod CIDR ${problem.prefix}, which holds all of cluster CIDR ${problem.clusterCIDR}; it is left as it is, and nothing of that can be given to others`,
        nodes: [problem.node],
      }
    case 'overlap': {
      const [first, second] = problem.nodes
      return {
        reason: 'PodCIDRConflict',
        message: `pod CIDR ${problem.prefixes[0]} of node ${first} overlaps ${problem.prefixes[1]} of node ${second}; delete one of the nodes and let it register again`,
        nodes: problem.nodes,
      }
    }
    case 'family-missing':
  }
  return {
    reason: 'PodCIDRFamilyMissing',
    message: `node ${problem.node} has pod CIDRs but none of IPv${problem.family}; the API lets nobody add one, so delete the node and let it register again`,
    nodes: [problem.node],
  }
}
