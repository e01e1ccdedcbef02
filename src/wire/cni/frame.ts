// The frames between the shim (native/cni-shim.c) and the agent; docs/cni.md is the specification.
//
//   request   header(environment bytes, stdin bytes)   NAME=value NUL, NAME=value NUL, …   stdin
//   answer    header(exit status, stdout bytes)         stdout
//   header    "causeway-cni 1 00000123 00000456\n": 33 bytes, so that it can be read before anything is known
//
// The lengths come first, so a truncated answer or spooled request is never taken for a complete one.
import { CniErrorCode, CniProtocolError } from './error.ts'
import type { CniEnv } from './env.ts'
import type { CniOutput } from './reply.ts'

export const frameHeaderBytes = 33
/** The shim's own limits; a frame that announces more is refused before its contents are read. */
export const maxEnvBytes = 256 << 10
export const maxStdinBytes = 1 << 20

/** The shim passes two open files at most with a request: the pod's network namespace, and the folder that it is in. */
export const maxPassedFiles = 2

export type RequestHeader = { readonly envBytes: number; readonly stdinBytes: number }

function framingError(why: string): CniProtocolError {
  return new CniProtocolError(CniErrorCode.framing, 'causeway-cni request not understood', why)
}

/** What a request with more open files than the protocol has is refused with. */
export function tooManyFiles(): CniProtocolError {
  return framingError(`more open files came with it than ${maxPassedFiles}, or than the agent can hold`)
}

/** Reads the first 33 bytes of a request; throws CniProtocolError. */
export function decodeRequestHeader(bytes: Uint8Array): RequestHeader {
  const line = new TextDecoder('latin1').decode(bytes.subarray(0, frameHeaderBytes))
  const [, protocol, env, stdin] = /^causeway-cni (\d) (\d{8}) (\d{8})\n$/.exec(line) ?? []
  if (protocol === undefined) throw framingError('no frame header; is the client causeway-cni?')
  if (protocol !== '1')
    throw framingError(`protocol ${protocol}, the agent speaks 1; install the agent's own causeway-cni`)
  const header = { envBytes: Number(env), stdinBytes: Number(stdin) }
  if (header.envBytes > maxEnvBytes) throw framingError(`${header.envBytes} bytes of environment, above ${maxEnvBytes}`)
  if (header.stdinBytes > maxStdinBytes)
    throw framingError(`${header.stdinBytes} bytes of stdin, above ${maxStdinBytes}`)
  return header
}

/** Reads a whole request frame; throws CniProtocolError when it is shorter or longer than its header says. */
export function decodeRequest(bytes: Uint8Array): { readonly env: CniEnv; readonly stdin: Uint8Array } {
  const { envBytes, stdinBytes } = decodeRequestHeader(bytes)
  const stdinAt = frameHeaderBytes + envBytes
  if (bytes.length !== stdinAt + stdinBytes) {
    throw framingError(`${bytes.length} bytes, the header announces ${stdinAt + stdinBytes}`)
  }
  return { env: decodeEnv(bytes.subarray(frameHeaderBytes, stdinAt)), stdin: bytes.subarray(stdinAt) }
}

function decodeEnv(block: Uint8Array): CniEnv {
  const entries = new TextDecoder().decode(block).split('\0')
  if (entries.pop() !== '') throw framingError('the last environment entry is not ended by NUL')
  const env = new Map<string, string>()
  for (const entry of entries) {
    const at = entry.indexOf('=')
    const name = entry.slice(0, Math.max(at, 0))
    if (name === '') throw framingError('an environment entry is no NAME=value')
    // The shim uses the first of two, and the last may be meant: neither is safe to act on.
    if (env.has(name)) throw framingError(`${name} is set twice`)
    env.set(name, entry.slice(at + 1))
  }
  return env
}

export function encodeAnswer({ status, stdout }: CniOutput): Uint8Array {
  const body = new TextEncoder().encode(stdout)
  const field = (value: number): string => String(value).padStart(8, '0')
  const header = new TextEncoder().encode(`causeway-cni 1 ${field(status)} ${field(body.length)}\n`)
  const frame = new Uint8Array(header.length + body.length)
  frame.set(header)
  frame.set(body, header.length)
  return frame
}
