// The agent's answer to one CNI call, and what the shim prints for it.
import { type CniError, encodeError } from './error.ts'
import { type CniResult, encodeResult } from './result.ts'
import type { CniVersion } from './version.ts'

export type CniReply =
  /** The answer to ADD. */
  | { readonly kind: 'result'; readonly result: CniResult }
  /** The answer to DEL, CHECK, GC and STATUS: success has no output. */
  | { readonly kind: 'ok' }
  | { readonly kind: 'error'; readonly error: CniError }

/** The result of the executed plugin: its exit status, and what it prints. */
export type CniOutput = { readonly status: 0 | 1; readonly stdout: string }

export function encodeReply(reply: CniReply, version: CniVersion): CniOutput {
  if (reply.kind === 'error') return { status: 1, stdout: encodeError(reply.error, version) }
  return { status: 0, stdout: reply.kind === 'result' ? encodeResult(reply.result, version) : '' }
}
