// Notifications of sysctls: struct netconfmsg and NETCONFA_* (include/uapi/linux/netconf.h).
import { WireError } from '#/lib/bytes.ts'
import { nest, u32 } from './attr.ts'

export const RTM_NEWNETCONF = 80
export const RTM_DELNETCONF = 81

/** The family, padded to the alignment of attributes. */
const headerBytes = 4

const netconfAttrs = nest({ index: [1, u32] })

/** The index of the device whose sysctl changed: -1 stands for "all", -2 for "default". */
export function decodeNetconf(payload: Uint8Array): number {
  const { index } = netconfAttrs.decode(payload.subarray(headerBytes))
  if (index === undefined) throw new WireError('netconf message without a device', 0)
  return index | 0
}
