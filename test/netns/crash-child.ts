// An agent's CNI part by itself, to be killed: a real store, the real handler, the kernel. crash.test.ts starts it.
// Arguments: the node's namespace, the state file, then the pods' namespaces. CRASH_AT=n kills it at its n-th step, where a
// step is anything that changes disk or kernel: each SQL statement and each netlink operation, just before and after.
import { DatabaseSync, StatementSync } from 'node:sqlite'
import { basename } from 'node:path'
import { EndpointStore } from '#/agent/endpoints/endpoint-store.ts'
import { CniHandler } from '#/agent/pods/cni-handler.ts'
import { Announcer } from '#/datapath/announcer.ts'
import { openDatapaths } from '#/datapath/registry.ts'
import { VethRemoval } from '#/datapath/veth-removal.ts'
import { AsyncNetlink } from '#/kernel/async-netlink.ts'
import { type KernelError, Netlink, type Operation } from '#/kernel/netlink.ts'
import { silent } from '#/lib/log.ts'
import { NamespaceFinder } from '#/sys/namespaces.ts'
import { Netns } from '#/sys/netns.ts'
import { podNetwork, request, thereIs } from './pod-node.ts'

const [hostPath = '', stateFile = '', ...podPaths] = process.argv.slice(2)
const crashAt = Number(process.env['CRASH_AT'] ?? 0)
let steps = 0

function step(): void {
  steps++
  if (steps === crashAt) process.kill(process.pid, 'SIGKILL')
}

function around<A extends unknown[], R>(method: (...args: A) => R): (...args: A) => R {
  return function (this: unknown, ...args: A): R {
    step()
    const result = method.apply(this, args)
    step()
    return result
  }
}

/** From here on every step counts. */
function countSteps(): void {
  // eslint-disable-next-line typescript/unbound-method -- they are called with their `this`
  const { executeAll } = Netlink.prototype
  DatabaseSync.prototype.exec = around(DatabaseSync.prototype.exec)
  StatementSync.prototype.run = around(StatementSync.prototype.run) as typeof StatementSync.prototype.run
  Netlink.prototype.executeAll = function (operations: readonly Operation[]): (KernelError | undefined)[] {
    return operations.flatMap((operation) => {
      step()
      const results = executeAll.call(this, [operation])
      step()
      return results
    })
  }
}

const host = new Netns(hostPath)
const netlink = new Netlink(0, host)
const removal = new VethRemoval({ netlink, aside: new AsyncNetlink(host), log: silent })
const handler = new CniHandler({
  removal,
  datapaths: openDatapaths({ netlink, removal, announcer: new Announcer({ netns: host, log: silent }) }),
  datapath: () => 'bridge',
  store: new EndpointStore(stateFile, { coolDownMs: 0 }),
  podNetwork: () => thereIs(podNetwork),
  namespaces: new NamespaceFinder(),
  onChange() {},
  log: silent,
})

function call(command: 'ADD' | 'DEL', path: string): void {
  const reply = handler.handle(request(command, basename(path), path))
  if (reply.kind === 'error') throw new Error(`${command} ${path}: ${reply.error.msg}: ${reply.error.details}`)
}

if (process.env['CRASH_AT'] !== undefined) {
  countSteps()
  for (const path of podPaths) call('ADD', path)
  for (const path of podPaths) call('DEL', path)
  process.stdout.write(String(steps))
} else {
  // one mark for each call, so that the parent sees how far it came
  process.stdout.write('.')
  for (;;) {
    const path = podPaths[Math.floor(Math.random() * podPaths.length)]!
    call(Math.random() < 0.55 ? 'ADD' : 'DEL', path)
    process.stdout.write('.')
  }
}
