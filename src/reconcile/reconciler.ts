// Brings the kernel to the desired state: reads, compares and applies, in one order for all kinds of objects.
// Objects that others refer to are added first and deleted last. A failed object holds up no other. Everything is
// added before anything is deleted, so that packets always have a way.
import { setImmediate } from 'node:timers/promises'
import { KernelError, type Netlink, type Operation } from '#/kernel/netlink.ts'
import { WireError } from '#/lib/bytes.ts'
import { errorCode } from '#/lib/error-code.ts'
import { InOrder } from '#/lib/in-order.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type DesiredNetwork, type NetworkDelta } from '#/model/network.ts'
import { type ObjectKind, takenWith } from '#/model/object-kinds.ts'
import { type Blockade, type Change, type CompareOptions, type Comparison, type Driver, meansGone } from './driver.ts'
import { Rewrites } from './rewrites.ts'
import { type Failure, type ObjectStatus, StatusTable } from './status.ts'

/** `kinds` limits the kinds to look at, to which those are added that hang on a changed object; when absent, all are looked at. */
export type Options = CompareOptions

export type PlannedChange = Change & { readonly kind: ObjectKind }

export type Report = {
  readonly changed: number
  readonly failed: number
  /** The kinds with a failure: the next pass must read and compare them again. */
  readonly failedKinds: ReadonlySet<ObjectKind>
}

/** Called with the outcome of every change that was tried, for counting. */
export type OnChanges = (kind: ObjectKind, verb: Change['verb'], succeeded: number, failed: number) => void

export type ReconcilerDeps = {
  readonly netlink: Netlink
  /** Drivers in the order in which objects are made. */
  readonly drivers: readonly Driver[]
  readonly log: Logger
  readonly nowMs: () => number
  /** A clock that never goes back. */
  readonly monotonicMs?: () => number
  readonly onChanges?: OnChanges
}

/** The key of an object that stands for a kind that cannot be read from the kernel; a comparison that succeeds forgets it. */
export const unreadKey = '(all)'
/** Up to this many changes of one kind are logged one by one; more share one line. */
const toldOneByOne = 16

class Totals implements Report {
  changed = 0
  failed = 0
  readonly failedKinds = new Set<ObjectKind>()

