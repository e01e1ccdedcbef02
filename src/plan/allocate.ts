// Which address of a pod CIDR the next pod gets. Pure; the store (src/agent/endpoints.ts) keeps what is in use.
import { type Addr, type Prefix } from '#/lib/addr.ts'

/** Not for pods: the network address, the gateway after it and, for IPv4, the broadcast address. */
export function poolOf(cidr: Prefix): { readonly first: Addr; readonly count: bigint } {
  const reserved = cidr.family === 4 ? 3n : 2n
  return { first: cidr.addr.plus(2), count: cidr.size > reserved ? cidr.size - reserved : 0n }
}

export function isInPool(cidr: Prefix, addr: Addr): boolean {
  const { first, count } = poolOf(cidr)
  return addr.family === cidr.family && addr.value >= first.value && addr.value < first.value + count
}

/**
 * The free address that comes next after `last`, around the end: an address rests as long as it can before it is given
 * again. undefined when all are in use.
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
