// The firewalls of a namespace from what was told of them: the same rules that the kernel has, so that packets are followed through them alike.
import { type NamespaceFacts } from '#/api/schemas/facts.ts'
import { type BaseChain } from '#/obstacles/firewall/inspect.ts'
import { type HookName } from '#/obstacles/firewall/passages.ts'
import { deviceHookNames, hookNumbers } from '#/wire/nftables/numbers.ts'
import { type ForeignRule, foreignRule } from '#/wire/nftables/foreign-rule.ts'
import { type ElementAttrs, elementCodec, encodeComment } from '#/wire/nftables/messages.ts'
import { FactsError } from './parsed.ts'

type Chain = NamespaceFacts['chains'][number]
type RuleTold = NonNullable<Chain['rules']>[number]

const hookNames = new Set<string>([...Object.keys(hookNumbers), ...deviceHookNames])
const isHook = (name: string): name is HookName => hookNames.has(name)

function bytesOf(hex: string): Uint8Array {
  try {
    return Uint8Array.fromHex(hex)
  } catch {
    throw new FactsError(`"${hex.slice(0, 20)}" is not hexadecimal`)
  }
}

function ruleOf({ handle, comment, expressions }: RuleTold): ForeignRule {
  if (!/^\d{1,20}$/.test(handle)) throw new FactsError(`"${handle}" is no handle of a rule`)
  const userdata = comment === undefined ? undefined : encodeComment(comment.slice(0, 254))
  return foreignRule(
    BigInt(handle),
    userdata,
    expressions.map(({ name, data }) => ({ name, data: bytesOf(data) })),
  )
}

/** The chains that packets enter by themselves, from which they are followed. Those of which the rules were not told count as unknown. */
export function chainsOf({ chains, sets = [] }: Pick<NamespaceFacts, 'chains' | 'sets'>): BaseChain[] {
  const tableOf = ({ tool, family, table }: Pick<Chain, 'tool' | 'family' | 'table'>): string =>
    `${tool} ${family} ${table}`
  const byPlace = new Map(chains.map((each) => [`${tableOf(each)} ${each.chain}`, each]))
  const elements = new Map(sets.map((each) => [`${each.family} ${each.table} ${each.set}`, each.elements]))
  const read = new Map<string, readonly ForeignRule[] | undefined>()
  return chains.flatMap((each): BaseChain[] => {
    const { tool, family, table, chain, base } = each
    if (base === undefined || !isHook(base.hook)) return []
    const { hook, priority, isNat, dropsByPolicy, devices } = base
    return [
      {
        tool,
        family,
        table,
        chain,
        hook,
        priority,
        isNat,
        ...(devices && { devices }),
        dropsByPolicy,
        rulesOf: async (name) => {
          const key = `${tableOf(each)} ${name}`
          return read.getOrInsertComputed(key, () => byPlace.get(key)?.rules?.map(ruleOf))
        },
        readSet: async (name) => elementsOf(elements.get(`${family} ${table} ${name}`)),
      },
    ]
  })
}

function elementsOf(told: readonly string[] | undefined): readonly ElementAttrs[] | undefined {
  return told?.map((each) => elementCodec.decode(bytesOf(each)))
}
