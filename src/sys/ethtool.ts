// Features of devices, as ethtool(8) shows and sets them, in the network namespace of the calling thread.
// include/uapi/linux/ethtool.h, sockios.h; there is no attribute of rtnetlink for them.
import { viewOf } from '#/lib/bytes.ts'
import { allocate, closeFd, libc, SysError } from './libc.ts'
import { openSocket } from './socket.ts'

const SIOCETHTOOL = 0x8946
const ETHTOOL_GGRO = 0x2b
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

/** Throws SysError: ENODEV, EPERM. */
export function setGro(device: string, isOn: boolean): void {
  ethtool(device, ETHTOOL_SGRO, isOn ? 1 : 0)
}
