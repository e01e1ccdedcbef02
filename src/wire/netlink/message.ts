// The netlink message header and the acknowledgement (include/uapi/linux/netlink.h).
import { viewOf, WireError, Writer } from '#/lib/bytes.ts'
import { nest, text, u32 } from './attr.ts'

export const headerBytes = 16

export const NLM_F_REQUEST = 0x1
export const NLM_F_ACK = 0x4
export const NLM_F_DUMP_INTR = 0x10
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_APPEND = 0x800
export const NLM_F_DUMP = 0x300
/** Flag of an acknowledgement: the echoed message is cut to its header. */
const NLM_F_CAPPED = 0x100
/** Flag of an acknowledgement: attributes with the kernel's explanation follow. */
const NLM_F_ACK_TLVS = 0x200

export const NLMSG_NOOP = 1
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3

export type Message = {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly portId: number
  readonly payload: Uint8Array
}

/** A request before a socket gives it a sequence number. */
export type Request = { readonly type: number; readonly flags: number; readonly payload: Uint8Array }

export function encodeMessage(request: Request, sequence: number, into: Writer): void {
  into.align(4)
  into.u32le(headerBytes + request.payload.length)
  into.u16le(request.type)
  into.u16le(request.flags)
  into.u32le(sequence)
  into.u32le(0)
  into.bytes(request.payload)
}

/** Splits a datagram into messages; throws WireError when one is cut off. */
export function decodeMessages(bytes: Uint8Array): Message[] {
  const view = viewOf(bytes)
  const messages: Message[] = []
  let offset = 0
  while (offset < bytes.length) {
    if (bytes.length - offset < headerBytes) throw new WireError('netlink header cut off', offset)
    const length = view.getUint32(offset, true)
    if (length < headerBytes || length > bytes.length - offset) {
      throw new WireError(`netlink message of length ${length}`, offset)
    }
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      portId: view.getUint32(offset + 12, true),
      payload: bytes.subarray(offset + headerBytes, offset + length),
    })
    offset += (length + 3) & ~3
  }
  return messages
}

const extendedAck = nest({ message: [1, text], offset: [2, u32] })

/** `errno` is positive, 0 for success; `explanation` is the kernel's own text, `offset` the position of the byte that it refuses. */
export type Ack = { readonly errno: number; readonly explanation?: string; readonly offset?: number }

/** Reads an NLMSG_ERROR, or the end of a dump (NLMSG_DONE), which has the same fields. */
export function decodeAck(message: Message): Ack {
  if (message.payload.length < 4) throw new WireError('netlink acknowledgement cut off', 0)
  const view = viewOf(message.payload)
  const errno = 0 - view.getInt32(0, true)
  let start = 4
  if (message.type === NLMSG_ERROR) {
    if (message.payload.length < 4 + headerBytes) throw new WireError('netlink acknowledgement cut off', 4)
    const echoed = message.flags & NLM_F_CAPPED ? headerBytes : view.getUint32(4, true)
    start = 4 + ((echoed + 3) & ~3)
  }
  if (!(message.flags & NLM_F_ACK_TLVS) || start >= message.payload.length) return { errno }
  const { message: explanation, offset } = extendedAck.decode(message.payload.subarray(start))
  return { errno, ...(explanation && { explanation }), ...(offset !== undefined && { offset }) }
}
