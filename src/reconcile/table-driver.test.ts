import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type NftClient } from '#/kernel/nftables.ts'
import { type DesiredNetwork } from '#/model/network.ts'
import { type NftActual } from '#/wire/nftables/actual.ts'
import { keyTypes } from '#/wire/nftables/numbers.ts'
import { type NftTable } from '#/wire/nftables/ruleset.ts'
import { TableDriver } from './table-driver.ts'

function tableOf(addrs: readonly string[]): NftTable {
  const set = {
    name: 'from-nodes4',
    type: 'ipv4_addr',
    interval: false,
    elements: addrs.map((addr) => Addr.parse(addr)),
  } as const
  return { family: 'inet', name: 'causeway', sets: [set], chains: [] }
}

/** The table as the kernel has it. */
function actualOf({ family, name, sets }: NftTable): NftActual {
  const actual = sets.map((set) => ({
    name: set.name,
    keyType: keyTypes[set.type],
    flags: 0,
    counter: false,
    ranges: set.elements.map((each) => ({ first: each as Addr, last: each as Addr })),
  }))
  return { family, name, flags: 0, sets: actual, chains: [] }
}

async function commandsOf(wanted: NftTable, found: NftTable | undefined): Promise<readonly string[]> {
  const client: Partial<NftClient> = {
    listTables: () => [],
    readTable: () => Promise.resolve(found && actualOf(found)),
  }
  const network: Partial<DesiredNetwork> = { tables: [wanted] }
  const { changes } = await new TableDriver(client as NftClient).compare(network as DesiredNetwork, {
    isComplete: true,
  })
  return changes.flatMap(({ commands }) => commands)
}

test('where only elements of sets differ, the commands change these and do not make the table anew', async () => {
  assert.deepEqual(await commandsOf(tableOf(['192.0.2.2', '192.0.2.3']), tableOf(['192.0.2.1', '192.0.2.2'])), [
    'nft delete element inet causeway from-nodes4 { 192.0.2.1 }',
    'nft add element inet causeway from-nodes4 { 192.0.2.3 }',
  ])
})

test('a table that is missing is made whole', async () => {
  const [command, ...others] = await commandsOf(tableOf(['192.0.2.1']), undefined)
  assert.match(command ?? '', /^nft -f - <<'EOF'\ntable inet causeway \{\n\tset from-nodes4 \{/)
  assert.deepEqual(others, [])
})

test('a table with another structure is replaced, after the reasons', async () => {
  const wanted = tableOf(['192.0.2.1'])
  const commands = await commandsOf(wanted, { ...wanted, sets: [] })
  assert.equal(commands[0], '# inet causeway: set from-nodes4 missing')
  assert.equal(commands[1], 'nft delete table inet causeway')
})
