// The messages of an exec over a WebSocket: a byte that says which channel, then its bytes. Pure.
// https://kubernetes.io/docs/reference/generated/kubernetes-api/ (pods/exec), k8s.io/apimachinery/pkg/util/remotecommand/constants.go.
import { fieldsOf, listOf } from '#/model/kubernetes.ts'
import { oneLine } from './errors.ts'

/**
 * The protocols that are offered, best first. An API server translates the first one into what a kubelet speaks, and passes the second on.
 * Both have the channels below; in the first either side can also say that a channel has ended.
 */
export const execProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const

const stdinChannel = 0
const channels: Readonly<Record<number, 'stdout' | 'stderr' | 'status' | 'close'>> = {
  1: 'stdout',
  2: 'stderr',
  3: 'status',
  255: 'close',
}

/** A message from the server; `malformed` says what is wrong with one that is none. */
export type ExecMessage =
  | { readonly channel: 'stdout' | 'stderr' | 'status'; readonly bytes: Uint8Array }
  /** A channel has ended; the status says how the command did, so nothing follows from this. */
  | { readonly channel: 'close' }
  | { readonly malformed: string }

export function readExecMessage(message: Uint8Array): ExecMessage {
  const [number] = message
  if (number === undefined) return { malformed: 'a message without a channel' }
  const channel = channels[number]
  if (channel === undefined) return { malformed: `a message for channel ${number}, which no command writes to` }
  return channel === 'close' ? { channel } : { channel, bytes: message.subarray(1) }
}

/** The message that carries bytes to a channel: the client's to standard input. */
export function execMessage(bytes: Uint8Array, channel = stdinChannel): Uint8Array {
  const message = new Uint8Array(bytes.length + 1)
  message[0] = channel
  message.set(bytes, 1)
  return message
}

/** How a command ended: the Status object on its channel. */
export type ExecStatus =
  | { readonly kind: 'success' }
  /** The command ran, and said no. */
  | { readonly kind: 'exit'; readonly code: number }
  /** The command could not be run, or what ran it failed. */
  | { readonly kind: 'failure'; readonly reason: string; readonly message: string }

/** A runtime puts the reason at the end of what each of its layers says. */
const maxMessageChars = 1000

/** Each server on the way says once more that the error is internal. */
function wordsOf(text: string): string {
  return oneLine(text, maxMessageChars).replace(/^(Internal error occurred: )+/, '')
}

export function readExecStatus(text: string): ExecStatus {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return { kind: 'failure', reason: 'InvalidStatus', message: wordsOf(text) }
  }
  const { status, reason, message, details } = fieldsOf(parsed)
  if (status === 'Success') return { kind: 'success' }
  const words = wordsOf(typeof message === 'string' ? message : text)
  if (reason === 'NonZeroExitCode') {
    const causes = listOf(fieldsOf(details)['causes']).map(fieldsOf)
    const code = Number(causes.find((cause) => cause['reason'] === 'ExitCode')?.['message'])
    if (Number.isInteger(code)) return { kind: 'exit', code }
  }
  return { kind: 'failure', reason: typeof reason === 'string' ? oneLine(reason) : 'Unknown', message: words }
}
