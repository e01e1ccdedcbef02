// The pods that are known, as a map: of ten thousand, a map of its own would take as much as their addresses.
import { type PolicyPod } from '../cluster.ts'
import { type PodState } from './state.ts'

export class PodsView implements ReadonlyMap<string, PolicyPod> {
  readonly #states: ReadonlyMap<string, PodState>

  /** A live view. */
  constructor(states: ReadonlyMap<string, PodState>) {
    this.#states = states
  }

  get size(): number {
    return this.#states.size
  }

  has(key: string): boolean {
    return this.#states.has(key)
  }

  get(key: string): PolicyPod | undefined {
    return this.#states.get(key)?.pod
  }

  keys(): MapIterator<string> {
    return this.#states.keys()
  }

  values(): MapIterator<PolicyPod> {
    return this.#states.values().map(({ pod }) => pod)
  }

  entries(): MapIterator<[string, PolicyPod]> {
    return this.#states.entries().map(([key, { pod }]) => [key, pod])
  }

  [Symbol.iterator](): MapIterator<[string, PolicyPod]> {
    return this.entries()
  }

  forEach(call: (pod: PolicyPod, key: string, map: ReadonlyMap<string, PolicyPod>) => void): void {
    for (const [key, { pod }] of this.#states) call(pod, key, this)
  }
}
