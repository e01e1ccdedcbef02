// Refuses tables that the kernel would refuse with a bare errno, or that `nft` text could not express.
import { familyOfSet } from './ranges.ts'
import {
  ipFamilyOf,
  type NftChain,
  type NftMatch,
  type NftRule,
  type NftSet,
  type NftTable,
  RulesetError,
} from './ruleset.ts'

/** A name of nft(8), "Lexical conventions", limited to a readable length below the kernel's NFT_NAME_MAXLEN. */
const identifier = /^[A-Za-z][\w.-]{0,63}$/
/** A device name or a prefix of one with `*`; IFNAMSIZ is 16 with the NUL. */
const deviceName = /^[^\s/"*]{1,15}$|^[^\s/"*]{1,14}\*$/
/** Printable ASCII that needs no escaping between quotes; with the rule's hash it stays below nft's limit of 128. */
const commentText = /^[ !#-[\]-~]{1,112}$/

/** Checks a table. Throws RulesetError, which names the object. */
export function checkTable(table: NftTable): void {
  if (!identifier.test(table.name)) throw new RulesetError(`"${table.name}" is no name for a table`)
  checkNames(table, 'set', table.sets)
  checkNames(table, 'chain', table.chains)
  for (const chain of table.chains) {
    checkHook(table, chain)
    for (const rule of chain.rules) {
      try {
        checkRule(rule, table)
      } catch (error) {
        if (!(error instanceof RulesetError)) throw error
        throw new RulesetError(`rule "${rule.comment}" in chain ${chain.name} of table ${table.name}: ${error.message}`)
      }
    }
  }
}

function checkNames(table: NftTable, kind: string, objects: readonly { readonly name: string }[]): void {
  const seen = new Set<string>()
  for (const { name } of objects) {
    if (!identifier.test(name)) throw new RulesetError(`"${name}" is no name for a ${kind} in table ${table.name}`)
    if (seen.has(name)) throw new RulesetError(`table ${table.name} has two ${kind}s ${name}`)
    seen.add(name)
  }
}

function checkHook(table: NftTable, { name, hook, policy }: NftChain): void {
  const fail = (why: string): never => {
    throw new RulesetError(`chain ${name} of table ${table.name}: ${why}`)
  }
  if (hook === undefined) return policy === undefined ? undefined : fail('only a chain with a hook has a policy')
  if ((table.family === 'netdev') !== (hook.hook === 'ingress'))
    fail('ingress is the hook of family netdev, and its only one')
  if ((hook.hook === 'ingress') !== (hook.device !== undefined)) fail('a device belongs to the hook ingress')
  if (hook.device !== undefined && !deviceName.test(hook.device)) fail(`"${hook.device}" is no device name`)
  if (!Number.isInteger(hook.priority)) fail(`priority ${hook.priority} is no integer`)
}

function checkRule(rule: NftRule, { sets, chains }: NftTable): void {
  if (!commentText.test(rule.comment)) {
    throw new RulesetError('the comment must be 1 to 112 printable ASCII characters without quotes and backslashes')
  }
  const before: NftMatch[] = []
  for (const match of rule.match) {
    checkMatch(match, before, sets)
    before.push(match)
  }
  if (rule.action.kind === 'dnat') {
    const { family } = rule.action.addr
    if (!before.some((match) => ipFamilyOf(match) === family) || !protocolOf(before))
      throw new RulesetError(`a translation to IPv${family} needs its family and a protocol matched before it`)
    checkNumber('port', rule.action.port, 0xffff)
  }
  if (rule.action.kind === 'jump') checkJump(rule.action.chain, chains)
  if (rule.action.kind === 'setMark' || rule.action.kind === 'orMark')
    checkNumber('mark', rule.action.value, 0xffffffff)
}

function checkMatch(match: NftMatch, before: readonly NftMatch[], sets: readonly NftSet[]): void {
  const family = ipFamilyOf(match)
  if (family !== undefined && before.some((other) => (ipFamilyOf(other) ?? family) !== family)) {
    throw new RulesetError('no packet is IPv4 and IPv6 at once')
  }
  switch (match.kind) {
    case 'addrSet':
      return checkSetReference(match, sets)
    case 'device':
      if (!deviceName.test(match.name)) throw new RulesetError(`"${match.name}" is no device name`)
      return
    case 'l4proto':
      if (protocolOf(before)) throw new RulesetError('the protocol is matched twice')
      return
    case 'tcpSyn':
      if (protocolOf(before) !== 'tcp') throw new RulesetError('a SYN needs tcp matched before it')
      return
    case 'ttlBelow':
      return checkNumber('TTL', match.ttl, 0xff)
    case 'sport':
    case 'dport':
      if (!protocolOf(before)) throw new RulesetError('a port needs a protocol matched before it')
      return checkNumber('port', match.port, 0xffff)
    case 'vni':
      if (protocolOf(before) !== 'udp') throw new RulesetError('a VNI needs udp matched before it')
      return checkNumber('VNI', match.vni, 0xffffff)
    case 'mark':
      checkNumber('mask', match.mask, 0xffffffff)
      return checkNumber('mark', match.value, match.mask)
    case 'ctState':
      if (match.states.length === 0) throw new RulesetError('a match on no conntrack state')
      return
    case 'ctOriginalPort':
      return checkNumber('port', match.port, 0xffff)
    case 'family':
    case 'addr':
    case 'ctDnat':
    case 'daddrLocal':
  }
}

function checkJump(name: string, chains: readonly NftChain[]): void {
  const chain = chains.find((each) => each.name === name)
  if (chain === undefined) throw new RulesetError(`the table has no chain ${name}`)
  if (chain.hook !== undefined) throw new RulesetError(`chain ${name} has a hook, so no rule can jump to it`)
}

function protocolOf(matches: readonly NftMatch[]): string | undefined {
  const found = matches.find((match) => match.kind === 'l4proto')
  return found?.not ? undefined : found?.protocol
}

function checkSetReference(match: NftMatch & { kind: 'addrSet' }, sets: readonly NftSet[]): void {
  const set = sets.find(({ name }) => name === match.set)
  if (set === undefined) throw new RulesetError(`the table has no set ${match.set}`)
  if (familyOfSet[set.type] !== match.family) {
    throw new RulesetError(`set ${set.name} holds ${set.type}, the match is on IPv${match.family}`)
  }
}

function checkNumber(what: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw new RulesetError(`${what} ${value} is not within 0 and ${most}`)
  }
}
