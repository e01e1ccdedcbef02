// The table of a kernel that cannot tell of packets: what is denied is dropped and counted there all the same.
import { type NftDelta } from '#/wire/nftables/delta.ts'
import { type NftChain, type NftRule, type NftTable } from '#/wire/nftables/ruleset.ts'
import { telling } from './class-chains.ts'
import { inetTableName } from './inet-table.ts'

/** A table that does nothing but tell, under a name of its own: a kernel that refuses it refuses the rules that tell in any table. */
export const tellingTrial: NftTable = {
  ...inetTableName,
  name: `${inetTableName.name}-trial`,
  sets: [],
  chains: [{ name: 'trial', rules: [telling('causeway trial')] }],
}

const doesMore = ({ action }: NftRule): boolean => action.kind !== 'log'
const untoldChain = (chain: NftChain): NftChain => ({ ...chain, rules: chain.rules.filter(doesMore) })

export function untoldTable(table: NftTable): NftTable {
  return { ...table, chains: table.chains.map(untoldChain) }
}

export function untoldDelta(delta: NftDelta): NftDelta {
  const { addChains = [], setRules = new Map<string, readonly NftRule[]>() } = delta
  return {
    ...delta,
    addChains: addChains.map(untoldChain),
    setRules: new Map(Array.from(setRules, ([chain, rules]) => [chain, rules.filter(doesMore)])),
  }
}
