// The kernel's nftables: one table at a time is read whole, and replaced whole in one transaction. Whoever loads a table through
// this module owns it; all other tables are left alone.
import { setImmediate } from 'node:timers/promises'
import { SysError } from '#/sys/libc.ts'
import {
  decodeChain,
  decodeRule,
  decodeSet,
  decodeUnnamedSet,
  type NftActual,
  type NftActualRule,
  type NftActualSet,
} from '#/wire/nftables/actual.ts'
import { nftDeltaInSteps } from '#/wire/nftables/compare-delta.ts'
import { change, deltaRequests, isEmptyDelta, type NftDelta, preparation } from '#/wire/nftables/delta.ts'
import { type NftSetChange } from '#/wire/nftables/ranges.ts'
import {
  decodeNft,
  encodeBatchHeader,
  encodeNft,
  NFNL_SUBSYS_NFTABLES,
  NFT_MSG_GETCHAIN,
  NFT_MSG_GETRULE,
  NFT_MSG_GETSET,
  NFT_MSG_GETTABLE,
  ruleCodec,
  setCodec,
  tableCodec,
} from '#/wire/nftables/messages.ts'
import { type NftFamily, type NftRule, type NftTable, type NftTableName } from '#/wire/nftables/ruleset.ts'
import { type ChainPlace, deleteRuleRequest, placeRuleRequest } from '#/wire/nftables/place.ts'
import { addTable, deleteTableRequest, elementRequests, type NftRequest, portionsOf } from '#/wire/nftables/requests.ts'
import { replaceRequests } from '#/wire/nftables/transaction.ts'
import { KernelError } from './netlink.ts'
import { decodedPerTurn, NftReader } from './nft-reader.ts'
import { isAbsent } from './nftables-errors.ts'
import { inTurns, turn } from './turns.ts'

/** How often a table is read anew because rules (of any table) changed during the reading. */
const readAttempts = 10

/** The kernel takes as many in a few milliseconds: it looks for the set or chain of each among all of the table. */
const requestsPerTurn = 64
/** The same for messages with many elements: 1,500. */
const bytesPerTurn = 40_000

/** Rules of any table changed so often that none could be read as of one moment. */
export class BusyRulesetError extends Error {
  override name = 'BusyRulesetError'
}

export class NftClient extends NftReader {
  /**
   * Reads the table with all its contents, as of one moment; undefined when there is none. Sets of which `isLeftOut` is true are read without their
   * elements: those that are dynamic need not be compared. Throws KernelError.
   */
  async readTable(
    family: NftFamily,
    name: string,
    isLeftOut: (set: string) => boolean = () => false,
  ): Promise<NftActual | undefined> {
    for (let attempt = 1; ; attempt++) {
      const before = this.generation()
      let failure: unknown
      try {
        const table = await this.#read(family, name, isLeftOut)
        if (this.generation() === before) return table
      } catch (error) {
        // an object that was listed may be gone a moment later
        if (this.generation() === before) throw error
        failure = error
      }
      if (attempt === readAttempts) {
        const what = `nft list table ${family} ${name}: the rules changed during each of ${readAttempts} attempts`
        throw new BusyRulesetError(what, { cause: failure })
      }
    }
  }

  /**
   * Replaces the table in one transaction, so no packet ever meets a half-made table or none. Connections that are
   * tracked stay masqueraded as they are. Throws KernelError, naming the object; nothing is changed then.
   */
  replaceTable(table: NftTable): void {
    this.#transact(`nft replace table ${table.family} ${table.name}`, replaceRequests(table))
  }

  /** Changes elements in the sets of a table, in one transaction that leaves its rules alone. Throws KernelError. */
  updateSets(table: NftTable, changes: readonly NftSetChange[]): void {
    const requests = changes.flatMap(({ set, missing, extra }) => [
      ...elementRequests('delete', table, set, extra),
      ...elementRequests('add', table, set, missing),
    ])
    if (requests.length > 0) this.#transact(`nft update sets of table ${table.family} ${table.name}`, requests)
  }

  /**
   * Changes a table in one transaction: packets meet what was before or all of what is new. What the delta does not name is left alone, counters
   * among it; a table that is absent is made. Throws KernelError, naming the object; nothing is changed then. ENOENT of an element to delete, or
   * of a chain or set, means that the table is not as the caller thought: findDelta tells what is to be done then.
   */
  change(table: NftTableName, delta: NftDelta): void {
    if (isEmptyDelta(delta)) return
    this.#transact(`nft change table ${table.family} ${table.name}`, deltaRequests(table, delta))
  }

  /**
   * As `change`, for changes that are large: sets and chains that nothing refers to yet are made before it, in transactions of a few milliseconds
   * and turns of the event loop. When it fails these may be left over, and findDelta takes them out or goes on from there; so they may when it
   * stops early and returns false, since `isCurrent` says that the table was changed by other calls meanwhile.
   */
  async changeInTurns(table: NftTableName, delta: NftDelta, isCurrent: () => boolean = () => true): Promise<boolean> {
    const what = `nft change table ${table.family} ${table.name}`
    let isOver = turn()
    const isFull = ({ length }: readonly NftRequest[], bytes: number): boolean =>
      length >= requestsPerTurn || bytes >= bytesPerTurn || isOver()
    for (const portion of portionsOf(preparation(table, delta), isFull)) {
      if (!isCurrent()) return false
      this.#transact(what, [addTable(table), ...portion])
      await setImmediate()
      isOver = turn()
    }
    if (!isCurrent()) return false
    const requests = [...change(table, delta)]
    if (requests.length > 0) this.#transact(what, [addTable(table), ...requests])
    return true
  }

