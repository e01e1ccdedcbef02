// The watcher of descriptors beside network namespaces.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { TestNetns } from './namespace.ts'

test('a watch that is begun inside of a namespace starts no thread in there', () => {
  using host = new TestNetns()
  // in a process of its own, whose pool has no threads yet
  const source = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href)
  const program = `
    import { readdirSync, readlinkSync } from 'node:fs'
    import { watchFd } from ${source('sys/fd-watcher.ts')}
    import { Netns } from ${source('sys/netns.ts')}
    import { icmpSocket } from ${source('sys/socket.ts')}
    const netns = new Netns(${JSON.stringify(host.path)})
    const watch = netns.run(() => watchFd(icmpSocket(4, [0]), 1, () => {}))
    setTimeout(() => {
      const names = new Set(readdirSync('/proc/self/task').map((id) => readlinkSync('/proc/self/task/' + id + '/ns/net')))
      console.log(names.size, readdirSync('/proc/self/task').length > 5)
      watch[Symbol.dispose]()
    }, 100)
  `
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program]
  assert.equal(execFileSync(process.execPath, args, { encoding: 'utf8' }), '1 true\n')
})
