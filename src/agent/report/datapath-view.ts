// Looks at the eBPF datapath for all who tell of it: the API, metrics and problems. It reads every few seconds what the programs have counted,
// and changes nothing but watches, and counters of devices that are gone.
import {
  clearWatches,
  type EbpfState,
  forgetDenied,
  forgetDrops,
  type Generation,
  type Names,
  readDenied,
  readDrops,
  readTraffic,
  Watches,
} from '#/datapath/programs.ts'
import { listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { ownerNumber } from '#/model/bpf.ts'
import { type DatapathName, type DatapathState } from '#/model/datapath.ts'
import { type Problem, problemId } from '#/model/problems.ts'
import { type Said } from '#/settings/precedence.ts'
import { DropHistory, ShareHistory } from './drop-history.ts'

const roundMs = 10_000

export type DatapathViewDeps = {
  readonly nodeName: string
  /** For synchronous requests only. */
  readonly netlink: Netlink
  readonly ebpf: EbpfState
  readonly state: () => DatapathState | undefined
  readonly wanted: () => Said<DatapathName>
  readonly endpoints: () => readonly { readonly hostDevice: string; readonly pod: string }[]
  /** All nodes of the cluster. */
  readonly nodeNames: () => Iterable<string>
  /** Called when `problems` has changed. */
  readonly onChange: () => void
  /** Called when packets were dropped that would pass if an entry of the maps were missing or wrong. */
  readonly onDoubt: () => void
  readonly log: Logger
}

export class DatapathView implements Disposable {
  readonly deps: DatapathViewDeps
  readonly drops = new DropHistory()
  readonly shares = new ShareHistory()
  #generation: Generation | undefined
  #watches: Watches | undefined
  #problems: readonly Problem[] = []
  #timer: NodeJS.Timeout | undefined
  #running = false

  constructor(deps: DatapathViewDeps) {
    this.deps = deps
  }

  get problems(): readonly Problem[] {
    return this.#problems
  }

  /** The programs that are at work; undefined when there are none. */
  get generation(): Generation | undefined {
    const { current } = this.deps.ebpf
    if (current === this.#generation) return current
    this.#watches?.[Symbol.dispose]()
    this.#watches = undefined
    this.#generation = current
    this.drops.reset()
    this.shares.reset()
    if (current !== undefined) clearWatches(current)
    // counters that this agent has made have counted nothing before
    if (current?.isEmpty === true) this.drops.observe([], Date.now())
    return current
  }

  /** The watches of these programs. */
  watchesOf(generation: Generation): Watches {
    return (this.#watches ??= new Watches(generation))
  }

  /** The names of pods alone, by the indices of their host devices: without a question to the kernel. */
  podsByDevice(): Map<number, string> {
    const pods = this.#podsByName()
    return new Map(
      [...this.deps.ebpf.plugged].flatMap(([device, { index }]) => {
        const pod = pods.get(device)
        return pod === undefined ? [] : [[index, pod] as const]
      }),
    )
  }

  /** By the names of their host devices. */
  #podsByName(): Map<string, string> {
    return new Map(this.deps.endpoints().map(({ hostDevice, pod }) => [hostDevice, pod]))
  }

  /** What the numbers in maps are called now. Throws KernelError. */
  names(): Names {
    const { netlink, nodeName, nodeNames } = this.deps
    const devices = new Map(listLinks(netlink).map(({ index, name }) => [index, name]))
    const pods = this.#podsByName()
    let owners: ReadonlyMap<bigint, string> | undefined
    return {
      device: (index) => devices.get(index),
      pod: (index) => pods.get(devices.get(index) ?? ''),
      // a hash for each of thousands of nodes: only for who asks
      node: (owner) =>
        (owners ??= new Map([...nodeNames(), nodeName].map((name) => [ownerNumber(name), name]))).get(owner),
    }
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#round(), roundMs).unref()
  }

  async #round(): Promise<void> {
    if (this.#running) return
    this.#running = true
    try {
      await this.round()
    } catch (error) {
      // nothing is concluded; the next round tries again
      this.deps.log.debug('the counters of the datapath were not read', { error: messageOf(error) })
    } finally {
      this.#running = false
    }
  }

  /** Looks once. Rejects with BpfError and KernelError. */
  async round(): Promise<void> {
    const { generation } = this
    const before = newsOf(this.#problems)
    if (generation === undefined) this.#problems = []
    else {
      this.#watches?.settle()
      await this.#observe(generation)
    }
    if (newsOf(this.#problems) !== before) this.deps.onChange()
  }

  async #observe(generation: Generation): Promise<void> {
    const { nodeName } = this.deps
    this.shares.observe(await readTraffic(generation), performance.now())
    const names = this.names()
    const drops = readDrops(generation)
    const present = drops.filter(({ device }) => names.device(device) !== undefined)
    for (const drop of drops) if (!present.includes(drop)) forgetDrops(generation, drop)
    for (const denied of readDenied(generation))
      if (names.device(denied.device) === undefined) forgetDenied(generation, denied)
    const nowMs = Date.now()
    if (this.drops.observe(present, nowMs)) this.deps.onDoubt()
    this.#problems = this.drops.problems(nowMs, (device) => {
      const pod = names.pod(device)
      return pod === undefined ? `node/${nodeName}` : `pod/${pod}`
    })
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#watches?.[Symbol.dispose]()
    this.#watches = undefined
  }
}

/** What makes news: a problem whose message has other numbers is none. */
function newsOf(problems: readonly Problem[]): string {
  return JSON.stringify(problems.map(problemId))
}
