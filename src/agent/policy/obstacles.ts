// What new pods have to wait for, and what the agent tells of it.
import { type Clock } from '#/cluster/clock.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type AddRefusal } from '#/model/readiness.ts'
import { type PolicyIndex } from '#/policy/index/policy-index.ts'
import { type PolicyKeeper } from './keeper.ts'
import { type AddedPod } from './pod-policies.ts'
import { type PolicyWatch } from './policy-watch.ts'

/** What keeps new pods from their network has to last so long before it is a reason why the node is not ready: a start, or one failure, is none. */
const lastingMs = 5000

export type ObstaclesDeps = {
  readonly watch: Pick<PolicyWatch, 'inSync' | 'isApiAway' | 'missing'>
  readonly keeper: Pick<PolicyKeeper, 'state' | 'isLevel'>
  readonly index: Pick<PolicyIndex, 'hasPolicies' | 'hasLabelsOf' | 'pods' | 'namespaces'>
  /** Whether the cluster had no policy when that was last known. */
  readonly hadNone: () => boolean
  /** Whether an agent before this one left rules in the kernel, which are to stay until all is known. */
  readonly hadRules: boolean
  readonly clock: Clock
}

export class Obstacles {
  readonly #deps: ObstaclesDeps
  readonly #startedMs: number

  constructor(deps: ObstaclesDeps) {
    this.#deps = deps
    this.#startedMs = deps.clock.monotonicMs()
  }

  /** What is not known yet; in words for a message. */
  get lack(): string {
    const { missing } = this.#deps.watch
    if (missing.length === 0) return 'the rules in the kernel are being compared with what policies say'
    const whys = missing.flatMap(({ why }) => why ?? [])
    // an API that is away is away for all lists: what differs in the address alone is one reason
    const reasons = whys.map((why) => why.replace(/https?:\/\/\S+/g, ''))
    const told = whys.filter((_, place) => reasons.indexOf(reasons[place]!) === place)
    const names = missing.map(({ name }) => name).join(', ')
    return `the API has not told all ${names} yet${told.length === 0 ? '' : `: ${told.join('; ')}`}`
  }

  /** Whether pods get their network though nothing is known: the cluster had no policy when it was last known, and the API does not answer. */
  get #goesWithout(): boolean {
    const { watch, hadNone, hadRules } = this.#deps
    return !watch.inSync && watch.isApiAway && hadNone() && !hadRules
  }

  /** What new pods have to wait for, whichever they are; undefined: nothing. */
  get #ofAll(): string | undefined {
    const { state } = this.#deps.keeper
    if (state.kind === 'level' || this.#goesWithout) return undefined
    return state.kind === 'failing' ? `the rules cannot be written: ${state.why}` : this.lack
  }

  /** What this pod has to wait for; undefined: nothing. */
  to({ namespace, name, uid }: AddedPod): string | undefined {
    const { keeper, index } = this.#deps
    const obstacle = this.#ofAll
    if (obstacle !== undefined || !keeper.isLevel || !index.hasPolicies) return obstacle
    if (index.hasLabelsOf(namespace, name, uid)) return undefined
    const key = `${namespace}/${name}`
    const known = index.pods.get(key)
    if (known === undefined) return `the API has told of no pod ${key} yet, so that its labels are not known`
    if (!index.namespaces.has(namespace))
      return `the API has not told of namespace ${namespace} yet, so that its labels are not known`
    return `the pod ${key} that the API has told of has UID ${known.uid}, and the one to be wired ${uid}: its labels are not known`
  }

  /** Why new pods are refused; undefined while they are not, and for the first moments. */
  get refusal(): AddRefusal | undefined {
    const { keeper, clock } = this.#deps
    const obstacle = this.#ofAll
    const { state } = keeper
    const sinceMs = state.kind === 'waiting' ? this.#startedMs : state.sinceMonotonicMs
    if (obstacle === undefined || clock.monotonicMs() - sinceMs < lastingMs) return undefined
    return { msg: 'network policies cannot be enforced for new pods', details: obstacle }
  }

  /** That pods are wired without any policy. */
  problems(object: string): readonly Problem[] {
    if (!this.#goesWithout) return []
    const why =
      'the API has not answered since this agent started; new pods are wired as if the cluster had no policy, which it had not when that was last known'
    return [problem('CW3306', object, why)]
  }
}
