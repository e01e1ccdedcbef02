// The pods of this node and their addresses, on disk. One SQLite file: each step below is one transaction, so a kill at any
// line leaves either all of it or none. (The kernel keeps what was written; only a power loss could undo it, and with it
// all pods.) An address row is the only claim on an address: while it stands, nobody else can have it.
import { DatabaseSync } from 'node:sqlite'
import { Addr, type Prefix } from '#/lib/addr.ts'
import { nextFree } from '#/plan/allocate.ts'

export type Attachment = { readonly containerId: string; readonly ifName: string }

export type Endpoint = Attachment & {
  readonly netns: string
  /** "namespace/name", or the container's id where the runtime told no pod. */
  readonly pod: string
  /** Name of the veth's end on the host. */
  readonly hostDevice: string
  readonly addrs: readonly Addr[]
  /** False from reservation until the pod is wired. */
  readonly isReady: boolean
}

export type Reservation =
  | { readonly kind: 'reserved'; readonly endpoint: Endpoint }
  | { readonly kind: 'exhausted'; readonly cidr: Prefix; readonly used: number }
  | { readonly kind: 'taken'; readonly addr: Addr; readonly pod: string }

const schemaVersion = 1
const schema = `
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
  PRAGMA user_version = ${schemaVersion};`

export class StateError extends Error {
  override name = 'StateError'
}

type Row = {
  container_id: string
  if_name: string
  netns: string
  pod: string
  host_device: string
  is_ready: number
  addrs: string | null
}

const selectEndpoints = `
  SELECT e.*, (SELECT group_concat(addr, ' ') FROM (SELECT addr FROM address a
    WHERE a.container_id = e.container_id AND a.if_name = e.if_name ORDER BY position)) AS addrs
  FROM endpoint e`

function toEndpoint(row: Row): Endpoint {
  return {
    containerId: row.container_id,
    ifName: row.if_name,
    netns: row.netns,
    pod: row.pod,
    hostDevice: row.host_device,
    addrs: (row.addrs ?? '').split(' ').filter(Boolean).map(Addr.parse),
    isReady: row.is_ready === 1,
  }
}

export class EndpointStore {
  readonly #db: DatabaseSync

  /** Throws StateError when the file cannot be opened or is not ours. */
  constructor(path: string) {
    try {
      this.#db = new DatabaseSync(path)
      this.#db.exec(
        'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 2000',
      )
      const { user_version: version } = this.#db.prepare('PRAGMA user_version').get() as { user_version: number }
      if (version === 0) this.#transact(() => this.#db.exec(schema))
      else if (version !== schemaVersion)
        throw new Error(`it has version ${version}, this agent knows ${schemaVersion}`)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new StateError(
        `cannot use the state file ${path}: ${why}; check disk and permissions, or move the file away (then pods must be re-created)`,
      )
    }
  }

  #transact<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.#db.exec('COMMIT')
      return result
    } catch (error) {
      this.#db.exec('ROLLBACK')
      throw error
    }
  }

  list(): Endpoint[] {
    const rows = this.#db.prepare(`${selectEndpoints} ORDER BY e.pod, e.if_name`).all() as Row[]
    return rows.map(toEndpoint)
  }

  find({ containerId, ifName }: Attachment): Endpoint | undefined {
    const row = this.#db
      .prepare(`${selectEndpoints} WHERE e.container_id = ? AND e.if_name = ?`)
      .get(containerId, ifName)
    return row === undefined ? undefined : toEndpoint(row as Row)
  }

  hasDevice(hostDevice: string): boolean {
    return this.#db.prepare('SELECT 1 FROM endpoint WHERE host_device = ?').get(hostDevice) !== undefined
  }

  /**
   * Takes an address of each CIDR for the endpoint, or none at all. One that the same attachment left half done keeps its
   * addresses when they still fit. `requested` are addresses the pod asks for.
   */
  reserve(
    wanted: Omit<Endpoint, 'addrs' | 'isReady'>,
    cidrs: readonly Prefix[],
    requested: readonly Addr[] = [],
  ): Reservation {
    let refusal: Reservation | undefined
    const addrs: Addr[] = []
    try {
      this.#transact(() => {
        this.#db
          .prepare('DELETE FROM endpoint WHERE container_id = ? AND if_name = ?')
          .run(wanted.containerId, wanted.ifName)
        this.#db
          .prepare('INSERT INTO endpoint VALUES (?, ?, ?, ?, ?, 0)')
          .run(wanted.containerId, wanted.ifName, wanted.netns, wanted.pod, wanted.hostDevice)
        for (const [position, cidr] of cidrs.entries()) {
          const choice = this.#choose(
            cidr,
            requested.find((addr) => cidr.contains(addr)),
          )
          if (!(choice instanceof Addr)) {
            refusal = choice
            throw new Error('rolled back')
          }
          this.#db
            .prepare('INSERT INTO address VALUES (?, ?, ?, ?)')
            .run(String(choice), wanted.containerId, wanted.ifName, position)
          this.#db.prepare('INSERT OR REPLACE INTO cursor VALUES (?, ?)').run(String(cidr), String(choice))
          addrs.push(choice)
        }
      })
    } catch (error) {
      if (refusal) return refusal
      throw error
    }
    return { kind: 'reserved', endpoint: { ...wanted, addrs, isReady: false } }
  }

  #choose(cidr: Prefix, requested: Addr | undefined): Addr | Reservation {
    const holder = this.#db.prepare(
      'SELECT pod FROM address JOIN endpoint USING (container_id, if_name) WHERE addr = ?',
    )
    if (requested) {
      const taken = holder.get(String(requested)) as { pod: string } | undefined
      return taken ? { kind: 'taken', addr: requested, pod: taken.pod } : requested
    }
    const cursor = this.#db.prepare('SELECT last FROM cursor WHERE cidr = ?').get(String(cidr)) as
      | { last: string }
      | undefined
    const free = nextFree(cidr, cursor && Addr.parse(cursor.last), (addr) => holder.get(String(addr)) !== undefined)
    return free ?? { kind: 'exhausted', cidr, used: this.usedIn(cidr) }
  }

  /** How many addresses of the CIDR are in use. */
  usedIn(cidr: Prefix): number {
    const rows = this.#db.prepare('SELECT addr FROM address').all() as { addr: string }[]
    return rows.filter(({ addr }) => cidr.contains(Addr.parse(addr))).length
  }

  markReady({ containerId, ifName }: Attachment): void {
    this.#db.prepare('UPDATE endpoint SET is_ready = 1 WHERE container_id = ? AND if_name = ?').run(containerId, ifName)
  }

  /** Gives the endpoint's addresses back. No error when there is no such endpoint. */
  release({ containerId, ifName }: Attachment): void {
    this.#db.prepare('DELETE FROM endpoint WHERE container_id = ? AND if_name = ?').run(containerId, ifName)
  }

  setting(name: string): string | undefined {
    return (this.#db.prepare('SELECT value FROM setting WHERE name = ?').get(name) as { value: string } | undefined)
      ?.value
  }

  setSetting(name: string, value: string): void {
    this.#db.prepare('INSERT OR REPLACE INTO setting VALUES (?, ?)').run(name, value)
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }
}
