// What the kernel does now with packets of a pod, read from it and not from what was written: is the table at its hooks, and to which chain do
// its maps lead the pod's addresses.
import { KernelError } from '#/kernel/netlink.ts'
import { type NftClient } from '#/kernel/nftables.ts'
import { type Addr } from '#/lib/addr.ts'
import { equalBytes } from '#/lib/bytes.ts'
import { inetTableName } from '#/plan/policy/inet-table.ts'
import { classMap } from '#/plan/policy/names.ts'
import { type Direction, directions } from '#/policy/policy.ts'

const NFT_TABLE_F_DORMANT = 1
const NF_INET_FORWARD = 2
const place = { family: inetTableName.family, table: inetTableName.name } as const

export type AddrInKernel = {
  readonly direction: Direction
  readonly addr: Addr
  /** Where its element leads to; absent: it has none. */
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
      const isChainThere = chain !== undefined && (await hasRules(client, chain))
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
  return missing.length === 0
    ? undefined
    : `table ${family} ${name} has no chain ${missing.join(', ')} at the hook forward`
}

async function chainOf(client: NftClient, direction: Direction, addr: Addr): Promise<string | undefined> {
  const elements = await orAbsent(client.readElements(place, classMap(direction, addr.family)))
  const bytes = addr.toBytes()
  const element = elements?.find(({ key }) => key?.value !== undefined && equalBytes(key.value, bytes))
  return element?.data?.verdict?.chain
}

async function hasRules(client: NftClient, chain: string): Promise<boolean> {
  const rules = await orAbsent(client.readRules({ ...place, chain }))
  return rules !== undefined && rules.length > 0
}

async function orAbsent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENOENT') return undefined
    throw error
  }
}
