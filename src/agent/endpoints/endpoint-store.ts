// Keeps the pods of this node and their addresses in the state file. Each method that writes is one transaction, so an agent that is
// killed at any line has written either all of a change or nothing. (The kernel keeps what was written; only a power loss could undo
// it, and that ends all pods too.) A row of the table address is the only claim on an address: while the row exists, no other pod gets
// the address.
import { type DatabaseSync } from 'node:sqlite'
import { Addr, type Prefix } from '#/lib/addr.ts'
import { type DatapathName } from '#/model/datapath.ts'
import { type EndpointState, endpointStates, mayFollow } from '#/model/endpoint.ts'
import { type PodAddress } from '#/model/network.ts'
import { byFamily, chooseAddress, chooseMac, isInPool } from '#/plan/allocate.ts'
import { nodeSettings } from '#/settings/agent-settings.ts'
import { readSetting } from '#/settings/setting.ts'
import { type BootClock, bootClock } from '#/sys/boot-clock.ts'
import { type Attachment, attachmentKey, type Bandwidth, type PortMapping } from '#/wire/cni/index.ts'
import { insertEndpoint, type Row, selectEndpoints, toEndpoint, updateDatapath, updateState } from './endpoint-rows.ts'
import { StateError, StateFile, Undone } from './state-file.ts'

export type { Attachment } from '#/wire/cni/index.ts'

export type Endpoint = Attachment & {
  /** The name of the CNI network configuration that attached the endpoint; '' when an earlier agent did not record it. */
  readonly network: string
  readonly netns: string
  /** Identifies the namespace that `netns` named at the ADD (see namespaces.ts); '' when an earlier agent did not record it. */
  readonly netnsId: string
  /** The boot in which the endpoint was made; '' when an earlier agent did not record it. */
  readonly bootId: string
  /** "namespace/name", or the container's ID where the runtime did not name the pod. */
  readonly pod: string
  /** metadata.uid of the pod; '' where the runtime did not pass it, or an earlier agent did not record it. */
  readonly podUid: string
  /** Name of the veth's end on the host. */
  readonly hostDevice: string
  readonly addrs: readonly PodAddress[]
  /** The MAC of the pod's interface, as the result of the ADD gave it. */
  readonly mac: string
  /** Limits of the pod's traffic; empty when there are none. */
  readonly bandwidth: Bandwidth
  /** The ports of this node that lead to the pod. */
  readonly portMappings: readonly PortMapping[]
  /** When the endpoint was made, by the wall clock: only for display. */
  readonly createdMs: number
  readonly state: EndpointState
  /** The datapath that wires the pod. */
  readonly datapath: DatapathName
}

/** The endpoint that an ADD asks the store to make. */
export type Claim = Pick<Endpoint, 'containerId' | 'ifName' | 'netns' | 'pod' | 'hostDevice' | 'datapath'> & {
  readonly network?: string
  readonly netnsId?: string
  readonly podUid?: string
  /** The MAC that the pod requests; without it the pod gets one that is derived from its first address. */
  readonly mac?: string
  readonly bandwidth?: Bandwidth
  readonly portMappings?: readonly PortMapping[]
  /** The addresses that the pod requests, at most one of each family. The caller has checked that a pod of this node may have them. */
  readonly requested?: readonly Addr[]
}

export type Reservation =
  | { readonly kind: 'reserved'; readonly endpoint: Endpoint }
  /** All addresses of one family are in use; `cidrs` are the pod CIDRs of that family. */
  | { readonly kind: 'exhausted'; readonly cidrs: readonly Prefix[] }
  /** Another pod has the requested address or MAC; `what` names it. */
  | { readonly kind: 'taken'; readonly what: string; readonly pod: string }

export type Resting = { readonly addr: Addr; readonly pod: string; readonly restedMs: number }

export type StoreOptions = {
  /** How long an address rests after it was given back, before another pod may get it. */
  readonly coolDownMs?: number
  readonly clock?: BootClock
  /**
   * Whether the store goes on without a file that cannot be used: then no address can be reserved, every device counts as in use, and
   * `settle` tries the file again. Without this option the constructor throws.
   */
  readonly mayLack?: boolean
}

/** What EndpointStore.hostPortsKey gives when no endpoint has host ports. */
export const noHostPorts = '[]'

const defaultCoolDownMs = readSetting(nodeSettings.coolDownMs, {})

/** Undoes the transaction and carries the refusal, which `reserve` then returns. */
class Refused extends Undone {
  readonly reservation: Reservation

