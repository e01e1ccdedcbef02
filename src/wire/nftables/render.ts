// The model as `nft` text: for reading, for `nft -f`, and as the input of a rule's hash.
import { checkTable } from './check.ts'
import { keyText } from './keys.ts'
import { type NftSetChange, type Range, rangesOf, rangeText } from './ranges.ts'
import { type NftDelta, type NftElements } from './delta.ts'
import { commentOf, renderRule } from './render-rule.ts'
import {
  type NftChain,
  type NftFamily,
  type NftKeySet,
  type NftRule,
  type NftSet,
  type NftTable,
  type NftTableName,
} from './ruleset.ts'

/** A script for `nft -f` that makes exactly this table. Throws RulesetError. */
export function renderTable(table: NftTable): string {
  checkTable(table)
  const { family, sets, keySets = [], chains } = table
  const blocks = [
    ...keySets.map(renderKeySet),
    ...sets.map(renderSet),
    ...chains.map((chain) => renderChain(chain, family)),
  ]
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
    ...elementLines(elements),
  ])
}

function renderKeySet({ name, type, counter, elements }: NftKeySet): string {
  return block(`set ${name}`, [
    `type ${type.join(' . ')}`,
    ...(counter ? ['counter'] : []),
    ...elementLines(elements.map(keyText)),
  ])
}

function elementLines(elements: readonly string[]): string[] {
  return elements.length > 0 ? [`elements = { ${elements.join(',\n\t\t\t     ')} }`] : []
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

/** The commands that make the change of a delta, as one script for `nft -f`. Chains and sets are shown whole. */
export function renderDelta({ family, name }: NftTableName, delta: NftDelta): string {
  const { addSets = [], addKeySets = [], addChains = [], setRules = new Map<string, NftRule[]>() } = delta
  const { addElements = [], deleteElements = [], deleteChains = [], deleteSets = [] } = delta
  const is = `${family} ${name}`
  const blocks = [
    ...addSets.map(renderSet),
    ...addKeySets.map(renderKeySet),
    ...addChains.map((chain) => renderChain(chain, family)),
    ...[...setRules].map(([chain, rules]) => renderChain({ name: chain, rules }, family)),
  ]
  const elements = (verb: string, each: NftElements): string =>
    `${verb} element ${is} ${each.set.name} { ${elementTexts(each).join(', ')} }`
  const lines = [
    ...deleteElements.map((each) => elements('delete', each)),
    ...[...setRules.keys(), ...deleteChains].map((chain) => `flush chain ${is} ${chain}`),
    ...(blocks.length > 0 ? [`table ${is} {\n${blocks.join('\n')}}`] : []),
    ...addElements.map((each) => elements('add', each)),
    ...deleteSets.map((set) => `delete set ${is} ${set}`),
    ...deleteChains.map((chain) => `delete chain ${is} ${chain}`),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

function elementTexts(each: NftElements): string[] {
  return each.kind === 'ranges' ? each.ranges.map(rangeText) : each.keys.map(keyText)
}
