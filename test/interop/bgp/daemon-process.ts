// A process of a router in its host's namespace: dies with the test's process, is asked with its own client, tells its log.
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { type Netns } from '#/sys/netns.ts'
import { type Host } from './lan.ts'

const stopGraceMs = 5000
const tailBytes = 6000

export class DaemonProcess implements AsyncDisposable {
  readonly #command: readonly string[]
  readonly #netns: Netns
  readonly #logFile: string
  #child: ChildProcess | undefined

  constructor(netns: Netns, command: readonly string[], logFile: string) {
    this.#netns = netns
    this.#command = command
    this.#logFile = logFile
  }

  start(extraArgs: readonly string[] = []): void {
    assert.equal(this.#child, undefined, `${this.#command[0]} runs already`)
    const log = openSync(this.#logFile, 'a')
    const args = ['--pdeathsig', 'KILL', '--', ...this.#command, ...extraArgs]
    this.#child = this.#netns.run(() => spawn('setpriv', args, { stdio: ['ignore', log, log] }))
    closeSync(log)
  }

  get pid(): number {
    return this.#child!.pid!
  }

  get isStarted(): boolean {
    return this.#child !== undefined
  }

  /** Fails the test when it has ended by itself. */
  mustRun(): void {
    assert.ok(
      this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null,
      `${this.#command[0]} has ended (${this.#child?.exitCode ?? this.#child?.signalCode}):\n${this.logTail()}`,
    )
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), stopGraceMs)
    await ended
    clearTimeout(timer)
  }

  logTail(): string {
    return readFileSync(this.#logFile, 'utf8').slice(-tailBytes)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL')
  }
}

/** Runs a client of a daemon, which must succeed, in the host's namespace; returns what it printed. */
export async function ask(host: Host, command: readonly string[]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const [program, ...args] = command
  host.ns.netns.run(() =>
    execFile(program!, args, { maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${command.join(' ')}: ${stderr || stdout || error.message}`))
      else resolve(stdout)
    }),
  )
  return promise
}
