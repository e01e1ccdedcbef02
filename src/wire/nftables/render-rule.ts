// A rule as `nft` text: for reading, for `nft -f`, and as the input of its hash.
import { icmpTypeSet, portSet, protocolNumber, protocolSet } from './compile-match.ts'
import { fnv1a } from './hash.ts'
import {
  type NftAction,
  type NftFamily,
  type NftLookup,
  type NftMatch,
  type NftProtocol,
  type NftRule,
} from './ruleset.ts'
import { type ValueSet, valueRangeText } from './value-set.ts'

/**
 * The comment that a rule carries in the kernel: the planner's words, and a hash of what the rule does. The hash shows that a rule was made
 * by another version of the plan, without any memory of that version.
 */
export function commentOf(rule: NftRule, family: NftFamily): string {
  return `${rule.comment} [${fnv1a(renderRule(rule, family))}]`
}

/** One rule without its comment. */
export function renderRule(rule: NftRule, family: NftFamily): string {
  return [...rule.match.map((match) => renderMatch(match, family)), renderAction(rule.action)].join(' ')
}

const hex32 = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`
const headerOf = { 4: 'ip', 6: 'ip6' } as const

function renderMatch(match: NftMatch, family: NftFamily): string {
  const not = 'not' in match && match.not ? '!= ' : ''
  switch (match.kind) {
    case 'family':
      return family !== 'inet' ? `meta protocol ${headerOf[match.family]}` : `meta nfproto ipv${match.family}`
    case 'addr':
      return `${headerOf[match.prefix.family]} ${match.field} ${not}${match.prefix}`
    case 'addrSet':
      return `${headerOf[match.family]} ${match.field} ${not}@${match.set}`
    case 'device':
      return `${match.field} ${not}"${match.name}"`
    case 'l4proto':
      return `meta l4proto ${not}${protocolText(match.protocol)}`
    case 'l4protos':
      return `meta l4proto ${not}${listText(protocolSet(match))}`
    case 'sport':
    case 'dport':
      return `th ${match.kind} ${not}${match.port}`
    case 'ports':
      return `th ${match.field} ${not}${listText(portSet(match))}`
    case 'icmpType':
      return `${match.family === 4 ? 'icmp' : 'icmpv6'} type ${not}${listText(icmpTypeSet(match))}`
    case 'tcpSyn':
      return `@th,104,8 & 0x17 ${not || '== '}0x2`
    case 'ttlBelow':
      return match.family === 4 ? `ip ttl < ${match.ttl}` : `ip6 hoplimit < ${match.ttl}`
    case 'daddrLocal':
      return `fib daddr type ${not}local`
    case 'saddrLocal':
      return `fib saddr type ${not}local`
    case 'mark':
      return `meta mark & ${hex32(match.mask)} ${not || '== '}${hex32(match.value)}`
    case 'ctState':
      return `ct state ${match.states.join(',')}`
    case 'ctDnat':
      return 'ct status dnat'
    case 'ctOriginalPort':
      return `ct original proto-dst ${match.port}`
    case 'vni':
      return `@th,96,24 ${not}0x${match.vni.toString(16)}`
    case 'ctDirection':
      return `ct direction ${match.direction}`
    case 'etherType':
      return `meta protocol ${not}${braced(match.types)}`
    case 'etherAddr':
      return `ether ${match.field} ${not}${match.mac}`
    case 'etherMulticast':
      return `ether daddr & 01:00:00:00:00:00 == 0${match.not ? 0 : 1}:00:00:00:00:00`
    case 'vlan':
      return 'vlan id != 0'
    case 'pktTypeHost':
      return `meta pkttype ${not}host`
    case 'hasRoute':
      return 'meta rtclassid 0'
    case 'limit':
      return `limit rate ${match.packetsPerSecond}/second burst ${match.burst} packets`
    case 'keySet':
      return `${lookupText(match)} ${not}@${match.set}`
    default:
      return match satisfies never
  }
}

/** Protocols by number where names depend on files of the machine. */
function protocolText(protocol: NftProtocol): string {
  return protocol === 'icmp' || protocol === 'icmpv6' ? String(protocolNumber(protocol)) : String(protocol)
}

/** Numbers as nft reads them: braces make a set of them. */
function listText({ ranges }: ValueSet): string {
  return braced(ranges.map(valueRangeText))
}

function braced(items: readonly string[]): string {
  return items.length === 1 ? items[0]! : `{ ${items.join(', ')} }`
}

function lookupText({ fields, family = 4 }: NftLookup): string {
  const texts = fields.map((field) => {
    switch (field) {
      case 'saddr':
      case 'daddr':
        return `${headerOf[family]} ${field}`
      case 'l4proto':
        return 'meta l4proto'
      case 'sport':
      case 'dport':
        return `th ${field}`
      default:
        return field
    }
  })
  return texts.join(' . ')
}

function renderAction(action: NftAction): string {
  const counter = 'counter' in action && action.counter ? 'counter ' : ''
  switch (action.kind) {
    case 'accept':
    case 'return':
    case 'drop':
      return `${counter}${action.kind}`
    case 'jump':
    case 'goto':
      return `${counter}${action.kind} ${action.chain}`
    case 'count':
      return 'counter'
    case 'log': {
      const snaplen = action.snaplen === undefined ? '' : ` snaplen ${action.snaplen}`
      return `${counter}log prefix "${action.prefix}" group ${action.group}${snaplen}`
    }
    case 'notrack':
      return 'notrack accept'
    case 'masquerade':
      return action.fullyRandom ? 'masquerade fully-random' : 'masquerade'
    case 'dnat': {
      const { addr, port } = action
      return `dnat ${headerOf[addr.family]} to ${addr.family === 4 ? addr : `[${addr}]`}:${port}`
    }
    case 'pktTypeHost':
      return 'meta pkttype set host'
    case 'setEtherDaddr':
      return `ether daddr set ${action.mac}`
    case 'setMark':
      return `meta mark set ${hex32(action.value)}`
    case 'orMark':
      return `meta mark set meta mark | ${hex32(action.value)}`
    default:
      return action satisfies never
  }
}
