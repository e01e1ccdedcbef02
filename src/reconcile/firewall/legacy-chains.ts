// The base chains of legacy iptables, to be looked at like those of nf_tables.
import { type LegacyTable } from '#/kernel/legacy-tables.ts'
import { hookNumbers } from '#/wire/nftables/numbers.ts'
import { type BaseChain } from './inspect.ts'

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
          // the table nat of legacy iptables is not read: a proxy of services may have tens of thousands of rules there
          isNat: false,
          dropsByPolicy: at.dropsByPolicy,
          rulesOf: async (chain) => byName.get(chain),
          readSet: async () => undefined,
        },
      ]
    })
  })
}
