// Chooses the address and the MAC of the next pod. Pure; the store (src/agent/endpoints/endpoint-store.ts) keeps what is in use.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { podMac } from '#/model/names.ts'
import { type PodAddress } from '#/model/network.ts'

/** The addresses that pods may get: all but the network address, the gateway after it and, for IPv4, the broadcast address. */
export function poolOf(cidr: Prefix): { readonly first: Addr; readonly count: bigint } {
  const reserved = cidr.family === 4 ? 3n : 2n
  const count = cidr.size > reserved ? cidr.size - reserved : 0n
  return { first: count > 0n ? cidr.addr.plus(2) : cidr.addr, count }
}

export function isInPool(cidr: Prefix, addr: Addr): boolean {
  const { first, count } = poolOf(cidr)
  return addr.family === cidr.family && addr.value >= first.value && addr.value < first.value + count
}

/** The reason why a CIDR has no room for any pod, and the remedy; undefined when it has room for at least one. */
export function tooSmall(cidr: Prefix): { readonly message: string; readonly remedy: string } | undefined {
  if (poolOf(cidr).count > 0n) return undefined
  const [least, taken] =
    cidr.family === 4 ? ['/30', 'network, gateway and broadcast address'] : ['/126', 'network address and gateway']
  return {
    message: `pod CIDR ${cidr} is too small for pods: ${taken} take all of it`,
    remedy: `give the node one of ${least} or larger`,
  }
}

/** The CIDRs grouped by family, in the order in which the families first appear: a pod gets one address of each group. */
export function byFamily(cidrs: readonly Prefix[]): (readonly [Family, readonly Prefix[]])[] {
  const families = [...new Set(cidrs.map(({ family }) => family))]
  return families.map((family) => [family, cidrs.filter((cidr) => cidr.family === family)])
}

/**
 * The next free address after `last`, going round at the end of the CIDR, so that an address stays unused as long as possible
 * before a pod gets it again. undefined when all addresses are in use.
 */
export function nextFree(cidr: Prefix, last: Addr | undefined, isUsed: (addr: Addr) => boolean): Addr | undefined {
  const { first, count } = poolOf(cidr)
  const start = last && isInPool(cidr, last) ? last.value - first.value + 1n : 0n
  for (let step = 0n; step < count; step++) {
    const addr = first.plus((start + step) % count)
    if (!isUsed(addr)) return addr
  }
  return undefined
}

export type Occupancy = {
  readonly isUsed: (addr: Addr) => boolean
  /** Addresses that pods gave back a short time ago, the oldest first. */
  readonly resting: readonly Addr[]
  /** The address of a CIDR that a pod got most recently. */
  readonly last: (cidr: Prefix) => Addr | undefined
}

/**
 * A free address of the first CIDR that has one. A resting address is chosen only when no CIDR has another free address: reusing a
 * recent address is worse than leaving the order of the CIDRs, and better than failing. undefined when all are in use.
 */
export function chooseAddress(cidrs: readonly Prefix[], { isUsed, resting, last }: Occupancy): PodAddress | undefined {
  for (const cidr of cidrs) {
    const rests = new Set(resting.filter(({ family }) => family === cidr.family).map(({ value }) => value))
    const addr = nextFree(cidr, last(cidr), (each) => rests.has(each.value) || isUsed(each))
    if (addr) return { addr, cidr }
  }
  for (const addr of resting) {
    const cidr = cidrs.find((each) => isInPool(each, addr))
    if (cidr && !isUsed(addr)) return { addr, cidr }
  }
  return undefined
}

/** The MAC of a pod that requests none: the first MAC derived from the pod's address that no other pod has. */
export function chooseMac(addr: Addr, isUsed: (mac: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const mac = podMac(addr, attempt)
    if (!isUsed(mac)) return mac
  }
}

/** The reason why a pod may not have the address it requests; undefined when the CIDRs allow it. Does not check whether it is in use. */
export function requestFault(addr: Addr, cidrs: readonly Prefix[]): string | undefined {
  const cidr = cidrs.find((each) => each.contains(addr))
  if (cidr === undefined) return `is in no pod CIDR of this node (${cidrs.join(', ')})`
  const small = tooSmall(cidr)
  if (small !== undefined) return `cannot be given: ${small.message}; ${small.remedy}`
  if (isInPool(cidr, addr)) return undefined
  const role = addr.equals(cidr.addr) ? 'network address' : addr.equals(cidr.at(1)) ? 'gateway' : 'broadcast address'
  return `is the ${role} of pod CIDR ${cidr}`
}
