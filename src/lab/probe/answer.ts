// The protocol of the echo server: the client sends any line, and the server answers with one line of JSON that has its pod's name and the
// client's address as it sees it. An HTTP client, such as curl, gets the same as an HTTP response.
import { Addr } from '#/lib/addr.ts'

export type Answer = { readonly pod: string; readonly source: Addr }

export const greeting = new TextEncoder().encode('causeway probe\n')
/** The limit of an answer's length: a pod's name has at most 253 characters, an address 39. */
export const answerLimitBytes = 1024

/** Reads an address from a socket: drops the zone, and turns a v4 client of a v6 socket (RFC 4291 section 2.5.5.2) into v4. */
export function peerAddr(text: string): Addr | undefined {
  const addr = Addr.tryParse(text.split('%')[0]!)
  if (addr?.family === 6 && addr.value >> 32n === 0xffffn) return new Addr(4, addr.value & 0xffff_ffffn)
  return addr
}

export function formatAnswer(answer: Answer): string {
  return `${JSON.stringify({ pod: answer.pod, source: answer.source })}\n`
}

/** The answer as an HTTP response (RFC 9112); the connection ends with it. */
export function formatHttpAnswer(answer: Answer, method: string): string {
  const body = formatAnswer(answer)
  const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`
  return method === 'HEAD' ? head : head + body
}

/** The method if a client's first line is an HTTP/1 request line. */
export function httpMethod(text: string): string | undefined {
  return /^([A-Z]{1,16}) \S+ HTTP\/1\.[01]\r?\n/.exec(text)?.[1]
}

/** Reads an answer's line; undefined when it is malformed, as from a server that is not the lab's. */
export function parseAnswer(line: string): Answer | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('pod' in value) || !('source' in value)) return undefined
  if (typeof value.pod !== 'string' || typeof value.source !== 'string') return undefined
  const source = Addr.tryParse(value.source)
  return source && { pod: value.pod, source }
}
