// Brings the kernel to the desired state: read, compare, apply, in one order for all kinds of objects.
// What others refer to comes first when adding and last when deleting; a failed object holds up no other; everything is
// added before anything is deleted, so that no packet falls between.
import { setImmediate } from 'node:timers/promises'
import { KernelError, type Netlink } from '#/kernel/netlink.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type DesiredNetwork } from '#/model/network.ts'
import { type Change, type Comparison, type Driver, meansGone } from './driver.ts'
import { type ObjectStatus, StatusTable } from './status.ts'

export type Options = {
  /** Whether what is ours but not desired may go; only once the cluster's whole state is known. */
  readonly sweep: boolean
}

export type PlannedChange = Change & { readonly kind: string }

export type Report = { readonly changed: number; readonly failed: number }

export type ReconcilerDeps = {
  readonly netlink: Netlink
  /** In the order in which objects are made. */
  readonly drivers: readonly Driver[]
  readonly log: Logger
  readonly nowMs: () => number
}

export class Reconciler {
  readonly #netlink: Netlink
  readonly #drivers: readonly Driver[]
  readonly #log: Logger
  readonly #nowMs: () => number
  readonly #status = new StatusTable()

  constructor({ netlink, drivers, log, nowMs }: ReconcilerDeps) {
    this.#netlink = netlink
    this.#drivers = drivers
    this.#log = log
    this.#nowMs = nowMs
  }

  get status(): ObjectStatus[] {
    return this.#status.list()
  }

  /** What `apply` would do now; changes nothing. */
  preview(desired: DesiredNetwork, { sweep }: Options): PlannedChange[] {
    const comparisons = this.#drivers.map((driver) => ({ kind: driver.kind, ...driver.compare(desired) }))
    return [
      ...comparisons.flatMap(({ kind, changes }) => changes.map((change) => ({ kind, ...change }))),
      ...(sweep ? comparisons : [])
        .toReversed()
        .flatMap(({ kind, leftovers }) => leftovers.map((change) => ({ kind, ...change }))),
    ]
  }

  async apply(desired: DesiredNetwork, { sweep }: Options): Promise<Report> {
    const totals = { changed: 0, failed: 0 }
    const leftovers: { kind: string; changes: readonly Change[] }[] = []
    for (const driver of this.#drivers) {
      // each kind is read only now: what was made before it (a new device) decides what is missing
      const comparison = this.#compare(driver, desired)
      if (comparison === undefined) {
        totals.failed++
        continue
      }
      await this.#applyAdditions(driver.kind, comparison, totals)
      leftovers.unshift({ kind: driver.kind, changes: comparison.leftovers })
      await setImmediate()
    }
    if (sweep) for (const { kind, changes } of leftovers) await this.#applyDeletions(kind, changes, totals)
    return totals
  }

  #compare(driver: Driver, desired: DesiredNetwork): Comparison | undefined {
    try {
      return driver.compare(desired)
    } catch (error) {
      this.#log.error('cannot read kernel state', { kind: driver.kind, error: messageOf(error) })
      for (const { kind, key } of this.status) {
        if (kind === driver.kind) this.#status.set(kind, key, 'error', this.#nowMs(), messageOf(error))
      }
      return undefined
    }
  }

  async #applyAdditions(
    kind: string,
    comparison: Comparison,
    totals: { changed: number; failed: number },
  ): Promise<void> {
    const failures = new Map([...comparison.failures, ...(await this.#carryOut(kind, comparison.changes))])
    totals.changed += comparison.changes.length
    totals.failed += failures.size
    const keys = new Set(comparison.keys)
    this.#status.retain(kind, keys)
    for (const key of keys) {
      const message = failures.get(key)
      this.#status.set(kind, key, message === undefined ? 'done' : 'error', this.#nowMs(), message)
    }
    // failures of objects that the driver no longer lists (it re-made them under another key) are told all the same
    for (const [key, message] of failures) this.#log.error(`${kind} ${key} failed`, { message })
  }

  async #applyDeletions(
    kind: string,
    changes: readonly Change[],
    totals: { changed: number; failed: number },
  ): Promise<void> {
    const failures = await this.#carryOut(kind, changes)
    totals.changed += changes.length
    totals.failed += failures.size
    for (const [key, message] of failures) {
      this.#log.error(`${kind} ${key} could not be deleted`, { message })
      this.#status.set(kind, key, 'error', this.#nowMs(), `to be deleted: ${message}`)
    }
  }

  /** Runs all changes; returns the message of each that failed. */
  async #carryOut(kind: string, changes: readonly Change[]): Promise<Map<string, string>> {
    const failures = new Map<string, string>()
    const batch = changes.flatMap((change) =>
      'operations' in change.work ? change.work.operations.map((operation) => ({ change, operation })) : [],
    )
    const results = await this.#netlink.executeMany(batch.map(({ operation }) => operation))
    for (const [index, error] of results.entries()) {
      const { change } = batch[index]!
      if (error && !(change.verb === 'delete' && meansGone(error))) failures.set(change.key, error.message)
    }
    for (const { key, work, verb } of changes) {
      if (!('call' in work)) continue
      try {
        work.call()
      } catch (error) {
        if (!(verb === 'delete' && error instanceof KernelError && meansGone(error)))
          failures.set(key, messageOf(error))
      }
    }
    for (const { verb, key, commands } of changes) {
      if (!failures.has(key)) this.#log.info(`${kind} ${verb}`, { key, commands })
    }
    return failures
  }
}
