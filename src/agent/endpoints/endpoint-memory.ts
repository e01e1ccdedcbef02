// What the state file holds of endpoints and addresses, in memory: every CNI call and every pass asks for it, and to read all rows of a
// full node takes longer than to make a pod. The store loads it, and applies to it whatever it writes.
import { type DatabaseSync } from 'node:sqlite'
import { Addr, type Prefix } from '#/lib/addr.ts'
import { type BootClock } from '#/sys/boot-clock.ts'
import { type Attachment, attachmentKey } from '#/wire/cni/index.ts'
import { type Row, selectEndpoints, toEndpoint } from './endpoint-rows.ts'
import { type Endpoint } from './endpoint-store.ts'
import { prepared } from './prepared.ts'

/** An address that was given back: by which pod, in which boot, and when in it. */
export type Rest = {
  readonly addr: Addr
  readonly pod: string
  readonly bootId: string
  readonly sinceBootMs: number
}

export type Resting = { readonly addr: Addr; readonly pod: string; readonly restedMs: number }

/** The addresses that have not rested for `coolDownMs` yet, longest rested first. */
export function coolingDown(rests: Iterable<Rest>, clock: BootClock, coolDownMs: number): Resting[] {
  const nowMs = clock.sinceBootMs()
  // one that was given back in an earlier boot counts as resting since this boot began
  const restedMs = ({ bootId, sinceBootMs }: Rest): number =>
    bootId === clock.bootId && sinceBootMs <= nowMs ? nowMs - sinceBootMs : nowMs
  return [...rests]
    .map((rest) => ({ addr: rest.addr, pod: rest.pod, restedMs: restedMs(rest) }))
    .filter((rest) => rest.restedMs < coolDownMs)
    .toSorted((a, b) => b.restedMs - a.restedMs)
}

type RestingRow = {
  readonly addr: string
  readonly pod: string
  readonly boot_id: string
  readonly since_boot_ms: number
}

function isBefore(a: Endpoint, b: Endpoint): number {
  if (a.pod !== b.pod) return a.pod < b.pod ? -1 : 1
  return a.ifName < b.ifName ? -1 : a.ifName > b.ifName ? 1 : 0
}

export class EndpointMemory {
  readonly #endpoints = new Map<string, Endpoint>()
  /** Endpoints by the texts of their addresses. */
  readonly #holders = new Map<string, Endpoint>()
  readonly #devices = new Map<string, Endpoint>()
  readonly #rests = new Map<string, Rest>()
  #sorted: readonly Endpoint[] | undefined

  /** Throws when a row cannot be read. */
  static load(db: DatabaseSync): EndpointMemory {
    const memory = new EndpointMemory()
    for (const row of prepared(db, selectEndpoints).all() as Row[]) memory.put(toEndpoint(row))
    for (const row of prepared(db, 'SELECT * FROM resting').all() as RestingRow[])
      memory.#rests.set(row.addr, {
        addr: Addr.parse(row.addr),
        pod: row.pod,
        bootId: row.boot_id,
        sinceBootMs: row.since_boot_ms,
      })
    return memory
  }

  /** All endpoints, sorted by pod and interface. */
  list(): readonly Endpoint[] {
    return (this.#sorted ??= [...this.#endpoints.values()].toSorted(isBefore))
  }

  find(attachment: Attachment): Endpoint | undefined {
    return this.#endpoints.get(attachmentKey(attachment))
  }

  withDevice(hostDevice: string): Endpoint | undefined {
    return this.#devices.get(hostDevice)
  }

  holderOf(addr: Addr): Endpoint | undefined {
    return this.#holders.get(String(addr))
  }

  holderOfMac(mac: string): Endpoint | undefined {
    return this.#endpoints.values().find((endpoint) => endpoint.mac === mac)
  }

  usedIn(cidr: Prefix): number {
    let count = 0
    for (const { addrs } of this.#endpoints.values()) for (const { addr } of addrs) if (cidr.contains(addr)) count++
    return count
  }

  /** Every address that is noted as given back, whether it has rested long enough or not, in the order of that. */
  rests(): Iterable<Rest> {
    return this.#rests.values()
  }

  /** Adds an endpoint, or puts it in the place of the attachment's former one. Its addresses rest no more. */
  put(endpoint: Endpoint): void {
    const before = this.find(endpoint)
    if (before !== undefined) this.remove(before)
    this.#endpoints.set(attachmentKey(endpoint), endpoint)
    this.#devices.set(endpoint.hostDevice, endpoint)
    for (const { addr } of endpoint.addrs) {
      this.#holders.set(String(addr), endpoint)
      this.#rests.delete(String(addr))
    }
    this.#sorted = undefined
  }

  remove(endpoint: Endpoint): void {
    this.#endpoints.delete(attachmentKey(endpoint))
    this.#devices.delete(endpoint.hostDevice)
    for (const { addr } of endpoint.addrs) this.#holders.delete(String(addr))
    this.#sorted = undefined
  }

  /** Notes an address as given back now. */
  rest(rest: Rest): void {
    const key = String(rest.addr)
    this.#rests.delete(key)
    this.#rests.set(key, rest)
  }

  /** Forgets the addresses whose rest is over; returns whether there was any. */
  forgetRests(isOver: (rest: Rest) => boolean): boolean {
    const before = this.#rests.size
    for (const [key, rest] of this.#rests) if (isOver(rest)) this.#rests.delete(key)
    return this.#rests.size < before
  }
}
