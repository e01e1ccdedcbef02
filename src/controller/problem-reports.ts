// Reports problems of the allocation, each once when it comes up, in the log and as a Warning event on every node concerned.
import type { Logger } from '#/lib/log.ts'
import { type EventType, type KubeNode, type ObjectReference, referenceTo } from '#/model/kubernetes.ts'
import type { ProblemCode } from '#/model/problem-catalogue.ts'
import { oneOfEach, type Problem, problem, problemId, problemText } from '#/model/problems.ts'
import type { PodCidrProblem } from '#/plan/pod-cidrs.ts'

export type Recorder = {
  record(regarding: ObjectReference, type: EventType, reason: string, message: string): void
}

/** `nodes` are the nodes whose Node objects get the event. */
type Report = { readonly reason: string; readonly problem: Problem; readonly nodes: readonly string[] }

export class ProblemReports {
  readonly #log: Logger
  readonly #recorder: Recorder
  #current: ReadonlyMap<string, Report> = new Map()

  constructor(deps: { readonly log: Logger; readonly recorder: Recorder }) {
    this.#log = deps.log
    this.#recorder = deps.recorder
  }

  /** The current problems, each once. */
  get current(): readonly Problem[] {
    return [...this.#current.values()].map(({ problem: each }) => each)
  }

  /** `unreadable` are invalid pod CIDRs found on nodes. A problem that went away and comes back is reported again. */
  update(
    problems: readonly PodCidrProblem[],
    unreadable: readonly { readonly node: string; readonly problem: Problem }[],
    nodes: ReadonlyMap<string, KubeNode>,
  ): void {
    const reports = [
      ...problems.map(reportOf),
      ...unreadable.map((each): Report => ({ reason: 'PodCIDRInvalid', problem: each.problem, nodes: [each.node] })),
    ]
    const previous = this.#current
    const groups = Map.groupBy(reports, (report) => problemId(report.problem))
    this.#current = new Map([...groups].map(([id, same]) => [id, joined(same)]))
    for (const [id, report] of this.#current) if (!previous.has(id)) this.#tell(report, nodes)
  }

  writeFailed(node: KubeNode, error: string): void {
    this.#recorder.record(referenceTo('v1', 'Node', node), 'Warning', 'CIDRAssignmentFailed', error)
  }

  #tell({ reason, problem: told, nodes: names }: Report, nodes: ReadonlyMap<string, KubeNode>): void {
    const { code, object, message, how, remedy } = told
    this.#log.warn('pod CIDR problem', { reason, code, object, problem: message, how, remedy })
    for (const name of new Set(names)) {
      const node = nodes.get(name)
      if (node !== undefined)
        this.#recorder.record(referenceTo('v1', 'Node', node), 'Warning', reason, problemText(told))
    }
  }
}

/** Joins the reports of one problem into one. */
function joined(same: readonly Report[]): Report {
  const [told] = oneOfEach(same.map((report) => report.problem))
  return { ...same[0]!, problem: told!, nodes: same.flatMap(({ nodes }) => nodes) }
}

export function podCidrProblem(found: PodCidrProblem): Problem {
  return reportOf(found).problem
}

/** CIDRNotAvailable is kube-controller-manager's reason; the other reasons are our own. */
function reportOf(found: PodCidrProblem): Report {
  switch (found.kind) {
    case 'exhausted':
      return reportAt(
        'CIDRNotAvailable',
        'CW1109',
        found.node,
        `the node gets no pod CIDRs: every IPv${found.family} cluster CIDR is used up`,
      )
    case 'outside':
      return reportAt(
        'PodCIDROutsideClusterCIDR',
        'CW1105',
        found.node,
        `pod CIDR ${found.prefix} is in no cluster CIDR; it is left as it is`,
      )
    case 'crossing':
      return reportAt(
        'PodCIDROutsideClusterCIDR',
        'CW1110',
        found.node,
        `pod CIDR ${found.prefix} holds all of cluster CIDR ${found.clusterCIDR}; it is left as it is, and nothing of that can be given to others`,
      )
    case 'overlap': {
      const [first, second] = found.nodes
      const message = `pod CIDR ${found.prefixes[1]} overlaps ${found.prefixes[0]} of node ${first}`
      return { ...reportAt('PodCIDRConflict', 'CW1103', second, message), nodes: found.nodes }
    }
    case 'family-missing':
  }
  return reportAt('PodCIDRFamilyMissing', 'CW1111', found.node, `it has pod CIDRs but none of IPv${found.family}`)
}

function reportAt(reason: string, code: ProblemCode, node: string, message: string): Report {
  return { reason, problem: problem(code, `node/${node}`, message), nodes: [node] }
}
