// Programs at the tc hooks of real devices, by tcx and by clsact, counting real packets; tc(8) is the independent reader.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Attached, listAttached } from '#/kernel/bpf/attached.ts'
import { clsactAttach, clsactDetach, ownHandle, ownPriority } from '#/kernel/bpf/clsact.ts'
import { type Hook } from '#/kernel/bpf/commands.ts'
import { BpfError } from '#/kernel/bpf/error.ts'
import { BpfLink } from '#/kernel/bpf/link.ts'
import { type LoadedObject, loadObject } from '#/kernel/bpf/object.ts'
import { PerCpuMap } from './typed-map.ts'
import { attachTcx, type Device, hasTcx, queryTcx } from '#/kernel/bpf/tcx.ts'
import { KernelError, Netlink } from '#/kernel/netlink.ts'
import { findLink } from '#/kernel/links.ts'
import { Struct } from '#/wire/bpf/layout.ts'
import { probeObject, TestBpffs } from './bpf-fixture.ts'
import { TestNetns } from './namespace.ts'

const counts = {
  type: 'percpu_array',
  key: new Struct('index', { index: 'u32' }),
  value: new Struct('count', { packets: 'u64', bytes: 'u64' }),
  maxEntries: 4,
} as const

/** A veth pair with an address on either end, and the object whose programs count what passes. */
class Pair implements Disposable {
  readonly near = new TestNetns()
  readonly far = new TestNetns()
  readonly netlink = new Netlink(0, this.near.netns)
  readonly device: Device
  readonly #counts: PerCpuMap<{ index: 'u32' }, { packets: 'u64'; bytes: 'u64' }>

  constructor(object: LoadedObject) {
    this.near.sh(`ip link add v0 type veth peer name v1 netns ${this.far.name}`)
    // without addresses of IPv6 nothing is sent but what the test sends
    for (const [host, name, addr] of [
      [this.near, 'v0', '10.9.0.1'],
      [this.far, 'v1', '10.9.0.2'],
    ] as const)
      host.sh(
        `echo 1 >/proc/sys/net/ipv6/conf/${name}/disable_ipv6; ip addr add ${addr}/24 dev ${name}; ip link set ${name} up`,
      )
    this.device = { index: findLink(this.netlink, 'v0')!.index, name: 'v0' }
    this.ping(1)
    this.#counts = new PerCpuMap(object.maps.get('pt_counts')!, counts)
  }

  /** Sends packets from here; returns how many were answered. */
  ping(count: number): number {
    const { stdout } = this.near.netns.run(() =>
      spawnSync('ping', ['-n', '-c', String(count), '-i', '0.01', '-W', '0.2', '10.9.0.2'], { encoding: 'utf8' }),
    )
    return Number(/(\d+) received/.exec(stdout)![1])
  }

  /** Runs in the namespace of the device, as what names one by its index has to. */
  run<T>(work: () => T): T {
    return this.near.netns.run(work)
  }

  /** What a program has counted since the last call. */
  counted(index: number): number {
    const sum = this.#counts.get({ index })!.reduce((total, { packets }) => total + packets, 0n)
    this.#counts.clear({ index })
    return Number(sum)
  }

  attached(hook: Hook): Attached[] {
    return this.run(() => listAttached(this.netlink, this.device, hook))
  }

  [Symbol.dispose](): void {
    this.netlink[Symbol.dispose]()
    this.near[Symbol.dispose]()
    this.far[Symbol.dispose]()
  }
}

const program = (object: LoadedObject, name: string) => object.programs.get(name)!

test('tcx: a program counts packets, is replaced in place, stays while pinned, and ends when detached', async () => {
  using object = await loadObject({ bytes: probeObject() })
  using pair = new Pair(object)
  using bpffs = new TestBpffs()
  const [first, second] = [program(object, 'pt_first'), program(object, 'pt_second')]
  const path = join(bpffs.path, 'v0-ingress')
  assert.ok(pair.run(hasTcx))
  {
    using link = pair.run(() => attachTcx(pair.device, 'ingress', first))
    link.pin(path)
    const { id, ...state } = link.info()
    assert.ok(id > 0)
    assert.deepEqual(state, { kind: 'tcx', programId: first.info.id, device: pair.device.index, hook: 'ingress' })
  }
  assert.equal(pair.ping(5), 5)
  assert.deepEqual([pair.counted(0), pair.counted(1)], [5, 0])
  {
    using link = BpfLink.openPinned(path)
    link.replace(second)
    assert.equal(link.info().programId, second.info.id)
  }
  assert.equal(pair.ping(4), 4)
  assert.deepEqual([pair.counted(0), pair.counted(1)], [0, 4])
  assert.deepEqual(
    pair.attached('ingress').map(({ mechanism, programId, name }) => [mechanism, programId, name]),
    [['tcx', second.info.id, 'pt_second']],
  )
  using link = BpfLink.openPinned(path)
  link.detach()
  assert.equal(link.info().device, 0)
  assert.throws(
    () => link.replace(first),
    (error) => error instanceof BpfError && error.code === 'ENOLINK',
  )
  assert.equal(pair.ping(3), 3)
  assert.deepEqual([pair.counted(0), pair.counted(1)], [0, 0])
  assert.deepEqual(pair.attached('ingress'), [])
})

