// How much room the kernel's tables of neighbours are to have, as the command that gives it to them. Pure.
import { type Family } from '#/lib/addr.ts'

/** The least limit with which as many entries again find room: then the kernel has no need to throw out those in use. A power of two. */
export const limitFor = (entries: number): number => 2 ** Math.ceil(Math.log2(Math.max(entries, 1) * 2))

/** Sets all three limits: above gc_thresh2 entries are thrown out early, below gc_thresh1 they are left alone. */
export function neighbourSysctls(family: Family, limit: number): string {
  const limits = [limit, limit / 2, limit / 4].map(
    (value, index) => `net.ipv${family}.neigh.default.gc_thresh${3 - index}=${value}`,
  )
  return `sysctl -w ${limits.join(' ')}`
}
