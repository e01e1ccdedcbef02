import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type Policy } from '#/policy/policy.ts'
import { PolicyIndex } from '#/policy/index/policy-index.ts'
import { readNetworkPolicy } from '#/policy/read-network-policy.ts'
import { readPolicyPod } from '#/policy/read-pod.ts'
import { podObject, policyObject } from './testing/policy-objects.ts'
import { touchedBy } from './touched.ts'

const fromClients = {
  podSelector: { matchLabels: { app: 'web' } },
  ingress: [{ from: [{ podSelector: { matchLabels: { role: 'client' } } }] }],
}

/** A node with a pod web at 10.244.1.2, and a client elsewhere at 10.244.2.2. */
class Cluster {
  readonly index = new PolicyIndex()

  constructor() {
    this.index.setNamespace({ name: 'shop', labels: {}, isAudited: false })
    this.pod('web', { app: 'web' }, '10.244.1.2')
    const addrs = [Addr.parse('10.244.1.2')]
    this.index.setLocal({ hostDevice: 'cwv1', namespace: 'shop', name: 'web', uid: 'uid of web', addrs })
    this.pod('client', { role: 'client' }, '10.244.2.2')
    this.policy(fromClients)
    this.touched()
  }

  pod(name: string, labels: Record<string, string>, addr: string): void {
    this.index.setPod(readPolicyPod(podObject(`shop/${name}`, { labels, uid: `uid of ${name}`, addrs: [addr] })))
  }

  policy(spec: Record<string, unknown>): void {
    this.index.setPolicy(readNetworkPolicy(policyObject('shop/web', spec)).policy as Policy)
  }

  touched(): Record<'locals' | 'peers', string[]> | undefined {
    const change = this.index.take()
    const touched = touchedBy(this.index.form, change)
    return touched && { locals: touched.locals.map(String), peers: touched.peers.map(String) }
  }
}

test('a peer that is no longer allowed is in question, one that comes is not', () => {
  const cluster = new Cluster()
  cluster.pod('other', { role: 'client' }, '10.244.2.3')
  assert.equal(cluster.touched(), undefined)
  cluster.pod('client', {}, '10.244.2.2')
  assert.deepEqual(cluster.touched(), { locals: [], peers: ['10.244.2.2'] })
})

test('rules that change put all connections of the pods that they are for in question', () => {
  const cluster = new Cluster()
  cluster.policy({ ...fromClients, ingress: [] })
  assert.deepEqual(cluster.touched(), { locals: ['10.244.1.2'], peers: [] })
})

test('a pod that gets another class is in question, one that gets none is not', () => {
  const cluster = new Cluster()
  cluster.pod('web', { app: 'other' }, '10.244.1.2')
  assert.equal(cluster.touched(), undefined)
  cluster.pod('web', { app: 'web' }, '10.244.1.2')
  assert.deepEqual(cluster.touched()?.locals, ['10.244.1.2'])
})

test('pods and policies that concern no pod of this node touch nothing', () => {
  const cluster = new Cluster()
  cluster.pod('far', { app: 'far' }, '10.244.2.9')
  cluster.index.setPolicy(
    readNetworkPolicy(policyObject('shop/far', { podSelector: { matchLabels: { app: 'far' } } })).policy!,
  )
  assert.equal(cluster.touched(), undefined)
})
