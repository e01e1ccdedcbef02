import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import fc from 'fast-check'
import { Prefix } from '#/lib/addr.ts'
import { datapathNames } from '#/model/datapath.ts'
import { EndpointStore } from './endpoint-store.ts'

const id = { containerId: 'c1', ifName: 'eth0' }
const columns = [
  'network',
  'netns',
  'netns_id',
  'boot_id',
  'pod',
  'pod_uid',
  'host_device',
  'mac',
  'bandwidth',
  'datapath',
] as const
const change = fc.oneof(
  fc.record({ table: fc.constant('endpoint'), column: fc.constantFrom(...columns), value: fc.string() }),
  fc.record({ table: fc.constant('address'), column: fc.constantFrom('addr', 'cidr'), value: fc.string() }),
)

test('whatever the rows hold, either they are read or the file counts as unusable', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'endpoint-rows-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'endpoints.sqlite')
  const check = ({ table, column, value }: { table: string; column: string; value: string }): void => {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
    {
      using store = new EndpointStore(path)
      const claim = { ...id, netns: '/x', pod: 'default/p', hostDevice: 'cwv1', datapath: 'bridge' } as const
      store.reserve(claim, ['10.0.0.0/29', 'fd00::/64'].map(Prefix.parse))
      store.setState(id, 'ready')
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

test('a pod of a datapath that this agent does not know counts as one of its own, and the row keeps the name', (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'endpoint-rows-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'endpoints.sqlite')
  {
    using store = new EndpointStore(path)
    const claim = { ...id, netns: '/x', pod: 'default/p', hostDevice: 'cwv1', datapath: 'bridge' } as const
    store.reserve(claim, [Prefix.parse('10.0.0.0/29')])
  }
  using database = new DatabaseSync(path)
  database.exec("UPDATE endpoint SET datapath = 'constructor'")
  using store = new EndpointStore(path)
  store.setState(id, 'ready')
  assert.equal(store.lacks, undefined)
  assert.equal(store.find(id)!.datapath, datapathNames[0])
  assert.deepEqual(
    database
      .prepare('SELECT datapath FROM endpoint')
      .all()
      .map(({ datapath }) => datapath),
    ['constructor'],
  )
})
