import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import fc from 'fast-check'
import { Prefix } from '#/lib/addr.ts'
import { EndpointStore } from './endpoints.ts'

const id = { containerId: 'c1', ifName: 'eth0' }
const columns = ['network', 'netns', 'netns_id', 'boot_id', 'pod', 'host_device', 'mac', 'bandwidth'] as const
const change = fc.oneof(
  fc.record({ table: fc.constant('endpoint'), column: fc.constantFrom(...columns), value: fc.string() }),
  fc.record({ table: fc.constant('address'), column: fc.constantFrom('addr', 'cidr'), value: fc.string() }),
)

test('whatever rows hold, they are read, or the file is one that cannot be used', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'endpoint-rows-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'endpoints.sqlite')
  const check = ({ table, column, value }: { table: string; column: string; value: string }): void => {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
    {
      using store = new EndpointStore(path)
      const claim = { ...id, netns: '/x', pod: 'default/p', hostDevice: 'cwv1' }
      store.reserve(claim, ['10.0.0.0/29', 'fd00::/64'].map(Prefix.parse))
      store.markReady(id)
    }
    const database = new DatabaseSync(path)
    database.prepare(`UPDATE ${table} SET ${column} = ? WHERE rowid = (SELECT min(rowid) FROM ${table})`).run(value)
    database.close()
    using store = new EndpointStore(path, { mayLack: true })
    const known = store.list()
    if (store.lacks === undefined) assert.equal(known.length, 1)
    else assert.match(store.lacks, /cannot (?:read|use) the state file .*endpoints\.sqlite: /)
    assert.equal(store.find(id) === undefined, store.lacks !== undefined)
    // what nobody knows must not be removed
    assert.equal(store.hasDevice('cwv1') || column === 'host_device', true)
  }
  fc.assert(fc.property(change, check), { numRuns: 60 })
})
