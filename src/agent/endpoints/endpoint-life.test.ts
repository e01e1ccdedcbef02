// How long a claim on an address holds: several CIDRs, cool-down, reboots.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type Claim, type Endpoint, EndpointStore, type Reservation } from './endpoint-store.ts'

class Machine implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'causeway-store-'))
  readonly file = join(this.path, 'endpoints.sqlite')
  bootId = 'first'
  sinceBootMs = 1_000_000
  nowMs = 0

  open(coolDownMs = 30_000): EndpointStore {
    const { bootId } = this
    const clock = { bootId, sinceBootMs: () => this.sinceBootMs, nowMs: () => this.nowMs }
    return new EndpointStore(this.file, { coolDownMs, clock })
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

function claim(number: number): Claim {
  return {
    containerId: `c${number}`,
    ifName: 'eth0',
    netns: '/x',
    pod: `p${number}`,
    hostDevice: `cwv${number}`,
    datapath: 'bridge',
  }
}

function prefixes(...texts: string[]): Prefix[] {
  return texts.map(Prefix.parse)
}

function given(reservation: Reservation): string {
  return reservation.kind === 'reserved' ? textOf(reservation.endpoint) : reservation.kind
}

function textOf({ addrs }: Endpoint): string {
  return addrs.map(({ addr, cidr }) => `${addr}@${cidr}`).join(' ')
}

test('of several CIDRs of a family the first with a free address serves; the family is exhausted only when all are full', () => {
  using machine = new Machine()
  using store = machine.open()
  const cidrs = prefixes('10.0.0.0/30', 'fd00::/64', '10.1.0.0/30', '10.2.0.0/31')
  assert.equal(given(store.reserve(claim(1), cidrs)), '10.0.0.2@10.0.0.0/30 fd00::2@fd00::/64')
  assert.equal(given(store.reserve(claim(2), cidrs)), '10.1.0.2@10.1.0.0/30 fd00::3@fd00::/64')
  assert.deepEqual(store.reserve(claim(3), cidrs), {
    kind: 'exhausted',
    cidrs: prefixes('10.0.0.0/30', '10.1.0.0/30', '10.2.0.0/31'),
  })
  assert.equal(store.usedIn(cidrs[1]!), 2)
})

test('an endpoint keeps its CIDR when the node gets another one', () => {
  using machine = new Machine()
  using store = machine.open()
  store.reserve(claim(1), prefixes('10.0.0.0/24'))
  store.reserve(claim(2), prefixes('10.9.0.0/24'))
  assert.deepEqual(store.list().map(textOf), ['10.0.0.2@10.0.0.0/24', '10.9.0.2@10.9.0.0/24'])
})

test('an address that no pod ever had need not rest', () => {
  using machine = new Machine()
  using store = machine.open()
  const cidrs = prefixes('10.0.0.0/29')
  for (let number = 0; number < 20; number++) {
    store.reserve(claim(number), cidrs)
    store.release(claim(number), true)
  }
  assert.deepEqual(store.resting(), [])
})

test('an address that was given back rests; it goes to another pod only when no other is free, the longest rested first', () => {
  using machine = new Machine()
  using store = machine.open()
  const cidrs = prefixes('10.0.0.0/29')
  for (let number = 2; number <= 5; number++) store.reserve(claim(number), cidrs)
  store.release(claim(4))
  machine.sinceBootMs += 1000
  store.release(claim(3))
  assert.equal(given(store.reserve(claim(6), cidrs)), '10.0.0.6@10.0.0.0/29')
  assert.deepEqual(
    store.resting().map(({ addr, pod, restedMs }) => `${addr} ${pod} ${restedMs}`),
    ['10.0.0.4 p4 1000', '10.0.0.3 p3 0'],
  )
  assert.equal(given(store.reserve(claim(7), cidrs)), '10.0.0.4@10.0.0.0/29')
  assert.equal(given(store.reserve(claim(8), cidrs)), '10.0.0.3@10.0.0.0/29')
})

test('cool-down goes by the time since boot, over restarts of the agent, whatever the wall clock does', () => {
  using machine = new Machine()
  const cidrs = prefixes('10.0.0.0/29')
  {
    using store = machine.open()
    store.reserve(claim(1), cidrs)
    store.release(claim(1))
  }
  machine.nowMs = 1e13
  machine.sinceBootMs += 29_999
  using store = machine.open()
  assert.equal(store.resting().length, 1)
  machine.nowMs = -1e13
  machine.sinceBootMs += 1
  assert.deepEqual(store.resting(), [])
})

test('after a reboot an address has rested at least as long as the machine runs', () => {
  using machine = new Machine()
  {
    using store = machine.open()
    store.reserve(claim(1), prefixes('10.0.0.0/29'))
    store.release(claim(1))
  }
  machine.bootId = 'second'
  machine.sinceBootMs = 12_000
  using store = machine.open()
  assert.deepEqual(
    store.resting().map(({ restedMs }) => restedMs),
    [12_000],
  )
  machine.sinceBootMs = 30_000
  assert.deepEqual(store.resting(), [])
})

test('endpoints of an earlier boot are released at start, those of this one are not', () => {
  using machine = new Machine()
  const cidrs = prefixes('10.0.0.0/29', 'fd00::/64')
  {
    using store = machine.open()
    store.reserve(claim(1), cidrs)
    store.reserve(claim(2), cidrs)
    assert.deepEqual(store.releaseEarlierBoots(), [])
  }
  machine.bootId = 'second'
  machine.sinceBootMs = 5000
  using store = machine.open()
  store.reserve(claim(3), cidrs)
  assert.deepEqual(
    store.releaseEarlierBoots().map(({ pod }) => pod),
    ['p1', 'p2'],
  )
  assert.deepEqual(
    store.list().map(({ pod }) => pod),
    ['p3'],
  )
  assert.deepEqual([...new Set(store.resting().map(({ restedMs }) => restedMs))], [5000])
})

test('a requested address is given although it rests; a requested MAC is given to one pod only', () => {
  using machine = new Machine()
  using store = machine.open()
  const cidrs = prefixes('10.0.0.0/29')
  const mac = '02:00:00:00:00:01'
  store.reserve(claim(1), cidrs)
  store.release(claim(1))
  const wanted = { ...claim(2), requested: [Addr.parse('10.0.0.2')], mac }
  assert.equal(given(store.reserve(wanted, cidrs)), '10.0.0.2@10.0.0.0/29')
  assert.equal(store.find(claim(2))!.mac, mac)
  assert.deepEqual(store.reserve({ ...claim(3), mac }, cidrs), { kind: 'taken', what: `MAC ${mac}`, pod: 'p2' })
  assert.equal(store.list().length, 1)
})

test('a second try of one attachment gets the same addresses', () => {
  using machine = new Machine()
  using store = machine.open()
  const cidrs = prefixes('10.0.0.0/29', 'fd00::/64')
  const first = given(store.reserve(claim(1), cidrs))
  assert.equal(given(store.reserve(claim(1), cidrs)), first)
  assert.deepEqual(store.resting(), [])
  // and others once those do not fit any more
  assert.equal(given(store.reserve(claim(1), prefixes('10.3.0.0/24'))), '10.3.0.2@10.3.0.0/24')
})
