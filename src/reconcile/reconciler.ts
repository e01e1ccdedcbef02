// Brings the kernel to the desired state: read, compare, apply, in one order for all kinds of objects.
// What others refer to comes first when adding and last when deleting; a failed object holds up no other; everything is
// added before anything is deleted, so that no packet falls between.
import { setImmediate } from 'node:timers/promises'
import { KernelError, type Netlink, type Operation } from '#/kernel/netlink.ts'
import { WireError } from '#/lib/bytes.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type DesiredNetwork, type NetworkDelta } from '#/model/network.ts'
import { type Change, type CompareOptions, type Comparison, type Driver, meansGone } from './driver.ts'
import { type Failure, type ObjectStatus, StatusTable } from './status.ts'

/** Which kinds to look at; all when absent. */
export type Options = CompareOptions & { readonly kinds?: ReadonlySet<string> }

export type PlannedChange = Change & { readonly kind: string }

export type Report = {
  readonly changed: number
  readonly failed: number
  /** The kinds of which something failed: they are to be read and compared again. */
  readonly failedKinds: ReadonlySet<string>
}

/** Told of everything that was tried, for whoever counts. */
export type OnChanges = (kind: string, verb: Change['verb'], succeeded: number, failed: number) => void

export type ReconcilerDeps = {
  readonly netlink: Netlink
  /** In the order in which objects are made. */
  readonly drivers: readonly Driver[]
  readonly log: Logger
  readonly nowMs: () => number
  readonly onChanges?: OnChanges
}

/** So many changes of one kind are told one by one, more of them in one line. */
const toldOneByOne = 16

class Totals implements Report {
  changed = 0
  failed = 0
  readonly failedKinds = new Set<string>()

  add(kind: string, changed: number, failed: number): void {
    this.changed += changed
    this.failed += failed
    if (failed > 0) this.failedKinds.add(kind)
  }
}

export class Reconciler {
  readonly #netlink: Netlink
  readonly #drivers: readonly Driver[]
  readonly #log: Logger
  readonly #nowMs: () => number
  readonly #onChanges: OnChanges
  readonly #status = new StatusTable()
  /** Who reads or writes now; the next one waits, since drivers and their netlink client serve one at a time. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor({ netlink, drivers, log, nowMs, onChanges }: ReconcilerDeps) {
    this.#netlink = netlink
    this.#drivers = drivers
    this.#log = log
    this.#nowMs = nowMs
    this.#onChanges = onChanges ?? (() => {})
  }

  get status(): ObjectStatus[] {
    return this.#status.list()
  }

  /** Objects in error, of all kinds. */
  get failures(): ObjectStatus[] {
    return this.#status.failures()
  }

