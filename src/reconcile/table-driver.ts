// nftables tables. Ownership: their name. A table is one object: it is replaced whole, in one transaction, so that there is
// no moment in which some of its rules hold and others do not.
import { type NftClient } from '#/kernel/nftables.ts'
import { tableName } from '#/model/names.ts'
import { type DesiredNetwork } from '#/model/network.ts'
import { differences, type NftChange, nftChange } from '#/wire/nftables/compare.ts'
import { renderTable } from '#/wire/nftables/render.ts'
import { type NftFamily, type NftTable } from '#/wire/nftables/ruleset.ts'
import { type Change, type Comparison, type Driver } from './driver.ts'

export class TableDriver implements Driver {
  readonly kind = 'table'
  readonly #client: NftClient

  constructor(client: NftClient) {
    this.#client = client
  }

  compare({ tables }: DesiredNetwork): Comparison {
    const wanted = new Set(tables.map(({ family, name }) => `${family} ${name}`))
    const leftovers = this.#client
      .listTables()
      .filter(({ family, name }) => name === tableName && !wanted.has(`${family} ${name}`))
      .filter(
        (table): table is { family: NftFamily; name: string } => table.family === 'inet' || table.family === 'netdev',
      )
      .map(({ family, name }): Change => ({
        verb: 'delete',
        key: `${family} ${name}`,
        commands: [`nft delete table ${family} ${name}`],
        work: { call: () => this.#client.deleteTable(family, name) },
      }))
    return {
      keys: [...wanted],
      changes: tables.flatMap((table) => this.#change(table)),
      leftovers,
      failures: new Map(),
    }
  }

  #change(table: NftTable): Change[] {
    const key = `${table.family} ${table.name}`
    const actual = this.#client.readTable(table.family, table.name)
    const change = nftChange(table, actual)
    if (change.kind === 'none') return []
    const reasons = actual === undefined ? [] : differences(table, actual)
    return [
      {
        verb: actual === undefined ? 'add' : 'change',
        key,
        commands: [
          ...reasons.map((reason) => `# ${key}: ${reason}`),
          ...(actual === undefined ? [] : [`nft delete table ${key}`]),
          `nft -f - <<'EOF'\n${renderTable(table)}EOF`,
        ],
        work: { call: () => this.#apply(table, change) },
      },
    ]
  }

  /** A changed set leaves rules and their counters alone; anything else replaces the table. */
  #apply(table: NftTable, change: NftChange): void {
    if (change.kind === 'elements') this.#client.updateSets(table, change.sets)
    else this.#client.replaceTable(table)
  }
}
