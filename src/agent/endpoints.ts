// The pods of this node and their addresses, on disk. One SQLite file: each step below is one transaction, so a kill at any
// line leaves either all of it or none. (The kernel keeps what was written; only a power loss could undo it, and with it
// all pods.) An address row is the only claim on an address: while it stands, nobody else can have it.
import { type DatabaseSync } from 'node:sqlite'
import { Addr, type Prefix } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { podMac } from '#/model/names.ts'
import { type PodAddress } from '#/model/network.ts'
import { byFamily, chooseAddress, isInPool } from '#/plan/allocate.ts'
import { type BootClock, bootClock } from '#/sys/boot-clock.ts'
import { type Attachment, attachmentKey, type Bandwidth } from '#/wire/cni/index.ts'
import { type Row, selectEndpoints, toEndpoint } from './endpoint-rows.ts'
import { openStateFile, StateError, transact } from './state-file.ts'

export type { Attachment } from '#/wire/cni/index.ts'

export type Endpoint = Attachment & {
  /** The name of the CNI configuration by which it was attached; '' when that was not noted. */
  readonly network: string
  readonly netns: string
  /** Which namespace was at that path at the ADD (see namespaces.ts); '' when that was not noted. */
  readonly netnsId: string
  /** The boot in which it was made; '' when that was not noted. */
  readonly bootId: string
  /** "namespace/name", or the container's id where the runtime told no pod. */
  readonly pod: string
  /** Name of the veth's end on the host. */
  readonly hostDevice: string
  readonly addrs: readonly PodAddress[]
  /** Of the pod's interface. */
  readonly mac: string
  /** Limits of its traffic; empty for none. */
  readonly bandwidth: Bandwidth
  /** When it was made, by the wall clock: for people. */
  readonly createdMs: number
  /** False from reservation until the pod is wired. */
  readonly isReady: boolean
}

/** What an ADD asks the store for. */
export type Claim = Pick<Endpoint, 'containerId' | 'ifName' | 'netns' | 'pod' | 'hostDevice'> & {
  readonly network?: string
  readonly netnsId?: string
  /** Instead of the one that follows from the address. */
  readonly mac?: string
  readonly bandwidth?: Bandwidth
  /** At most one of each family; whether a pod may have them at all is for the caller to check. */
  readonly requested?: readonly Addr[]
}

export type Reservation =
  | { readonly kind: 'reserved'; readonly endpoint: Endpoint }
  /** All addresses of the only CIDRs of a family are in use. */
  | { readonly kind: 'exhausted'; readonly cidrs: readonly Prefix[] }
  /** `what` is a requested address or MAC that another pod has. */
  | { readonly kind: 'taken'; readonly what: string; readonly pod: string }

export type Resting = { readonly addr: Addr; readonly pod: string; readonly restedMs: number }

export type StoreOptions = {
  /** How long an address is not given again after it was given back. */
  readonly coolDownMs?: number
  readonly clock?: BootClock
  /**
   * Go on without the file when it cannot be used: no address can be reserved then, every device counts as in use, and
   * `settle` tries the file again. Without this the constructor throws.
   */
  readonly mayLack?: boolean
}

export const defaultCoolDownMs = 30_000

/** Carries the refusal out of the transaction that it undoes. */
class Refused extends Error {
  readonly reservation: Reservation

  constructor(reservation: Reservation) {
    super('rolled back')
    this.reservation = reservation
  }
}

export class EndpointStore {
  #db: DatabaseSync
  readonly #path: string
  readonly #coolDownMs: number
  readonly #clock: BootClock
  readonly #mayLack: boolean
  /** Attachments that were released while the file could not be written: gone for everybody, their addresses still claimed. */
  readonly #owed = new Map<string, Attachment>()
  /** Why the last write failed. */
  #trouble: string | undefined
  /** Why the file cannot even be opened; #db is an empty stand-in then. */
  #lacks: string | undefined

