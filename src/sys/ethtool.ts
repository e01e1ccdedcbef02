// Features of devices, as ethtool(8) shows and sets them, in the network namespace of the calling thread.
// include/uapi/linux/ethtool.h, sockios.h; there is no attribute of rtnetlink for them.
import { viewOf } from '#/lib/bytes.ts'
import { allocate, closeFd, libc, SysError } from './libc.ts'
import { openSocket } from './socket.ts'

const SIOCETHTOOL = 0x8946
/** ETHTOOL_G…, by the names that ethtool(8) has for the features. */
const getCommands = {
  'rx-checksumming': 0x14,
  'tx-checksumming': 0x16,
  'tcp-segmentation-offload': 0x1e,
  'generic-segmentation-offload': 0x23,
  'generic-receive-offload': 0x2b,
} as const
const ETHTOOL_GGRO = getCommands['generic-receive-offload']
const ETHTOOL_SGRO = 0x2c
const SOCK_DGRAM = 2
/** struct ifreq: the name, and the address of the command. */
const request = { bytes: 40, name: 16 } as const
/** struct ethtool_value: the command and its value. */
const commandBytes = 8

function ethtool(device: string, command: number, value: number): number {
  using memory = allocate(commandBytes)
  const view = viewOf(memory.bytes)
  view.setUint32(0, command, true)
  view.setUint32(4, value, true)
  const bytes = new Uint8Array(request.bytes)
  bytes.set(new TextEncoder().encode(device).subarray(0, request.name - 1))
  viewOf(bytes).setBigUint64(request.name, memory.address, true)
  const socket = openSocket(4, SOCK_DGRAM, 0, () => {})
  try {
    libc('ioctl', [socket, SIOCETHTOOL, bytes], `ethtool ${device}`)
  } finally {
    closeFd(socket)
  }
  return view.getUint32(4, true)
}

/** Whether generic receive offload is on; undefined when there is no such device (any more). */
export function hasGro(device: string): boolean | undefined {
  try {
    return ethtool(device, ETHTOOL_GGRO, 0) !== 0
  } catch (error) {
    if (error instanceof SysError && error.code === 'ENODEV') return undefined
    throw error
  }
}

export type Offloads = Readonly<Record<string, boolean>>

/** Which work the device does for the kernel, as far as it tells; undefined when there is no such device (any more). */
export function offloadsOf(device: string): Offloads | undefined {
  const found: Record<string, boolean> = {}
  for (const [name, command] of Object.entries(getCommands))
    try {
      found[name] = ethtool(device, command, 0) !== 0
    } catch (error) {
      if (!(error instanceof SysError)) throw error
      if (error.code === 'ENODEV') return undefined
    }
  return found
}

/** Throws SysError: ENODEV, EPERM. */
export function setGro(device: string, isOn: boolean): void {
  ethtool(device, ETHTOOL_SGRO, isOn ? 1 : 0)
}
