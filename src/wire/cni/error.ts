// CNI errors: the well-known codes (SPEC section 5, "Error"), Causeway's own from 100 on, and their JSON.
import type { CniVersion } from './version.ts'

export const CniErrorCode = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  /** Tells the runtime that nothing is left to clean up, so it need not call DEL. */
  unknownContainer: 3,
  /** The message must contain the names of the variables. */
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  /** STATUS: the plugin cannot serve ADD. */
  notAvailable: 50,
  /** STATUS: the plugin cannot serve ADD, and existing containers may have limited connectivity. */
  limitedConnectivity: 51,
  /** Shim and agent do not understand each other's frames. */
  framing: 100,
  /** A bug in this program; libcni's own skeleton uses the same number. */
  internal: 999,
} as const

export type CniError = {
  readonly code: number
  /** A short text: what failed, on which object. */
  readonly msg: string
  /** A longer text: why, and what to do; may be empty. */
  readonly details: string
}

/** The error that decoders throw; `error` is the answer to the runtime. */
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
