// One rule of a policy as nftables rules: as few as its peers and ports allow, all with the same comment and a counter.
import { families, type Family } from '#/lib/addr.ts'
import { type Form, type FormRule, type PortRange } from '#/policy/form.ts'
import { type Direction, type PortProtocol, portProtocols } from '#/policy/policy.ts'
import { type NftAction, type NftMatch, type NftRule } from '#/wire/nftables/ruleset.ts'
import { blockSet, podSet, portSet, ruleComment } from './names.ts'

/** One way in which a packet may match, in one family where that counts. */
type Way = { readonly family?: Family; readonly match: readonly NftMatch[] }
const anyWay: readonly Way[] = [{ match: [] }]

/** What decides: it gets a counter, so that each rule tells what it has matched. */
export type Verdict = { readonly kind: 'accept' } | { readonly kind: 'goto'; readonly chain: string }

/** Where in the packet the other end's address is. */
const peerFields = { ingress: 'saddr', egress: 'daddr' } as const satisfies Record<Direction, string>

export function compileFormRule(form: Form, rule: FormRule, verdict: Verdict): NftRule[] {
  const action: NftAction = { ...verdict, counter: true }
  const comment = ruleComment(rule.ref)
  const ports = portWays(form, rule.ports)
  return peerWays(form, rule).flatMap((peer) =>
    ports
      .filter(({ family = peer.family }) => peer.family === undefined || family === peer.family)
      .map(({ match }): NftRule => ({ comment, match: [...peer.match, ...match], action })),
  )
}

function peerWays(form: Form, { ref, peers }: FormRule): readonly Way[] {
  if (peers === 'any') return anyWay
  const field = peerFields[ref.direction]
  return peers.flatMap((id) => {
    const set = form.peerSets.get(id)
    if (set === undefined) throw new Error(`${ruleComment(ref)}: the form has no set ${id}`)
    return families
      .filter((family) =>
        set.kind === 'pods' ? form.families.has(family) : set.prefixes.some((prefix) => prefix.family === family),
      )
      .map((family): Way => {
        const name = set.kind === 'pods' ? podSet(id, family) : blockSet(id, family)
        return { family, match: [{ kind: 'addrSet', field, family, set: name }] }
      })
  })
}

/** In which pods have addresses, always in the same order. */
export function familiesOf(form: Pick<Form, 'families'>): Family[] {
  return families.filter((family) => form.families.has(family))
}

const isWhole = ({ first, last }: PortRange): boolean => first === 0 && last === 0xffff

function portWays(form: Form, ports: FormRule['ports']): readonly Way[] {
  if (ports === 'any') return anyWay
  const byProtocol = Map.groupBy(ports.ranges, ({ protocol }) => protocol)
  const whole = [...byProtocol].filter(([, ranges]) => ranges.some(isWhole)).map(([protocol]) => protocol)
  const inParts = [...byProtocol].filter(([protocol]) => !whole.includes(protocol))
  return [
    ...(whole.length > 0 ? [{ match: [protocolMatch(whole)] }] : []),
    ...inParts.map(([protocol, ranges]): Way => {
      const numbers = ranges.map(({ first, last }) => ({ first, last }))
      return { match: [protocolMatch([protocol]), { kind: 'ports', field: 'dport', ranges: numbers }] }
    }),
    // a name is that of the destination's port, whichever end the policy is about
    ...ports.names.flatMap((id) =>
      familiesOf(form).map((family): Way => {
        const fields = ['daddr', 'l4proto', 'dport'] as const
        return { family, match: [{ kind: 'keySet', set: portSet(id, family), fields, family }] }
      }),
    ),
  ]
}

function protocolMatch(protocols: readonly PortProtocol[]): NftMatch {
  const numbers = protocols.map((protocol) => portProtocols[protocol])
  const [first] = numbers
  return numbers.length === 1 && first !== undefined
    ? { kind: 'l4proto', protocol: first }
    : { kind: 'l4protos', protocols: numbers }
}
