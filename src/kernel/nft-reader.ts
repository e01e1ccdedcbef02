// Reads what is in the kernel's nftables, whoever made it.
import { setImmediate } from 'node:timers/promises'
import { Addr } from '#/lib/addr.ts'
import { type Netns } from '#/sys/netns.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { decodeChain, decodeElements, hasHook, type NftActualHook } from '#/wire/nftables/actual.ts'
import { decodeForeignRule, decodeRawRule, type ForeignRule, type RawRule } from '#/wire/nftables/foreign-rule.ts'
import { type NftRuleCounter, ruleCounter } from '#/wire/nftables/counters.ts'
import {
  decodeNft,
  type ElementAttrs,
  encodeNft,
  elementsCodec,
  generationCodec,
  NFT_MSG_GETCHAIN,
  NFT_MSG_GETGEN,
  NFT_MSG_GETRULE,
  NFT_MSG_GETSET,
  NFT_MSG_GETSETELEM,
  NFT_MSG_GETTABLE,
  isNftFamilyName,
  type NftFamilyName,
  nftFamilyOf,
  ruleCodec,
  setCodec,
  tableCodec,
  type Traffic,
  trafficOf,
  wholeTableCodec,
} from '#/wire/nftables/messages.ts'
import { type NftFamily, type NftTableName } from '#/wire/nftables/ruleset.ts'
import { type ChainPlace } from '#/wire/nftables/place.ts'
import { KernelError, Netlink } from './netlink.ts'
import { explain, isAbsent } from './nftables-errors.ts'

/** A rule of iptables with a few extensions takes some 30 us to decode. */
export const decodedPerTurn = 100

/** Reads tables, chains, rules and sets of any owner, in one namespace. */
export class NftReader implements Disposable {
  protected readonly netlink: Netlink

  /** Opens the client in the namespace of the calling thread, or in the one given. Throws when the kernel has no nf_tables. */
  constructor(netns?: Netns) {
    try {
      this.netlink = new Netlink(NETLINK_NETFILTER, netns)
    } catch (error) {
      throw explain(error)
    }
    try {
      this.generation()
    } catch (error) {
      this[Symbol.dispose]()
      throw explain(error)
    }
  }

  get portId(): number {
    return this.netlink.portId
  }

  /** All tables of the namespace, of any family and owner. */
  listTables(): { readonly family: string; readonly name: string }[] {
    return this.readTableFacts().map(({ family, name }) => ({ family, name }))
  }

  /** All tables with their flags (NFT_TABLE_F_*), and the handle, which a table that is made anew has not. */
  readTableFacts(): {
    readonly family: string
    readonly name: string
    readonly flags: number
    readonly handle: bigint
  }[] {
    const payload = encodeNft(undefined, tableCodec, {})
    return this.netlink.dump({ what: 'nft list tables', type: NFT_MSG_GETTABLE, payload }).map((message) => {
      const { name = '', flags = 0, handle = 0n } = decodeNft(message.payload, wholeTableCodec)
      return { family: nftFamilyOf(message.payload), name, flags, handle }
    })
  }

  /** Lists the chains with a hook, of all tables, in turns of the event loop. */
  async listBaseChains(): Promise<(NftActualHook & ChainPlace)[]> {
    const request = { what: 'nft list chains', type: NFT_MSG_GETCHAIN, payload: encodeNft(undefined, tableCodec, {}) }
    const chains: (NftActualHook & ChainPlace)[] = []
    for (const { payload } of await this.netlink.dumpInTurns(request, (each) => !hasHook(each))) {
      const family = nftFamilyOf(payload)
      const { table, name, hook } = decodeChain(payload)
      if (hook && isNftFamilyName(family)) chains.push({ ...hook, family, table, chain: name })
    }
    return chains
  }

  /** The names of all chains of all tables; those that `isWanted` names. In turns of the event loop. */
  async listChains(isWanted: (place: ChainPlace) => boolean): Promise<ChainPlace[]> {
    const request = { what: 'nft list chains', type: NFT_MSG_GETCHAIN, payload: encodeNft(undefined, tableCodec, {}) }
    const chains: ChainPlace[] = []
    for (const [index, { payload }] of (await this.netlink.dumpInTurns(request)).entries()) {
      if (index % decodedPerTurn === 0) await setImmediate()
      const family = nftFamilyOf(payload)
      const { table, name } = decodeChain(payload)
      if (!isNftFamilyName(family)) continue
      const place = { family, table, chain: name }
      if (isWanted(place)) chains.push(place)
    }
    return chains
  }

  /**
   * The rules of one chain of any table, in their order, read in turns of the event loop; undefined when there are more than `limit`.
   * Throws KernelError, ENOENT when there is no such chain.
   */
  async readRules({ family, table, chain }: ChainPlace, limit = Infinity): Promise<ForeignRule[] | undefined> {
    const what = `nft list chain ${family} ${table} ${chain}`
    const payload = encodeNft(family, ruleCodec, { table, chain })
    // a dump cannot be ended early, but what comes beyond the limit need not be kept
    const request = { what, type: NFT_MSG_GETRULE, payload }
    const messages = await this.netlink.dumpInTurns(request, (_, kept) => kept > limit)
    if (messages.length > limit) return undefined
    const rules: ForeignRule[] = []
    for (const message of messages) {
      rules.push(decodeForeignRule(message.payload))
      if (rules.length % decodedPerTurn === 0) await setImmediate()
    }
    return rules
  }

