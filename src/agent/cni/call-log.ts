// Logs CNI calls, each in one line. What comes again and again with the same outcome is logged once: a runtime asks for the STATUS every few
// seconds, and a DEL from the spool is tried until it succeeds.
import { type Logger, messageOf } from '#/lib/log.ts'
import { attachmentKey, type CniOperation, type CniReply } from '#/wire/cni/index.ts'

export type CallCircumstances = {
  /** When the call began, by performance.now(). */
  readonly startedMs: number
  /** Aborted: nobody waits for the answer any more. */
  readonly signal: AbortSignal
}

/** The most failures that are remembered; above it the oldest is forgotten and logged again. */
const maxFailures = 1024

export class CallLog {
  readonly #log: Logger
  /** How calls that are repeated failed last, by what they are about. */
  readonly #failures = new Map<string, string>()

  constructor(log: Logger) {
    this.#log = log
  }

  /** Logs the outcome of a call that was carried out. */
  ended(request: CniOperation, reply: CniReply, { startedMs, signal }: CallCircumstances): void {
    const error = reply.kind === 'error' ? reply.error : undefined
    const hasFailedBefore = this.#failures.has(repeatedKey(request) ?? '')
    const isRepeated = this.#isRepeated(request, error && JSON.stringify(error))
    const isRoutine = isRepeated || (request.kind === 'status' && error === undefined && !hasFailedBefore)
    const isGood = error === undefined && !signal.aborted
    this.#log[isRoutine ? 'debug' : isGood ? 'info' : 'warn'](
      error === undefined ? 'cni call done' : 'cni call failed',
      {
        ...fieldsOf(request),
        ...error,
        ...(signal.aborted && { unanswered: messageOf(signal.reason) }),
        ms: Math.round(performance.now() - startedMs),
      },
    )
  }

  /** Logs a call that ended in an exception. */
  threw(request: CniOperation, error: unknown, { startedMs }: CallCircumstances): void {
    const level = this.#isRepeated(request, messageOf(error)) ? 'debug' : 'error'
    const ms = Math.round(performance.now() - startedMs)
    this.#log[level]('cni call failed', { ...fieldsOf(request), error, ms })
  }

  /** Whether the call failed in the same way last time. Remembers how it failed now; undefined: it did not. */
  #isRepeated(request: CniOperation, failure: string | undefined): boolean {
    const key = repeatedKey(request)
    if (key === undefined) return false
    const before = this.#failures.get(key)
    this.#failures.delete(key)
    if (failure === undefined) return false
    this.#failures.set(key, failure)
    const [oldest] = this.#failures.keys()
    if (this.#failures.size > maxFailures && oldest !== undefined) this.#failures.delete(oldest)
    return before === failure
  }
}

/** What a call is about that is repeated until it succeeds, or for ever; undefined for calls that stand for themselves. */
function repeatedKey(request: CniOperation): string | undefined {
  if (request.kind === 'status') return 'status'
  return request.kind === 'del' ? attachmentKey(request) : undefined
}

function fieldsOf(request: CniOperation): Readonly<Record<string, unknown>> {
  const common = { command: request.kind, network: request.network, traceparent: request.trace?.traceparent }
  if (request.kind === 'gc' || request.kind === 'status') return common
  const { containerId, ifName, args } = request
  return { ...common, containerId, ifName, namespace: args.podNamespace, pod: args.podName }
}
