// The numbers by which a network namespace knows others: struct rtgenmsg and NETNSA_* (include/uapi/linux/net_namespace.h).
import { Writer } from '#/lib/bytes.ts'
import { nest, u32 } from './attr.ts'

export const RTM_GETNSID = 90

/** struct rtgenmsg, padded to the alignment of attributes. */
const headerBytes = 4

const nsidAttrs = nest({ nsid: [1, u32], fd: [3, u32] })

/** Asks for the number of the namespace that a descriptor of this process is open on. */
export function encodeNsidRequest(fd: number): Uint8Array {
  const into = new Writer()
  into.reserve(headerBytes)
  nsidAttrs.encode({ fd }, into)
  return into.toBytes()
}

/** undefined: the namespace has none, since nothing here is connected with it. */
export function decodeNsid(payload: Uint8Array): number | undefined {
  const { nsid } = nsidAttrs.decode(payload.subarray(headerBytes))
  return nsid === undefined || (nsid | 0) < 0 ? undefined : nsid
}
