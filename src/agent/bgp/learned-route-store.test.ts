import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type LearnedRouteChange } from '#/model/bgp.ts'
import { LearnedRouteStore } from './learned-route-store.ts'

function told(text: string, nextHop = '172.30.1.101'): LearnedRouteChange {
  const prefix = Prefix.parse(text)
  const nextHops = [{ addr: Addr.parse(nextHop) }]
  return { prefix, route: { prefix, nextHops, peers: ['tor'], isAllowed: false, isStale: false } }
}

const changesOf = (store: LearnedRouteStore): string[] =>
  store.takeChanges().map(({ prefix, route }) => `${prefix} ${route ? String(route.nextHops[0]!.addr) : 'gone'}`)

test('the last change of each prefix is told once', () => {
  const store = new LearnedRouteStore()
  store.take([told('10.244.2.0/24'), told('10.244.3.0/24'), told('10.244.2.0/24', '172.30.1.102')])
  assert.deepEqual([store.has('10.244.2.0/24'), store.isUntaken('10.244.2.0/24')], [true, true])
  assert.deepEqual(changesOf(store), ['10.244.2.0/24 172.30.1.102', '10.244.3.0/24 172.30.1.101'])
  assert.deepEqual(changesOf(store), [])
  assert.deepEqual([store.has('10.244.2.0/24'), store.isUntaken('10.244.2.0/24')], [true, false])
  store.clear()
  assert.deepEqual(changesOf(store), ['10.244.2.0/24 gone', '10.244.3.0/24 gone'])
  assert.equal(store.size, 0)
})

test('what a speaker that is gone had told stays until the next one has told all, and then only what that one told', () => {
  const store = new LearnedRouteStore()
  store.take([told('10.244.2.0/24'), told('10.244.3.0/24'), told('10.244.4.0/24')])
  store.becomeReady()
  store.takeChanges()
  store.beginAnew()
  assert.equal(store.size, 3)
  store.take([told('10.244.2.0/24'), { prefix: Prefix.parse('10.244.4.0/24'), route: undefined }])
  assert.deepEqual(changesOf(store), ['10.244.2.0/24 172.30.1.101', '10.244.4.0/24 gone'])
  store.becomeReady()
  assert.deepEqual(changesOf(store), ['10.244.3.0/24 gone'])
  assert.equal(store.size, 1)
  store.becomeReady()
  assert.deepEqual(changesOf(store), [])
})
