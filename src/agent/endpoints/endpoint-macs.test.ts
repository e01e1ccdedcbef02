// No two pods of a node have one MAC: a bridge would send the frames of both to whichever spoke last.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { podMac } from '#/model/names.ts'
import { type Claim, EndpointStore, type Reservation } from './endpoint-store.ts'

const cidrs = [Prefix.parse('10.0.0.0/28')]

function claim(number: number, mac?: string): Claim {
  const attachment = { containerId: `c${number}`, ifName: 'eth0', netns: '/x', pod: `p${number}` }
  return { ...attachment, hostDevice: `cwv${number}`, datapath: 'bridge', ...(mac !== undefined && { mac }) }
}

function macOf(reservation: Reservation): string {
  return reservation.kind === 'reserved' ? reservation.endpoint.mac : JSON.stringify(reservation)
}

class Stored implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'causeway-macs-'))

  open(): EndpointStore {
    return new EndpointStore(join(this.#folder, 'endpoints.sqlite'), { coolDownMs: 0 })
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

test('a pod whose derived MAC another pod requested before gets the next of its series, for as long as it lives', () => {
  using stored = new Stored()
  const [usual, next] = [0, 1].map((attempt) => podMac(Addr.parse('10.0.0.3'), attempt))
  {
    using store = stored.open()
    assert.notEqual(next, usual)
    assert.equal(macOf(store.reserve(claim(1, usual), cidrs)), usual)
    assert.equal(macOf(store.reserve(claim(2), cidrs)), next)
    store.release(claim(1))
  }
  using store = stored.open()
  assert.equal(store.find(claim(2))!.mac, next)
})

test('a requested MAC that was derived for a running pod is refused with the name of that pod', () => {
  using stored = new Stored()
  using store = stored.open()
  const mac = macOf(store.reserve(claim(1), cidrs))
  assert.equal(mac, '0a:58:0a:00:00:02')
  assert.deepEqual(store.reserve(claim(2, mac), cidrs), { kind: 'taken', what: `MAC ${mac}`, pod: 'p1' })
  // its own one a pod may request at a second attempt
  assert.equal(macOf(store.reserve(claim(1, mac), cidrs)), mac)
})

test('whatever pods come, go and request, no two running pods have the same MAC', () => {
  const addrs = Array.from({ length: 16 }, (_, offset) => cidrs[0]!.addr.plus(offset))
  // close to what is derived, so that requests and derived ones do meet
  const mac = fc.tuple(fc.constantFrom(...addrs), fc.nat(2)).map(([addr, attempt]) => podMac(addr, attempt))
  const step = fc.record({
    number: fc.nat(8),
    kind: fc.constantFrom('add', 'add', 'del'),
    mac: fc.option(mac, { nil: undefined }),
  })
  fc.assert(
    fc.property(fc.array(step, { minLength: 2, maxLength: 25 }), (steps) => {
      using stored = new Stored()
      using store = stored.open()
      for (const { number, kind, mac: asked } of steps) {
        if (kind === 'del') store.release(claim(number))
        else {
          const reservation = store.reserve(claim(number, asked), cidrs)
          if (reservation.kind === 'taken') assert.ok(asked !== undefined, 'a derived MAC is never a reason to refuse')
          if (reservation.kind === 'reserved' && asked !== undefined) assert.equal(reservation.endpoint.mac, asked)
        }
        const living = store.list()
        assert.equal(new Set(living.map((endpoint) => endpoint.mac)).size, living.length)
      }
    }),
    { numRuns: 40 },
  )
})