  constructor(reservation: Reservation) {
    super(reservation.kind)
    this.reservation = reservation
  }
}

/** A row of the table resting: when an address was given back. */
type RestingRow = {
  readonly addr: string
  readonly pod: string
  readonly boot_id: string
  readonly since_boot_ms: number
}

/** A release that is to be written. */
type Owed = Attachment & { readonly isUnused: boolean }

export class EndpointStore {
  readonly #file: StateFile
  readonly #coolDownMs: number
  readonly #clock: BootClock
  /**
   * Attachments that were released while the file could not be written. No method returns them; their addresses stay claimed until
   * the next successful write, which removes them.
   */
  readonly #owed = new Map<string, Owed>()

  /** Throws StateError when the file cannot be used and `mayLack` is false. */
  constructor(
    path: string,
    { coolDownMs = defaultCoolDownMs, clock = bootClock(), mayLack = false }: StoreOptions = {},
  ) {
    this.#coolDownMs = coolDownMs
    this.#clock = clock
    this.#file = new StateFile(path, { clock, mayLack })
  }

  /** Why the state file cannot be used, and what to do; undefined when it is in use. */
  get lacks(): string | undefined {
    return this.#file.lacks
  }

  /** Runs `work` in one transaction, after the releases that could not be written before. Throws StateError when the write fails. */
  #write<T>(work: (db: DatabaseSync) => T): T {
    // while the file is lacking, its content is not known: the releases wait until it can be used
    const owed = this.lacks === undefined ? [...this.#owed.values()] : []
    const result = this.#file.write((db) => {
      for (const each of owed) this.#giveBack(db, each, each.isUnused ? undefined : this.#clock.sinceBootMs())
      return work(db)
    })
    for (const attachment of owed) this.#owed.delete(attachmentKey(attachment))
    return result
  }

  /** Why the file cannot be written; undefined when it can. When the last write failed, tries another one. */
  trouble(): string | undefined {
    if (this.lacks !== undefined) return this.lacks
    if (this.#file.writeFault === undefined) return undefined
    try {
      this.setSetting('probe', String(this.#clock.nowMs()))
    } catch (error) {
      if (!(error instanceof StateError)) throw error
    }
    return this.#file.writeFault
  }

  /** All endpoints, sorted by pod and interface. */
  list(): Endpoint[] {
    const sql = `${selectEndpoints} ORDER BY e.pod, e.if_name`
    const endpoints = this.#file.read((db) => (db.prepare(sql).all() as Row[]).map(toEndpoint))
    return endpoints.filter((endpoint) => !this.#owed.has(attachmentKey(endpoint)))
  }

  find(attachment: Attachment): Endpoint | undefined {
    if (this.#owed.has(attachmentKey(attachment))) return undefined
    const { containerId, ifName } = attachment
    return this.#file.read((db) => {
      const sql = `${selectEndpoints} WHERE e.container_id = ? AND e.if_name = ?`
      const row = db.prepare(sql).get(containerId, ifName) as Row | undefined
      return row && toEndpoint(row)
    })
  }

  /** Whether an endpoint has this host device. True for every device while the file is lacking, so that no pod's device is removed. */
  hasDevice(hostDevice: string): boolean {
    if (this.lacks !== undefined) return true
    const sql = 'SELECT container_id AS containerId, if_name AS ifName FROM endpoint WHERE host_device = ?'
    const row = this.#file.read((db) => db.prepare(sql).get(hostDevice)) as Attachment | undefined
    // the read itself may have found the file damaged
    if (this.lacks !== undefined) return true
    return row !== undefined && !this.#owed.has(attachmentKey(row))
  }

  /**
   * Makes an endpoint with an address of each family, or makes no endpoint. When the attachment has an endpoint already, the new one
   * replaces it, and keeps its addresses where they still fit.
   */
  reserve(claim: Claim, cidrs: readonly Prefix[]): Reservation {
    if (this.lacks !== undefined) throw new StateError(this.lacks)
    try {
      const endpoint = this.#write((db) => this.#claim(db, claim, cidrs))
      return { kind: 'reserved', endpoint }
    } catch (error) {
      if (error instanceof Refused) return error.reservation
      throw error
    }
  }

  #claim(db: DatabaseSync, claim: Claim, cidrs: readonly Prefix[]): Endpoint {
    const former = this.find(claim)?.addrs ?? []
    this.#giveBack(db, claim, this.#clock.sinceBootMs())
    const addrs = byFamily(cidrs).map(([family, ranges]) => {
      const requested = claim.requested?.find((addr) => addr.family === family)
      return this.#chooseAddress(db, ranges, requested, former)
    })
    const endpoint: Endpoint = {
      containerId: claim.containerId,
      ifName: claim.ifName,
      network: claim.network ?? '',
      netns: claim.netns,
      netnsId: claim.netnsId ?? '',
      bootId: this.#clock.bootId,
      pod: claim.pod,
      podUid: claim.podUid ?? '',
      hostDevice: claim.hostDevice,
      addrs,
      mac: this.#chooseMac(db, claim.mac, addrs[0]?.addr),
      bandwidth: claim.bandwidth ?? {},
      portMappings: claim.portMappings ?? [],
      createdMs: this.#clock.nowMs(),
      datapath: claim.datapath,
      state: 'reserved',
    }
    insertEndpoint(db, endpoint)
    return endpoint
  }

  #chooseAddress(
    db: DatabaseSync,
    ranges: readonly Prefix[],
    requested: Addr | undefined,
    former: readonly PodAddress[],
  ): PodAddress {
    const holder = db.prepare('SELECT pod FROM address JOIN endpoint USING (container_id, if_name) WHERE addr = ?')
    const holderOf = (addr: Addr) => holder.get(String(addr)) as { pod: string } | undefined
    // a pod's own former address, or one that it requests, need not have cooled down
    const wanted = requested ?? former.find(({ addr }) => ranges.some((cidr) => isInPool(cidr, addr)))?.addr
    const range = wanted && ranges.find((cidr) => isInPool(cidr, wanted))
    const taken = wanted && holderOf(wanted)
    if (requested && taken) throw new Refused({ kind: 'taken', what: `address ${requested}`, pod: taken.pod })
    if (wanted && range && !taken) return { addr: wanted, cidr: range }
    const cursor = db.prepare('SELECT last FROM cursor WHERE cidr = ?')
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

  /** The requested MAC, else an unused one derived from the pod's first address; '' for a pod without addresses. Throws Refused. */
  #chooseMac(db: DatabaseSync, requested: string | undefined, first: Addr | undefined): string {
    const holder = db.prepare('SELECT pod FROM endpoint WHERE mac = ?')
    const holderOf = (mac: string) => holder.get(mac) as { pod: string } | undefined
    if (requested === undefined) return first ? chooseMac(first, (mac) => holderOf(mac) !== undefined) : ''
    const taken = holderOf(requested)
    if (taken) throw new Refused({ kind: 'taken', what: `MAC ${requested}`, pod: taken.pod })
    return requested
  }

  /** The addresses that cool down, longest rested first. */
  resting(): Resting[] {
    const rows = this.#file.read((db) => db.prepare('SELECT * FROM resting').all()) as RestingRow[]
    return rows
      .map((row) => ({ addr: Addr.parse(row.addr), pod: row.pod, restedMs: this.#restedMs(row) }))
      .filter(({ restedMs }) => restedMs < this.#coolDownMs)
      .toSorted((a, b) => b.restedMs - a.restedMs)
  }

  /** How long an address has rested. One that was given back in an earlier boot counts as resting since this boot began. */
  #restedMs({ boot_id, since_boot_ms }: RestingRow): number {
    const nowMs = this.#clock.sinceBootMs()
    return boot_id === this.#clock.bootId && since_boot_ms <= nowMs ? nowMs - since_boot_ms : nowMs
  }

  /** How many addresses of the CIDR are in use. */
  usedIn(cidr: Prefix): number {
    const rows = this.#file.read((db) => db.prepare('SELECT addr FROM address').all()) as { addr: string }[]
    return rows.filter(({ addr }) => cidr.contains(Addr.parse(addr))).length
  }

  /** A text that differs when other endpoints have host ports, or have others; `noHostPorts` when none has. */
  hostPortsKey(): string {
    const sql = `SELECT json_group_array(json_array(container_id, if_name, created_ms)) AS key
      FROM port_mapping JOIN endpoint USING (container_id, if_name)`
    return this.#file.read((db) => (db.prepare(sql).get() as { key: string }).key)
  }

  /** How many endpoints a datapath has, reserved ones included. */
  countOf(datapath: DatapathName): number {
    const sql = 'SELECT count(*) AS count FROM endpoint WHERE datapath = ?'
    return this.#file.read((db) => (db.prepare(sql).get(datapath) as { count: number }).count)
  }

  /** Puts an endpoint into a later state. Throws when there is no such endpoint, or its state may not become that one (see mayFollow). */
  setState({ containerId, ifName }: Attachment, state: EndpointState): void {
    const from = endpointStates.filter((each) => mayFollow(each, state))
    if (this.#write((db) => updateState(db, { containerId, ifName }, state, from)) === 0)
      throw new Error(`no endpoint ${attachmentKey({ containerId, ifName })} that could become ${state}`)
  }

  /** Notes that pods have another datapath now. */
  setDatapath(pods: readonly Attachment[], datapath: DatapathName): void {
    this.#write((db) => updateDatapath(db, pods, datapath))
  }

  /**
   * Removes the endpoint and gives its addresses back; does nothing when there is no such endpoint. Throws StateError when the file
   * cannot be written: no method returns the endpoint from then on, and the next write that succeeds gives its addresses back. `isUnused`:
   * no pod ever had the addresses, so they need not cool down.
   */
  release(attachment: Attachment, isUnused = false): void {
    // while the file is lacking, the endpoint may be in it or not: the release is noted for later
    if (this.lacks === undefined && this.find(attachment) === undefined) return
    const { containerId, ifName } = attachment
    this.#owed.set(attachmentKey(attachment), { containerId, ifName, isUnused })
    this.settle()
  }

  /** Opens a file that was lacking, and writes the releases that could not be written. Throws StateError when either fails again. */
  settle(): void {
    this.#file.takeUp()
    if (this.#owed.size > 0) this.#write(() => {})
  }

  /** `sinceBootMs`: since when the addresses rest; undefined when they need no rest. */
  #giveBack(db: DatabaseSync, { containerId, ifName }: Attachment, sinceBootMs: number | undefined): void {
    if (sinceBootMs !== undefined)
      db.prepare(
        `INSERT OR REPLACE INTO resting SELECT addr, pod, ?, ? FROM address JOIN endpoint USING (container_id, if_name)
         WHERE container_id = ? AND if_name = ?`,
      ).run(this.#clock.bootId, sinceBootMs, containerId, ifName)
    db.prepare('DELETE FROM endpoint WHERE container_id = ? AND if_name = ?').run(containerId, ifName)
    // rows of addresses that have rested long enough have no further use, and in a large CIDR their number would only grow
    const limitMs = this.#clock.sinceBootMs() - this.#coolDownMs
    db.prepare('DELETE FROM resting WHERE since_boot_ms < ? OR (boot_id <> ? AND ? > 0)').run(
      limitMs,
      this.#clock.bootId,
      limitMs,
    )
  }

  /**
   * Releases all endpoints of earlier boots and returns them: their namespaces ended with the boot, and the runtime may never send a
   * DEL for them. An endpoint whose boot was not recorded stays.
   */
  releaseEarlierBoots(): Endpoint[] {
    const stale = this.list().filter(({ bootId }) => bootId !== '' && bootId !== this.#clock.bootId)
    if (stale.length > 0) {
      this.#write((db) => {
        // 0: their addresses were in use before this boot, and have rested since it began
        for (const endpoint of stale) this.#giveBack(db, endpoint, 0)
      })
    }
    return stale
  }

  /** A named value that survives restarts of the agent; undefined when it was never set. */
  setting(name: string): string | undefined {
    const row = this.#file.read((db) => db.prepare('SELECT value FROM setting WHERE name = ?').get(name))
    return (row as { value: string } | undefined)?.value
  }

  /** All named values whose names begin with `start`. */
  settingsFrom(start: string): ReadonlyMap<string, string> {
    const sql = 'SELECT name, value FROM setting WHERE substr(name, 1, ?) = ? ORDER BY name'
    const rows = this.#file.read((db) => db.prepare(sql).all(start.length, start)) as { name: string; value: string }[]
    return new Map(rows.map(({ name, value }) => [name, value]))
  }

  setSetting(name: string, value: string): void {
    this.setSettings([[name, value]])
  }

  /** Sets named values, and removes those that are undefined, in one transaction. A value that is the same is not written. */
  setSettings(values: Iterable<readonly [name: string, value: string | undefined]>): void {
    this.#write((db) => {
      const set = db.prepare(
        'INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value <> excluded.value',
      )
      const remove = db.prepare('DELETE FROM setting WHERE name = ?')
      for (const [name, value] of values) {
        if (value === undefined) remove.run(name)
        else set.run(name, value)
      }
    })
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]()
  }
}
