// Answers the CNI command STATUS with this node's readiness (readiness.ts) in CNI's error codes. A runtime that gets an error reports
// the node as not ready, and Kubernetes evicts its pods after some minutes.
import { problemText } from '#/model/problems.ts'
import { type CniReply, CniErrorCode } from '#/wire/cni/index.ts'
import { lastingTroubleMs, type Readiness } from '#/model/readiness.ts'

const ok: CniReply = { kind: 'ok' }

export class CniStatus {
  readonly #readiness: () => Readiness
  readonly #nowMs: () => number
  /** When STATUS first found the node not ready although ADD is served; undefined while it is ready. */
  #troubledSinceMs: number | undefined

  /** `nowMs` is a monotonic clock. */
  constructor(readiness: () => Readiness, nowMs: () => number = () => performance.now()) {
    this.#readiness = readiness
    this.#nowMs = nowMs
  }

  /** Error 50: ADD is refused. Error 51: running pods may not reach all others, whether or not ADD is refused too. */
  reply(): CniReply {
    const { state, refusal, reasons, failures } = this.#readiness()
    const error = (code: number, msg: string, details: string): CniReply => ({
      kind: 'error',
      error: { code, msg, details },
    })
    if (refusal !== undefined) {
      const { msg, details } = refusal
      if (failures.length === 0) return error(CniErrorCode.notAvailable, msg, details)
      const all = [details, ...failures].join('\n')
      return error(CniErrorCode.limitedConnectivity, `${msg}, and pods may not reach all others`, all)
    }
    if (state !== 'not ready') {
      this.#troubledSinceMs = undefined
      return ok
    }
    this.#troubledSinceMs ??= this.#nowMs()
    if (this.#nowMs() - this.#troubledSinceMs < lastingTroubleMs) return ok
    const details = reasons.map(problemText).join('\n')
    return error(CniErrorCode.limitedConnectivity, 'pods of this node may not reach all others', details)
  }
}
