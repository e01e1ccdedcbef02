// Refuses rules that the kernel would refuse with a bare errno, or that `nft` text could not express.
import { protocolNumber } from './compile-match.ts'
import { typeOfLookup } from './keys.ts'
import { commentText, deviceName, logPrefix, macText } from './names.ts'
import { ipProtocols } from './numbers.ts'
import { familyOfSet } from './ranges.ts'
import {
  ipFamilyOf,
  type NftAction,
  type NftChain,
  type NftFamily,
  type NftKeySet,
  type NftKeyType,
  type NftLookup,
  type NftMatch,
  type NftProtocol,
  type NftRule,
  type NftSet,
  type NumberRange,
  RulesetError,
} from './ruleset.ts'

/** What needs conntrack or routes, which frames of a bridge have not. */
const notInBridge = new Set<string>([
  'ctState',
  'ctDnat',
  'ctOriginalPort',
  'ctDirection',
  'daddrLocal',
  'saddrLocal',
  'notrack',
  'masquerade',
  'dnat',
] satisfies (NftMatch['kind'] | NftAction['kind'])[])
/** What needs an Ethernet header. */
const onlyInBridge = new Set<string>(['etherAddr', 'etherMulticast', 'vlan', 'setEtherDaddr'] satisfies (
  | NftMatch['kind']
  | NftAction['kind']
)[])
/** Protocols with ports where TCP has them; 33 is DCCP, 136 UDP-Lite. */
const withPorts = new Set<number>([ipProtocols.tcp, ipProtocols.udp, ipProtocols.sctp, 33, 136])

/** What a table has, by name. */
export type References = {
  readonly sets: ReadonlyMap<string, NftSet>
  readonly keySets: ReadonlyMap<string, NftKeySet>
  readonly chains: ReadonlyMap<string, NftChain>
}

/** Checks one rule; what it refers to is checked where `references` tell what there is. Throws RulesetError. */
export function checkRule(rule: NftRule, family: NftFamily, references?: References): void {
  if (!commentText.test(rule.comment)) {
    throw new RulesetError('the comment must be 1 to 112 printable ASCII characters without quotes and backslashes')
  }
  const before: NftMatch[] = []
  for (const match of rule.match) {
    if (family === 'bridge' ? notInBridge.has(match.kind) : onlyInBridge.has(match.kind))
      throw new RulesetError(`family ${family} has no match ${match.kind}`)
    checkMatch(match, before, references)
    before.push(match)
  }
  checkAction(rule.action, before, family, references)
}

function checkAction(
  action: NftAction,
  before: readonly NftMatch[],
  family: NftFamily,
  references: References | undefined,
): void {
  if (family === 'bridge' ? notInBridge.has(action.kind) : onlyInBridge.has(action.kind))
    throw new RulesetError(`family ${family} has no action ${action.kind}`)
  switch (action.kind) {
    case 'dnat': {
      const { family: ip } = action.addr
      if (!before.some((match) => ipFamilyOf(match) === ip) || !hasPorts(before))
        throw new RulesetError(`a translation to IPv${ip} needs its family and a protocol matched before it`)
      return checkNumber('port', action.port, 0xffff)
    }
    case 'jump':
    case 'goto':
      return references && checkJump(action.chain, references.chains)
    case 'log':
      if (!logPrefix.test(action.prefix))
        throw new RulesetError('the prefix of a log must be 1 to 127 printable ASCII characters without " \\ $')
      checkNumber('log group', action.group, 0xffff)
      return checkNumber('snaplen', action.snaplen ?? 0, 0xffff)
    case 'setEtherDaddr':
      return checkMac(action.mac)
    case 'setMark':
    case 'orMark':
      return checkNumber('mark', action.value, 0xffffffff)
    case 'accept':
    case 'drop':
    case 'return':
    case 'count':
    case 'notrack':
    case 'masquerade':
    case 'pktTypeHost':
  }
}
function checkMatch(match: NftMatch, before: readonly NftMatch[], references: References | undefined): void {
  const family = ipFamilyOf(match)
  if (family !== undefined && before.some((other) => (ipFamilyOf(other) ?? family) !== family)) {
    throw new RulesetError('no packet is IPv4 and IPv6 at once')
  }
  switch (match.kind) {
    case 'addrSet':
      return references && checkSetReference(match, references.sets)
    case 'device':
      if (!deviceName.test(match.name)) throw new RulesetError(`"${match.name}" is no device name`)
      return
    case 'l4proto':
    case 'l4protos':
      if (hasProtocol(before)) throw new RulesetError('the protocol is matched twice')
      return checkProtocols(match.kind === 'l4proto' ? [match.protocol] : match.protocols)
    case 'tcpSyn':
      if (!isProtocol(before, 'tcp')) throw new RulesetError('a SYN needs tcp matched before it')
      return
    case 'ttlBelow':
      return checkNumber('TTL', match.ttl, 0xff)
    case 'sport':
    case 'dport':
      if (!hasPorts(before)) throw new RulesetError('a port needs a protocol matched before it')
      return checkNumber('port', match.port, 0xffff)
    case 'ports':
      if (!hasPorts(before)) throw new RulesetError('a port needs a protocol matched before it')
      return checkRanges('port', match.ranges, 0xffff)
    case 'icmpType': {
      const protocol = match.family === 4 ? 'icmp' : 'icmpv6'
      if (!isProtocol(before, protocol) || !before.some((other) => ipFamilyOf(other) === match.family))
        throw new RulesetError(`a type of ICMP needs IPv${match.family} and ${protocol} matched before it`)
      return checkRanges(
        'type',
        match.types.map((type) => ({ first: type, last: type })),
        0xff,
      )
    }
    case 'vni':
      if (!isProtocol(before, 'udp')) throw new RulesetError('a VNI needs udp matched before it')
      return checkNumber('VNI', match.vni, 0xffffff)
    case 'mark':
      checkNumber('mask', match.mask, 0xffffffff)
      return checkNumber('mark', match.value, match.mask)
    case 'ctState':
      if (match.states.length === 0) throw new RulesetError('a match on no conntrack state')
      return
    case 'ctOriginalPort':
      return checkNumber('port', match.port, 0xffff)
    case 'etherAddr':
      return checkMac(match.mac)
    case 'etherType':
      if (match.types.length === 0) throw new RulesetError('a match on no Ethernet type')
      return
    case 'limit':
      checkNumber('rate', match.packetsPerSecond, 0xffffffff, 1)
      return checkNumber('burst', match.burst, 0xffffffff, 1)
    case 'keySet': {
      const set = references?.keySets.get(match.set)
      if (references && set === undefined) throw new RulesetError(`the table has no set of keys ${match.set}`)
      return checkLookup(match, before, set)
    }
    case 'family':
    case 'addr':
    case 'ctDirection':
    case 'etherMulticast':
    case 'pktTypeHost':
    case 'hasRoute':
    case 'vlan':
    case 'ctDnat':
    case 'daddrLocal':
    case 'saddrLocal':
  }
}

