// Namespaces for tests: unique names, gone afterwards also when the test failed.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { createNetns, type Netns, netnsPath, removeNetns } from '#/sys/netns.ts'

let count = 0

export class TestNetns implements Disposable {
  readonly name = `cwtest-${process.pid}-${++count}`
  readonly netns: Netns = createNetns(this.name)

  get path(): string {
    return netnsPath(this.name)
  }

  /** Runs a shell command in here that must succeed; returns what it printed. */
  sh(command: string): string {
    const { status, stdout, stderr } = this.netns.run(() => spawnSync('sh', ['-ec', command], { encoding: 'utf8' }))
    assert.equal(status, 0, `${command}: ${stderr}`)
    return stdout
  }

  /** As `sh`, while this process goes on serving. */
  async shAsync(command: string): Promise<string> {
    const child = this.netns.run(() => spawn('sh', ['-ec', command]))
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
    assert.equal(await ended, 0, `${command}: ${stderr}`)
    return stdout
  }

  /** What `ip -j ARGS` prints. */
  ip<T = Record<string, unknown>>(args: string): T[] {
    return JSON.parse(this.sh(`ip -d -j ${args}`) || '[]') as T[]
  }

  [Symbol.dispose](): void {
    this.netns[Symbol.dispose]()
    removeNetns(this.name)
  }
}
