// Reads the base chains of nf_tables, and the chains that they jump to, for following packets through them.
import { KernelError } from '#/kernel/netlink.ts'
import { type NftClient } from '#/kernel/nftables.ts'
import { type ForeignRule } from '#/wire/nftables/foreign-rule.ts'
import { type NftFamilyName } from '#/wire/nftables/messages.ts'
import { arpHookNames, deviceHookNames, hookNumbers, inetIngress, policyNumbers } from '#/wire/nftables/numbers.ts'
import { type ChainPlace } from '#/wire/nftables/place.ts'
import { type BaseChain } from '#/obstacles/firewall/inspect.ts'
import { type HookName } from '#/obstacles/firewall/passages.ts'

const NFT_TABLE_F_DORMANT = 1
/** Only the program that made the table may change it. */
const NFT_TABLE_F_OWNER = 2

/**
 * A chain with more rules than these is not followed, unless somebody asks for one packet: what becomes of packets in there counts as
 * unknown.
 */
const maxRulesFollowed = 1000

const ipHookNames = new Map(
  (['prerouting', 'input', 'forward', 'output', 'postrouting'] as const).map((name) => [
    hookNumbers[name] as number,
    name,
  ]),
)

function hookName(family: NftFamilyName, number: number): HookName | undefined {
  if (family === 'arp') return arpHookNames[number]
  if (family === 'netdev') return deviceHookNames[number]
  return family === 'inet' && number === inetIngress ? 'ingress' : ipHookNames.get(number)
}

export type Found = ChainPlace & {
  readonly hook: HookName
  /** For a chain on ingress or egress. */
  readonly devices?: readonly string[]
  readonly type: string
  readonly priority: number
  readonly dropsByPolicy: boolean
  readonly isLocked: boolean
  readonly tableHandle: bigint
}

/** A base chain with its rules. */
export type Seen = { readonly found: Found; readonly rules: readonly ForeignRule[] }

/** The chains that were read already, by `keyOf`. */
export type ReadChains = Map<string, Promise<readonly ForeignRule[] | undefined>>

export function keyOf({ family, table, chain }: ChainPlace): string {
  return `${family} ${table} ${chain}`
}

/** Base chains that decide about IP packets, ARP or frames. Rejects with KernelError. */
export async function findBaseChains(client: NftClient): Promise<Found[]> {
  const facts = new Map(client.readTableFacts().map((table) => [`${table.family} ${table.name}`, table]))
  const chains = await client.listBaseChains()
  return chains.flatMap(({ family, table, chain, type, number, priority, policy, devices }): Found[] => {
    const { flags, handle } = facts.get(`${family} ${table}`) ?? { flags: 0, handle: 0n }
    const hook = hookName(family, number)
    // a dormant table does nothing
    if (hook === undefined || (flags & NFT_TABLE_F_DORMANT) !== 0) return []
    return [
      {
        family,
        table,
        chain,
        type,
        hook,
        priority,
        ...(devices.length > 0 && { devices }),
        dropsByPolicy: policy === policyNumbers.drop,
        isLocked: (flags & NFT_TABLE_F_OWNER) !== 0,
        tableHandle: handle,
      },
    ]
  })
}

/** The rules of a chain; undefined when they cannot be followed: it has too many, or changes all the time. */
export async function rulesToFollow(
  client: NftClient,
  place: ChainPlace,
  limit = maxRulesFollowed,
): Promise<readonly ForeignRule[] | undefined> {
  try {
    return await client.readRules(place, limit)
  } catch (error) {
    if (error instanceof KernelError) return undefined
    throw error
  }
}

/** A base chain from which packets can be followed. */
export function followable(
  client: NftClient,
  { found, rules }: Seen,
  read: ReadChains,
  limit = maxRulesFollowed,
): BaseChain {
  const { family, table, chain, hook, priority, type, devices, dropsByPolicy } = found
  return {
    tool: 'nft',
    family,
    table,
    chain,
    hook,
    priority,
    isNat: type === 'nat',
    ...(devices && { devices }),
    dropsByPolicy,
    rulesOf: async (name) => {
      if (name === chain) return rules
      const place = { family, table, chain: name }
      return read.getOrInsertComputed(keyOf(place), () => rulesToFollow(client, place, limit))
    },
    readSet: async (name) => {
      try {
        return await client.readElements({ family, table }, name)
      } catch (error) {
        if (error instanceof KernelError) return undefined
        throw error
      }
    },
  }
}