function checkJump(name: string, chains: ReadonlyMap<string, NftChain>): void {
  const chain = chains.get(name)
  if (chain === undefined) throw new RulesetError(`the table has no chain ${name}`)
  if (chain.hook !== undefined) throw new RulesetError(`chain ${name} has a hook, so no rule can jump to it`)
}

/** Checks the fields, and that they make a key of the set if that is given. */
function checkLookup(
  lookedUp: NftLookup,
  before: readonly NftMatch[],
  object: { readonly name: string; readonly type: readonly NftKeyType[] } | undefined,
): void {
  const { fields, family } = lookedUp
  const hasAddress = fields.includes('saddr') || fields.includes('daddr')
  if (fields.length === 0) throw new RulesetError('a look-up of no field')
  if (hasAddress && family === undefined) throw new RulesetError('a look-up of addresses needs their family')
  const hasPort = fields.includes('sport') || fields.includes('dport')
  if (hasPort && !fields.includes('l4proto') && !hasPorts(before))
    throw new RulesetError('a port needs a protocol matched before it, or looked up with it')
  const type = typeOfLookup(lookedUp).join(' . ')
  if (object && object.type.join(' . ') !== type)
    throw new RulesetError(`${object.name} holds ${object.type.join(' . ')}, what is looked up is ${type}`)
}

/** The protocols that packets may have behind these matches; undefined when any. */
function protocolsOf(matches: readonly NftMatch[]): number[] | undefined {
  for (const match of matches) {
    if (match.kind === 'l4proto' && !match.not) return [protocolNumber(match.protocol)]
    if (match.kind === 'l4protos' && !match.not) return match.protocols.map(protocolNumber)
  }
  return undefined
}

const hasProtocol = (matches: readonly NftMatch[]): boolean => protocolsOf(matches) !== undefined

function isProtocol(matches: readonly NftMatch[], protocol: NftProtocol): boolean {
  const known = protocolsOf(matches)
  return known?.length === 1 && known[0] === protocolNumber(protocol)
}

function hasPorts(matches: readonly NftMatch[]): boolean {
  return protocolsOf(matches)?.every((number) => withPorts.has(number)) ?? false
}

function checkProtocols(protocols: readonly NftProtocol[]): void {
  if (protocols.length === 0) throw new RulesetError('a match on no protocol')
  for (const protocol of protocols) checkNumber('protocol', protocolNumber(protocol), 0xff)
}

function checkRanges(what: string, ranges: readonly NumberRange[], most: number): void {
  if (ranges.length === 0) throw new RulesetError(`a match on no ${what}`)
  for (const { first, last } of ranges) {
    checkNumber(what, last, most)
    checkNumber(what, first, last)
  }
}

function checkMac(mac: string): void {
  if (!macText.test(mac)) throw new RulesetError(`"${mac}" is no MAC address`)
}

function checkSetReference(match: NftMatch & { kind: 'addrSet' }, sets: ReadonlyMap<string, NftSet>): void {
  const set = sets.get(match.set)
  if (set === undefined) throw new RulesetError(`the table has no set ${match.set}`)
  if (familyOfSet[set.type] !== match.family) {
    throw new RulesetError(`set ${set.name} holds ${set.type}, the match is on IPv${match.family}`)
  }
}

function checkNumber(what: string, value: number, most: number, least = 0): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RulesetError(`${what} ${value} is not within ${least} and ${most}`)
  }
}
