// The message header (RFC 4271 section 4.1): sixteen octets of ones, length, type.
import { BgpError, ErrorCode, HeaderSubcode, notificationOf } from './notification.ts'

export const headerBytes = 19
export const maxMessageBytes = 4096

export const MessageType = { open: 1, update: 2, notification: 3, keepalive: 4, refresh: 5 } as const

/**
 * The least length of a message by type (RFC 4271 section 6.1). ROUTE-REFRESH is absent, because its decoder checks its length (RFC 7313
 * section 5).
 */
const leastBytes: readonly (number | undefined)[] = [undefined, 29, 23, 21, headerBytes, headerBytes]

/** Checks the header that starts at `at`, which must be complete, and returns the length of the message. */
export function checkHeader(bytes: Uint8Array, at: number): number {
  for (let index = at; index < at + 16; index++) {
    if (bytes[index] !== 0xff) {
      throw new BgpError(notificationOf(ErrorCode.header, HeaderSubcode.notSynchronized), 'the marker is not all ones')
    }
  }
  const length = bytes[at + 16]! * 256 + bytes[at + 17]!
  const type = bytes[at + 18]!
  const least = leastBytes[type] ?? headerBytes
  if (length < least || length > maxMessageBytes || (type === MessageType.keepalive && length !== headerBytes)) {
    throw badLength(bytes, at, `length ${length} of a message of type ${type}`)
  }
  if (leastBytes[type] === undefined) {
    const data = Uint8Array.of(type)
    throw new BgpError(notificationOf(ErrorCode.header, HeaderSubcode.badType, data), `type ${type}`)
  }
  return length
}

/** The error for a bad length; its data is the Length field (RFC 4271 section 6.1). */
export function badLength(bytes: Uint8Array, at: number, what: string): BgpError {
  return new BgpError(notificationOf(ErrorCode.header, HeaderSubcode.badLength, bytes.slice(at + 16, at + 18)), what)
}

/** Allocates a message with a body of `bodyBytes` and writes its header. */
export function messageOf(type: number, bodyBytes: number): Buffer<ArrayBuffer> {
  const message = Buffer.alloc(headerBytes + bodyBytes)
  writeHeader(message, 0, type, message.length)
  return message
}

export function writeHeader(into: Buffer, at: number, type: number, length: number): void {
  into.fill(0xff, at, at + 16)
  into.writeUInt16BE(length, at + 16)
  into[at + 18] = type
}
