// CNI calls and the state file: what an ADD notes, and what is done while the file cannot be used: no pod can be made, pods can be
// deleted, and what forwards is left alone.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { EndpointStore } from '#/agent/endpoints/endpoint-store.ts'
import { StateError } from '#/agent/endpoints/state-file.ts'
import { TestNetns } from './namespace.ts'
import { codeOf, messageIn, podNetwork, PodNode, prevResultOf } from './pod-node.ts'

/** A small file system of its own. */
class Disk implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'causeway-disk-'))
  readonly stateFile = join(this.folder, 'endpoints.sqlite')
  readonly #host = new TestNetns()

  constructor() {
    this.#host.sh(`mount -t tmpfs -o size=256k tmpfs ${this.folder}`)
  }

  remount(mode: 'ro' | 'rw'): void {
    this.#host.sh(`mount -o remount,${mode} ${this.folder}`)
  }

  fill(): void {
    this.#host.sh(`cat /dev/zero >${join(this.folder, 'filler')} 2>/dev/null || true`)
  }

  makeRoom(): void {
    rmSync(join(this.folder, 'filler'))
  }

  [Symbol.dispose](): void {
    this.#host.sh(`umount ${this.folder}`)
    this.#host[Symbol.dispose]()
    rmSync(this.folder, { recursive: true })
  }
}

test('a full disk: ADD fails and leaves nothing, DEL succeeds, and all is well once there is room', () => {
  using disk = new Disk()
  using node = new PodNode({ stateDir: disk.folder })
  using pod = new TestNetns()
  using late = new TestNetns()
  node.add('pod', pod.path)
  disk.fill()
  const reply = node.call('ADD', 'late', late.path)
  assert.equal(codeOf(reply), 5)
  assert.match(messageIn(reply), /cannot write the state file .*endpoints\.sqlite: .*free space or mend the disk/)
  assert.equal(late.sh('ip -br link show type veth'), '')
  assert.equal(codeOf(node.call('STATUS', 'x', '/x')), 50)
  assert.deepEqual(node.call('DEL', 'pod', pod.path), { kind: 'ok' })
  assert.deepEqual(node.store.list(), [])
  assert.equal(node.host.sh('ip -br link show type veth'), '')
  // its address is not free as long as the file says that it is not
  assert.equal(node.store.usedIn(podNetwork.podCIDRs[0]!), 1)
  disk.makeRoom()
  assert.equal(codeOf(node.call('STATUS', 'x', '/x')), 0)
  assert.equal(node.store.usedIn(podNetwork.podCIDRs[0]!), 0)
  node.add('late', late.path)
})

test('a disk that fills between the steps of an ADD: what was made goes, the address is nobody’s once there is room', () => {
  using disk = new Disk()
  using node = new PodNode({ stateDir: disk.folder })
  using pod = new TestNetns()
  const { store } = node
  const reserve = store.reserve.bind(store)
  store.reserve = (...args) => {
    const reservation = reserve(...args)
    disk.fill()
    // the log may have room for some more pages: use it up
    for (let turn = 0; store.trouble() === undefined && turn < 1000; turn++) {
      try {
        store.setSetting('ballast', 'x'.repeat(4096 + turn))
      } catch (error) {
        assert.ok(error instanceof StateError)
      }
    }
    return reservation
  }
  const reply = node.call('ADD', 'pod', pod.path)
  assert.equal(codeOf(reply), 5)
  assert.match(messageIn(reply), /^cannot set up the network of pod default\/pod: cannot write the state file/)
  assert.equal(node.host.sh('ip -br link show type veth'), '')
  assert.deepEqual(store.list(), [])
  disk.makeRoom()
  store.settle()
  assert.equal(store.usedIn(podNetwork.podCIDRs[0]!), 0)
})

for (const [what, spoil, mend] of [
  [
    'garbage',
    (disk: Disk) => writeFileSync(disk.stateFile, 'garbage '.repeat(1000)),
    (disk: Disk) => rmSync(disk.stateFile),
  ],
  ['on a read-only disk', (disk: Disk) => disk.remount('ro'), (disk: Disk) => disk.remount('rw')],
] as const) {
  test(`a state file that is ${what}: every veth counts as in use, DEL works, ADD says why not, until it is mended`, () => {
    using disk = new Disk()
    using pod = new TestNetns()
    using late = new TestNetns()
    spoil(disk)
    assert.throws(() => new EndpointStore(disk.stateFile), StateError)
    using node = new PodNode({ stateDir: disk.folder, mayLack: true })
    const { store } = node
    assert.match(
      store.lacks ?? '',
      /^cannot use the state file \S+endpoints\.sqlite: [^\n]+; check disk and permissions/,
    )
    assert.equal(store.hasDevice('cwv0123456789a'), true)
    for (const [command, code] of [
      ['ADD', 5],
      ['STATUS', 50],
    ] as const) {
      const reply = node.call(command, 'late', late.path)
      assert.equal(codeOf(reply), code)
      assert.match(messageIn(reply), /cannot use the state file/)
    }
    assert.deepEqual(node.call('DEL', 'pod', pod.path), { kind: 'ok' })
    assert.throws(() => store.settle(), StateError)
    mend(disk)
    store.settle()
    assert.equal(store.lacks, undefined)
    node.add('late', late.path)
    assert.equal(store.hasDevice('cwv0123456789a'), false)
  })
}

test('a file that is damaged while it is in use: the store goes on without it, and takes up the next one', () => {
  using disk = new Disk()
  using node = new PodNode({ stateDir: disk.folder, mayLack: true })
  using pod = new TestNetns()
  const { store } = node
  node.add('pod', pod.path)
  // another's write makes the store's own pages in memory stale, so that it has to read the file
  const other = new DatabaseSync(disk.stateFile)
  other.exec("INSERT INTO setting VALUES ('other', ''); PRAGMA wal_checkpoint(TRUNCATE)")
  writeFileSync(disk.stateFile, 'garbage '.repeat(3000))
  other.close()
  assert.deepEqual(store.list(), [])
  assert.match(store.lacks ?? '', /^cannot read the state file \S+endpoints\.sqlite: [^\n]+; mend the disk/)
  assert.equal(store.hasDevice('cwv0123456789a'), true)
  assert.equal(store.setting('self'), undefined)
  assert.throws(() => new EndpointStore(disk.stateFile), StateError)
  for (const end of ['', '-wal', '-shm']) rmSync(`${disk.stateFile}${end}`, { force: true })
  store.settle()
  assert.equal(store.lacks, undefined)
  node.add('pod', pod.path)
})

test('an ADD notes the datapath, the state and the UID of the pod', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  node.add('pod', pod.path, { env: { CNI_ARGS: 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_UID=6d3c-11' } })
  const [{ datapath, state, podUid } = {}] = node.store.list()
  assert.deepEqual({ datapath, state, podUid }, { datapath: 'bridge', state: 'ready', podUid: '6d3c-11' })
})

test('a pod of a datapath that this agent does not know is checked and deleted as one of its own', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  const prevResult = prevResultOf(node.add('pod', pod.path))
  using file = new DatabaseSync(join(node.folder, 'endpoints.sqlite'))
  file.exec("UPDATE endpoint SET datapath = 'programs'")
  assert.equal(messageIn(node.call('CHECK', 'pod', pod.path, { config: { prevResult } })), '')
  assert.deepEqual(node.call('DEL', 'pod', pod.path), { kind: 'ok' })
  assert.deepEqual([node.store.list(), node.host.sh('ip -br link show type veth')], [[], ''])
})
