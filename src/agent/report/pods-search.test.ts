import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type PolicyPod } from '#/policy/cluster.ts'
import { podsNamed } from './pods-search.ts'

function pod(namespace: string, name: string, more: Partial<PolicyPod> = {}): [string, PolicyPod] {
  const common = { uid: name, node: 'node-1', labels: {}, namedPorts: [], isHostNetwork: false, hasEnded: false }
  return [`${namespace}/${name}`, { namespace, name, addrs: [Addr.parse('10.244.1.2')], ...common, ...more }]
}

const named = (q: string | undefined, ...pods: readonly [string, PolicyPod][]): readonly string[] =>
  podsNamed('node-1', { pods: new Map(pods) }, q === undefined ? {} : { q }).pods.map((each) => each.pod)

test('pods are found by any part of their names, those that begin with it first', () => {
  const all = [pod('shop', 'my-web-1'), pod('web', 'db-1'), pod('default', 'web-2'), pod('default', 'db-1')]
  assert.deepEqual(named('WEB', ...all), ['default/web-2', 'web/db-1', 'shop/my-web-1'])
  assert.deepEqual(named('default/d', ...all), ['default/db-1'])
  assert.equal(named(undefined, ...all).length, 4)
  assert.deepEqual(named('nothing', ...all), [])
})

test('a pod without a network of its own, or without an address, is none', () => {
  const others = [
    pod('a', 'host', { isHostNetwork: true }),
    pod('a', 'done', { hasEnded: true }),
    pod('a', 'new', { addrs: [] }),
    pod('a', 'unbound', { node: '' }),
  ]
  assert.deepEqual(named('', ...others, pod('a', 'there')), ['a/there'])
})

test('of more than fifty the first are told, and how many others there are', () => {
  const pods = new Map(Array.from({ length: 70 }, (_, index) => pod('a', `p-${index}`)))
  const { pods: told, more } = podsNamed('node-1', { pods }, { q: 'p' })
  assert.deepEqual([told.length, more], [50, 20])
})
