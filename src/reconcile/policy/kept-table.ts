// One table that is kept by element: changed without reading it as long as it is what was written, compared now and then, and written anew when
// it is not what it should be.
import { setTimeout as sleep } from 'node:timers/promises'
import { BusyRulesetError, type NftClient } from '#/kernel/nftables.ts'
import { KernelError } from '#/kernel/netlink.ts'
import { messageOf } from '#/lib/log.ts'
import { isEmptyDelta, type NftDelta, type NftElements } from '#/wire/nftables/delta.ts'
import { deltaLines } from '#/wire/nftables/delta-lines.ts'
import { type NftTable, type NftTableName } from '#/wire/nftables/ruleset.ts'
import { type ObjectState, type StatusTable } from '../status.ts'

/** A comparison that changes overtake again and again is given up after so many attempts, with a pause that doubles between them. */
const attempts = 8
const firstPauseMs = 5

export class KeptTable {
  readonly #client: NftClient
  readonly #name: NftTableName
  readonly #status: StatusTable
  readonly #nowMs: () => number
  /** Counts what was written. */
  #version = 0
  #isKnown = false

  constructor(client: NftClient, name: NftTableName, status: StatusTable, nowMs: () => number) {
    this.#client = client
    this.#name = name
    this.#status = status
    this.#nowMs = nowMs
  }

  get key(): string {
    return `${this.#name.family} ${this.#name.name}`
  }

  /** Whether the kernel has what was written, as far as is known. */
  get isKnown(): boolean {
    return this.#isKnown
  }

  /**
   * Makes a change of the table as it was written last. Returns why the kernel refuses it, which means that the table is not as it was, and must
   * be written whole. Throws RulesetError.
   */
  change(delta: NftDelta): KernelError | undefined {
    if (isEmptyDelta(delta)) return undefined
    this.#version++
    try {
      this.#client.change(this.#name, delta)
      return undefined
    } catch (error) {
      this.#isKnown = false
      if (error instanceof KernelError) return error
      throw error
    }
  }

  /** The table is not what it should be by now: it is, after it was written or compared. */
  noteMissed(): void {
    this.#isKnown = false
  }

  /** Takes an element out, whatever is known of the table; no error when it is gone. Throws KernelError. */
  drop(element: NftElements): void {
    this.#version++
    try {
      this.#client.change(this.#name, { deleteElements: [element] })
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'ENOENT') throw error
    }
  }

  /** Writes the whole table. Throws KernelError; then the kernel has what it had before. */
  write(table: NftTable): void {
    this.#version++
    this.#isKnown = false
    this.#tell(() => this.#client.replaceTable(table))
    this.#isKnown = true
  }

  /** Deletes the table; no error when there is none. Throws KernelError. */
  remove(): void {
    this.#version++
    this.#isKnown = false
    this.#tell(() => this.#client.deleteTable(this.#name.family, this.#name.name))
    this.#status.forget('policy-table', this.key)
  }

  /** What differs from the table that is wanted, a line each. Rejects with KernelError. */
  async differences(wanted: Promise<NftTable>): Promise<string[]> {
    return this.#lines(await this.#client.findDelta(await wanted))
  }

  /**
   * Puts right what differs from the table that is wanted, and returns that, a line each. `wanted` makes the table, and is called again when
   * something was written meanwhile; `done` is called when the kernel has it. A table that is written all the time is left for the next time.
   * Rejects with KernelError.
   */
  async mend(wanted: () => Promise<NftTable>, done: () => void): Promise<string[]> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const version = this.#version
      const isCurrent = (): boolean => version === this.#version
      try {
        const table = await wanted()
        const delta = await this.#client.findDelta(table)
        if (isCurrent() && (await this.#make(table, delta, isCurrent))) {
          this.#isKnown = true
          this.#note('done')
          done()
          return this.#lines(delta)
        }
      } catch (error) {
        if (isCurrent() && !(error instanceof BusyRulesetError)) {
          this.#note('error', error)
          throw error
        }
      }
      await sleep(firstPauseMs * 2 ** attempt)
    }
    if (this.#isKnown) return []
    throw new BusyRulesetError(`table ${this.key}: rules changed during each of ${attempts} readings`)
  }

  /** Returns false when something was written meanwhile. */
  async #make(table: NftTable, delta: NftDelta | undefined, isCurrent: () => boolean): Promise<boolean> {
    if (delta === undefined) {
      this.write(table)
      return true
    }
    try {
      return await this.#client.changeInTurns(this.#name, delta, isCurrent)
    } catch (error) {
      if (isCurrent()) this.#isKnown = false
      throw error
    }
  }

  #lines(delta: NftDelta | undefined): string[] {
    if (delta === undefined) return [`table ${this.key} is dormant, or of another kind`]
    if (delta.addChains?.some(({ hook }) => hook !== undefined)) return [`table ${this.key} missing`]
    return deltaLines(delta).map((line) => `table ${this.key}: ${line}`)
  }

  #tell(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#isKnown = false
      this.#note('error', error)
      throw error
    }
    this.#note('done')
  }

  #note(state: ObjectState, error?: unknown): void {
    const failure = error === undefined ? undefined : { message: messageOf(error) }
    this.#status.set('policy-table', this.key, state, this.#nowMs(), failure)
  }
}
