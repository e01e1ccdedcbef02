// The firewalls of one namespace for a prediction, read when they are first asked for, and once.
import { readLegacyTables } from '#/kernel/legacy-tables.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { policyTableName } from '#/model/names.ts'
import { type BaseChain } from '#/obstacles/firewall/inspect.ts'
import { legacyBaseChains } from '#/obstacles/firewall/legacy-chains.ts'
import { findBaseChains, followable, type ReadChains, rulesToFollow } from '#/reconcile/firewall/base-chains.ts'
import { type Netns } from '#/sys/netns.ts'

/** A proxy has a rule for each service in one chain. They are read in turns of the event loop. */
const mostRules = 20_000

export class LiveFirewalls implements Disposable {
  readonly #netns: Netns | undefined
  /** null: a kernel without nf_tables has none that can be followed. */
  #opened: NftClient | null | undefined
  #chains: Promise<readonly BaseChain[]> | undefined

  /** Without a namespace: those of the calling thread's. */
  constructor(netns: Netns | undefined) {
    this.#netns = netns
  }

  get #client(): NftClient | undefined {
    this.#opened ??= openedIn(this.#netns)
    return this.#opened ?? undefined
  }

  get chains(): Promise<readonly BaseChain[]> {
    return (this.#chains ??= this.#read())
  }

  async #read(): Promise<readonly BaseChain[]> {
    const tables = (): ReturnType<typeof readLegacyTables> => readLegacyTables(true)
    const legacy = legacyBaseChains(this.#netns ? this.#netns.run(tables) : tables())
    const client = this.#client
    if (client === undefined) return legacy
    const read: ReadChains = new Map()
    // what network policies say is told by themselves
    const found = (await findBaseChains(client)).filter(({ table }) => table !== policyTableName)
    const chains: BaseChain[] = []
    for (const each of found) {
      const rules = await rulesToFollow(client, each, mostRules)
      if (rules) chains.push(followable(client, { found: each, rules }, read, mostRules))
    }
    return [...legacy, ...chains]
  }

  get tables(): ReturnType<NftClient['listTables']> {
    return this.#client?.listTables() ?? []
  }

  [Symbol.dispose](): void {
    this.#opened?.[Symbol.dispose]()
  }
}

function openedIn(netns: Netns | undefined): NftClient | null {
  try {
    return new NftClient(netns)
  } catch {
    return null
  }
}
