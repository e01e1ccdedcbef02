// The firewalls of one network namespace: the names of chains, and where they are asked for, rules and sets in the form in which the kernel tells
// them, from which src/facts follows packets.
import { type ChainFacts, type NamespaceFacts } from '#/api/schemas/facts.ts'
import { readLegacyTables } from '#/kernel/legacy-tables.ts'
import { KernelError } from '#/kernel/netlink.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { isOurTable } from '#/model/names.ts'
import { type Found, findBaseChains } from '#/reconcile/firewall/base-chains.ts'
import { legacyBaseChains } from '#/obstacles/firewall/legacy-chains.ts'
import { bytesOf } from '#/wire/netlink/attr.ts'
import { encodeExpression, type Expression } from '#/wire/nftables/expressions.ts'
import { type ForeignRule, type RawRule } from '#/wire/nftables/foreign-rule.ts'
import { decodeComment, elementCodec, type NftFamilyName } from '#/wire/nftables/messages.ts'
import { type ChainPlace } from '#/wire/nftables/place.ts'
import { type Netns } from '#/sys/netns.ts'
import { type Cuts, madeInTurns, most } from './limits.ts'

type RuleFacts = NonNullable<ChainFacts['rules']>[number]
export type Firewalls = Required<Pick<NamespaceFacts, 'chains' | 'sets'>>

/** A proxy makes chains for each Service and each of its ends; their names say nothing. */
const isOfProxy = (chain: string): boolean =>
  /^(KUBE-(SVC|SEP|FW|EXT|XLB)-|service-|endpoint-|external-|firewall-)/.test(chain)

/** Without a namespace: those of the calling thread's. Rejects with KernelError. */
export async function readFirewalls(
  netns: Netns | undefined,
  { withRules }: { readonly withRules: boolean },
  cuts: Cuts,
): Promise<Firewalls> {
  const reader = new Reader(withRules, cuts)
  const legacy = (): ReturnType<typeof readLegacyTables> => readLegacyTables(withRules)
  const legacyChains = reader.legacy(netns ? netns.run(legacy) : legacy())
  using client = clientOf(netns)
  const nft = client ? await reader.nft(client) : []
  const chains = await cuts.told('chains', [...legacyChains, ...nft], (each) => each)
  return { chains, sets: reader.sets }
}

/** undefined: the kernel has no nf_tables. */
export function clientOf(netns?: Netns): NftClient | undefined {
  try {
    return new NftClient(netns)
  } catch {
    return undefined
  }
}

class Reader {
  readonly sets: NonNullable<NamespaceFacts['sets']>[number][] = []
  readonly #withRules: boolean
  readonly #cuts: Cuts
  #rulesLeft: number = most['rules of firewalls']
  #elementsLeft: number = most['elements of sets']

  constructor(withRules: boolean, cuts: Cuts) {
    this.#withRules = withRules
    this.#cuts = cuts
  }

