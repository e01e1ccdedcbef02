// The places where a packet is to be seen on a node, one stretch after the other. Pure.
import { type WayPlace } from './types.ts'

/** That a process has read the packet is not to be counted on: the kernel itself answers an echo and a SYN, and tells of few datagrams. */
export type PredictedPlace = WayPlace & { readonly place: Exclude<WayPlace['place'], 'read'> }

const at = (place: PredictedPlace['place'], device: string, pod?: string): PredictedPlace => ({
  place,
  device,
  ...(pod !== undefined && { pod }),
})

/** A device sends: the packet enters its queue, and leaves it. */
export function sent(device: string, pod?: string): PredictedPlace[] {
  return [at('queue', device, pod), at('transmit', device, pod)]
}

export function received(device: string, pod?: string): PredictedPlace[] {
  return [at('receive', device, pod)]
}

export type PodEnd = { readonly pod: string; readonly device: string; readonly hostDevice: string }

/** Out of a pod's namespace, as far as its host device. */
export function outOfPod({ pod, device, hostDevice }: PodEnd): PredictedPlace[] {
  return [...sent(device, pod), ...received(hostDevice)]
}

/** From its host device into a pod's namespace. */
export function intoPod({ pod, device, hostDevice }: PodEnd): PredictedPlace[] {
  return [...sent(hostDevice), ...received(device, pod)]
}