test('tcx: programs run in their order beside those of others, both ways, and one that nothing holds is gone', async () => {
  using object = await loadObject({ bytes: probeObject() })
  using pair = new Pair(object)
  const [first, second, drop] = [
    program(object, 'pt_first'),
    program(object, 'pt_second'),
    program(object, 'pt_drop_all_packets'),
  ]
  {
    using _last = pair.run(() => attachTcx(pair.device, 'egress', drop))
    using _middle = pair.run(() => attachTcx(pair.device, 'egress', second, 'first'))
    using _first = pair.run(() => attachTcx(pair.device, 'egress', first, 'first'))
    assert.deepEqual(
      pair.run(() => queryTcx(pair.device, 'egress')).map(({ programId }) => programId),
      [first, second, drop].map(({ info }) => info.id),
    )
    assert.deepEqual(
      pair.attached('egress').map(({ name }) => name),
      ['pt_first', 'pt_second', 'pt_drop_all_pac'],
    )
    assert.equal(pair.ping(3), 0)
    // ping tries again what a program dropped on the way out
    const dropped = pair.counted(2)
    assert.ok(dropped >= 3)
    assert.deepEqual([pair.counted(0), pair.counted(1)], [dropped, dropped])
  }
  assert.equal(pair.ping(3), 3)
  assert.deepEqual(pair.attached('egress'), [])
})

test('tcx: a device that goes takes its links with it, and a device that is not there is told', async () => {
  using object = await loadObject({ bytes: probeObject() })
  using pair = new Pair(object)
  using link = pair.run(() => attachTcx(pair.device, 'ingress', program(object, 'pt_first')))
  pair.near.sh('ip link del v0')
  assert.equal(link.info().device, 0)
  assert.throws(
    () => pair.run(() => attachTcx(pair.device, 'ingress', program(object, 'pt_first'))),
    (error) =>
      error instanceof BpfError &&
      error.message === 'attach pt_first to ingress of v0: ENODEV: there is no such device' &&
      error.code === 'ENODEV',
  )
  assert.throws(
    () => pair.run(() => attachTcx(pair.device, 'ingress', program(object, 'pt_clock'))),
    (error) => error instanceof BpfError && error.code === 'EINVAL',
  )
})

type TcFilter = {
  kind: string
  pref: number
  options?: { handle?: string; bpf_name?: string; 'direct-action'?: boolean }
}

test('clsact: a filter counts packets, is replaced in one step, and leaves nothing behind', async () => {
  using object = await loadObject({ bytes: probeObject() })
  using pair = new Pair(object)
  const { netlink, device } = pair
  const [first, second, drop] = [
    program(object, 'pt_first'),
    program(object, 'pt_second'),
    program(object, 'pt_drop_all_packets'),
  ]
  assert.deepEqual(pair.attached('ingress'), [])
  clsactDetach(netlink, device, 'ingress', { keepsQdisc: false })
  clsactAttach(netlink, device, [{ hook: 'ingress', program: first, name: 'cw_test' }])
  clsactAttach(netlink, device, [{ hook: 'egress', program: first, name: 'cw_test' }])
  assert.equal(pair.ping(5), 5)
  assert.equal(pair.counted(0), 10)
  clsactAttach(netlink, device, [{ hook: 'egress', program: second, name: 'cw_test' }])
  assert.equal(pair.ping(4), 4)
  assert.deepEqual([pair.counted(0), pair.counted(1)], [4, 4])
  const filters = JSON.parse(pair.near.sh('tc -j filter show dev v0 egress')) as TcFilter[]
  assert.deepEqual(
    filters
      .filter(({ options }) => options)
      .map(({ pref, options }) => [pref, options!['handle'], options!.bpf_name, options!['direct-action']]),
    [[ownPriority, `0x${ownHandle.toString(16)}`, 'cw_test', true]],
  )
  assert.deepEqual(pair.attached('egress'), [
    {
      mechanism: 'clsact',
      programId: second.info.id,
      name: 'cw_test',
      filter: { priority: ownPriority, handle: ownHandle, isOurs: true },
    },
  ])
  clsactAttach(netlink, device, [{ hook: 'ingress', program: drop, name: 'cw_test' }])
  assert.equal(pair.ping(2), 0)
  assert.equal(pair.counted(2), 2)
  clsactDetach(netlink, device, 'ingress', { keepsQdisc: false })
  assert.equal(pair.ping(2), 2)
  assert.match(pair.near.sh('tc qdisc show dev v0'), /clsact/)
  clsactDetach(netlink, device, 'egress', { keepsQdisc: false })
  clsactDetach(netlink, device, 'egress', { keepsQdisc: false })
  assert.doesNotMatch(pair.near.sh('tc qdisc show dev v0'), /clsact/)
  assert.throws(
    () => clsactAttach(netlink, { index: 999_999, name: 'v9' }, [{ hook: 'ingress', program: first, name: 'cw_test' }]),
    (error) => error instanceof KernelError && error.code === 'ENODEV',
  )
})

