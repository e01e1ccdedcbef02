// One direction of one policy in the form: rules that name sets, and the sets that they name.
import { type FormRule, type NamedPortSet, type PeerSet, type PolicyForm, type PortRange } from '../form.ts'
import { type Direction, type Policy, type PolicyRule, portProtocols } from '../policy.ts'
import { prefixesOfBlocks } from './blocks.ts'
import { blocksId, namedPortsId, podsId, policyId } from './ids.ts'

export type CompiledPolicy = {
  readonly form: PolicyForm
  /** Each once, by id. */
  readonly peerSets: ReadonlyMap<string, PeerSet>
  readonly namedPortSets: ReadonlyMap<string, NamedPortSet>
}

/** One for all that name none: a map takes as much as a policy. */
const noSets: ReadonlyMap<string, never> = new Map<string, never>()

type Ranges = Extract<FormRule['ports'], object>['ranges']

const numberOf = ({ protocol }: PortRange): number => portProtocols[protocol]

function merged(ranges: Ranges): PortRange[] {
  const sorted = [...ranges].sort((a, b) => numberOf(a) - numberOf(b) || a.first - b.first)
  const result: PortRange[] = []
  for (const range of sorted) {
    const before = result.at(-1)
    if (before?.protocol !== range.protocol || range.first > before.last + 1) result.push(range)
    else if (range.last > before.last) result[result.length - 1] = { ...before, last: range.last }
  }
  return result
}

function peerSetsOf(peers: Exclude<PolicyRule['peers'], 'any'>): PeerSet[] {
  const pods = peers.flatMap((peer) => (peer.kind === 'pods' ? [peer] : []))
  const sets: PeerSet[] = pods.map(({ namespaces, pods: selector }) => {
    const match = { namespaces, pods: selector }
    return { kind: 'pods', id: podsId(match), match }
  })
  const prefixes = prefixesOfBlocks(peers.flatMap((peer) => (peer.kind === 'block' ? [peer] : [])))
  if (prefixes.length > 0) sets.push({ kind: 'blocks', id: blocksId(prefixes), prefixes })
  return sets
}

function namedPortSetsOf(ports: Exclude<PolicyRule['ports'], 'any'>, direction: Direction): NamedPortSet[] {
  return ports.flatMap((port) => {
    if (port.kind !== 'name') return []
    const { name, protocol } = port
    const set = {
      name,
      ...(protocol === undefined ? {} : { protocol }),
      ...(direction === 'ingress' ? { isLocal: true as const } : {}),
    }
    return [{ id: namedPortsId(set), ...set }]
  })
}

const sortedIds = (sets: readonly { readonly id: string }[]): string[] => [...new Set(sets.map(({ id }) => id))].sort()

export function compilePolicy({ key, tier, rules }: Policy, direction: Direction): CompiledPolicy {
  const peerSets = new Map<string, PeerSet>()
  const namedPortSets = new Map<string, NamedPortSet>()
  const formRules = (rules[direction] ?? []).map(({ index, action, peers, ports }): FormRule => {
    const sets = peers === 'any' ? [] : peerSetsOf(peers)
    const names = ports === 'any' ? [] : namedPortSetsOf(ports, direction)
    for (const set of sets) peerSets.set(set.id, set)
    for (const set of names) namedPortSets.set(set.id, set)
    return {
      ref: { policy: key, direction, index },
      action,
      peers: peers === 'any' ? 'any' : sortedIds(sets),
      ports:
        ports === 'any'
          ? 'any'
          : {
              ranges: merged(
                ports
                  .flatMap((port) => (port.kind === 'range' ? [port] : []))
                  .map(({ protocol, first, last }) => ({ protocol, first, last })),
              ),
              names: sortedIds(names),
            },
    }
  })
  return {
    form: { id: policyId(key, direction), policy: key, tier, direction, rules: formRules },
    peerSets: peerSets.size === 0 ? noSets : peerSets,
    namedPortSets: namedPortSets.size === 0 ? noSets : namedPortSets,
  }
}
