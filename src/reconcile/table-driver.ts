// nftables tables. Ownership: their names. A table is one object: it is replaced whole, in one transaction, so that its rules
// always hold all together.
import { type NftClient } from '#/kernel/nftables.ts'
import { hostPortTableName, isOurTable, isTunnelEndSet, policyTableName, tableName } from '#/model/names.ts'
import { type DesiredNetwork, type NetworkDelta } from '#/model/network.ts'
import { type NftActual } from '#/wire/nftables/actual.ts'
import { differences, type NftChange, nftChange } from '#/wire/nftables/compare.ts'
import { familyOfSet } from '#/wire/nftables/ranges.ts'
import { renderElements, renderTable } from '#/wire/nftables/render.ts'
import { type NftFamily, type NftTable } from '#/wire/nftables/ruleset.ts'
import { type Change, type CompareOptions, type Comparison, type Driver, nothingToDo } from './driver.ts'

/** The commands that make the table anew, with the reasons as comments. */
function replacement(table: NftTable, actual: NftActual | undefined): string[] {
  const key = `${table.family} ${table.name}`
  const make = `nft -f - <<'EOF'\n${renderTable(table)}EOF`
  if (actual === undefined) return [make]
  return [...differences(table, actual).map((reason) => `# ${key}: ${reason}`), `nft delete table ${key}`, make]
}

export class TableDriver implements Driver {
  readonly kind = 'table'
  readonly #client: NftClient
  readonly #arePodsKnown: () => boolean
  /** The tables as of the last comparison. */
  #tables: readonly NftTable[] | undefined

  /** While `arePodsKnown` is false, a table of host ports that nobody wants may still be some pod's, and stays. */
  constructor(client: NftClient, arePodsKnown: () => boolean = () => true) {
    this.#client = client
    this.#arePodsKnown = arePodsKnown
  }

  async compare({ tables }: DesiredNetwork, { isComplete }: CompareOptions): Promise<Comparison> {
    const wanted = new Set(tables.map(({ family, name }) => `${family} ${name}`))
    const leftovers = this.#client
      .listTables()
      .filter(({ family, name }) => isOurTable(name) && !wanted.has(`${family} ${name}`))
      // policies have no part in the plan of the network: see PolicyTables
      .filter(({ name }) => name !== policyTableName)
      .filter(({ name }) => name !== hostPortTableName || this.#arePodsKnown())
      .filter(
        (table): table is { family: NftFamily; name: string } => table.family === 'inet' || table.family === 'netdev',
      )
      .map(({ family, name }): Change => ({
        verb: 'delete',
        key: `${family} ${name}`,
        commands: [`nft delete table ${family} ${name}`],
        work: { call: () => this.#client.deleteTable(family, name) },
      }))
    this.#tables = tables
    const changes: Change[] = []
    for (const table of tables) changes.push(...(await this.#change(table, isComplete)))
    return {
      keys: [...wanted],
      changes,
      leftovers,
      failures: new Map(),
    }
  }

  /** Updates other nodes' tunnel ends in the sets of the tables as of the last comparison. */
  fromDelta({ tunnelEnds }: NetworkDelta): Comparison | undefined {
    if (tunnelEnds.size === 0) return nothingToDo
    const table = this.#tables?.find(({ sets }) => sets.some(({ name }) => isTunnelEndSet(name)))
    if (table === undefined) return undefined
    const key = `${table.family} ${table.name}`
    const update = (isWanted: boolean): Change[] => {
      const ranges = [...tunnelEnds.values()]
        .filter((end) => end.isWanted === isWanted)
        .map(({ addr }) => ({ first: addr, last: addr }))
      const sets = table.sets
        .filter(({ name }) => isTunnelEndSet(name))
        .map((set) => ({ set, ranges: ranges.filter(({ first }) => first.family === familyOfSet[set.type]) }))
        .map((each) => ({
          set: each.set,
          missing: isWanted ? each.ranges : [],
          extra: isWanted ? [] : each.ranges,
        }))
      const commands = [`# ${key}: ${isWanted ? 'add' : 'delete'} ${ranges.length} tunnel ends`]
      return ranges.length === 0
        ? []
        : [{ verb: 'change', key, commands, work: { call: () => this.#client.updateSets(table, sets) } }]
    }
    return { keys: [], changes: update(true), leftovers: update(false), failures: new Map() }
  }

  async #change(table: NftTable, isComplete: boolean): Promise<Change[]> {
    const key = `${table.family} ${table.name}`
    const actual = await this.#client.readTable(table.family, table.name)
    // until all nodes are known the existing node table stays: it may let in packets of nodes that we do not know yet
    if (actual && !isComplete && table.name === tableName) return []
    const change = nftChange(table, actual)
    if (change.kind === 'none') return []
    return [
      {
        verb: actual === undefined ? 'add' : 'change',
        key,
        commands: change.kind === 'elements' ? renderElements(table, change.sets) : replacement(table, actual),
        work: { call: () => this.#apply(table, change) },
      },
    ]
  }

  /** When only set elements changed, updates the sets, which keeps rules and counters; otherwise replaces the table. */
  #apply(table: NftTable, change: NftChange): void {
    if (change.kind === 'elements') this.#client.updateSets(table, change.sets)
    else this.#client.replaceTable(table)
  }
}
