// The places where a packet is to be seen on a node, one stretch after the other. Pure.
import { type WayPlace } from './types.ts'

const at = (place: WayPlace['place'], device: string, pod?: string): WayPlace => ({
  place,
  device,
  ...(pod !== undefined && { pod }),
})

/** A device sends: the packet enters its queue, and leaves it. */
export function sent(device: string, pod?: string): WayPlace[] {
  return [at('queue', device, pod), at('transmit', device, pod)]
}

export function received(device: string, pod?: string): WayPlace[] {
  return [at('receive', device, pod)]
}

export type PodEnd = { readonly pod: string; readonly device: string; readonly hostDevice: string }

/** Out of a pod's namespace, as far as its host device. */
export function outOfPod({ pod, device, hostDevice }: PodEnd): WayPlace[] {
  return [...sent(device, pod), ...received(hostDevice)]
}

/** From its host device into a pod's namespace. */
export function intoPod({ pod, device, hostDevice }: PodEnd): WayPlace[] {
  return [...sent(hostDevice), ...received(device, pod)]
}

/** A process has read it. The kernel itself answers an echo, and a connection's first packet. */
export function read(pod?: string): WayPlace[] {
  return [at('read', '', pod)]
}