  /** Throws StateError when the file cannot be opened or is not ours. */
  constructor(
    path: string,
    { coolDownMs = defaultCoolDownMs, clock = bootClock(), mayLack = false }: StoreOptions = {},
  ) {
    this.#path = path
    this.#coolDownMs = coolDownMs
    this.#clock = clock
    this.#mayLack = mayLack
    try {
      this.#db = openStateFile(path, clock)
    } catch (error) {
      this.#db = this.#standIn(error)
    }
  }

  /** An empty database to go on with. */
  #standIn(error: unknown): DatabaseSync {
    if (!this.#mayLack || !(error instanceof StateError)) throw error
    this.#lacks = error.message
    return openStateFile(':memory:', this.#clock)
  }

  /** A file that was fine when it was opened can be damaged later: then it is as if it had been so from the start. */
  #read<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      const damaged = this.#db
      const what = `cannot read the state file ${this.#path}: ${messageOf(error)}; mend the disk, or move the file away (then every pod of this node loses its network and must be re-created)`
      this.#db = this.#standIn(new StateError(what))
      damaged.close()
      return work()
    }
  }

  /** Why there is no state to work with, and what to do; undefined when there is. */
  get lacks(): string | undefined {
    return this.#lacks
  }

  /** A transaction, along with what is owed. Throws StateError when the file cannot be written; then nothing was. */
  #write<T>(work: () => T): T {
    try {
      const result = transact(this.#db, () => {
        // the stand-in is not whom they are owed to
        if (this.#lacks === undefined) for (const attachment of this.#owed.values()) this.#giveBack(attachment)
        return work()
      })
      if (this.#lacks === undefined) this.#owed.clear()
      this.#trouble = undefined
      return result
    } catch (error) {
      if (error instanceof Refused) throw error
      this.#trouble = `cannot write the state file ${this.#path}: ${messageOf(error)}`
      throw new StateError(`${this.#trouble}; free space or mend the disk, the agent then goes on by itself`)
    }
  }

  /** Why the file cannot be written; undefined when it can. After a failed write it is tried again here. */
  trouble(): string | undefined {
    if (this.#lacks !== undefined) return this.#lacks
    if (this.#trouble === undefined) return undefined
    try {
      this.setSetting('probe', String(this.#clock.nowMs()))
    } catch (error) {
      if (!(error instanceof StateError)) throw error
    }
    return this.#trouble
  }

  list(): Endpoint[] {
    const sql = `${selectEndpoints} ORDER BY e.pod, e.if_name`
    const endpoints = this.#read(() => (this.#db.prepare(sql).all() as Row[]).map(toEndpoint))
    return endpoints.filter((endpoint) => !this.#owed.has(attachmentKey(endpoint)))
  }

  find(attachment: Attachment): Endpoint | undefined {
    if (this.#owed.has(attachmentKey(attachment))) return undefined
    const { containerId, ifName } = attachment
    return this.#read(() => {
      const sql = `${selectEndpoints} WHERE e.container_id = ? AND e.if_name = ?`
      const row = this.#db.prepare(sql).get(containerId, ifName) as Row | undefined
      return row && toEndpoint(row)
    })
  }

  /** True for every device while there is no state: what nobody knows must not be removed. */
  hasDevice(hostDevice: string): boolean {
    if (this.#lacks !== undefined) return true
    const sql = 'SELECT container_id AS containerId, if_name AS ifName FROM endpoint WHERE host_device = ?'
    const row = this.#read(() => this.#db.prepare(sql).get(hostDevice)) as Attachment | undefined
    if (this.#lacks !== undefined) return true
    return row !== undefined && !this.#owed.has(attachmentKey(row))
  }

  /**
   * Takes an address of each family for the endpoint, or none at all. One that the same attachment left half done keeps its
   * addresses when they still fit.
   */
  reserve(claim: Claim, cidrs: readonly Prefix[]): Reservation {
    if (this.#lacks !== undefined) throw new StateError(this.#lacks)
    try {
      const endpoint = this.#write(() => this.#claim(claim, cidrs))
      return { kind: 'reserved', endpoint }
    } catch (error) {
      if (error instanceof Refused) return error.reservation
      throw error
    }
  }

  #claim(claim: Claim, cidrs: readonly Prefix[]): Endpoint {
    const former = this.find(claim)?.addrs ?? []
    this.#giveBack(claim)
    const addrs = byFamily(cidrs).map(([family, ranges]) => {
      const requested = claim.requested?.find((addr) => addr.family === family)
      return this.#choose(ranges, requested, former)
    })
    const mac = claim.mac ?? (addrs[0] ? podMac(addrs[0].addr) : '')
    const holder = this.#db.prepare('SELECT pod FROM endpoint WHERE mac = ?').get(mac) as { pod: string } | undefined
    if (holder && claim.mac !== undefined) throw new Refused({ kind: 'taken', what: `MAC ${mac}`, pod: holder.pod })
    const endpoint: Endpoint = {
      containerId: claim.containerId,
      ifName: claim.ifName,
      network: claim.network ?? '',
      netns: claim.netns,
      netnsId: claim.netnsId ?? '',
      bootId: this.#clock.bootId,
      pod: claim.pod,
      hostDevice: claim.hostDevice,
      addrs,
      mac,
      bandwidth: claim.bandwidth ?? {},
      createdMs: this.#clock.nowMs(),
      isReady: false,
    }
    this.#insert(endpoint)
    return endpoint
  }

  #insert(endpoint: Endpoint): void {
    const { containerId, ifName, network, netns, netnsId, bootId, pod, hostDevice, mac, bandwidth, createdMs } =
      endpoint
    this.#db
      .prepare('INSERT INTO endpoint VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)')
      .run(
        containerId,
        ifName,
        network,
        netns,
        netnsId,
        bootId,
        pod,
        hostDevice,
        mac,
        JSON.stringify(bandwidth),
        createdMs,
      )
    for (const [position, { addr, cidr }] of endpoint.addrs.entries()) {
      this.#db
        .prepare('INSERT INTO address VALUES (?, ?, ?, ?, ?)')
        .run(String(addr), String(cidr), containerId, ifName, position)
      this.#db.prepare('INSERT OR REPLACE INTO cursor VALUES (?, ?)').run(String(cidr), String(addr))
      this.#db.prepare('DELETE FROM resting WHERE addr = ?').run(String(addr))
    }
  }

  #choose(ranges: readonly Prefix[], requested: Addr | undefined, former: readonly PodAddress[]): PodAddress {
    const holder = this.#db.prepare(
      'SELECT pod FROM address JOIN endpoint USING (container_id, if_name) WHERE addr = ?',
    )
    const holderOf = (addr: Addr) => holder.get(String(addr)) as { pod: string } | undefined
    // its own former address does not have to rest for the same pod; nor has one that somebody asks for by name
    const wanted = requested ?? former.find(({ addr }) => ranges.some((cidr) => isInPool(cidr, addr)))?.addr
    const range = wanted && ranges.find((cidr) => isInPool(cidr, wanted))
    const taken = wanted && holderOf(wanted)
    if (requested && taken) throw new Refused({ kind: 'taken', what: `address ${requested}`, pod: taken.pod })
    if (wanted && range && !taken) return { addr: wanted, cidr: range }
    const cursor = this.#db.prepare('SELECT last FROM cursor WHERE cidr = ?')
    const found = chooseAddress(ranges, {
      isUsed: (addr) => holderOf(addr) !== undefined,
      resting: this.resting().map(({ addr }) => addr),
      last: (cidr) => {
        const row = cursor.get(String(cidr)) as { last: string } | undefined
        return row && Addr.parse(row.last)
      },
    })
    if (found) return found
    throw new Refused({ kind: 'exhausted', cidrs: ranges })
  }

  /** The addresses that cool down, the one that has rested longest first. */
  resting(): Resting[] {
    const rows = this.#read(() => this.#db.prepare('SELECT * FROM resting').all()) as {
      addr: string
      pod: string
      boot_id: string
      since_boot_ms: number
    }[]
    return rows
      .map((row) => ({ addr: Addr.parse(row.addr), pod: row.pod, restedMs: this.#restedMs(row) }))
      .filter(({ restedMs }) => restedMs < this.#coolDownMs)
      .toSorted((a, b) => b.restedMs - a.restedMs)
  }

  /** Of an earlier boot is known only that it ended before this one began. */
  #restedMs({ boot_id, since_boot_ms }: { boot_id: string; since_boot_ms: number }): number {
    const nowMs = this.#clock.sinceBootMs()
    return boot_id === this.#clock.bootId && since_boot_ms <= nowMs ? nowMs - since_boot_ms : nowMs
  }

  /** How many addresses of the CIDR are in use. */
  usedIn(cidr: Prefix): number {
    const rows = this.#read(() => this.#db.prepare('SELECT addr FROM address').all()) as { addr: string }[]
    return rows.filter(({ addr }) => cidr.contains(Addr.parse(addr))).length
  }

  markReady({ containerId, ifName }: Attachment): void {
    this.#write(() =>
      this.#db
        .prepare('UPDATE endpoint SET is_ready = 1 WHERE container_id = ? AND if_name = ?')
        .run(containerId, ifName),
    )
  }

  /**
   * Gives the endpoint's addresses back; no error when there is no such endpoint. Throws StateError when the file cannot be
   * written: the endpoint is gone then all the same, and its addresses go with the next write that succeeds.
   */
  release(attachment: Attachment): void {
    // without the file nobody knows what is in it
    if (this.#lacks === undefined && this.find(attachment) === undefined) return
    this.#owed.set(attachmentKey(attachment), { containerId: attachment.containerId, ifName: attachment.ifName })
    this.settle()
  }

  /** Opens a file that could not be opened, writes releases that could not be written. Throws StateError when it still cannot. */
  settle(): void {
    if (this.#lacks !== undefined) {
      const db = openStateFile(this.#path, this.#clock)
      this.#db.close()
      this.#db = db
      this.#lacks = undefined
    }
    if (this.#owed.size > 0) this.#write(() => {})
  }

  #giveBack({ containerId, ifName }: Attachment, sinceBootMs = this.#clock.sinceBootMs()): void {
    this.#db
      .prepare(
        `INSERT OR REPLACE INTO resting SELECT addr, pod, ?, ? FROM address JOIN endpoint USING (container_id, if_name)
         WHERE container_id = ? AND if_name = ?`,
      )
      .run(this.#clock.bootId, sinceBootMs, containerId, ifName)
    this.#db.prepare('DELETE FROM endpoint WHERE container_id = ? AND if_name = ?').run(containerId, ifName)
    // what has rested enough needs no row; with a large CIDR they would never end
    const limitMs = this.#clock.sinceBootMs() - this.#coolDownMs
    this.#db
      .prepare('DELETE FROM resting WHERE since_boot_ms < ? OR (boot_id <> ? AND ? > 0)')
      .run(limitMs, this.#clock.bootId, limitMs)
  }

  /**
   * Gives back the addresses of all endpoints of earlier boots, whose namespaces ended with it and which no runtime may ever
   * DEL. Returns them. An endpoint whose boot was not noted stays.
   */
  releaseEarlierBoots(): Endpoint[] {
    const stale = this.list().filter(({ bootId }) => bootId !== '' && bootId !== this.#clock.bootId)
    if (stale.length > 0) {
      this.#write(() => {
        // they have rested since before this boot
        for (const endpoint of stale) this.#giveBack(endpoint, 0)
      })
    }
    return stale
  }

  setting(name: string): string | undefined {
    const row = this.#read(() => this.#db.prepare('SELECT value FROM setting WHERE name = ?').get(name))
    return (row as { value: string } | undefined)?.value
  }

  setSetting(name: string, value: string): void {
    this.#write(() => this.#db.prepare('INSERT OR REPLACE INTO setting VALUES (?, ?)').run(name, value))
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }
}
