// Small things that all benchmarks use: waiting, doing things side by side, and network namespaces with a shell in them.
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { createNetns, type Netns, netnsPath, removeNetns } from '#/sys/netns.ts'

const defaultTimeoutMs = 30_000
const pollMs = 10

export class RigError extends Error {
  override name = 'RigError'
}

export async function waitUntil(what: string, probe: () => boolean | Promise<boolean>, timeoutMs = defaultTimeoutMs) {
  const deadlineMs = performance.now() + timeoutMs
  while (!(await probe())) {
    if (performance.now() > deadlineMs) throw new RigError(`${what}: not within ${timeoutMs / 1000} s`)
    await sleep(pollMs)
  }
}

/** Runs all of `items` through `work`, `concurrency` at a time. */
export async function inParallel<T>(items: readonly T[], concurrency: number, work: (item: T) => Promise<unknown>) {
  const queue = items.values()
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

/** Runs a shell command in a namespace, which must succeed; returns what it printed. */
export function shellIn(netns: Netns, command: string): string {
  const options = { encoding: 'utf8', maxBuffer: 1 << 28 } as const
  const { status, stdout, stderr } = netns.run(() => spawnSync('sh', ['-ec', command], options))
  if (status !== 0) throw new RigError(`${command}: ${stderr.trim()}`)
  return stdout
}

/** A network namespace of a run. */
export class BenchNetns implements Disposable {
  readonly name: string
  readonly netns: Netns

  constructor(name: string) {
    this.name = name
    this.netns = createNetns(name)
    this.sh('ip link set lo up')
  }

  get path(): string {
    return netnsPath(this.name)
  }

  /** As shellIn. */
  sh(command: string): string {
    return shellIn(this.netns, command)
  }

  [Symbol.dispose](): void {
    this.netns[Symbol.dispose]()
    removeNetns(this.name)
  }
}
