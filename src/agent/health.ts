// Whether this agent is alive, and whether its node is ready for pods: what probes ask, and what the Node object tells.
import { type ObjectStatus } from '#/reconcile/status.ts'
import { type Answer, type Endpoints } from './http-api.ts'
import { type PodNetwork } from './pod-network.ts'

/** What takes longer hangs: 10,000 nodes at once are a second's work. */
const longestPassMs = 120_000
/** Kinds of objects that are about one other node each, or about another's firewall. */
const peerKinds: readonly string[] = ['route', 'neighbour', 'forward']

export type HealthDeps = {
  readonly failures: () => readonly ObjectStatus[]
  /** Why no other node is reached from here. */
  readonly isolation: () => string | undefined
  /** What pods get, or why they get nothing. */
  readonly podNetwork: () => PodNetwork | string
  /** For how long the pass that runs has been running; 0 when none does. */
  readonly passRunningMs: () => number
}

export class Health {
  readonly #deps: HealthDeps

  constructor(deps: HealthDeps) {
    this.#deps = deps
  }

  /** Kernel objects that are not as they should be; a pod's own trouble (its namespace is gone) is no trouble of the node. */
  get failures(): readonly ObjectStatus[] {
    return this.#deps.failures().filter(({ kind }) => kind !== 'port')
  }

  /** Why pods of this node may not reach all others, a line for each reason; undefined when nothing is known to be wrong. */
  get trouble(): string | undefined {
    return reasonsOf(this.failures)
  }

  /**
   * Why this node is not ready for pods. That it cannot reach one peer is no reason to keep pods away from it, that it can reach
   * none is.
   */
  get unreadiness(): string | undefined {
    const podNetwork = this.#deps.podNetwork()
    if (typeof podNetwork === 'string') return podNetwork
    return reasonsOf(this.failures.filter(({ kind }) => !peerKinds.includes(kind))) ?? this.#deps.isolation()
  }

  get endpoints(): Endpoints {
    return { '/healthz': () => this.#liveness(), '/readyz': () => this.#readiness() }
  }

  /** Whether this process still does its work; what it finds in the kernel is readiness. */
  #liveness(): Answer {
    const stuckMs = this.#deps.passRunningMs()
    if (stuckMs < longestPassMs) return { status: 200, body: 'ok\n' }
    return { status: 503, body: `a pass has been running for ${Math.round(stuckMs / 1000)} s\n` }
  }

  #readiness(): Answer {
    const why = this.unreadiness
    return why === undefined ? { status: 200, body: 'ok\n' } : { status: 503, body: `${why}\n` }
  }
}

function reasonsOf(failures: readonly ObjectStatus[]): string | undefined {
  if (failures.length === 0) return undefined
  return failures
    .map(({ kind, key, message = '', remedy }) =>
      [`${kind} ${key}: ${message}`, remedy].filter(Boolean).join('; remedy: '),
    )
    .join('\n')
}
