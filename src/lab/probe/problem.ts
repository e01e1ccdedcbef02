// The kernel's words for a failed probe.
import { constants } from 'node:os'
import { getSystemErrorMessage } from 'node:util'
import { messageOf } from '#/lib/log.ts'
import { SysError } from '#/sys/libc.ts'
import type { Outcome } from './types.ts'

const errnos = new Map<string, number>(Object.entries(constants.errno))

/** The words and the code for an errno: "connection refused (ECONNREFUSED)" for "ECONNREFUSED". */
export function errnoWords(code: string): string {
  const errno = errnos.get(code)
  return errno === undefined ? code : `${getSystemErrorMessage(-errno)} (${code})`
}

export function problemOf(error: unknown): string {
  return error instanceof SysError ? errnoWords(error.code) : messageOf(error)
}

export function failed(problem: string): Outcome {
  return { ok: false, problem }
}
