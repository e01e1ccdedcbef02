// Holds pods back until what policies say of them can be enforced from their first packet on: for a bounded time, then their ADD is refused with
// the reason, and the runtime tries again.
import { type Clock } from '#/cluster/clock.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type AddedPod } from './pod-policies.ts'

/** So long an ADD waits: far less than the CNI plugin and the runtime do. */
export const admissionMs = 5000
/**
 * Calls that wait take the places of others (src/agent/cni/gate.ts). When so many wait, and one of them for so long that this is no start, further
 * pods are refused at once.
 */
const mostWaiting = 12
const crowdedMs = 2000
/** What nobody tells of, such as that the API is away, is looked at so often. */
const lookMs = 100
/** From then on a pod that waits is a problem. */
const troubleMs = 1000
/** A pod that was refused, and is not tried again within this time, is gone. */
const forgottenMs = 60_000

export type AdmissionDeps = {
  /** What a pod has to wait for now; undefined: nothing. */
  readonly obstacleTo: (pod: AddedPod) => string | undefined
  /** A pod waits for long, or does so no more. */
  readonly onNews: () => void
  readonly clock: Clock
}

type Waiting = { readonly sinceMs: number; readonly why: string; readonly seenMs: number }

export class Admission {
  readonly #deps: AdmissionDeps
  /** Pods that wait, or were refused and are expected again, by "NAMESPACE/NAME". */
  readonly #waiting = new Map<string, Waiting>()
  readonly #wakes = new Set<() => void>()

  constructor(deps: AdmissionDeps) {
    this.#deps = deps
  }

  /** What pods wait for may have changed. */
  wake(): void {
    for (const wake of this.#wakes) wake()
  }

  /** Undefined when the pod may be wired now, at once or after a wait; else why it may not. `signal`: nobody waits for the answer any more. */
  async admit(pod: AddedPod, signal: AbortSignal): Promise<string | undefined> {
    const { obstacleTo, clock } = this.#deps
    const key = `${pod.namespace}/${pod.name}`
    const beganMs = clock.monotonicMs()
    const deadlineMs = beganMs + (this.#isCrowded(beganMs) ? 0 : admissionMs)
    for (;;) {
      const why = obstacleTo(pod)
      if (why === undefined) {
        if (this.#waiting.delete(key)) this.#deps.onNews()
        return undefined
      }
      const nowMs = clock.monotonicMs()
      this.#waiting.set(key, { sinceMs: this.#waiting.get(key)?.sinceMs ?? nowMs, why, seenMs: nowMs })
      if (nowMs >= deadlineMs || signal.aborted) {
        this.#deps.onNews()
        return why
      }
      await this.#change(Math.min(lookMs, deadlineMs - nowMs), signal)
    }
  }

  #isCrowded(nowMs: number): boolean {
    if (this.#wakes.size < mostWaiting) return false
    return this.#waiting.values().some(({ sinceMs }) => nowMs - sinceMs >= crowdedMs)
  }

  /** Waits for a change, at most `maxMs`. */
  #change(maxMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        this.#wakes.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.#deps.clock.after(maxMs, done)
      this.#wakes.add(done)
      signal.addEventListener('abort', done)
    })
  }

  get problems(): readonly Problem[] {
    const nowMs = this.#deps.clock.monotonicMs()
    for (const [key, { seenMs }] of this.#waiting) if (nowMs - seenMs > forgottenMs) this.#waiting.delete(key)
    return [...this.#waiting]
      .filter(([, { sinceMs }]) => nowMs - sinceMs >= troubleMs)
      .map(([key, { why }]) => problem('CW3301', `pod/${key}`, why))
  }
}
