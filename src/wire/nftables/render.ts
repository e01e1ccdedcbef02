// The model as `nft` text: for reading, for `nft -f`, and as the input of a rule's hash.
import { fnv1a } from './hash.ts'
import { checkTable } from './check.ts'
import { type NftSetChange, type Range, rangesOf, rangeText } from './ranges.ts'
import { type NftAction, type NftChain, type NftFamily, type NftMatch, type NftRule } from './ruleset.ts'
import { type NftSet, type NftTable } from './ruleset.ts'

/** A script for `nft -f` that makes exactly this table. Throws RulesetError. */
export function renderTable(table: NftTable): string {
  checkTable(table)
  const blocks = [...table.sets.map(renderSet), ...table.chains.map((chain) => renderChain(chain, table.family))]
  return `table ${table.family} ${table.name} {\n${blocks.join('\n')}}\n`
}

/** The commands that change these sets of a table as the transaction does: what is too much goes first. */
export function renderElements({ family, name }: NftTable, changes: readonly NftSetChange[]): string[] {
  const command = (verb: string, { set }: NftSetChange, ranges: readonly Range[]): string[] =>
    ranges.length === 0
      ? []
      : [`nft ${verb} element ${family} ${name} ${set.name} { ${ranges.map(rangeText).join(', ')} }`]
  return changes.flatMap((each) => [...command('delete', each, each.extra), ...command('add', each, each.missing)])
}

function renderSet(set: NftSet): string {
  const elements = rangesOf(set).map(rangeText)
  return block(`set ${set.name}`, [
    `type ${set.type}`,
    ...(set.interval ? ['flags interval'] : []),
    ...(set.counter ? ['counter'] : []),
    ...(elements.length > 0 ? [`elements = { ${elements.join(',\n\t\t\t     ')} }`] : []),
  ])
}

function renderChain(chain: NftChain, family: NftFamily): string {
  const rules = chain.rules.map((rule) => `${renderRule(rule, family)} comment "${commentOf(rule, family)}"`)
  return block(`chain ${chain.name}`, [...hookLines(chain), ...rules])
}

function hookLines({ hook, policy }: NftChain): string[] {
  if (hook === undefined) return []
  const device = hook.device === undefined ? '' : ` device "${hook.device}"`
  return [`type ${hook.type} hook ${hook.hook}${device} priority ${hook.priority}; policy ${policy ?? 'accept'};`]
}

function block(title: string, lines: readonly string[]): string {
  return `\t${title} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`
}

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
      return family === 'netdev' ? `meta protocol ${headerOf[match.family]}` : `meta nfproto ipv${match.family}`
    case 'addr':
      return `${headerOf[match.prefix.family]} ${match.field} ${not}${match.prefix}`
    case 'addrSet':
      return `${headerOf[match.family]} ${match.field} ${not}@${match.set}`
    case 'device':
      return `${match.field} ${not}"${match.name}"`
    case 'l4proto':
      return `meta l4proto ${not}${match.protocol}`
    case 'sport':
    case 'dport':
      return `th ${match.kind} ${not}${match.port}`
    case 'tcpSyn':
      return `@th,104,8 & 0x17 ${not || '== '}0x2`
    case 'ttlBelow':
      return match.family === 4 ? `ip ttl < ${match.ttl}` : `ip6 hoplimit < ${match.ttl}`
    case 'daddrLocal':
      return `fib daddr type ${not}local`
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
    default:
      return match satisfies never
  }
}

function renderAction(action: NftAction): string {
  switch (action.kind) {
    case 'accept':
    case 'return':
      return action.kind
    case 'jump':
      return `jump ${action.chain}`
    case 'drop':
      return action.counter ? 'counter drop' : 'drop'
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
    case 'setMark':
      return `meta mark set ${hex32(action.value)}`
    case 'orMark':
      return `meta mark set meta mark | ${hex32(action.value)}`
    default:
      return action satisfies never
  }
}