test('clsact: filters of others stay, are told in their order, and keep the qdisc', async () => {
  using object = await loadObject({ bytes: probeObject() })
  using pair = new Pair(object)
  const { netlink, device } = pair
  pair.near.sh(`tc qdisc add dev v0 clsact
    tc filter add dev v0 ingress prio 9 protocol ip bpf bytecode '1,6 0 0 0,'
    tc filter add dev v0 ingress prio 50000 protocol ip bpf bytecode '1,6 0 0 0,'`)
  clsactAttach(netlink, device, [{ hook: 'ingress', program: program(object, 'pt_first'), name: 'cw_test' }])
  using _link = pair.run(() => attachTcx(device, 'ingress', program(object, 'pt_second')))
  assert.deepEqual(
    pair.attached('ingress').map(({ mechanism, name }) => [mechanism, name]),
    [
      ['tcx', 'pt_second'],
      ['clsact', 'bpf'],
      ['clsact', 'cw_test'],
      ['clsact', 'bpf'],
    ],
  )
  assert.equal(pair.ping(3), 3)
  assert.deepEqual([pair.counted(0), pair.counted(1)], [3, 3])
  clsactDetach(netlink, device, 'ingress', { keepsQdisc: false })
  assert.deepEqual(
    pair.attached('ingress').map(({ name }) => name),
    ['pt_second', 'bpf', 'bpf'],
  )
})

test('clsact: the qdisc "ingress" in the way is told', async () => {
  using object = await loadObject({ bytes: probeObject() })
  using pair = new Pair(object)
  pair.near.sh('tc qdisc add dev v0 ingress')
  assert.throws(
    () =>
      clsactAttach(pair.netlink, pair.device, [
        { hook: 'egress', program: program(object, 'pt_first'), name: 'cw_test' },
      ]),
    /^BpfError: tc qdisc add dev v0 clsact: EEXIST.*the device has the qdisc "ingress"/,
  )
})

test('a program is replaced under traffic, and no packet meets none or both', async () => {
  using object = await loadObject({ bytes: probeObject() })
  using pair = new Pair(object)
  const { netlink, device } = pair
  const both = [program(object, 'pt_first'), program(object, 'pt_second')] as const
  const flood = 'ping -n -q -f -c 20000 10.9.0.2'
  using link = pair.run(() => attachTcx(device, 'egress', both[0]))
  let turn = 0
  const replacing = setInterval(() => link.replace(both[++turn % 2]!), 1)
  assert.match(await pair.near.shAsync(flood), /20000 packets transmitted, 20000 received/)
  clearInterval(replacing)
  const counted = [pair.counted(0), pair.counted(1)]
  assert.equal(counted[0]! + counted[1]!, 20000)
  assert.ok(Math.min(...counted) > 0, String(counted))
  link.detach()

  clsactAttach(netlink, device, [{ hook: 'egress', program: both[0], name: 'cw_test' }])
  const again = setInterval(
    () => clsactAttach(netlink, device, [{ hook: 'egress', program: both[++turn % 2]!, name: 'cw_test' }]),
    1,
  )
  assert.match(await pair.near.shAsync(flood), /20000 packets transmitted, 20000 received/)
  clearInterval(again)
  const recounted = [pair.counted(0), pair.counted(1)]
  assert.equal(recounted[0]! + recounted[1]!, 20000)
  assert.ok(Math.min(...recounted) > 0, String(recounted))
})
