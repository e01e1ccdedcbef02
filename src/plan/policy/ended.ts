// The answers of connections that policies have ended. A connection that is no longer tracked would be taken for a new one with the next answer:
// in the opposite direction, which may be allowed, so that the packets that are denied would count as its answers. Until its ends have given up
// nothing of it passes.
import { type Addr, type Family } from '#/lib/addr.ts'
import { type NftElements } from '#/wire/nftables/delta.ts'
import { type NftKey, type NftKeySet, type NftRule } from '#/wire/nftables/ruleset.ts'
import { endedSet } from './names.ts'

/** What the answers of a connection have in their headers. */
export type Answers = {
  readonly protocol: number
  readonly src: Addr
  readonly srcPort: number
  readonly dst: Addr
  readonly dstPort: number
}

function endedShape(family: Family): Pick<NftKeySet, 'name' | 'type'> {
  const addr = family === 4 ? 'ipv4_addr' : 'ipv6_addr'
  return { name: endedSet(family), type: [addr, 'inet_proto', 'inet_service', addr, 'inet_service'] }
}

function endedKey({ protocol, src, srcPort, dst, dstPort }: Answers): NftKey {
  return [src, protocol, srcPort, dst, dstPort]
}

export function endedSetOf(answers: Iterable<Answers>, family: Family): NftKeySet {
  return { ...endedShape(family), elements: keysOf(answers, family) }
}

export function endedElements(answers: readonly Answers[], family: Family): NftElements[] {
  const keys = keysOf(answers, family)
  return keys.length === 0 ? [] : [{ kind: 'keys', set: endedShape(family), keys }]
}

function keysOf(answers: Iterable<Answers>, family: Family): NftKey[] {
  return [...answers].filter(({ src }) => src.family === family).map(endedKey)
}

export function endedRule(family: Family): NftRule {
  return {
    comment: `answers of connections that policies have ended (IPv${family})`,
    match: [
      {
        kind: 'keySet',
        set: endedSet(family),
        fields: ['saddr', 'l4proto', 'sport', 'daddr', 'dport'],
        family,
      },
    ],
    action: { kind: 'drop', counter: true },
  }
}
