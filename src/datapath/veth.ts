// A pod's veth, the same for every datapath that its host end is attached to: how it is named, and how it is removed.
import { createHash } from 'node:crypto'
import { linkDelete } from '#/kernel/links.ts'
import { isNoDevice, type Netlink } from '#/kernel/netlink.ts'
import { deviceMac, portPrefix } from '#/model/names.ts'
import { type Attachment } from '#/wire/cni/index.ts'

/** The name of the host's end of an attachment's veth: the same on every attempt, so that a retry finds a half-made veth. */
export function hostDeviceOf({ containerId, ifName }: Attachment): string {
  return portPrefix + createHash('sha1').update(`${containerId} ${ifName}`).digest('hex').slice(0, 11)
}

/** The MAC of the host's end, derived from the container, so that a veth made anew has the MAC that the ADD reported. */
export function hostMacOf({ hostDevice, containerId }: { hostDevice: string; containerId: string }): string {
  return deviceMac(hostDevice, containerId)
}

/** Removes the veth, and with it the pod's end in any namespace. No error when the veth is already gone. Throws KernelError. */
export function unwirePod(netlink: Netlink, { hostDevice }: { hostDevice: string }): void {
  try {
    netlink.execute(linkDelete(hostDevice))
  } catch (error) {
    if (!isNoDevice(error)) throw error
  }
}
