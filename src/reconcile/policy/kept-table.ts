// One table that is kept by element: changed without reading it as long as it is what was written, compared now and then, and written anew when
// it is not what it should be.
import { setTimeout as sleep } from 'node:timers/promises'
import { type NftClient } from '#/kernel/nftables.ts'
import { KernelError } from '#/kernel/netlink.ts'
import { messageOf } from '#/lib/log.ts'
import { nftDelta } from '#/wire/nftables/compare-delta.ts'
import { differences } from '#/wire/nftables/compare.ts'
import { isEmptyDelta, type NftDelta } from '#/wire/nftables/delta.ts'
import { type NftTable, type NftTableName } from '#/wire/nftables/ruleset.ts'
import { type StatusTable } from '../status.ts'

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

  /** What differs from the table that is wanted, a line each; `mend` puts it right. Rejects with KernelError. */
  async compare(wanted: () => NftTable, mend: (() => void) | undefined): Promise<string[]> {
    const { family, name } = this.#name
    for (let attempt = 0; ; attempt++) {
      const version = this.#version
      let actual
      try {
        actual = await this.#client.readTable(family, name)
      } catch (error) {
        this.#fail(error)
        throw error
      }
      if (version === this.#version) {
        const table = wanted()
        const delta = nftDelta(table, actual)
        const lines = delta && isEmptyDelta(delta) ? [] : differences(table, actual)
        if (mend === undefined) return lines
        if (delta === undefined) this.write(table)
        else this.#tell(() => this.#client.change(this.#name, delta))
        this.#isKnown = true
        mend()
        return lines
      }
      if (attempt === attempts) throw new Error(`${this.key} was changed during each of ${attempts} readings`)
      await sleep(firstPauseMs * 2 ** attempt)
    }
  }

  #tell(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#fail(error)
      throw error
    }
    this.#status.set('policy-table', this.key, 'done', this.#nowMs())
  }

  #fail(error: unknown): void {
    this.#isKnown = false
    this.#status.set('policy-table', this.key, 'error', this.#nowMs(), { message: messageOf(error) })
  }
}
