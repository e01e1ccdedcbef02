// What of the bridge table changes with the pods of this node.
import { families, type Addr } from '#/lib/addr.ts'
import { type LocalPodForm } from '#/policy/form.ts'
import { directions } from '#/policy/policy.ts'
import { type NftDelta, type NftElements } from '#/wire/nftables/delta.ts'
import { type NftKey, type NftKeySet } from '#/wire/nftables/ruleset.ts'
import { policedShape, type Ports, sourceKeys, sourceShape } from './bridge-table.ts'

type Locals = ReadonlyMap<string, LocalPodForm | undefined>

/** The change for pods that are others or have another class now, and for host devices with other addresses. */
export function bridgeDelta(
  written: { readonly ports: Ports; readonly locals: Locals },
  now: { readonly ports: Ports; readonly changedPorts: Iterable<string>; readonly changedLocals: Locals },
): NftDelta {
  const ports = [...now.changedPorts].map((device) => ({
    device,
    before: written.ports.get(device) ?? [],
    after: now.ports.get(device) ?? [],
  }))
  const sources = families.map((family): SetChange => {
    const keys = (of: (change: (typeof ports)[number]) => readonly Addr[]): NftKey[] =>
      ports.flatMap((change) => sourceKeys(change.device, of(change), family))
    return {
      set: sourceShape(family),
      added: keys(({ before, after }) => without(after, before)),
      removed: keys(({ before, after }) => without(before, after)),
    }
  })
  const policed = directions.map((direction): SetChange => {
    const changed = [...now.changedLocals].map(([device, local]) => ({
      device,
      isPoliced: local?.[direction] !== undefined,
      wasPoliced: written.locals.get(device)?.[direction] !== undefined,
    }))
    return {
      set: policedShape(direction),
      added: changed.filter((pod) => pod.isPoliced && !pod.wasPoliced).map(({ device }) => [device]),
      removed: changed.filter((pod) => !pod.isPoliced && pod.wasPoliced).map(({ device }) => [device]),
    }
  })
  return deltaOf([...sources, ...policed])
}

type SetChange = {
  readonly set: Pick<NftKeySet, 'name' | 'type'>
  readonly added: readonly NftKey[]
  readonly removed: readonly NftKey[]
}

function deltaOf(changes: readonly SetChange[]): NftDelta {
  const elements = (keysOf: (change: SetChange) => readonly NftKey[]): NftElements[] =>
    changes
      .filter((change) => keysOf(change).length > 0)
      .map((change) => ({ kind: 'keys', set: change.set, keys: keysOf(change) }))
  return { addElements: elements(({ added }) => added), deleteElements: elements(({ removed }) => removed) }
}

function without(addrs: readonly Addr[], others: readonly Addr[]): Addr[] {
  return addrs.filter((addr) => !others.some((other) => other.equals(addr)))
}
