// What STATUS of CNI answers: this node's readiness (readiness.ts), in CNI's codes. A runtime that is told an error calls the node not
// ready, and its pods are driven away after some minutes.
import { problemText } from '#/model/problems.ts'
import { type CniReply, CniErrorCode } from '#/wire/cni/index.ts'
import { lastingTroubleMs, type Readiness } from '../report/readiness.ts'

const ok: CniReply = { kind: 'ok' }

export class CniStatus {
  readonly #readiness: () => Readiness
  readonly #nowMs: () => number
  /** Since when the node is not ready though ADD is served, as far as STATUS was asked. */
  #troubledSinceMs: number | undefined

  /** `nowMs` is a monotonic clock. */
  constructor(readiness: () => Readiness, nowMs: () => number = () => performance.now()) {
    this.#readiness = readiness
    this.#nowMs = nowMs
  }

  /** 50: no ADD is served. 51: pods that run may lack something too, or do so though an ADD is served. */
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