  /** What `apply` would do now; changes nothing. */
  async preview(desired: DesiredNetwork, options: Options): Promise<PlannedChange[]> {
    return this.#alone(async () => {
      const comparisons: (Comparison & { kind: string })[] = []
      for (const driver of this.#selected(options)) {
        comparisons.push({ kind: driver.kind, ...(await driver.compare(desired, options)) })
      }
      return [
        ...comparisons.flatMap(({ kind, changes }) => changes.map((change) => ({ kind, ...change }))),
        ...(options.isComplete ? comparisons : [])
          .toReversed()
          .flatMap(({ kind, leftovers }) => leftovers.map((change) => ({ kind, ...change }))),
      ]
    })
  }

  /** Reads, compares and applies. */
  async apply(desired: DesiredNetwork, options: Options): Promise<Report> {
    return this.#alone(async () => {
      const totals = new Totals()
      const leftovers: { kind: string; changes: readonly Change[] }[] = []
      for (const driver of this.#selected(options)) {
        // each kind is read only now: what was made before it (a new device) decides what is missing
        const comparison = await this.#compare(driver, desired, options)
        if (comparison === undefined) {
          totals.add(driver.kind, 0, 1)
          continue
        }
        this.#status.retain(driver.kind, new Set(comparison.keys))
        leftovers.unshift({ kind: driver.kind, changes: await this.#applyAdditions(driver.kind, comparison, totals) })
        await setImmediate()
      }
      if (options.isComplete)
        for (const { kind, changes } of leftovers) await this.#applyDeletions(kind, changes, totals)
      return totals
    })
  }

  /**
   * Applies a difference to what was desired before, without reading the kernel. A kind that does not know enough for that yet
   * counts as failed.
   */
  async applyDelta(delta: NetworkDelta, options: CompareOptions): Promise<Report> {
    return this.#alone(async () => {
      const totals = new Totals()
      const leftovers: { kind: string; changes: readonly Change[] }[] = []
      for (const driver of this.#drivers) {
        if (driver.fromDelta === undefined) continue
        const comparison = driver.fromDelta(delta, options)
        if (comparison === undefined) {
          totals.add(driver.kind, 0, 1)
          continue
        }
        leftovers.unshift({ kind: driver.kind, changes: await this.#applyAdditions(driver.kind, comparison, totals) })
      }
      if (options.isComplete)
        for (const { kind, changes } of leftovers) await this.#applyDeletions(kind, changes, totals)
      return totals
    })
  }

  async #alone<T>(task: () => Promise<T>): Promise<T> {
    const before = this.#turn
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#turn = promise
    await before
    try {
      return await task()
    } finally {
      resolve()
    }
  }

  #selected({ kinds }: Options): readonly Driver[] {
    return kinds === undefined ? this.#drivers : this.#drivers.filter(({ kind }) => kinds.has(kind))
  }

  async #compare(driver: Driver, desired: DesiredNetwork, options: CompareOptions): Promise<Comparison | undefined> {
    try {
      return await driver.compare(desired, options)
    } catch (error) {
      this.#log.error('cannot read kernel state', { kind: driver.kind, error: messageOf(error) })
      for (const { kind, key } of this.status) {
        if (kind === driver.kind) this.#status.set(kind, key, 'error', this.#nowMs(), { message: messageOf(error) })
      }
      return undefined
    }
  }

  /** Returns what may be deleted afterwards. */
  async #applyAdditions(kind: string, comparison: Comparison, totals: Totals): Promise<readonly Change[]> {
    const failures = new Map([...comparison.failures, ...(await this.#carryOut(kind, comparison.changes))])
    totals.add(kind, comparison.changes.length, failures.size)
    for (const key of comparison.keys) {
      const failure = failures.get(key)
      this.#status.set(kind, key, failure === undefined ? 'done' : 'error', this.#nowMs(), failure)
    }
    // failures of objects that the driver no longer lists (it re-made them under another key) are told all the same
    for (const [key, { message, remedy }] of failures)
      this.#log.error(`${kind} ${key} failed`, { message, ...(remedy !== undefined && { remedy }) })
    const { leftovers } = comparison
    return failures.size === 0
      ? leftovers
      : leftovers.filter(({ successor }) => successor === undefined || !failures.has(successor))
  }

  async #applyDeletions(kind: string, changes: readonly Change[], totals: Totals): Promise<void> {
    const failures = await this.#carryOut(kind, changes)
    totals.add(kind, changes.length, failures.size)
    for (const { verb, key } of changes) if (verb === 'delete' && !failures.has(key)) this.#status.forget(kind, key)
    for (const [key, { message }] of failures) {
      this.#log.error(`${kind} ${key} could not be deleted`, { message })
      this.#status.set(kind, key, 'error', this.#nowMs(), { message: `to be deleted: ${message}` })
    }
  }

  /** Runs all changes; returns why each failed that did. */
  async #carryOut(kind: string, changes: readonly Change[]): Promise<Map<string, Failure>> {
    const failures = new Map<string, Failure>()
    const refuse = ({ verb, key, explain }: Change, error: unknown): void => {
      if (verb === 'delete' && error instanceof KernelError && meansGone(error)) return
      failures.set(key, (error instanceof KernelError ? explain?.(error) : undefined) ?? { message: messageOf(error) })
    }
    const batch = changes.flatMap((change) =>
      'operations' in change.work ? change.work.operations.map((operation) => ({ change, operation })) : [],
    )
    const results = await this.#outcomesOf(batch.map(({ operation }) => operation))
    for (const [index, error] of results.entries()) if (error) refuse(batch[index]!.change, error)
    for (const change of changes) {
      if (!('call' in change.work)) continue
      try {
        change.work.call()
      } catch (error) {
        refuse(change, error)
      }
    }
    for (const { key, done } of changes) if (!failures.has(key)) done?.()
    this.#tell(kind, changes, failures)
    return failures
  }

  /** An answer that nobody can read leaves open what became of all of them: each is looked at again. */
  async #outcomesOf(operations: readonly Operation[]): Promise<(Error | undefined)[]> {
    try {
      return await this.#netlink.executeMany(operations)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      return operations.map(() => error)
    }
  }

  #tell(kind: string, changes: readonly Change[], failures: ReadonlyMap<string, Failure>): void {
    for (const verb of ['add', 'change', 'delete'] as const) {
      const ofVerb = changes.filter((change) => change.verb === verb)
      if (ofVerb.length === 0) continue
      const done = ofVerb.filter(({ key }) => !failures.has(key))
      this.#onChanges(kind, verb, done.length, ofVerb.length - done.length)
      if (done.length > toldOneByOne) this.#log.info(`${kind} ${verb}`, { objects: done.length })
      else for (const { key, commands } of done) this.#log.info(`${kind} ${verb}`, { key, commands })
    }
  }
}
