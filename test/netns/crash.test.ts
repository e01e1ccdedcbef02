// kill -9 at any moment leaks no address and no device, and gives no address twice. Kernel and database are read
// independently of the code under test: with ip(8) and plain SQL.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { CniHandler } from '#/agent/pods/cni-handler.ts'
import { VethRemoval } from '#/datapath/veth-removal.ts'
import { unpluggedGroup } from '#/model/names.ts'
import { EndpointGc } from '#/agent/endpoints/endpoint-gc.ts'
import { EndpointStore } from '#/agent/endpoints/endpoint-store.ts'
import { AsyncNetlink } from '#/kernel/async-netlink.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { silent } from '#/lib/log.ts'
import { type EndpointState } from '#/model/endpoint.ts'
import { NamespaceFinder } from '#/sys/namespaces.ts'
import { TestNetns } from './namespace.ts'
import { atOnce, messageIn, podNetwork, PodNode, request, thereIs } from './pod-node.ts'

const childFile = new URL('./crash-child.ts', import.meta.url).pathname

type EndpointRow = { container_id: string; host_device: string; state: EndpointState; addrs: string }
type IpAddress = { ifname: string; addr_info: { local: string; scope: string }[] }

/** A node whose agent lives and dies in other processes, or in this one for as long as a callback takes. */
type IpLink = {
  readonly ifname: string
  readonly group: string
  readonly master?: string
  readonly flags: readonly string[]
}

class Crashing implements Disposable {
  readonly node = new PodNode()
  readonly pods: readonly TestNetns[]
  readonly stateFile = join(this.node.folder, 'crash.sqlite')

  constructor(podCount: number) {
    this.pods = Array.from({ length: podCount }, () => new TestNetns())
  }

  get paths(): string[] {
    return this.pods.map(({ path }) => path)
  }

