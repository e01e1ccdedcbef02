// The tables of the node's state file, as a list of steps from each version to the next. A file of an earlier version goes through
// the steps that it lacks, a new file through all of them, so that both have the same tables. A step is never changed once an agent
// with it was released: another step corrects its mistakes.
//
// The file survives reboots, while namespaces, devices and the kernel's clocks do not: boot_id says in which boot a row was written.
// An empty text means "not known": the version that wrote the row did not record it.
import { type DatabaseSync } from 'node:sqlite'
import { Addr, Prefix } from '#/lib/addr.ts'
import { podMac } from '#/model/names.ts'

/** `nowMs` is the time of the migration, by the wall clock. */
type Step = (db: DatabaseSync, nowMs: number) => void

/** Makes the first tables: a new file has version 0 and no tables. */
function makeTables(db: DatabaseSync): void {
  db.exec(`
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
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`)
}

type Endpoint1 = {
  container_id: string
  if_name: string
  netns: string
  pod: string
  host_device: string
  is_ready: number
}
type Address1 = { addr: string; container_id: string; if_name: string; position: number }

/** Kubernetes' default length of a node's pod CIDR; assumed for an address that no CIDR in the table cursor contains. */
const usualLength = { 4: 24, 6: 64 } as const

/**
 * Version 2 keeps the CIDR of each address, the MAC, network, namespace and boot of each endpoint, and which addresses rest. Version 1
 * did not record the CIDRs of addresses, but each CIDR from which an address was ever given has a row in the table cursor.
 */
function keepCidrs(db: DatabaseSync, nowMs: number): void {
  const endpoints = db.prepare('SELECT * FROM endpoint').all() as Endpoint1[]
  const addresses = db.prepare('SELECT * FROM address ORDER BY position').all() as Address1[]
  const cursors = db.prepare('SELECT cidr FROM cursor').all() as { cidr: string }[]
  const cidrs = cursors.map(({ cidr }) => Prefix.parse(cidr))
  db.exec(`
    DROP TABLE address;
    DROP TABLE endpoint;
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
    ) STRICT;`)
  const insertEndpoint = db.prepare(`INSERT INTO endpoint VALUES (?, ?, '', ?, '', '', ?, ?, ?, '{}', ?, ?)`)
  const insertAddress = db.prepare('INSERT INTO address VALUES (?, ?, ?, ?, ?)')
  for (const { container_id, if_name, netns, pod, host_device, is_ready } of endpoints) {
    const own = addresses.filter((each) => each.container_id === container_id && each.if_name === if_name)
    const [first] = own
    const mac = first ? podMac(Addr.parse(first.addr)) : ''
    insertEndpoint.run(container_id, if_name, netns, pod, host_device, mac, nowMs, is_ready)
    for (const { addr, position } of own) {
      const parsed = Addr.parse(addr)
      const cidr = cidrs.find((each) => each.contains(parsed)) ?? new Prefix(parsed, usualLength[parsed.family])
      insertAddress.run(addr, String(cidr), container_id, if_name, position)
    }
  }
}

/** Version 3 keeps the datapath and the pod's UID of each endpoint, and its state instead of the flag is_ready. */
function keepStates(db: DatabaseSync): void {
  db.exec(`
    ALTER TABLE endpoint ADD COLUMN datapath TEXT NOT NULL DEFAULT 'bridge';
    ALTER TABLE endpoint ADD COLUMN pod_uid TEXT NOT NULL DEFAULT '';
    ALTER TABLE endpoint ADD COLUMN state TEXT NOT NULL DEFAULT 'reserved'
      CHECK (state IN ('reserved', 'wired', 'policed', 'ready', 'leaving'));
    UPDATE endpoint SET state = 'ready' WHERE is_ready = 1;
    ALTER TABLE endpoint DROP COLUMN is_ready;`)
}

/**
 * The host ports of endpoints. It needs no version of its own: an agent that does not know this table leaves it alone, and its rows go with
 * their endpoints.
 */
const portMappingTable = `
  CREATE TABLE IF NOT EXISTS port_mapping (
    container_id TEXT NOT NULL, if_name TEXT NOT NULL, position INTEGER NOT NULL, protocol TEXT NOT NULL,
    host_port INTEGER NOT NULL, container_port INTEGER NOT NULL, host_ip TEXT NOT NULL,
    PRIMARY KEY (container_id, if_name, position),
    FOREIGN KEY (container_id, if_name) REFERENCES endpoint ON DELETE CASCADE
  ) STRICT`

/** Step n brings a file of version n to version n + 1. */
const steps: readonly Step[] = [makeTables, keepCidrs, keepStates]

export const schemaVersion = steps.length

/**
 * Brings the file to the newest version; the caller runs it in one transaction. Throws for a file that a newer agent wrote, and for
 * one whose rows cannot be read.
 */
export function prepareSchema(db: DatabaseSync, nowMs: number): void {
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
  if (version > schemaVersion)
    throw new Error(`it has version ${version}, this agent knows ${schemaVersion}: a newer agent wrote it`)
  if (version < schemaVersion) {
    for (const step of steps.slice(version)) step(db, nowMs)
    db.exec(`PRAGMA user_version = ${schemaVersion}`)
  }
  db.exec(portMappingTable)
}
