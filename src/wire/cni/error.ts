// CNI errors: the well-known codes (SPEC section 5, "Error"), ours from 100 on, and their JSON.
import type { CniVersion } from './version.ts'

export const CniErrorCode = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  /** Tells the runtime that nothing is left to clean up: no DEL needed. */
  unknownContainer: 3,
  /** The message must contain the names of the variables. */
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  /** STATUS: no ADD can be served. */
  notAvailable: 50,
  /** STATUS: no ADD can be served, and existing containers may have limited connectivity. */
  limitedConnectivity: 51,
  /** Shim and agent do not understand each other. */
  framing: 100,
  /** A bug here; the number libcni's own skeleton uses for the same. */
  internal: 999,
} as const

export type CniError = {
  readonly code: number
  /** Short: what failed, on which object. */
  readonly msg: string
  /** Longer: why, and what to do; may be empty. */
  readonly details: string
}

/** What decoders throw; `error` is what the runtime is to be told. */
export class CniProtocolError extends Error {
  override name = 'CniProtocolError'
  readonly error: CniError

  constructor(code: number, msg: string, details = '') {
    super(details === '' ? msg : `${msg}: ${details}`)
    this.error = { code, msg, details }
  }
}

export function encodeError(error: CniError, version: CniVersion): string {
  const { code, msg, details } = error
  return `${JSON.stringify({ cniVersion: version, code, msg, ...(details === '' ? {} : { details }) })}\n`
}
