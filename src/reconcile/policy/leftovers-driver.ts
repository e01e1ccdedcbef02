// The tables of network policy, for the removal of all that is Causeway's. As long as there is an agent, it keeps them itself (PolicyTables).
import { type NftClient } from '#/kernel/nftables.ts'
import { policyTableName } from '#/model/names.ts'
import { type Change, type Comparison, type Driver, nothingToDo } from '../driver.ts'

/** Packets between pods of the node are led to the rules for as long as there are rules. */
const familiesInOrder = ['bridge', 'inet'] as const

export class PolicyLeftoversDriver implements Driver {
  readonly kind = 'policy-table'
  readonly #client: NftClient

  constructor(client: NftClient) {
    this.#client = client
  }

  compare(): Comparison {
    const tables = this.#client.listTables().filter(({ name }) => name === policyTableName)
    const leftovers = familiesInOrder
      .filter((family) => tables.some((table) => table.family === family))
      .map((family): Change => ({
        verb: 'delete',
        key: `${family} ${policyTableName}`,
        commands: [`nft delete table ${family} ${policyTableName}`],
        work: { call: () => this.#client.deleteTable(family, policyTableName) },
      }))
    return { ...nothingToDo, leftovers }
  }
}
