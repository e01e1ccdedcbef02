// The numbers of namespaces: struct rtgenmsg and NETNSA_* (include/uapi/linux/net_namespace.h).
import { WireError, Writer } from '#/lib/bytes.ts'
import { nest, u32 } from './attr.ts'

export const RTM_GETNSID = 90

const headerBytes = 4
const attrs = nest({ id: [1, u32], fd: [3, u32] })
/** NETNSA_NSID_NOT_ASSIGNED, which is -1. */
const notAssigned = 0xffff_ffff

/** The payload of a request for the number of the namespace that a descriptor is open on. */
export function encodeNetnsLookup(fd: number): Uint8Array {
  const into = new Writer()
  into.reserve(headerBytes)
  attrs.encode({ fd }, into)
  return into.toBytes()
}

/** Undefined: the namespace has none. */
export function decodeNetnsId(payload: Uint8Array): number | undefined {
  if (payload.length < headerBytes) throw new WireError('message of a namespace cut off', payload.length)
  const { id } = attrs.decode(payload.subarray(headerBytes))
  return id === notAssigned ? undefined : id
}
