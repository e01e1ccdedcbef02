// What this agent has open of the eBPF datapath: the generation of its object file, and what has to be known of its maps between calls. The
// kernel keeps all of it without an agent.
import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BpfError } from '#/kernel/bpf/error.ts'
import { bpfObjectPath } from '#/kernel/bpf/object-file.ts'
import { isBpffs } from '#/kernel/bpf/pins.ts'
import { listConnections } from '#/kernel/conntrack.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { type Addr } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { notPoliced, type PolicedClasses } from '#/plan/policy-maps/entries.ts'
import { type Failure } from '#/reconcile/status.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { readSysctl } from '#/sys/sysctl.ts'
import { type BpfProgram } from '#/kernel/bpf/program.ts'
import { configStruct, indexStruct } from '#/wire/bpf/maps.ts'
import { Generation, generationOf } from './generation.ts'
import { Hooks } from './hooks.ts'
import { Slots } from './slots.ts'

export type EbpfConfig = {
  /** The folder in a bpffs in which everything is pinned. */
  readonly folder: string
  /** Absent: the object file that was shipped. */
  readonly objectPath?: string | undefined
  /** Whether to look for filters of ours even where nothing is pinned. */
  readonly isThorough?: boolean
  /** The CNI plugins that run after ours. */
  readonly chain?: readonly string[] | undefined
}

/** A refused load is tried again after so long. */
const retryMs = 55_000
const clockSpanMs = 200
/** Whether connection tracking takes up a connection of which it has not seen the beginning. */
const tcpLoosePath = 'net/netfilter/nf_conntrack_tcp_loose'
/** CONFIG_HZ as it can be. */
const possibleHz = [100, 250, 300, 1000] as const

export class EbpfState implements Disposable {
  readonly folder: string
  readonly hooks: Hooks
  readonly isThorough: boolean
  readonly slots = new Slots()
  /** The pods whose entries were written, by host device: what to remove when one goes. */
  readonly plugged = new Map<string, { readonly index: number; readonly addrs: readonly Addr[] }>()
  readonly #objectPath: string
  readonly #chain: readonly string[]
  #current: Generation | undefined
  #refusal: Failure | undefined
  #triedMs = -Infinity
  #jiffiesHz = 0
  #isClosed = false
  /** What policies deny of the pod with a host device; nothing until that is known. */
  policedOf: (hostDevice: string) => PolicedClasses = () => notPoliced
  /** Called when what config entries say has changed. */
  onClock: () => void = () => {}

  constructor({ folder, objectPath = bpfObjectPath(), isThorough = false, chain = [] }: EbpfConfig) {
    this.folder = folder
    this.#chain = chain
    this.#objectPath = objectPath
    this.isThorough = isThorough
    // who looks everywhere leaves nothing behind
    this.hooks = new Hooks(folder, { keepsQdiscs: !isThorough })
  }

  /** The generation that this agent keeps. */
  get current(): Generation | undefined {
    return this.#current
  }

  /** Why this node cannot have the programs; undefined when it has them, or nobody asked. */
  get refusal(): Failure | undefined {
    return this.#refusal
  }

  /** Ticks per second of the kernel's jiffies; 0 while they are not measured. */
  get jiffiesHz(): number {
    return this.#jiffiesHz
  }

