// Clients of netlink that are asked several things at once.
import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { AsyncNetlink } from '#/kernel/async-netlink.ts'
import { addressAdd, listAddresses } from '#/kernel/addresses.ts'
import { findLink, linkDelete, listLinks } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { watchKernel } from '#/kernel/notifications.ts'
import { listRoutes, listRoutesInTurns, routeAdd } from '#/kernel/routes.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type Route } from '#/wire/netlink/route.ts'
import { type NftTable } from '#/wire/nftables/ruleset.ts'
import { TestNetns } from './namespace.ts'

const routeCount = 3000

function routeTo(index: number): Route {
  return {
    dst: Prefix.parse(`10.${index >> 8}.${index & 255}.0/24`),
    type: 'unicast',
    protocol: 67,
    table: 254,
    metric: 0,
    scope: 0,
    nextHops: [{ oif: 1 }],
  }
}

/** A namespace with so many routes that the kernel gives them in many pieces. */
class Host extends TestNetns {
  readonly netlink = new Netlink(0, this.netns)

  constructor() {
    super()
    this.sh('ip link set lo up')
    this.netlink.execute(...Array.from({ length: routeCount }, (_, index) => routeAdd(routeTo(index), () => 'lo')))
  }

  override [Symbol.dispose](): void {
    this.netlink[Symbol.dispose]()
    super[Symbol.dispose]()
  }
}

/** Open sockets of this process. */
function socketCount(): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  return targets.filter((target) => target.startsWith('socket:')).length
}

test('synchronous requests in the middle of a dump in turns get their own answers, and the dump gets all of its own', async () => {
  using host = new Host()
  const { netlink } = host
  const dump = listRoutesInTurns(netlink)
  let asked = 0
  while ((await Promise.race([dump, setImmediate('in the middle')])) === 'in the middle') {
    assert.deepEqual(
      listLinks(netlink).map(({ name }) => name),
      ['lo'],
    )
    assert.equal(findLink(netlink, 'none'), undefined)
    netlink.execute(addressAdd({ index: 1, name: 'lo' }, Addr.parse('10.99.0.1'), 32))
    assert.ok(listAddresses(netlink).length > 0)
    asked++
  }
  assert.ok(asked > 5, `${asked} requests in between`)
  assert.equal((await dump).filter(({ protocol }) => protocol === 67).length, routeCount)
  assert.equal(listRoutes(netlink).filter(({ protocol }) => protocol === 67).length, routeCount)
})

test('dumps in turns of one client, however many at once, are each whole', async () => {
  using host = new Host()
  const dumps = await Promise.all(Array.from({ length: 4 }, () => listRoutesInTurns(host.netlink)))
  for (const routes of dumps) assert.equal(routes.filter(({ protocol }) => protocol === 67).length, routeCount)
})

test('a dump in turns reads the namespace of its client, from wherever it is asked', async () => {
  using host = new Host()
  using elsewhere = new TestNetns()
  const dump = elsewhere.netns.run(() => listRoutesInTurns(host.netlink))
  assert.equal((await dump).filter(({ protocol }) => protocol === 67).length, routeCount)
  using inside = host.netns.run(() => new Netlink())
  assert.equal((await listRoutesInTurns(inside)).filter(({ protocol }) => protocol === 67).length, routeCount)
})

test('a client that is closed in the middle of a dump says so, and leaves no socket', async () => {
  using host = new Host()
  await setImmediate()
  const before = socketCount()
  const netlink = new Netlink(0, host.netns)
  const dumps = [listRoutesInTurns(netlink), listRoutesInTurns(netlink)]
  await setImmediate()
  netlink[Symbol.dispose]()
  for (const dump of dumps) await assert.rejects(dump, /ip route show: the netlink client was closed/)
  await setImmediate()
  assert.equal(socketCount(), before)
})

test('a client that only asks at once, as for the namespace of a pod, has one socket', () => {
  using host = new Host()
  const before = socketCount()
  using netlink = new Netlink(0, host.netns)
  listLinks(netlink)
  listRoutes(netlink)
  assert.equal(socketCount(), before + 1)
})

test('slow changes are carried out in order, each with its own outcome, and are known as our own', async () => {
  using host = new TestNetns()
  host.sh('for n in 1 2 3; do ip link add d$n type veth peer name p$n; done')
  using slow = new AsyncNetlink(host.netns)
  const heard: number[] = []
  using _watch = host.netns.run(() =>
    watchKernel(
      new Set([slow.portId]),
      (notification) => {
        if (notification.kind === 'address') heard.push(notification.deviceIndex)
      },
      (error) => assert.fail(String(error)),
    ),
  )
  const outcomes = await Promise.allSettled(
    ['d1', 'none', 'd2', 'd1'].map(async (name) => slow.execute(linkDelete(name))),
  )
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? 'done' : String(outcome.reason))),
    ['done', 'KernelError: ip link delete dev none: ENODEV', 'done', 'KernelError: ip link delete dev d1: ENODEV'],
  )
  await slow.execute(addressAdd({ index: 1, name: 'lo' }, Addr.parse('10.99.0.1'), 32))
  host.sh('ip addr add 10.99.0.2/32 dev d3')
  for (let turn = 0; turn < 500 && heard.length === 0; turn++) await sleep(10)
  using netlink = new Netlink(0, host.netns)
  assert.deepEqual(heard, [findLink(netlink, 'd3')!.index])
})

const counted = Array.from({ length: 600 }, (_, index) => Addr.parse(`10.0.${index >> 8}.${index & 255}`))

const table: NftTable = {
  family: 'inet',
  name: 'causeway-test',
  sets: [{ name: 'ends', type: 'ipv4_addr', interval: false, counter: true, elements: counted }],
  chains: [],
}

test('two who read counters at once, while a third reads the table and a fourth lists tables, all get what they asked for', async () => {
  using host = new TestNetns()
  using nftables = new NftClient(host.netns)
  nftables.replaceTable(table)
  const counters = [1, 2].map(async () => nftables.readTraffic('inet', table.name, 'ends'))
  const whole = nftables.readTable('inet', table.name)
  for (let turn = 0; turn < 5; turn++) {
    await setImmediate()
    assert.deepEqual(nftables.listTables(), [{ family: 'inet', name: table.name }])
  }
  for (const elements of await Promise.all(counters)) assert.equal(elements.length, counted.length)
  assert.equal((await whole)?.sets[0]?.ranges?.length, counted.length)
})
