// Keeps the pods of this node and their addresses in the state file. Each method that writes is one transaction, so an agent that is
// killed at any line has written either all of a change or nothing. (The kernel keeps what was written; only a power loss could undo
// it, and that ends all pods too.) A row of the table address is the only claim on an address: while the row exists, no other pod gets
// the address.
import { type DatabaseSync } from 'node:sqlite'
import { Addr, type Prefix } from '#/lib/addr.ts'
import { type DatapathName } from '#/model/datapath.ts'
import { type EndpointState, mayFollow } from '#/model/endpoint.ts'
import { type PodAddress } from '#/model/network.ts'
import { byFamily, chooseAddress, chooseMac, isInPool } from '#/plan/allocate.ts'
import { nodeSettings } from '#/settings/agent-settings.ts'
import { readSetting } from '#/settings/setting.ts'
import { type BootClock, bootClock } from '#/sys/boot-clock.ts'
import { type Attachment, attachmentKey, type Bandwidth, type PortMapping } from '#/wire/cni/index.ts'
import { coolingDown, EndpointMemory, type Rest, type Resting } from './endpoint-memory.ts'
import { insertEndpoint, updateDatapath, updateState } from './endpoint-rows.ts'
import { prepared } from './prepared.ts'
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
  /** What the file holds, as of one version of it. */
  #loaded: { readonly version: string; readonly memory: EndpointMemory } | undefined

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

  /** What the file holds. It is read again when another process has written it, or another file has taken its place. */
  get #memory(): EndpointMemory {
    const version = this.#file.version()
    if (this.#loaded?.version !== version) {
      const memory = this.#file.read(EndpointMemory.load)
      // the read itself may have found the file damaged
      this.#loaded = { version: this.#file.version(), memory }
    }
    return this.#loaded.memory
  }

  /**
   * Runs `work` in one transaction, after the releases that could not be written before; `work` applies to the memory what it writes.
   * Throws StateError when the write fails.
   */
  #write<T>(work: (db: DatabaseSync, memory: EndpointMemory) => T): T {
    // while the file is lacking, its content is not known: the releases wait until it can be used
    const owed = this.lacks === undefined ? [...this.#owed.values()] : []
    try {
      const result = this.#file.write((db) => {
        const memory = this.#memory
        for (const each of owed) this.#giveBack(db, memory, each, each.isUnused ? undefined : this.#clock.sinceBootMs())
        return work(db, memory)
      })
      for (const attachment of owed) this.#owed.delete(attachmentKey(attachment))
      return result
    } catch (error) {
      // the transaction was undone, and what was applied of it to the memory was not
      this.#loaded = undefined
      throw error
    }
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
    return this.#memory.list().filter((endpoint) => !this.#owed.has(attachmentKey(endpoint)))
  }

  find(attachment: Attachment): Endpoint | undefined {
    return this.#owed.has(attachmentKey(attachment)) ? undefined : this.#memory.find(attachment)
  }

  /** Whether an endpoint has this host device. True for every device while the file is lacking, so that no pod's device is removed. */
  hasDevice(hostDevice: string): boolean {
    const endpoint = this.#memory.withDevice(hostDevice)
    // the read itself may have found the file damaged
    return this.lacks !== undefined || (endpoint !== undefined && !this.#owed.has(attachmentKey(endpoint)))
  }

  /**
   * Makes an endpoint with an address of each family, or makes no endpoint. When the attachment has an endpoint already, the new one
   * replaces it, and keeps its addresses where they still fit.
   */
  reserve(claim: Claim, cidrs: readonly Prefix[]): Reservation {
    if (this.lacks !== undefined) throw new StateError(this.lacks)
    try {
      const endpoint = this.#write((db, memory) => this.#claim(db, memory, claim, cidrs))
      return { kind: 'reserved', endpoint }
    } catch (error) {
      if (error instanceof Refused) return error.reservation
      throw error
    }
  }

  #claim(db: DatabaseSync, memory: EndpointMemory, claim: Claim, cidrs: readonly Prefix[]): Endpoint {
    const former = memory.find(claim)?.addrs ?? []
    this.#giveBack(db, memory, claim, this.#clock.sinceBootMs())
    const addrs = byFamily(cidrs).map(([family, ranges]) => {
      const requested = claim.requested?.find((addr) => addr.family === family)
      return this.#chooseAddress(db, memory, ranges, requested, former)
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
      mac: this.#chooseMac(memory, claim.mac, addrs[0]?.addr),
      bandwidth: claim.bandwidth ?? {},
      portMappings: claim.portMappings ?? [],
      createdMs: this.#clock.nowMs(),
      datapath: claim.datapath,
      state: 'reserved',
    }
    insertEndpoint(db, endpoint)
    memory.put(endpoint)
    return endpoint
  }

  #chooseAddress(
    db: DatabaseSync,
    memory: EndpointMemory,
    ranges: readonly Prefix[],
    requested: Addr | undefined,
    former: readonly PodAddress[],
  ): PodAddress {
    // a pod's own former address, or one that it requests, need not have cooled down
    const wanted = requested ?? former.find(({ addr }) => ranges.some((cidr) => isInPool(cidr, addr)))?.addr
    const range = wanted && ranges.find((cidr) => isInPool(cidr, wanted))
    const taken = wanted && memory.holderOf(wanted)
    if (requested && taken) throw new Refused({ kind: 'taken', what: `address ${requested}`, pod: taken.pod })
    if (wanted && range && !taken) return { addr: wanted, cidr: range }
    const cursor = prepared(db, 'SELECT last FROM cursor WHERE cidr = ?')
    const found = chooseAddress(ranges, {
      isUsed: (addr) => memory.holderOf(addr) !== undefined,
      resting: coolingDown(memory.rests(), this.#clock, this.#coolDownMs).map(({ addr }) => addr),
      last: (cidr) => {
        const row = cursor.get(String(cidr)) as { last: string } | undefined
        return row && Addr.parse(row.last)
      },
    })
    if (found) return found
    throw new Refused({ kind: 'exhausted', cidrs: ranges })
  }

  /** The requested MAC, else an unused one derived from the pod's first address; '' for a pod without addresses. Throws Refused. */
  #chooseMac(memory: EndpointMemory, requested: string | undefined, first: Addr | undefined): string {
    if (requested === undefined) return first ? chooseMac(first, (mac) => memory.holderOfMac(mac) !== undefined) : ''
    const taken = memory.holderOfMac(requested)
    if (taken) throw new Refused({ kind: 'taken', what: `MAC ${requested}`, pod: taken.pod })
    return requested
  }

  /** The addresses that cool down, longest rested first. */
  resting(): Resting[] {
    return coolingDown(this.#memory.rests(), this.#clock, this.#coolDownMs)
  }

  /** How many addresses of the CIDR are in use. */
  usedIn(cidr: Prefix): number {
    return this.#memory.usedIn(cidr)
  }

  /** A text that differs when other endpoints have host ports, or have others; `noHostPorts` when none has. */
  hostPortsKey(): string {
    const withPorts = this.#memory.list().filter(({ portMappings }) => portMappings.length > 0)
    return JSON.stringify(withPorts.map(({ containerId, ifName, createdMs }) => [containerId, ifName, createdMs]))
  }

  /** How many endpoints a datapath has, reserved ones included. */
  countOf(datapath: DatapathName): number {
    return this.#memory.list().filter((endpoint) => endpoint.datapath === datapath).length
  }

  /** Puts an endpoint into a later state. Throws when there is no such endpoint, or its state may not become that one (see mayFollow). */
  setState(attachment: Attachment, state: EndpointState): void {
    const endpoint = this.find(attachment)
    if (endpoint === undefined || !mayFollow(endpoint.state, state))
      throw new Error(`no endpoint ${attachmentKey(attachment)} that could become ${state}`)
    this.#write((db, memory) => {
      updateState(db, attachment, state)
      memory.put({ ...endpoint, state })
    })
  }

  /** Notes that pods have another datapath now. */
  setDatapath(pods: readonly Attachment[], datapath: DatapathName): void {
    this.#write((db, memory) => {
      updateDatapath(db, pods, datapath)
      for (const endpoint of pods.flatMap((pod) => memory.find(pod) ?? [])) memory.put({ ...endpoint, datapath })
    })
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

  /** `sinceBootMs`: since when the addresses rest; undefined when they need no rest. Does nothing when there is no such endpoint. */
  #giveBack(db: DatabaseSync, memory: EndpointMemory, attachment: Attachment, sinceBootMs: number | undefined): void {
    const endpoint = memory.find(attachment)
    if (endpoint === undefined) return
    const { containerId, ifName, addrs, pod } = endpoint
    const { bootId } = this.#clock
    memory.remove(endpoint)
    for (const { addr } of sinceBootMs === undefined ? [] : addrs) {
      const sql = 'INSERT OR REPLACE INTO resting VALUES (?, ?, ?, ?)'
      prepared(db, sql).run(String(addr), pod, bootId, sinceBootMs!)
      memory.rest({ addr, pod, bootId, sinceBootMs: sinceBootMs! })
    }
    prepared(db, 'DELETE FROM endpoint WHERE container_id = ? AND if_name = ?').run(containerId, ifName)
    this.#forgetRested(db, memory)
  }

  /** Rows of addresses that have rested long enough have no further use, and in a large CIDR their number would only grow. */
  #forgetRested(db: DatabaseSync, memory: EndpointMemory): void {
    const { bootId, sinceBootMs } = this.#clock
    const limitMs = sinceBootMs() - this.#coolDownMs
    const isOver = (rest: Rest): boolean => rest.sinceBootMs < limitMs || (rest.bootId !== bootId && limitMs > 0)
    if (!memory.forgetRests(isOver)) return
    const sql = 'DELETE FROM resting WHERE since_boot_ms < ? OR (boot_id <> ? AND ? > 0)'
    prepared(db, sql).run(limitMs, bootId, limitMs)
  }

  /**
   * Releases all endpoints of earlier boots and returns them: their namespaces ended with the boot, and the runtime may never send a
   * DEL for them. An endpoint whose boot was not recorded stays.
   */
  releaseEarlierBoots(): Endpoint[] {
    const stale = this.list().filter(({ bootId }) => bootId !== '' && bootId !== this.#clock.bootId)
    if (stale.length > 0) {
      this.#write((db, memory) => {
        // 0: their addresses were in use before this boot, and have rested since it began
        for (const endpoint of stale) this.#giveBack(db, memory, endpoint, 0)
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