  start(env: Record<string, string> = {}) {
    const child = spawn(process.execPath, [childFile, this.node.host.path, this.stateFile, ...this.paths], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    const ended = new Promise<NodeJS.Signals | null>((resolve) =>
      child.once('close', (_code, signal) => resolve(signal)),
    )
    return { child, ended, output: () => output, errors: () => errors }
  }

  /** As an agent that was started again. */
  restarted<T>(work: (agent: { handler: CniHandler; gc: EndpointGc; advance: (ms: number) => void }) => T): T {
    using store = new EndpointStore(this.stateFile, { coolDownMs: 0 })
    using netlink = new Netlink(0, this.node.host.netns)
    let nowMs = 0
    using namespaces = new NamespaceFinder()
    const deps = { netlink, store, namespaces, onChange() {}, log: silent, ...atOnce(netlink) }
    const handler = new CniHandler({ ...deps, datapath: () => 'bridge', podNetwork: () => thereIs(podNetwork) })
    const clock = { sinceBootMs: () => nowMs }
    const gc = new EndpointGc({ intervalMs: 1, graceMs: 1 }, { ...deps, clock })
    return work({ handler, gc, advance: (ms) => (nowMs += ms) })
  }

  /** Those that are in use: a veth that DEL unplugged is down, in no bridge, and only waits for its deletion. */
  veths(): string[] {
    const links = this.node.host.ip<IpLink>('link show type veth')
    const isUnplugged = ({ group, master, flags }: IpLink): boolean =>
      group === String(unpluggedGroup) && master === undefined && !flags.includes('UP')
    return links.filter((link) => !isUnplugged(link)).map(({ ifname }) => ifname)
  }

  endpoints(): EndpointRow[] {
    const db = new DatabaseSync(this.stateFile)
    try {
      const problems = db.prepare('PRAGMA integrity_check').all() as { integrity_check: string }[]
      assert.deepEqual(
        problems.map((row) => row.integrity_check),
        ['ok'],
      )
      assert.deepEqual(db.prepare('PRAGMA foreign_key_check').all(), [])
      const rows = db.prepare(
        `SELECT container_id, host_device, state, (SELECT group_concat(addr, ' ') FROM address a
         WHERE a.container_id = e.container_id) AS addrs FROM endpoint e`,
      )
      return rows.all() as EndpointRow[]
    } finally {
      db.close()
    }
  }

  /** What must hold at any moment at which the agent may be dead. */
  verify(): EndpointRow[] {
    const endpoints = this.endpoints()
    const claimed = endpoints.flatMap(({ addrs }) => addrs.split(' '))
    assert.equal(new Set(claimed).size, claimed.length, `an address has two owners: ${claimed.join(' ')}`)
    for (const { addrs, container_id } of endpoints)
      assert.equal(addrs.split(' ').length, 2, `${container_id}: ${addrs}`)
    const devices = new Set(endpoints.map(({ host_device }) => host_device))
    for (const veth of this.veths()) assert.ok(devices.has(veth), `veth ${veth} is nobody's`)
    for (const { host_device, state, addrs, container_id } of endpoints) {
      const pod = this.pods.find(({ path }) => basename(path) === container_id)!
      const interfaces = JSON.parse(pod.sh('ip -j addr show')) as IpAddress[]
      const present = interfaces
        .filter(({ ifname }) => ifname === 'eth0')
        .flatMap((link) => link.addr_info.filter(({ scope }) => scope === 'global').map(({ local }) => local))
      for (const addr of present)
        assert.ok(addrs.split(' ').includes(addr), `${addr} in ${container_id} is not claimed for it`)
      if (state === 'ready' && this.veths().includes(host_device))
        assert.equal(present.length, 2, `${container_id} is not whole`)
    }
    return endpoints
  }

  verifyEmpty(): void {
    assert.deepEqual(this.verify(), [])
    using netlink = new Netlink(0, this.node.host.netns)
    using aside = new AsyncNetlink(this.node.host.netns)
    new VethRemoval({ netlink, aside, log: silent }).flush()
    assert.deepEqual(this.node.host.ip('link show type veth'), [])
    assert.deepEqual(this.veths(), [])
  }

  [Symbol.dispose](): void {
    for (const pod of this.pods) pod[Symbol.dispose]()
    this.node[Symbol.dispose]()
  }
}

/** What may come after a crash: the runtime tries again, gives up, or is never heard of again. */
const aftermaths: ((crashing: Crashing) => void)[] = [
  (crashing) => {
    const [path] = crashing.paths as [string]
    crashing.restarted(({ handler }) => {
      assert.equal(messageIn(handler.handle(request('ADD', basename(path), path))), '')
    })
    assert.equal(crashing.verify().filter(({ state }) => state === 'ready').length, 1)
    crashing.restarted(({ handler }) => handler.handle(request('DEL', basename(path), path)))
  },
  (crashing) => {
    const [path] = crashing.paths as [string]
    crashing.restarted(({ handler }) => {
      assert.deepEqual(handler.handle(request('DEL', basename(path), '')), { kind: 'ok' })
    })
  },
  (crashing) => {
    crashing.restarted(({ gc, advance }) => {
      // what stays is whole, and the runtime knows of it or is about to DEL it
      gc.sweep()
      advance(1)
      gc.sweep()
    })
    const left = crashing.verify()
    assert.ok(left.every(({ state }) => state === 'ready'))
    crashing.restarted(({ handler }) => {
      for (const { container_id } of left) handler.handle(request('DEL', container_id, ''))
    })
  },
]

test('killed at every single step of ADD and DEL, nothing is lost, whatever the runtime does then', async () => {
  const lanes = 2
  const lane = async (first: number): Promise<void> => {
    using crashing = new Crashing(1)
    const whole = crashing.start({ CRASH_AT: '0' })
    assert.equal(await whole.ended, null, whole.errors())
    const steps = Number(whole.output())
    assert.ok(steps > 60, `only ${steps} steps`)
    for (let at = first; at <= steps; at += lanes) {
      const dying = crashing.start({ CRASH_AT: String(at) })
      assert.equal(await dying.ended, 'SIGKILL', `step ${at} of ${steps}: ${dying.errors()}`)
      crashing.verify()
      aftermaths[at % aftermaths.length]!(crashing)
      crashing.verifyEmpty()
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, index) => lane(index + 1)))
})

test('killed at random moments of thousands of calls, nothing is lost, and DEL ends it all', async () => {
  let calls = 0
  const churn = async (): Promise<void> => {
    using crashing = new Crashing(4)
    while (calls < 2000) {
      const running = crashing.start()
      while (running.output() === '' && running.child.exitCode === null) await sleep(5)
      await sleep(100 + Math.random() * 1500)
      running.child.kill('SIGKILL')
      assert.equal(await running.ended, 'SIGKILL', running.errors())
      calls += running.output().length - 1
      crashing.verify()
    }
    crashing.restarted(({ handler }) => {
      for (const path of crashing.paths) handler.handle(request('DEL', basename(path), path))
    })
    crashing.verifyEmpty()
  }
  // most of the time goes by while the kernel waits for its readers before it frees a device: nodes side by side overlap
  await Promise.all([churn(), churn(), churn(), churn()])
})
