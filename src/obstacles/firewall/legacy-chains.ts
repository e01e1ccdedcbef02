// The base chains of legacy iptables, to be looked at like those of nf_tables.
import { type LegacyTable } from '#/wire/xtables/legacy-table.ts'
import { hookNumbers } from '#/wire/nftables/numbers.ts'
import { type BaseChain } from './inspect.ts'

/** NF_IP_PRI_*; those of the table nat follow, by the hook. */
const priorities: Readonly<Record<string, number>> = { raw: -300, mangle: -150, filter: 0, security: 50 }
const natPriorities = { prerouting: -100, output: -100, input: 100, postrouting: 100, forward: 0 } as const

const hooks = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const

export function legacyBaseChains(tables: readonly LegacyTable[]): BaseChain[] {
  return tables.flatMap(({ family, name: table, chains }) => {
    const byName = new Map(chains.map(({ name, rules }) => [name, rules]))
    return chains.flatMap(({ name, hook: at }): BaseChain[] => {
      const hook = hooks.find((each) => hookNumbers[each] === at?.number)
      if (at === undefined || hook === undefined) return []
      return [
        {
          tool: 'legacy',
          family: family === 4 ? 'ip' : 'ip6',
          table,
          chain: name,
          hook,
          priority: table === 'nat' ? natPriorities[hook] : (priorities[table] ?? 0),
          isNat: table === 'nat',
          dropsByPolicy: at.dropsByPolicy,
          rulesOf: async (chain) => byName.get(chain),
          readSet: async () => undefined,
        },
      ]
    })
  })
}
