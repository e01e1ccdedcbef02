import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type Endpoint, EndpointStore } from './endpoint-store.ts'
import { StateError } from './state-file.ts'

const cidrs = ['10.0.0.0/29', 'fd00::/64'].map(Prefix.parse)

class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'causeway-store-'))
  readonly file = join(this.path, 'endpoints.sqlite');

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

function textOf({ addrs }: Endpoint): string[] {
  return addrs.map(({ addr, cidr }) => `${addr} ${cidr}`)
}

function wanted(number: number) {
  return {
    containerId: `c${number}`,
    ifName: 'eth0',
    netns: '/run/netns/x',
    pod: `default/p${number}`,
    hostDevice: `cwv${number}`,
    datapath: 'bridge',
  } as const
}

test('a pod gets an address of each family, keeps it over a restart, and gives it back', () => {
  using folder = new Folder()
  {
    using store = new EndpointStore(folder.file)
    const reservation = store.reserve(wanted(1), cidrs)
    assert.equal(reservation.kind, 'reserved')
    store.setState({ containerId: 'c1', ifName: 'eth0' }, 'ready')
  }
  using store = new EndpointStore(folder.file)
  const [endpoint] = store.list()
  assert.deepEqual(textOf(endpoint!), ['10.0.0.2 10.0.0.0/29', 'fd00::2 fd00::/64'])
  assert.equal(endpoint!.state, 'ready')
  assert.equal(store.hasDevice('cwv1'), true)
  store.release(endpoint!)
  store.release(endpoint!)
  assert.deepEqual(store.list(), [])
})

test('an endpoint keeps what its ADD wrote, and its state only goes forward', () => {
  using folder = new Folder()
  using store = new EndpointStore(folder.file)
  const id = { containerId: 'c1', ifName: 'eth0' }
  const missing = /^Error: no endpoint c1:eth0 that could become ready$/
  assert.throws(() => store.setState(id, 'ready'), missing)
  store.reserve({ ...wanted(1), podUid: 'b5a1' }, cidrs)
  const told = store.find(id)!
  assert.deepEqual([told.podUid, told.datapath, told.state], ['b5a1', 'bridge', 'reserved'])
  for (const state of ['wired', 'policed', 'ready'] as const) {
    store.setState(id, state)
    assert.deepEqual(store.find(id), { ...told, state })
  }
  assert.throws(() => store.setState(id, 'ready'), missing)
  store.setState(id, 'leaving')
  assert.throws(() => store.setState(id, 'ready'), missing)
  assert.equal(store.find(id)!.state, 'leaving')
  assert.equal(store.trouble(), undefined)
  // a second ADD begins anew
  assert.equal(store.reserve(wanted(1), cidrs).kind, 'reserved')
  assert.deepEqual([store.find(id)!.state, store.find(id)!.podUid], ['reserved', ''])
})

test('both families or none: an exhausted one leaves nothing behind', () => {
  using folder = new Folder()
  using store = new EndpointStore(folder.file)
  for (let number = 1; number <= 5; number++) assert.equal(store.reserve(wanted(number), cidrs).kind, 'reserved')
  assert.deepEqual(store.reserve(wanted(6), cidrs), { kind: 'exhausted', cidrs: [cidrs[0]] })
  assert.equal(store.list().length, 5)
  assert.equal(store.usedIn(cidrs[1]!), 5)
})

test('a requested address is given, or refused with the name of the pod that has it', () => {
  using folder = new Folder()
  using store = new EndpointStore(folder.file)
  const asked = Addr.parse('10.0.0.5')
  const first = store.reserve({ ...wanted(1), requested: [asked] }, cidrs)
  assert.deepEqual(first.kind === 'reserved' && textOf(first.endpoint), ['10.0.0.5 10.0.0.0/29', 'fd00::2 fd00::/64'])
  assert.deepEqual(store.reserve({ ...wanted(2), requested: [asked] }, cidrs), {
    kind: 'taken',
    what: 'address 10.0.0.5',
    pod: 'default/p1',
  })
})

test('a second try of the same attachment does not cost a second address', () => {
  using folder = new Folder()
  using store = new EndpointStore(folder.file)
  for (let turn = 0; turn < 20; turn++) assert.equal(store.reserve(wanted(1), cidrs).kind, 'reserved')
  assert.equal(store.usedIn(cidrs[0]!), 1)
})

test('a file that is no database, or of another version, is one clear error', () => {
  using folder = new Folder()
  writeFileSync(folder.file, 'garbage '.repeat(1000))
  assert.throws(
    () => new EndpointStore(folder.file),
    (error: unknown) =>
      error instanceof StateError && error.message.includes(folder.file) && !error.message.includes('\n'),
  )
})

const churn = `
  import { EndpointStore } from '${new URL('endpoint-store.ts', import.meta.url).href}'
  import { Prefix } from '${new URL('../../lib/addr.ts', import.meta.url).href}'
  const store = new EndpointStore(process.argv[1])
  const cidrs = ['10.0.0.0/26', 'fd00::/64'].map(Prefix.parse)
  process.stdout.write('ready')
  for (let turn = 0; ; turn++) {
    const id = { containerId: 'c' + (turn * 7 % 40), ifName: 'eth0' }
    if (store.find(id)) store.release(id)
    else {
      store.reserve({ ...id, netns: '/x', pod: 'p', hostDevice: 'cwv' + id.containerId, datapath: 'bridge' }, cidrs)
      store.setState(id, 'ready')
    }
  }`

test('kill -9 at any moment leaves no half endpoint and no address twice', async () => {
  using folder = new Folder()
  let endpoints = 0
  for (let round = 0; round < 25; round++) {
    const child = spawn(process.execPath, [
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '-e',
      churn,
      folder.file,
    ])
    const { promise, resolve } = Promise.withResolvers<void>()
    child.stdout.once('data', () => resolve())
    child.once('exit', () => resolve())
    await promise
    await sleep(Math.random() * 30)
    const ended = new Promise((done) => child.once('exit', done))
    child.kill('SIGKILL')
    await ended
    using store = new EndpointStore(folder.file)
    const list = store.list()
    endpoints += list.length
    const addrs = list.flatMap((endpoint) => textOf(endpoint))
    assert.equal(new Set(addrs).size, addrs.length)
    assert.ok(list.every((endpoint) => endpoint.addrs.length === 2))
  }
  assert.ok(endpoints > 0, 'the children did nothing')
})