  legacy(tables: ReturnType<typeof readLegacyTables>): ChainFacts[] {
    const bases = new Map(legacyBaseChains(tables).map((base) => [`${base.family} ${base.table} ${base.chain}`, base]))
    return tables.flatMap(({ family: number, name: table, chains }) => {
      const family = number === 4 ? 'ip' : 'ip6'
      return chains.flatMap(({ name: chain, rules }): ChainFacts[] => {
        const base = bases.get(`${family} ${table} ${chain}`)
        if (!this.#withRules && base === undefined && isOfProxy(chain)) return []
        const told = this.#withRules ? this.#takeRules(rules.length) : false
        return [
          {
            tool: 'legacy',
            family,
            table,
            chain,
            ...(base && { base: baseFacts(base) }),
            ...(told && { rules: rules.map(ofLegacy) }),
          },
        ]
      })
    })
  }

  async nft(client: NftClient): Promise<ChainFacts[]> {
    const found = await findBaseChains(client)
    const bases = new Map(found.map((base) => [keyOf(base), base]))
    const isWanted = (place: ChainPlace): boolean => this.#withRules || bases.has(keyOf(place)) || isTelling(place)
    const places = await client.listChains(isWanted)
    const rules = this.#withRules ? await this.#rulesOf(client, places) : undefined
    return places.map((place) => {
      const base = bases.get(keyOf(place))
      const own = rules?.get(`${place.family} ${place.table}`)
      return {
        tool: 'nft',
        ...place,
        ...(base && { base: baseFacts(base) }),
        ...(own && { rules: own.get(place.chain) ?? [] }),
      }
    })
  }

  /** By table and chain; a table is absent whose rules cannot be told. */
  async #rulesOf(client: NftClient, places: readonly ChainPlace[]): Promise<Map<string, Map<string, RuleFacts[]>>> {
    const tables = new Map(places.map(({ family, table }) => [`${family} ${table}`, { family, table }]))
    const found = new Map<string, Map<string, RuleFacts[]>>()
    for (const [key, table] of tables) {
      const rules = await this.#read(() => client.readRawRules(table, this.#rulesLeft))
      if (!this.#takeRules(rules?.length)) continue
      const byChain = new Map<string, RuleFacts[]>()
      await madeInTurns(rules ?? [], (rule) => byChain.getOrInsertComputed(rule.chain, () => []).push(ofRaw(rule)))
      found.set(key, byChain)
      await this.#readSets(client, table)
    }
    return found
  }

  async #readSets(client: NftClient, table: { readonly family: NftFamilyName; readonly table: string }): Promise<void> {
    for (const set of (await this.#read(async () => client.listSets(table))) ?? []) {
      const elements = await this.#read(() => client.readElements(table, set))
      const isTold = elements !== undefined && elements.length <= this.#elementsLeft
      if (isTold) this.#elementsLeft -= elements.length
      else this.#cuts.note('elements of sets', elements?.length ?? 0)
      this.sets.push({
        ...table,
        set,
        ...(isTold && {
          elements: await madeInTurns(elements, (each) => bytesOf(elementCodec, each).toHex()),
        }),
      })
    }
  }

  /** undefined: it changes all the time, or is gone. */
  async #read<T>(ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask()
    } catch (error) {
      if (error instanceof KernelError) return undefined
      throw error
    }
  }

  #takeRules(count: number | undefined): boolean {
    if (count === undefined || count > this.#rulesLeft) {
      this.#cuts.note('rules of firewalls', count ?? most['rules of firewalls'])
      return false
    }
    this.#rulesLeft -= count
    return true
  }
}

const keyOf = ({ family, table, chain }: ChainPlace): string => `${family} ${table} ${chain}`

/** Whether the name of a chain tells whose it is. */
const isTelling = ({ table, chain }: ChainPlace): boolean => !isOurTable(table) && !isOfProxy(chain)

function baseFacts({
  hook,
  priority,
  dropsByPolicy,
  devices,
  ...rest
}: (Omit<Found, 'type'> & { readonly type: string }) | ReturnType<typeof legacyBaseChains>[number]): NonNullable<
  ChainFacts['base']
> {
  const isNat = 'isNat' in rest ? rest.isNat : rest.type === 'nat'
  return { hook, priority, isNat, dropsByPolicy, ...(devices && { devices }) }
}

const told = ({ name, data }: Expression): RuleFacts['expressions'][number] => ({ name, data: data.toHex() })

function ofRaw({ handle, userdata, expressions }: RawRule): RuleFacts {
  const comment = userdata && decodeComment(userdata)
  return { handle: String(handle), ...(comment !== undefined && { comment }), expressions: expressions.map(told) }
}

function ofLegacy({ handle, comment, expressions }: ForeignRule): RuleFacts {
  return {
    handle: String(handle),
    ...(comment !== undefined && { comment }),
    expressions: expressions.map((each) => told(encodeExpression(each))),
  }
}
