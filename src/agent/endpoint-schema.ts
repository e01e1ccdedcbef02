// The state file of the node: its tables, and how a file of an earlier version becomes one of this version.
// What is in it survives reboots, while namespaces, devices and the kernel's clocks do not: boot_id tells of which boot a
// row is. An empty text means "not known": the version that wrote the row did not note it.
import { type DatabaseSync } from 'node:sqlite'
import { Addr, Prefix } from '#/lib/addr.ts'
import { podMac } from '#/model/names.ts'

export const schemaVersion = 2

const schema = `
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
  ) STRICT;`

/** The same in every version. */
const lasting = `
  CREATE TABLE cursor (cidr TEXT PRIMARY KEY, last TEXT NOT NULL) STRICT;
  CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`

type OldEndpoint = {
  container_id: string
  if_name: string
  netns: string
  pod: string
  host_device: string
  is_ready: number
}
type OldAddress = { addr: string; container_id: string; if_name: string; position: number }

/** What Kubernetes gives a node when nobody says otherwise; for an address whose cursor somebody removed. */
const usualLength = { 4: 24, 6: 64 } as const

/** Version 1 knew of an address only to whom it belonged. Every CIDR that ever gave one has a cursor, though. */
function migrateFrom1(db: DatabaseSync, nowMs: number): void {
  const endpoints = db.prepare('SELECT * FROM endpoint').all() as OldEndpoint[]
  const addresses = db.prepare('SELECT * FROM address ORDER BY position').all() as OldAddress[]
  const cursors = db.prepare('SELECT cidr FROM cursor').all() as { cidr: string }[]
  const cidrs = cursors.map(({ cidr }) => Prefix.parse(cidr))
  db.exec(`DROP TABLE address; DROP TABLE endpoint; ${schema}`)
  for (const { container_id, if_name, netns, pod, host_device, is_ready } of endpoints) {
    const own = addresses.filter((each) => each.container_id === container_id && each.if_name === if_name)
    const [first] = own
    db.prepare('INSERT INTO endpoint VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
      container_id,
      if_name,
      '',
      netns,
      '',
      '',
      pod,
      host_device,
      first ? podMac(Addr.parse(first.addr)) : '',
      '{}',
      nowMs,
      is_ready,
    )
    for (const { addr, position } of own) {
      const parsed = Addr.parse(addr)
      const cidr = cidrs.find((each) => each.contains(parsed)) ?? new Prefix(parsed, usualLength[parsed.family])
      db.prepare('INSERT INTO address VALUES (?, ?, ?, ?, ?)').run(addr, String(cidr), container_id, if_name, position)
    }
  }
}

/** Makes the tables of an empty file, or brings those of an older one up to date; for a transaction. Throws for a newer one. */
export function prepareSchema(db: DatabaseSync, nowMs: number): void {
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
  if (version === schemaVersion) return
  if (version > schemaVersion)
    throw new Error(`it has version ${version}, this agent knows ${schemaVersion}: a newer agent wrote it`)
  if (version === 0) db.exec(schema + lasting)
  else migrateFrom1(db, nowMs)
  db.exec(`PRAGMA user_version = ${schemaVersion}`)
}
