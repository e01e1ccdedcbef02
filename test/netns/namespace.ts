// Namespaces for tests: unique names, gone afterwards also when the test failed.
import { spawnSync } from 'node:child_process'
import assert from 'node:assert/strict'
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

  /** What `ip -j ARGS` prints. */
  ip<T = Record<string, unknown>>(args: string): T[] {
    return JSON.parse(this.sh(`ip -d -j ${args}`) || '[]') as T[]
  }

  [Symbol.dispose](): void {
    this.netns[Symbol.dispose]()
    removeNetns(this.name)
  }
}
