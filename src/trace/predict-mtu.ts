// Whether a packet fits, as a step. Pure.
import { type At, type Mend, type PacketFacts, passes, type PredictedStep, stops } from './predict-steps.ts'

export type FitFacts = {
  readonly at: At
  readonly mtuBytes: number
  /** What has the MTU: "the route", "device eth0". */
  readonly of: string
  /** A router has told the kernel so, which remembers it for ten minutes. */
  readonly isLearned?: true
}

/** By which MTU a kernel sends: of the route that matches, of the way, where it has learned less of that, or else of the device. */
export function sendingMtu(
  { mtuBytes, isLearned }: { readonly mtuBytes?: number; readonly isLearned?: true },
  device: { readonly name: string; readonly mtuBytes: number },
): Omit<FitFacts, 'at'> {
  if (mtuBytes === undefined) return { mtuBytes: device.mtuBytes, of: `device ${device.name}` }
  return isLearned
    ? { mtuBytes, of: 'the way, as the kernel was told and remembers', isLearned }
    : { mtuBytes, of: 'the route' }
}

/** What mends a way to pods or nodes that carries less than planned, as routers have told. */
export function learnedMend({ isLearned, mtuBytes }: Pick<FitFacts, 'isLearned' | 'mtuBytes'>): Mend {
  if (isLearned !== true) return {}
  return {
    code: 'CW8101',
    remedy: `something between the nodes takes ${mtuBytes} bytes at most: give all devices and routers there the MTU that the devices of nodes have, or set CAUSEWAY_MTU of all agents to what the path carries; what is remembered goes after ten minutes, or by: ip route flush cache`,
  }
}

/**
 * For a route, by which the kernel sends or forwards: what is larger is cut up if it may be, and else the sender is told. `isOwn`: the packet is
 * of this very namespace, so that the kernel refuses to send it.
 */
export function routeFit(
  packet: PacketFacts,
  { at, mtuBytes, of }: FitFacts,
  isOwn: boolean,
  mend: Mend = {},
): PredictedStep {
  const { sizeBytes, mayFragment, family } = packet
  const size = `${sizeBytes} bytes`
  if (sizeBytes <= mtuBytes) return passes('mtu', `${size} fit in ${mtuBytes}, the MTU of ${of}`, at)
  if (isOwn ? mayFragment : mayFragment && family === 4)
    return passes('mtu', `${size} are cut into fragments of at most ${mtuBytes}, the MTU of ${of}`, at)
  const how = isOwn
    ? 'the kernel refuses to send it (EMSGSIZE)'
    : `the kernel drops it and tells the sender (${family === 4 ? 'ICMP fragmentation needed' : 'ICMPv6 packet too big'})`
  return stops('mtu', `${size} are more than ${mtuBytes}, the MTU of ${of}: ${how}`, at, {
    remedy: `send at most ${mtuBytes} bytes`,
    ...mend,
  })
}

/** The kernel lets frames pass that are longer by a VLAN tag than a device's MTU (is_skb_forwardable of net/core/dev.c). */
const vlanTagBytes = 4

/** For a device that takes a frame of another one, as a veth's end and a bridge's port do: what is larger is dropped without a word. */
export function frameFit(
  sizeBytes: number,
  { at, mtuBytes, of }: FitFacts,
  mend: Mend = {},
): PredictedStep | undefined {
  if (sizeBytes <= mtuBytes + vlanTagBytes) return undefined
  return stops(
    'mtu',
    `${sizeBytes} bytes are more than ${mtuBytes}, the MTU of ${of}: dropped, and nobody is told`,
    at,
    mend,
  )
}

/** What the tunnel adds: an Ethernet header, VXLAN, UDP and IP. */
export const overheadBytes = { 4: 14 + 8 + 8 + 20, 6: 14 + 8 + 8 + 40 } as const

/**
 * For the outer packet of a tunnel, which is never marked as one that may not be cut up. The kernel cuts IPv6 of its own alone (ip6_fragment), and this
 * one holds what others sent.
 */
export function outerFit(innerBytes: number, outer: 4 | 6, fit: FitFacts): PredictedStep {
  const { at, mtuBytes, of } = fit
  const bytes = innerBytes + overheadBytes[outer]
  const sum = `${innerBytes} and ${overheadBytes[outer]} bytes of outer headers`
  if (bytes <= mtuBytes) return passes('mtu', `${sum} fit in ${mtuBytes}, the MTU of ${of}`, at)
  const more = `${sum} are more than ${mtuBytes}, the MTU of ${of}`
  return outer === 4
    ? passes('mtu', `${more}: sent in fragments, which many networks lose`, at)
    : stops('mtu', `${more}: the kernel drops it, since it cuts no IPv6 packet of a tunnel`, at, learnedMend(fit))
}
