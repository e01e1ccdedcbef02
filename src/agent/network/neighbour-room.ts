// Whether the kernel's tables of neighbours have room for more. Without it the kernel drops each packet to somebody on a link whom it has not
// asked for yet. The tables are one for all namespaces of a kernel, so those of containers, or of other nodes in a lab, count.
import { type Clock, sleep, systemClock } from '#/cluster/clock.ts'
import { listNeighbourTables } from '#/kernel/neighbour-tables.ts'
import { listPermanentNeighbours } from '#/kernel/neighbours.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { type Family } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { limitFor, neighbourSysctls } from '#/model/neighbour-room.ts'
import { type Problem, problem, problemNews } from '#/model/problems.ts'
import { type NeighbourTable } from '#/wire/netlink/neigh-table.ts'

const lookEveryMs = 10_000
/** For so long after the last refusal it is told. */
const refusedWithinMs = 60_000
/** From this part of the room on it may be used up at any moment. */
const fullFrom = 0.95
/** Below this part it counts as free again. */
const freeBelow = 0.9

/** A table, and how many of its entries need no room: permanent ones are beside the limit. The kernel tells of those in this namespace alone. */
export type TableUse = NeighbourTable & { readonly permanent: number }

type Sample = { readonly ms: number; readonly refusals: bigint }

/** What is known of one table. */
class TableRoom {
  /** Those of the last minute, and the one before them. */
  #samples: readonly Sample[] = []
  #isFull = false

  take(use: TableUse, nowMs: number): Problem | undefined {
    const refused = this.#refusedLately(use.refusals, nowMs)
    const part = (use.entries - use.permanent) / use.most
    this.#isFull = refused > 0n || part >= (this.#isFull ? freeBelow : fullFrom)
    return this.#isFull ? fullProblem(use, refused) : undefined
  }

  /** How often the kernel refused an entry in the last minute, as far as that was watched. */
  #refusedLately(refusals: bigint | undefined, ms: number): bigint {
    if (refusals === undefined) return 0n
    const all = [...this.#samples, { ms, refusals }]
    const within = all.findIndex((each) => each.ms > ms - refusedWithinMs)
    this.#samples = all.slice(Math.max(within - 1, 0))
    return refusals - this.#samples[0]!.refusals
  }
}

function fullProblem({ family, entries, most }: TableUse, refused: bigint): Problem {
  const refusedText = refused > 0n ? `, and new ones were refused ${refused} times in the last minute` : ''
  const message = `${entries} of ${most} entries of the kernel's table are in use${refusedText}`
  const limit = limitFor(Math.max(entries, most))
  return problem('CW8107', `neighbours/IPv${family}`, message, {
    remedy: `on the host, for the whole kernel: ${neighbourSysctls(family, limit)}, and the same in a file of /etc/sysctl.d; more where the nodes and pods on its links are more than ${limit / 2}`,
  })
}

/** Reads how full the tables are. Rejects with KernelError. */
async function readUses(): Promise<TableUse[]> {
  using netlink = Netlink.brief()
  const tables = listNeighbourTables(netlink)
  // what may be many is read only where it may matter
  const isNearlyFull = tables.some(({ entries, most }) => entries >= most * freeBelow)
  const permanent = isNearlyFull ? await listPermanentNeighbours(netlink) : []
  return tables.map((table) => ({
    ...table,
    permanent: permanent.filter(({ addr }) => addr.family === table.family).length,
  }))
}

type RoomDeps = {
  /** Called when a problem has come or gone. */
  readonly onChange: () => void
  readonly log: Logger
  readonly clock?: Clock
  readonly read?: () => Promise<readonly TableUse[]>
}

export class NeighbourRoom implements AsyncDisposable {
  readonly #deps: RoomDeps
  readonly #clock: Clock
  readonly #rooms: Readonly<Record<Family, TableRoom>> = { 4: new TableRoom(), 6: new TableRoom() }
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #problems: readonly Problem[] = []
  #lastError = ''

  constructor(deps: RoomDeps) {
    this.#deps = deps
    this.#clock = deps.clock ?? systemClock
  }

  get problems(): readonly Problem[] {
    return this.#problems
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await this.look()
      await sleep(this.#clock, lookEveryMs, signal)
    }
  }

  /** Looks once. Never rejects: what cannot be read is no problem of packets. */
  async look(): Promise<void> {
    const { read = readUses, onChange, log } = this.#deps
    try {
      const uses = await read()
      const nowMs = this.#clock.monotonicMs()
      const before = this.#problems
      this.#problems = uses.flatMap((use) => this.#rooms[use.family].take(use, nowMs) ?? [])
      const { appeared, gone } = problemNews(before, this.#problems)
      this.#lastError = ''
      if (appeared.length + gone.length > 0) onChange()
    } catch (error) {
      const text = messageOf(error)
      if (text !== this.#lastError) log.warn('the tables of neighbours cannot be read', { error: text })
      this.#lastError = text
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
  }
}