  add(kind: ObjectKind, changed: number, failed: number): void {
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
  readonly #rewrites: Rewrites
  /** Lets one caller at a time read or write, since drivers and their netlink client cannot serve two at once. */
  readonly #order = new InOrder()

  constructor({ netlink, drivers, log, nowMs, monotonicMs, onChanges }: ReconcilerDeps) {
    this.#netlink = netlink
    this.#drivers = drivers
    this.#log = log
    this.#nowMs = nowMs
    this.#onChanges = onChanges ?? (() => {})
    this.#rewrites = new Rewrites(monotonicMs ?? (() => performance.now()))
  }

  get status(): ObjectStatus[] {
    return this.#status.list()
  }

  /** The objects in error, of all kinds. */
  get failures(): ObjectStatus[] {
    return this.#status.failures()
  }

  /** What others have in the way of pods' packets, as the last comparison of each kind found it, and what of ours they change for ever. */
  get blockades(): Blockade[] {
    return [...this.#drivers.flatMap(({ blockades = [] }) => blockades), ...this.#rewrites.blockades]
  }

  /** Returns what `apply` would do now; changes nothing. */
  async preview(desired: DesiredNetwork, options: Options): Promise<PlannedChange[]> {
    return this.#order.run(async () => {
      const comparisons: (Comparison & { kind: ObjectKind })[] = []
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
    return this.#order.run(async () => {
      const totals = new Totals()
      const leftovers: { kind: ObjectKind; changes: readonly Change[] }[] = []
      const kinds = options.kinds && new Set(options.kinds)
      for (const driver of this.#drivers) {
        if (kinds?.has(driver.kind) === false) continue
        // each kind is read only after earlier kinds were applied: a device made before may be what its objects lacked
        const comparison = await this.#compare(driver, desired, options)
        if (comparison === undefined) {
          totals.add(driver.kind, 0, 1)
          continue
        }
        this.#status.retain(driver.kind, new Set(comparison.keys))
        // what was made anew came back without what hung on it, and nothing tells of that
        if (comparison.changes.length > 0) for (const kind of takenWith(driver.kind)) kinds?.add(kind)
        leftovers.unshift({ kind: driver.kind, changes: await this.#applyAdditions(driver.kind, comparison, totals) })
        await setImmediate()
      }
      if (options.isComplete)
        for (const { kind, changes } of leftovers) await this.#applyDeletions(kind, changes, totals)
      return totals
    })
  }

  /**
   * Applies a difference from what was desired before, without reading the kernel. A kind whose driver needs a comparison first
   * counts as failed.
   */
  async applyDelta(delta: NetworkDelta, options: CompareOptions): Promise<Report> {
    return this.#order.run(async () => {
      const totals = new Totals()
      const leftovers: { kind: ObjectKind; changes: readonly Change[] }[] = []
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

  #selected({ kinds }: Options): readonly Driver[] {
    return kinds === undefined ? this.#drivers : this.#drivers.filter(({ kind }) => kinds.has(kind))
  }

  async #compare(driver: Driver, desired: DesiredNetwork, options: CompareOptions): Promise<Comparison | undefined> {
    try {
      return await driver.compare(desired, options)
    } catch (error) {
      this.#log.error('cannot read kernel state', { kind: driver.kind, error: messageOf(error) })
      // the error is reported under a key of its own too, since no object of the kind may be known yet
      const known = this.status.flatMap(({ kind, key }) => (kind === driver.kind ? [key] : []))
      for (const key of new Set([...known, unreadKey]))
        this.#status.set(driver.kind, key, 'error', this.#nowMs(), { message: messageOf(error) })
      return undefined
    }
  }

  /** Carries out additions and changes; returns the leftovers that may be deleted afterwards. */
  async #applyAdditions(kind: ObjectKind, comparison: Comparison, totals: Totals): Promise<readonly Change[]> {
    const changes = this.#rewrites.admitted(kind, comparison.changes)
    const held = this.#rewrites.heldBack(kind, comparison.changes)
    const failures = new Map([...comparison.failures, ...held, ...(await this.#carryOut(kind, changes))])
    for (const change of changes) if (!failures.has(change.key)) this.#rewrites.carriedOut(kind, change)
    totals.add(kind, changes.length, failures.size)
    for (const key of comparison.keys) {
      const failure = failures.get(key)
      this.#status.set(kind, key, failure === undefined ? 'done' : 'error', this.#nowMs(), failure)
    }
    // logs failures of all objects, also of those that the driver no longer lists because it made them anew under another key
    for (const [key, { message, remedy, isTold }] of failures)
      if (!isTold)
        this.#log.error('object failed', { kind, key, error: message, ...(remedy !== undefined && { remedy }) })
    const { leftovers } = comparison
    return failures.size === 0
      ? leftovers
      : leftovers.filter(({ successor }) => successor === undefined || !failures.has(successor))
  }

  async #applyDeletions(kind: ObjectKind, changes: readonly Change[], totals: Totals): Promise<void> {
    const failures = await this.#carryOut(kind, changes)
    totals.add(kind, changes.length, failures.size)
    for (const { verb, key } of changes) if (verb === 'delete' && !failures.has(key)) this.#status.forget(kind, key)
    for (const [key, { message }] of failures) {
      this.#log.error('object could not be deleted', { kind, key, error: message })
      this.#status.set(kind, key, 'error', this.#nowMs(), { message: `to be deleted: ${message}` })
    }
  }

  /** Carries out all changes in their order; returns the failures by key. */
  async #carryOut(kind: ObjectKind, changes: readonly Change[]): Promise<Map<string, Failure>> {
    const failures = new Map<string, Failure>()
    const refuse = ({ verb, key, explain }: Change, error: unknown): void => {
      if (verb === 'delete' && error instanceof KernelError && meansGone(error)) return
      // what else of the object fails, fails because of this
      if (failures.has(key)) return
      const refusal = { code: errorCode(error), message: messageOf(error) }
      failures.set(key, explain?.(refusal) ?? { message: refusal.message })
    }
    for (const run of runsOf(changes)) {
      if (run.kind === 'call') await run.call().catch((error: unknown) => refuse(run.change, error))
      else {
        const results = await this.#outcomesOf(run.batch.map(({ operation }) => operation))
        for (const [index, error] of results.entries()) if (error) refuse(run.batch[index]!.change, error)
      }
    }
    for (const { key, done } of changes) if (!failures.has(key)) done?.()
    this.#tell(kind, changes, failures)
    return failures
  }

  /** When the kernel's answer cannot be decoded, every operation counts as failed, so that each object is compared again. */
  async #outcomesOf(operations: readonly Operation[]): Promise<(Error | undefined)[]> {
    try {
      return await this.#netlink.executeMany(operations)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      return operations.map(() => error)
    }
  }

  #tell(kind: ObjectKind, changes: readonly Change[], failures: ReadonlyMap<string, Failure>): void {
    for (const verb of ['add', 'change', 'delete'] as const) {
      const ofVerb = changes.filter((change) => change.verb === verb)
      if (ofVerb.length === 0) continue
      const done = ofVerb.filter(({ key }) => !failures.has(key))
      this.#onChanges(kind, verb, done.length, ofVerb.length - done.length)
      if (done.length > toldOneByOne) this.#log.info('objects changed', { kind, verb, objects: done.length })
      else for (const { key, commands } of done) this.#log.info('object changed', { kind, verb, key, commands })
    }
  }
}

type Run =
  | { readonly kind: 'call'; readonly change: Change; readonly call: () => Promise<void> }
  | { readonly kind: 'batch'; readonly batch: { readonly change: Change; readonly operation: Operation }[] }

/** Groups the changes, in their order, so that consecutive netlink operations form one batch. */
function runsOf(changes: readonly Change[]): Run[] {
  const runs: Run[] = []
  for (const change of changes) {
    const { work } = change
    if ('call' in work) {
      runs.push({ kind: 'call', change, call: async () => work.call() })
      continue
    }
    let last = runs.at(-1)
    if (last?.kind !== 'batch') runs.push((last = { kind: 'batch', batch: [] }))
    for (const operation of work.operations) last.batch.push({ change, operation })
  }
  return runs
}
