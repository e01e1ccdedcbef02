// What the kernel does now with packets of a pod, read from it and not from what was written: is the table at its hooks, and to which chain does
// it lead the pod's addresses.
import { KernelError } from '#/kernel/netlink.ts'
import { type NftClient } from '#/kernel/nftables.ts'
import { type Addr, families } from '#/lib/addr.ts'
import { equalBytes } from '#/lib/bytes.ts'
import { inetTableName } from '#/plan/policy/inet-table.ts'
import { toClassesChain } from '#/plan/policy/names.ts'
import { type Direction, directions } from '#/policy/policy.ts'
import { type ForeignRule } from '#/wire/nftables/foreign-rule.ts'

const NFT_TABLE_F_DORMANT = 1
const NF_INET_FORWARD = 2
const place = { family: inetTableName.family, table: inetTableName.name } as const

export type AddrInKernel = {
  readonly direction: Direction
  readonly addr: Addr
  /** The first to which a rule leads it; absent: none does. */
  readonly chain?: string
  /** Whether that chain has any rules. */
  readonly isChainThere: boolean
}

export type PodInKernel = {
  /** Why no packet comes by the table at all; absent when all do. */
  readonly obstacle?: string
  readonly addrs: readonly AddrInKernel[]
}

/** The reading is that of several moments: a change in between may be in half of it. Rejects with KernelError. */
export async function podInKernel(client: NftClient, addrs: readonly Addr[]): Promise<PodInKernel> {
  const obstacle = await obstacleOf(client)
  const found: AddrInKernel[] = []
  for (const direction of directions)
    for (const addr of addrs) {
      const chain = await chainOf(client, direction, addr)
      const isChainThere = chain !== undefined && (await rulesOf(client, chain)).length > 0
      found.push({ direction, addr, ...(chain !== undefined && { chain }), isChainThere })
    }
  return { ...(obstacle !== undefined && { obstacle }), addrs: found }
}

async function obstacleOf(client: NftClient): Promise<string | undefined> {
  const { family, name } = inetTableName
  const table = client.readTableFacts().find((each) => each.family === family && each.name === name)
  if (table === undefined) return `there is no table ${family} ${name}`
  if ((table.flags & NFT_TABLE_F_DORMANT) !== 0) return `table ${family} ${name} is dormant`
  const hooked = (await client.listBaseChains()).filter((each) => each.family === family && each.table === name)
  const missing = directions.filter(
    (direction) => !hooked.some(({ chain, number }) => chain === direction && number === NF_INET_FORWARD),
  )
  if (missing.length > 0) return `table ${family} ${name} has no chain ${missing.join(', ')} at the hook forward`
  for (const direction of directions) {
    const targets = (await rulesOf(client, direction)).flatMap((rule) => targetOf(rule) ?? [])
    const lacking = families
      .map((each) => toClassesChain(direction, each))
      .filter((chain) => !targets.some((target) => target.chain === chain))
    if (lacking.length > 0)
      return `table ${family} ${name} has no rule in chain ${direction} that leads to ${lacking[0]}`
  }
  return undefined
}

async function chainOf(client: NftClient, direction: Direction, addr: Addr): Promise<string | undefined> {
  const bytes = addr.toBytes()
  for (const rule of await partsOf(client, toClassesChain(direction, addr.family))) {
    const target = targetOf(rule)
    if (target?.set === undefined) continue
    const elements = (await orAbsent(client.readElements(place, target.set))) ?? []
    if (elements.some(({ key }) => key?.value !== undefined && equalBytes(key.value, bytes))) return target.chain
  }
  return undefined
}

/** The rules of the chains to which a chain jumps. */
async function partsOf(client: NftClient, chain: string): Promise<readonly ForeignRule[]> {
  const rules: ForeignRule[] = []
  for (const rule of await rulesOf(client, chain)) {
    const target = targetOf(rule)
    if (target !== undefined) rules.push(...(await rulesOf(client, target.chain)))
  }
  return rules
}

/** Where a rule leads, and the set in which it looks a packet up. */
function targetOf({ expressions }: ForeignRule): { readonly chain: string; readonly set?: string } | undefined {
  let set: string | undefined
  for (const each of expressions) {
    if (each.name === 'lookup') set = each.attrs.set
    const chain = each.name === 'immediate' ? each.attrs.data?.verdict?.chain : undefined
    if (chain !== undefined) return { chain, ...(set !== undefined && { set }) }
  }
  return undefined
}

async function rulesOf(client: NftClient, chain: string): Promise<readonly ForeignRule[]> {
  return (await orAbsent(client.readRules({ ...place, chain }))) ?? []
}

async function orAbsent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENOENT') return undefined
    throw error
  }
}