  /** Reads a table and finds what turns it into the desired one (nftDelta), in turns of the event loop. Throws KernelError. */
  async findDelta(table: NftTable): Promise<NftDelta | undefined> {
    const isDynamic = new Set(
      [...table.sets, ...(table.keySets ?? [])].flatMap(({ name, dynamic }) => (dynamic ? [name] : [])),
    )
    const actual = await this.readTable(table.family, table.name, (set) => isDynamic.has(set))
    return inTurns(nftDeltaInSteps(table, actual))
  }

  /** Why the kernel refuses a table that there is not; undefined: it takes it. One transaction makes and deletes it, so that no packet meets it. */
  refusalOf(table: NftTable): KernelError | undefined {
    const requests = [...replaceRequests(table), deleteTableRequest(table.family, table.name)]
    try {
      this.#transact(`nft try table ${table.family} ${table.name}`, requests)
      return undefined
    } catch (error) {
      if (error instanceof KernelError) return error
      throw error
    }
  }

  /** Deletes a table; no error when there is none. Throws KernelError. */
  deleteTable(family: NftFamily, name: string): void {
    const request = deleteTableRequest(family, name)
    try {
      this.#transact(request.what, [request])
    } catch (error) {
      if (!isAbsent(error)) throw error
    }
  }

  #transact(what: string, requests: readonly NftRequest[]): void {
    try {
      this.netlink.transact(what, encodeBatchHeader(NFNL_SUBSYS_NFTABLES), requests)
    } catch (error) {
      if (!(error instanceof SysError) || error.code !== 'EMSGSIZE') throw error
      throw new Error(`${what}: bigger than the socket takes at once: fewer elements or rules would fit`, {
        cause: error,
      })
    }
  }

  /**
   * Puts rules into a chain of any table, before the one with the handle `before` or at the end, and takes rules out of it, in one
   * transaction. Throws KernelError; nothing is changed then.
   */
  editChain(
    place: ChainPlace,
    edit: {
      readonly insert: readonly NftRule[]
      readonly before: bigint | undefined
      readonly remove: readonly bigint[]
    },
  ): void {
    const { insert, before, remove } = edit
    const requests = [
      ...remove.map((handle) => deleteRuleRequest(place, handle)),
      ...insert.map((rule) => placeRuleRequest(place, rule, before)),
    ]
    if (requests.length > 0) this.#transact(`nft edit chain ${place.family} ${place.table} ${place.chain}`, requests)
  }

  async #read(family: NftFamily, name: string, isLeftOut: (set: string) => boolean): Promise<NftActual | undefined> {
    const flags = this.#tableFlags(family, name)
    if (flags === undefined) return undefined
    const sets: NftActualSet[] = []
    const unnamed = new Map<string, string>()
    const ofTable = encodeNft(family, setCodec, { table: name })
    for (const payload of await this.dump(`nft list sets ${family} ${name}`, NFT_MSG_GETSET, ofTable)) {
      const set = decodeNft(payload, setCodec).name ?? ''
      const elements = isLeftOut(set) ? [] : await this.elements(family, name, set)
      const own = decodeUnnamedSet(payload, elements)
      if (own) unnamed.set(own.name, own.contents)
      else sets.push(decodeSet(payload, elements))
    }
    const rules = await this.#rules(family, name, unnamed)
    const ofFamily = encodeNft(family, tableCodec, {})
    const chains = (await this.dump(`nft list chains ${family}`, NFT_MSG_GETCHAIN, ofFamily))
      .map(decodeChain)
      .filter(({ table }) => table === name)
      .map((chain) => ({ name: chain.name, hook: chain.hook, rules: rules.get(chain.name) ?? [] }))
    return { family, name, flags, sets, chains }
  }

  /** The rules of a table by their chains. */
  async #rules(
    family: NftFamily,
    table: string,
    unnamed: ReadonlyMap<string, string>,
  ): Promise<Map<string, NftActualRule[]>> {
    const ofTable = encodeNft(family, ruleCodec, { table })
    const rules = new Map<string, NftActualRule[]>()
    let count = 0
    for (const payload of await this.dump(`nft list rules ${family} ${table}`, NFT_MSG_GETRULE, ofTable)) {
      const rule = decodeRule(payload, unnamed)
      const others = rules.get(rule.chain)
      if (others === undefined) rules.set(rule.chain, [rule])
      else others.push(rule)
      if (++count % decodedPerTurn === 0) await setImmediate()
    }
    return rules
  }

  #tableFlags(family: NftFamily, name: string): number | undefined {
    const payload = encodeNft(family, tableCodec, { name })
    try {
      const reply = this.netlink.get({ what: `nft list table ${family} ${name}`, type: NFT_MSG_GETTABLE, payload })
      return decodeNft(reply.payload, tableCodec).flags ?? 0
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw error
    }
  }
}