  /**
   * Opens the generation of the object file, or loads it. Does nothing when that is done, or was refused a moment ago. Does not reject:
   * `refusal` tells why not.
   */
  async prepare(nowMs: number = performance.now()): Promise<void> {
    if (this.#current !== undefined || nowMs - this.#triedMs < retryMs) return
    this.#triedMs = nowMs
    try {
      this.#refusal = this.#obstacle()
      if (this.#refusal !== undefined) return
      const object = readFileSync(this.#objectPath)
      const found = Generation.openPinned(this.folder, generationOf(object))
      if (found === undefined) await wakeConntrack()
      this.#take(found ?? (await Generation.load(this.folder, object)))
    } catch (error) {
      this.#refusal = { message: refusalText(error) }
    }
  }

  /** What is missing although nothing had to be loaded to see it. */
  #obstacle(): Failure | undefined {
    if (!existsSync(this.#objectPath))
      return {
        message: `the object file ${this.#objectPath} is missing`,
        remedy: 'in a clone: sh scripts/setup.sh ebpf; an image has it',
      }
    const parent = nearestFolder(this.folder)
    if (!isBpffs(parent))
      return {
        message: `${this.folder} is in no bpffs`,
        remedy:
          'mount one: mount -t bpf bpf /sys/fs/bpf; in a cluster the agents get it by causeway install --datapath ebpf',
      }
    if (!existsSync('/sys/kernel/btf/vmlinux'))
      return {
        message: 'this kernel has no BTF (/sys/kernel/btf/vmlinux)',
        remedy: 'use a kernel with CONFIG_DEBUG_INFO_BTF, as those of distributions are, or keep the bridge',
      }
    if (this.#chain.includes('bandwidth'))
      return {
        message:
          'CAUSEWAY_CNI_CHAIN has the plugin bandwidth, which needs the qdisc for itself that holds the filters of programs',
        remedy: "take bandwidth out of the chain: Causeway limits pods' bandwidth by itself (docs/cni.md)",
      }
    if (readSysctl(tcpLoosePath) === '0')
      return {
        message: `the sysctl ${tcpLoosePath} is 0: the stack would cut each connection that a program gives back to it`,
        remedy: `sysctl -w ${tcpLoosePath}=1, which is the kernel's default, or keep the bridge`,
      }
    return undefined
  }

  #take(generation: Generation): void {
    this.#current = generation
    // the kernel's ticks stay the same until the next boot, as what is pinned does
    const config = generation.map('cw_config').get(indexStruct.encode({ index: 0 }))
    this.#jiffiesHz = config === undefined ? 0 : configStruct.decode(config).jiffies_hz
    if (this.#jiffiesHz === 0) void this.#measureClock(generation.program('cw_clock'))
  }

  async #measureClock(program: BpfProgram): Promise<void> {
    const before = readClock(program)
    await sleep(clockSpanMs, undefined, { ref: false })
    if (this.#isClosed || this.#current === undefined) return
    const after = readClock(program)
    const hz = (Number(after.jiffies - before.jiffies) * 1e9) / Number(after.ns - before.ns)
    this.#jiffiesHz = possibleHz.reduce((best, each) => (Math.abs(each - hz) < Math.abs(best - hz) ? each : best))
    this.onClock()
  }

  /** Lets go of the generation, after it was removed from the kernel. */
  forget(): void {
    this.#current?.[Symbol.dispose]()
    this.#current = undefined
    this.#triedMs = -Infinity
    this.plugged.clear()
    this.slots.retain(new Set())
  }

  [Symbol.dispose](): void {
    this.#isClosed = true
    this.forget()
  }
}

function readClock(program: BpfProgram): { readonly jiffies: bigint; readonly ns: bigint } {
  const { ctx } = program.testRun({ ctx: new Uint8Array(16) })
  const view = new DataView(ctx.buffer, ctx.byteOffset, ctx.length)
  return { jiffies: view.getBigUint64(0, true), ns: view.getBigUint64(8, true) }
}

/** The kernel loads its connection tracking when somebody asks for an entry; programs that use it cannot be loaded before. */
async function wakeConntrack(): Promise<void> {
  if (existsSync('/sys/module/nf_conntrack')) return
  using netlink = new Netlink(NETLINK_NETFILTER)
  await listConnections(netlink, 4).catch(() => [])
}

function nearestFolder(path: string): string {
  let folder = path
  while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder)
  return folder
}

/** The last lines of the verifier's log tell what it refused. */
const toldLogLines = 3

function refusalText(error: unknown): string {
  const text = messageOf(error)
  if (!(error instanceof BpfError) || error.log === '' || text.includes(error.log.trim().slice(-20))) return text
  const lines = error.log.trim().split('\n').slice(-toldLogLines)
  return `${text}: ${lines.join(' / ')}`
}
