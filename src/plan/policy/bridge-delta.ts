// What of the bridge table changes with the pods of this node.
import { families, type Addr } from '#/lib/addr.ts'
import { type NftDelta, type NftElements } from '#/wire/nftables/delta.ts'
import { type NftKey } from '#/wire/nftables/ruleset.ts'
import { type Ports, sourceKeys, sourceShape } from './bridge-table.ts'

/** The change for these host devices, from the ports that were written to those there are now. */
export function sourcesDelta(devices: Iterable<string>, written: Ports, ports: Ports): NftDelta {
  const changes: Record<'addElements' | 'deleteElements', NftElements[]> = { addElements: [], deleteElements: [] }
  const changed = [...devices].map((device) => ({
    device,
    before: written.get(device) ?? [],
    now: ports.get(device) ?? [],
  }))
  for (const family of families) {
    const set = sourceShape(family)
    const keys = (of: (change: (typeof changed)[number]) => readonly Addr[]): NftKey[] =>
      changed.flatMap((change) => sourceKeys(change.device, of(change), family))
    const added = keys(({ before, now }) => without(now, before))
    const removed = keys(({ before, now }) => without(before, now))
    if (added.length > 0) changes.addElements.push({ kind: 'keys', set, keys: added })
    if (removed.length > 0) changes.deleteElements.push({ kind: 'keys', set, keys: removed })
  }
  return changes
}

function without(addrs: readonly Addr[], others: readonly Addr[]): Addr[] {
  return addrs.filter((addr) => !others.some((other) => other.equals(addr)))
}
