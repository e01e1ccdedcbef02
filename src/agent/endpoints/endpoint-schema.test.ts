// State files of earlier versions, as the agents of those versions wrote them, under the agent of today.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type Claim, type Endpoint, EndpointStore, type Reservation } from './endpoint-store.ts'
import { schemaVersion } from './endpoint-schema.ts'
import { StateError } from './state-file.ts'

class Machine implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'causeway-schema-'))
  readonly #file = join(this.#folder, 'endpoints.sqlite')

  open(): EndpointStore {
    const clock = { bootId: 'second', sinceBootMs: () => 1_000_000, nowMs: () => 5 }
    return new EndpointStore(this.#file, { coolDownMs: 30_000, clock })
  }

  /** As another program has the file. */
  sql<T>(work: (db: DatabaseSync) => T): T {
    const db = new DatabaseSync(this.#file)
    try {
      return work(db)
    } finally {
      db.close()
    }
  }

  get version(): unknown {
    return this.sql((db) => db.prepare('PRAGMA user_version').get()?.['user_version'])
  }

  /** The statements that make the tables and indices, white space aside. */
  get objects(): string[] {
    const rows = this.sql((db) =>
      db.prepare("SELECT type || ' ' || name || ': ' || ifnull(sql, '') AS text FROM sqlite_schema").all(),
    )
    return rows.map(({ text }) => String(text).replaceAll(/\s+/g, ' ')).toSorted()
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function addrsOf({ addrs }: Pick<Endpoint, 'addrs'>): string {
  return addrs.map(({ addr, cidr }) => `${addr}@${cidr}`).join(' ')
}

function given(reservation: Reservation): string {
  return reservation.kind === 'reserved' ? addrsOf(reservation.endpoint) : reservation.kind
}

const late: Claim = {
  containerId: 'c3',
  ifName: 'eth0',
  netns: '/x',
  pod: 'default/late',
  hostDevice: 'cwv3',
  datapath: 'bridge',
}

const version1 = `
  CREATE TABLE endpoint (
    container_id TEXT NOT NULL, if_name TEXT NOT NULL, netns TEXT NOT NULL, pod TEXT NOT NULL,
    host_device TEXT NOT NULL UNIQUE, is_ready INTEGER NOT NULL,
    PRIMARY KEY (container_id, if_name)
  ) STRICT;
  CREATE TABLE address (
    addr TEXT PRIMARY KEY, container_id TEXT NOT NULL, if_name TEXT NOT NULL, position INTEGER NOT NULL,
    FOREIGN KEY (container_id, if_name) REFERENCES endpoint ON DELETE CASCADE
  ) STRICT;
  CREATE INDEX address_of ON address (container_id, if_name);
  CREATE TABLE cursor (cidr TEXT PRIMARY KEY, last TEXT NOT NULL) STRICT;
  CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  PRAGMA user_version = 1;
  INSERT INTO endpoint VALUES ('c1', 'eth0', '/run/netns/x', 'default/web', 'cwv1', 1);
  INSERT INTO endpoint VALUES ('c2', 'eth0', '/run/netns/y', 'default/half', 'cwv2', 0);
  INSERT INTO address VALUES ('10.0.0.9', 'c1', 'eth0', 0), ('fd00::9', 'c1', 'eth0', 1), ('10.7.0.3', 'c2', 'eth0', 0);
  INSERT INTO cursor VALUES ('10.0.0.0/25', '10.0.0.9'), ('fd00::/80', 'fd00::9');
  INSERT INTO setting VALUES ('self', '{}');`

const version2 = `
  CREATE TABLE endpoint (
    container_id TEXT NOT NULL, if_name TEXT NOT NULL, network TEXT NOT NULL, netns TEXT NOT NULL, netns_id TEXT NOT NULL,
    boot_id TEXT NOT NULL, pod TEXT NOT NULL, host_device TEXT NOT NULL UNIQUE, mac TEXT NOT NULL, bandwidth TEXT NOT NULL,
    created_ms INTEGER NOT NULL, is_ready INTEGER NOT NULL,
    PRIMARY KEY (container_id, if_name)
  ) STRICT;
  CREATE TABLE address (
    addr TEXT PRIMARY KEY, cidr TEXT NOT NULL, container_id TEXT NOT NULL, if_name TEXT NOT NULL, position INTEGER NOT NULL,
    FOREIGN KEY (container_id, if_name) REFERENCES endpoint ON DELETE CASCADE
  ) STRICT;
  CREATE INDEX address_of ON address (container_id, if_name);
  CREATE TABLE resting (
    addr TEXT PRIMARY KEY, pod TEXT NOT NULL, boot_id TEXT NOT NULL, since_boot_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE cursor (cidr TEXT PRIMARY KEY, last TEXT NOT NULL) STRICT;
  CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  PRAGMA user_version = 2;
  INSERT INTO endpoint VALUES ('c1', 'eth0', 'causeway', '/run/netns/x', '4:77', 'second', 'default/web', 'cwv1',
    '02:aa:00:00:00:01', '{"egressRate":1000000}', 1700000000000, 1);
  INSERT INTO endpoint VALUES ('c2', 'eth0', 'causeway', '/run/netns/y', '4:78', 'second', 'default/half', 'cwv2',
    '0a:58:0a:07:00:03', '{}', 1700000000001, 0);
  INSERT INTO address VALUES ('10.0.0.9', '10.0.0.0/25', 'c1', 'eth0', 0), ('fd00::9', 'fd00::/80', 'c1', 'eth0', 1),
    ('10.7.0.3', '10.7.0.0/24', 'c2', 'eth0', 0);
  INSERT INTO resting VALUES ('10.0.0.10', 'default/gone', 'second', 990000);
  INSERT INTO cursor VALUES ('10.0.0.0/25', '10.0.0.9'), ('fd00::/80', 'fd00::9');
  INSERT INTO setting VALUES ('self', '{}');`

/** What is the same whatever version the file had. */
const half = {
  containerId: 'c2',
  ifName: 'eth0',
  netns: '/run/netns/y',
  pod: 'default/half',
  podUid: '',
  hostDevice: 'cwv2',
  addrs: '10.7.0.3@10.7.0.0/24',
  mac: '0a:58:0a:07:00:03',
  bandwidth: {},
  datapath: 'bridge',
  state: 'reserved',
}
const web = {
  ...half,
  containerId: 'c1',
  netns: '/run/netns/x',
  pod: 'default/web',
  hostDevice: 'cwv1',
  addrs: '10.0.0.9@10.0.0.0/25 fd00::9@fd00::/80',
  state: 'ready',
}
/** Version 1 did not note these. The CIDR of an address that left no cursor is taken for one of the usual size. */
const since2 = { network: '', netnsId: '', bootId: '', createdMs: 5 }

const files = [
  {
    version: 1,
    sql: version1,
    endpoints: [
      { ...half, ...since2 },
      { ...web, ...since2, mac: '0a:58:0a:00:00:09' },
    ],
    resting: [],
    next: '10.0.0.10@10.0.0.0/25',
  },
  {
    version: 2,
    sql: version2,
    endpoints: [
      { ...half, network: 'causeway', netnsId: '4:78', bootId: 'second', createdMs: 1700000000001 },
      {
        ...web,
        network: 'causeway',
        netnsId: '4:77',
        bootId: 'second',
        createdMs: 1700000000000,
        mac: '02:aa:00:00:00:01',
        bandwidth: { egressRate: 1000000 },
      },
    ],
    resting: ['10.0.0.10 default/gone 10000'],
    // 10.0.0.10 rests
    next: '10.0.0.11@10.0.0.0/25',
  },
]

test('there is a file of each earlier version', () => {
  assert.deepEqual(
    files.map(({ version }) => version + 1),
    Array.from({ length: schemaVersion - 1 }, (_, index) => index + 2),
  )
})

for (const { version, sql, endpoints, resting, next } of files) {
  test(`a file of version ${version} is taken over whole: nothing that is in use becomes free`, () => {
    using machine = new Machine()
    using fresh = new Machine()
    machine.sql((db) => db.exec(sql))
    for (let turn = 0; turn < 2; turn++) {
      using store = machine.open()
      assert.deepEqual(store.releaseEarlierBoots(), [])
      assert.deepEqual(
        store.list().map(({ portMappings, ...endpoint }) => ({ ...endpoint, addrs: addrsOf(endpoint), portMappings })),
        endpoints.map((endpoint) => ({ ...endpoint, portMappings: [] })),
      )
      assert.deepEqual(
        store.resting().map(({ addr, pod, restedMs }) => `${addr} ${pod} ${restedMs}`),
        resting,
      )
      assert.equal(store.setting('self'), '{}')
    }
    assert.equal(machine.version, schemaVersion)
    fresh.open()[Symbol.dispose]()
    assert.deepEqual(machine.objects, fresh.objects)
    using store = machine.open()
    assert.equal(given(store.reserve(late, [Prefix.parse('10.0.0.0/25')])), next)
    store.setState({ containerId: 'c2', ifName: 'eth0' }, 'ready')
    store.release({ containerId: 'c1', ifName: 'eth0' })
    assert.deepEqual(
      store.list().map(({ pod, state }) => `${pod} ${state}`),
      ['default/half ready', 'default/late reserved'],
    )
    assert.equal(store.usedIn(Prefix.parse('fd00::/80')), 0)
  })
}

for (const [version, sql, spoil, why] of [
  [1, version1, "UPDATE address SET addr = 'none' WHERE container_id = 'c2'", /none/],
  // the step to version 2 succeeds, the one to version 3 does not
  [1, version1, 'CREATE VIEW readiness AS SELECT is_ready FROM endpoint', /view readiness/],
  [2, version2, 'CREATE INDEX by_readiness ON endpoint (is_ready)', /index by_readiness/],
] as const) {
  test(`a migration from version ${version} that fails leaves the file as it was (${spoil.split(' ', 2).join(' ')})`, () => {
    using machine = new Machine()
    machine.sql((db) => db.exec(`${sql}; ${spoil}`))
    const rows = (): unknown[] =>
      machine.sql((db) =>
        ['endpoint', 'address', 'cursor', 'setting'].flatMap((table) => db.prepare(`SELECT * FROM ${table}`).all()),
      )
    const before = [machine.objects, rows()]
    assert.throws(
      () => machine.open(),
      (error: unknown) => error instanceof StateError && why.test(error.message),
    )
    assert.equal(machine.version, version)
    assert.deepEqual([machine.objects, rows()], before)
  })
}

test('a file whose tables an agent made that knew no host ports has room for them', () => {
  using machine = new Machine()
  machine.open()[Symbol.dispose]()
  machine.sql((db) => db.exec('DROP TABLE port_mapping'))
  const portMappings = [
    { hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: Addr.parse('fd00::1') },
    { hostPort: 53, containerPort: 53, protocol: 'udp' },
  ] as const
  using store = machine.open()
  const before = store.hostPortsKey()
  store.reserve({ ...late, portMappings }, [Prefix.parse('10.0.0.0/25')])
  assert.deepEqual(store.list()[0]?.portMappings, portMappings)
  assert.notEqual(store.hostPortsKey(), before)
  // as an agent that knows no host ports releases an endpoint
  machine.sql((db) => db.exec('PRAGMA foreign_keys = ON; DELETE FROM endpoint'))
  assert.equal(store.hostPortsKey(), before)
})

test('a file of a newer version stays as it is', () => {
  using machine = new Machine()
  machine.sql((db) => db.exec('PRAGMA user_version = 99'))
  assert.throws(
    () => machine.open(),
    (error: unknown) =>
      error instanceof StateError && /version 99, this agent knows 3: a newer agent/.test(error.message),
  )
  assert.deepEqual([machine.version, machine.objects], [99, []])
})
