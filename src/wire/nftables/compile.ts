// Compiles a rule to the kernel's expressions, the same ones that `nft` makes of the rule's text (`nft --debug=netlink` shows them).
import { type Family } from '#/lib/addr.ts'
import { macBytes } from '../ethernet/mac.ts'
import { type BindSet, compileMatch, matchIpFamily } from './compile-match.ts'
import { type Expression, expression } from './expressions.ts'
import {
  BASE_LINK,
  decide,
  loadMeta,
  loadValue,
  maskAndXor,
  META_MARK,
  META_PKTTYPE,
  native32,
  network16,
  nfProtocols,
  PACKET_HOST,
  register,
  registerAt,
  storeMeta,
} from './instructions.ts'
import { ipFamilyOf, type NftAction, type NftFamily, type NftRule } from './ruleset.ts'
import { valueSetText } from './value-set.ts'

const NFT_NAT_DNAT = 1
/** NF_NAT_RANGE_MAP_IPS and NF_NAT_RANGE_PROTO_SPECIFIED, as the kernel tells them of a translation to an address and a port. */
const toAddressAndPort = 3
const NF_NAT_RANGE_PROTO_RANDOM_FULLY = 0x10

/** Names a set by what it holds: good for comparing, not for sending. */
const bindByContents: BindSet = (set) => ({ set: valueSetText(set) })

/**
 * The expressions of a rule in a table of `family`. `bind` makes the sets without names that the rule refers to; without it the rule is good
 * for its fingerprint only if it has such.
 */
export function compileRule(rule: NftRule, family: NftFamily, bind: BindSet = bindByContents): Expression[] {
  const expressions: Expression[] = []
  let ipFamily: Family | undefined
  const fixFamily = (needed: Family | undefined): void => {
    // an address can be read only from a packet of a known IP family; one check per rule is enough
    if (needed !== undefined && needed !== ipFamily) expressions.push(...matchIpFamily(needed, family))
    ipFamily = needed ?? ipFamily
  }
  for (const match of rule.match) {
    fixFamily(ipFamilyOf(match))
    expressions.push(...compileMatch(match, bind))
  }
  return [...expressions, ...compileAction(rule.action)]
}

function counted({ counter }: { readonly counter?: boolean }): Expression[] {
  return counter ? [expression('counter', {})] : []
}

function compileAction(action: NftAction): Expression[] {
  switch (action.kind) {
    case 'accept':
    case 'drop':
    case 'return':
    case 'jump':
    case 'goto':
      return [...counted(action), decide(action)]
    case 'count':
      return [expression('counter', {})]
    case 'log': {
      const { group, prefix, snaplen } = action
      return [...counted(action), expression('log', { group, prefix, ...(snaplen !== undefined && { snaplen }) })]
    }
    case 'notrack':
      return [expression('notrack', {}), decide({ kind: 'accept' })]
    case 'masquerade':
      return [expression('masq', action.fullyRandom ? { flags: NF_NAT_RANGE_PROTO_RANDOM_FULLY } : {})]
    case 'dnat':
      return [
        loadValue(action.addr.toBytes()),
        loadValue(network16(action.port), registerAt(16)),
        expression('nat', {
          type: NFT_NAT_DNAT,
          family: nfProtocols[action.addr.family],
          regAddrMin: register,
          regAddrMax: register,
          regProtoMin: registerAt(16),
          regProtoMax: registerAt(16),
          flags: toAddressAndPort,
        }),
      ]
    case 'pktTypeHost':
      return [loadValue(Uint8Array.of(PACKET_HOST)), storeMeta(META_PKTTYPE)]
    case 'setEtherDaddr':
      return [
        loadValue(macBytes(action.mac)),
        expression('payload', { sreg: register, base: BASE_LINK, offset: 0, len: 6, csumType: 0, csumOffset: 0 }),
      ]
    case 'setMark':
      return [loadValue(native32(action.value)), storeMeta(META_MARK)]
    case 'orMark':
      return [loadMeta(META_MARK), maskAndXor(native32(~action.value), native32(action.value)), storeMeta(META_MARK)]
    default:
      return action satisfies never
  }
}
