// Refuses tables that the kernel would refuse with a bare errno, or that `nft` text could not express.
import { checkRule, type References } from './check-rule.ts'
import { checkKey } from './keys.ts'
import { deviceName, identifier } from './names.ts'
import { type NftChain, type NftFamily, type NftKeySet, type NftRule, type NftTable, RulesetError } from './ruleset.ts'

/** Checks a table. Throws RulesetError, which names the object. */
export function checkTable(table: NftTable): void {
  const { name, sets, keySets = [], chains } = table
  if (!identifier.test(name)) throw new RulesetError(`"${name}" is no name for a table`)
  checkNames(name, 'set', [...sets, ...keySets])
  checkNames(name, 'chain', chains)
  const named = <T extends { readonly name: string }>(objects: readonly T[]): Map<string, T> =>
    new Map(objects.map((object) => [object.name, object]))
  const references = { sets: named(sets), keySets: named(keySets), chains: named(chains) }
  for (const set of keySets) checkKeySet(set)
  for (const chain of chains) checkChain(table, chain, references)
}

/** Checks a chain of a table; what its rules refer to is checked where `references` tell what there is. Throws RulesetError. */
export function checkChain(
  table: { readonly family: NftFamily; readonly name: string },
  chain: NftChain,
  references?: References,
): void {
  checkHook(table, chain)
  checkRules(table, chain.name, chain.rules, references)
}

/** Checks rules of a chain, as checkChain does. */
export function checkRules(
  table: { readonly family: NftFamily; readonly name: string },
  chain: string,
  rules: readonly NftRule[],
  references?: References,
): void {
  for (const rule of rules) {
    try {
      checkRule(rule, table.family, references)
    } catch (error) {
      if (!(error instanceof RulesetError)) throw error
      throw new RulesetError(`rule "${rule.comment}" in chain ${chain} of table ${table.name}: ${error.message}`)
    }
  }
}

/** Checks a set of keys and its elements. Throws RulesetError. */
export function checkKeySet({ name, type, elements }: NftKeySet): void {
  if (type.length === 1 && type[0] !== 'ifname')
    throw new RulesetError(`set ${name} of single ${type[0]} needs no keys: make it one of addresses`)
  for (const key of elements) checkKey(`set ${name}`, type, key)
}

function checkNames(table: string, kind: string, objects: readonly { readonly name: string }[]): void {
  const seen = new Set<string>()
  for (const { name } of objects) {
    if (!identifier.test(name)) throw new RulesetError(`"${name}" is no name for a ${kind} in table ${table}`)
    if (seen.has(name)) throw new RulesetError(`table ${table} has two ${kind}s ${name}`)
    seen.add(name)
  }
}

function checkHook(
  table: { readonly family: NftFamily; readonly name: string },
  { name, hook, policy }: NftChain,
): void {
  const fail = (why: string): never => {
    throw new RulesetError(`chain ${name} of table ${table.name}: ${why}`)
  }
  if (hook === undefined) return policy === undefined ? undefined : fail('only a chain with a hook has a policy')
  if ((table.family === 'netdev') !== (hook.hook === 'ingress'))
    fail('ingress is the hook of family netdev, and its only one')
  if ((hook.hook === 'ingress') !== (hook.device !== undefined)) fail('a device belongs to the hook ingress')
  if (hook.device !== undefined && !deviceName.test(hook.device)) fail(`"${hook.device}" is no device name`)
  if (table.family === 'bridge' && hook.type !== 'filter') fail('family bridge has chains of type filter alone')
  if (!Number.isInteger(hook.priority)) fail(`priority ${hook.priority} is no integer`)
}
