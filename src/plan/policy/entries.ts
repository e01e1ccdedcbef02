// The elements of the maps that lead packets from and to pods of this node to the chains of their classes.
import { type Addr, type Family } from '#/lib/addr.ts'
import { type ClassId, type LocalPodForm } from '#/policy/form.ts'
import { type Direction } from '#/policy/policy.ts'
import { type NftMap, type NftMapElement } from '#/wire/nftables/ruleset.ts'
import { classChain, classMap } from './names.ts'

/** The address of a pod, and the class in which it is. */
export type Entry = { readonly addr: Addr; readonly device: string; readonly class: ClassId }

/** The entries of pods by the text of the address, which is in a map once: of two pods with one address the last one counts. */
export function entriesOf(
  direction: Direction,
  locals: Iterable<readonly [device: string, local: LocalPodForm | undefined]>,
): Map<string, Entry> {
  const entries = new Map<string, Entry>()
  for (const [device, local] of locals) {
    const id = local?.[direction]
    if (local === undefined || id === undefined) continue
    for (const addr of local.addrs) entries.set(String(addr), { addr, device, class: id })
  }
  return entries
}

export function mapShape(direction: Direction, family: Family): Pick<NftMap, 'name' | 'type'> {
  return { name: classMap(direction, family), type: [family === 4 ? 'ipv4_addr' : 'ipv6_addr'] }
}

export function mapElements(direction: Direction, family: Family, entries: Iterable<Entry>): NftMapElement[] {
  return [...entries]
    .filter(({ addr }) => addr.family === family)
    .map(({ addr, class: id }) => ({ key: [addr], verdict: { kind: 'goto', chain: classChain(direction, id) } }))
}
