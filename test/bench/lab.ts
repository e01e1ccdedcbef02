// A whole lab, as `causeway lab up` makes it, for a benchmark; it goes with the rig.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { labDown } from '#/lab/down.ts'
import { existingLabs } from '#/lab/paths.ts'
import { nodeNetns, podNetns } from '#/lab/spec.ts'
import { createNetns, Netns, netnsPath } from '#/sys/netns.ts'
import { RigError } from './netns.ts'
import { causeway } from './processes.ts'
import { type Rig } from './rig.ts'

type UpReport = {
  readonly nodes: readonly { readonly name: string; readonly datapath: string }[]
  readonly pods: readonly { readonly name: string; readonly node: string; readonly addrs: readonly string[] }[]
}

/** Of a lab: b, a letter for each one of a run, and the process id. */
const namePattern = /^b[a-z](\d+)$/
let count = 0

/** Labs of runs that were killed. */
async function removeLeftLabs(): Promise<void> {
  for (const lab of existingLabs()) {
    const pid = namePattern.exec(lab)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await labDown(lab)
  }
}

export class BenchLab {
  readonly name = `b${String.fromCharCode(97 + (count++ % 26))}${process.pid}`
  readonly #open: Netns[] = []
  readonly nodes: UpReport['nodes']
  readonly pods: UpReport['pods']

  private constructor(rig: Rig, options: readonly string[]) {
    rig.defer(() => {
      for (const netns of this.#open) netns[Symbol.dispose]()
      this.causeway('down')
    })
    const { nodes, pods } = JSON.parse(this.causeway('up', ...options, '--json')) as UpReport
    this.nodes = nodes
    this.pods = pods
  }

  static async up(rig: Rig, options: readonly string[]): Promise<BenchLab> {
    await removeLeftLabs()
    return new BenchLab(rig, options)
  }

  /** `causeway lab ACTION`, which must succeed; returns what it printed. */
  causeway(action: string, ...options: readonly string[]): string {
    const command = [...causeway.slice(1), 'lab', action, '--name', this.name, ...options]
    const { status, stdout, stderr } = spawnSync(causeway[0]!, command, { encoding: 'utf8', maxBuffer: 2 ** 28 })
    if (status !== 0) throw new RigError(`causeway lab ${action}: ${stderr}`)
    return stdout
  }

  /** A command of the lab from its start to its end; what it is to exit with is 0 unless told, or anything. */
  timed(words: readonly string[], expected: number | 'any' = 0): { readonly ms: number; readonly stdout: string } {
    const command = [...causeway.slice(1), ...words, '--lab', this.name]
    const startMs = performance.now()
    const { status, stdout, stderr } = spawnSync(causeway[0]!, command, { encoding: 'utf8', maxBuffer: 2 ** 28 })
    const ms = performance.now() - startMs
    if (expected !== 'any' && status !== expected)
      throw new RigError(`causeway ${words.join(' ')} exits with ${status}: ${stderr}${stdout.slice(0, 500)}`)
    return { ms, stdout }
  }

  opened(name: string): Netns {
    const netns = new Netns(netnsPath(name))
    this.#open.push(netns)
    return netns
  }

  /** One more namespace of the lab. */
  made(name: string): Netns {
    const netns = createNetns(nodeNetns(this.name, name))
    this.#open.push(netns)
    return netns
  }

  node(number: number): Netns {
    return this.opened(nodeNetns(this.name, `node-${number}`))
  }

  pod(name: string): Netns {
    return this.opened(podNetns(this.name, 'default', name))
  }
}
