// Synthetic nodes: node n of a cluster of any size has the same name, address and pod CIDR. Pure but for the time of day in
// the objects.
import { Addr, Prefix } from '#/lib/addr.ts'
import { nodeObject } from '#/lab/kubelet-objects.ts'

export const clusterCIDR = Prefix.parse('10.0.0.0/8')
export const underlayCIDR = Prefix.parse('172.16.0.0/12')
const nodeMaskSize = 24
/** For benchmarks of dual stack. */
export const clusterCIDR6 = Prefix.parse('fd10::/32')
export const underlayCIDR6 = Prefix.parse('fd20::/64')
const nodeMaskSize6 = 64

/** Nodes are numbered from 1. */
export function nodeNameOf(number: number): string {
  return `node-${number}`
}

export function nodeAddrOf(number: number): Addr {
  return underlayCIDR.at(number)
}

export function podCIDROf(number: number): Prefix {
  return new Prefix(clusterCIDR.addr.plus(number << (32 - nodeMaskSize)), nodeMaskSize)
}

/** The same node in dual stack: its other address and pod CIDR. */
export function nodeAddr6Of(number: number): Addr {
  return underlayCIDR6.at(number)
}

export function podCIDR6Of(number: number): Prefix {
  return new Prefix(clusterCIDR6.addr.plus(BigInt(number) << BigInt(128 - nodeMaskSize6)), nodeMaskSize6)
}

export function dualStackNode(number: number) {
  const addrs = [nodeAddrOf(number), nodeAddr6Of(number)]
  const podCIDRs = [podCIDROf(number), podCIDR6Of(number)].map(String)
  const node = nodeObject({ name: nodeNameOf(number), subnet: 1, addrs })
  return { ...node, spec: { podCIDR: podCIDRs[0], podCIDRs } }
}

/** The Node object as a kubelet registers it, with its pod CIDR when `hasPodCIDR`. */
export function syntheticNode(number: number, hasPodCIDR: boolean) {
  const node = nodeObject({ name: nodeNameOf(number), subnet: 1, addrs: [nodeAddrOf(number)] })
  const podCIDR = String(podCIDROf(number))
  return { ...node, spec: hasPodCIDR ? { podCIDR, podCIDRs: [podCIDR] } : {} }
}

/** The numbers from `first` to `last`, both included. */
export function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