  /**
   * The rules of all chains of a table, with their expressions as they come, read in turns of the event loop; undefined when there are more than
   * `limit`. Throws KernelError.
   */
  async readRawRules({ family, table }: Omit<ChainPlace, 'chain'>, limit: number): Promise<RawRule[] | undefined> {
    const request = {
      what: `nft list table ${family} ${table}`,
      type: NFT_MSG_GETRULE,
      payload: encodeNft(family, ruleCodec, { table }),
    }
    const messages = await this.netlink.dumpInTurns(request, (_, kept) => kept > limit)
    if (messages.length > limit) return undefined
    const rules: RawRule[] = []
    for (const message of messages) {
      rules.push(decodeRawRule(message.payload))
      if (rules.length % decodedPerTurn === 0) await setImmediate()
    }
    return rules
  }

  /** The names of the sets and maps of a table; none when there is no such table. Throws KernelError. */
  listSets({ family, table }: Omit<ChainPlace, 'chain'>): string[] {
    return this.#listSets({ family, name: table })
  }

  /**
   * The sets of a table in which an address is, by their names, among those that `isAsked` names; none when there is no such table. Throws
   * KernelError.
   */
  setsWith({ family, name }: NftTableName, addr: Addr, isAsked: (set: string) => boolean): string[] {
    const found: string[] = []
    const elements = [{ key: { value: addr.toBytes() } }]
    const operations = this.#listSets({ family, name })
      .filter(isAsked)
      .map((set) => ({
        what: `nft get element ${family} ${name} ${set} { ${addr} }`,
        type: NFT_MSG_GETSETELEM,
        payload: encodeNft(family, elementsCodec, { table: name, set, elements }),
        set,
      }))
    let failure: KernelError | undefined
    this.netlink.getEach(operations, (index, reply) => {
      if (!(reply instanceof KernelError)) found.push(operations[index]!.set)
      else if (!isAbsent(reply)) failure ??= reply
    })
    if (failure !== undefined) throw failure
    return found
  }

  #listSets({ family, name }: { readonly family: NftFamilyName; readonly name: string }): string[] {
    const request = { what: `nft list sets ${family} ${name}`, type: NFT_MSG_GETSET }
    try {
      const sets = this.netlink.dump({ ...request, payload: encodeNft(family, setCodec, { table: name }) })
      return sets.map(({ payload }) => decodeNft(payload, setCodec).name ?? '')
    } catch (error) {
      if (isAbsent(error)) return []
      throw error
    }
  }

  /** The elements of a set or map of any table, as the kernel has them. Throws KernelError, ENOENT when there is no such set. */
  async readElements({ family, table }: Omit<ChainPlace, 'chain'>, set: string): Promise<readonly ElementAttrs[]> {
    return this.elements(family, table, set)
  }

  /** What the counting rules of a table have counted, by chain and the rule's comment, read in turns of the event loop. Throws KernelError. */
  async readCounters(family: NftFamily, table: string): Promise<NftRuleCounter[]> {
    const ofTable = encodeNft(family, ruleCodec, { table })
    const counters: NftRuleCounter[] = []
    let count = 0
    for (const payload of await this.dump(`nft list rules ${family} ${table}`, NFT_MSG_GETRULE, ofTable)) {
      const counter = ruleCounter(payload)
      if (counter) counters.push(counter)
      if (++count % decodedPerTurn === 0) await setImmediate()
    }
    return counters
  }

  /** Reads what each element of a counting set has counted. Throws KernelError, ENOENT when there is no such table or set. */
  async readTraffic(family: NftFamily, table: string, set: string): Promise<{ addr: Addr; traffic: Traffic }[]> {
    const elements = await this.elements(family, table, set)
    return elements.flatMap((element) => {
      const bytes = element.key?.value
      const traffic = trafficOf(element)
      return bytes && traffic ? [{ addr: Addr.fromBytes(bytes), traffic }] : []
    })
  }

  protected generation(): number | undefined {
    const payload = encodeNft(undefined, generationCodec, {})
    const reply = this.netlink.get({ what: 'nft read generation', type: NFT_MSG_GETGEN, payload })
    return decodeNft(reply.payload, generationCodec).id
  }

  /** Reads the elements of a set in turns of the event loop, since there may be thousands. */
  protected async elements(family: NftFamilyName, table: string, set: string): Promise<ElementAttrs[]> {
    const ofSet = encodeNft(family, elementsCodec, { table, set })
    const elements: ElementAttrs[] = []
    for (const payload of await this.dump(`nft list set ${family} ${table} ${set}`, NFT_MSG_GETSETELEM, ofSet)) {
      elements.push(...decodeElements(payload))
      await setImmediate()
    }
    return elements
  }

  /** The answers to a dump, read in turns of the event loop. */
  protected async dump(what: string, type: number, payload: Uint8Array): Promise<Uint8Array[]> {
    return (await this.netlink.dumpInTurns({ what, type, payload })).map((message) => message.payload)
  }

  [Symbol.dispose](): void {
    this.netlink[Symbol.dispose]()
  }
}
