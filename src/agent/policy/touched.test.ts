import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type RuleAction, type Tier } from '#/policy/policy.ts'
import { PolicyIndex } from '#/policy/index/policy-index.ts'
import { readNetworkPolicy } from '#/policy/read-network-policy.ts'
import { readPolicyPod } from '#/policy/read-pod.ts'
import { podObject, policyObject } from './testing/policy-objects.ts'
import { ClassMemory } from './class-memory.ts'
import { touchedBy } from './touched.ts'

const fromClients = {
  podSelector: { matchLabels: { app: 'web' } },
  ingress: [{ from: [{ podSelector: { matchLabels: { role: 'client' } } }] }],
}

/** A node with a pod web at 10.244.1.2, and a client elsewhere at 10.244.2.2. */
class Cluster {
  readonly index = new PolicyIndex()
  readonly #before = new ClassMemory()

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

  policy(spec: Record<string, unknown>, name = 'web'): void {
    this.index.setPolicy(readNetworkPolicy(policyObject(`shop/${name}`, spec)).policy!)
  }

  /** A ClusterNetworkPolicy about all pods, whose one rule does this to what they receive. */
  clusterPolicy(
    name: string,
    action: RuleAction,
    { tier = 'Admin', priority = 0 }: { tier?: Tier; priority?: number } = {},
  ): void {
    const any = { kind: 'labels', selector: [] } as const
    this.index.setPolicy({
      key: `clusternetworkpolicy/${name}`,
      tier,
      priority,
      subject: { namespaces: any, pods: [] },
      rules: { ingress: [{ index: 0, action, peers: 'any', ports: 'any' }] },
    })
  }

  touched(): Record<'locals' | 'peers', string[]> | undefined {
    const change = this.index.take()
    const touched = touchedBy(this.index.form, change, this.#before)
    this.#before.note(this.index.form, change)
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

test('a rule that denies puts pods in question when it comes, not when it goes', () => {
  const cluster = new Cluster()
  cluster.clusterPolicy('gate', 'deny')
  assert.deepEqual(cluster.touched(), { locals: ['10.244.1.2'], peers: [] })
  cluster.index.removePolicy('clusternetworkpolicy/gate')
  assert.equal(cluster.touched(), undefined)
})

test('a rule that accepts puts pods in question when it goes, not when it comes', () => {
  const cluster = new Cluster()
  cluster.clusterPolicy('open', 'accept')
  assert.equal(cluster.touched(), undefined)
  cluster.index.removePolicy('clusternetworkpolicy/open')
  assert.deepEqual(cluster.touched()?.locals, ['10.244.1.2'])
})

test('a rule that passes may do either', () => {
  const cluster = new Cluster()
  cluster.clusterPolicy('on', 'pass')
  assert.ok(cluster.touched())
  cluster.index.removePolicy('clusternetworkpolicy/on')
  assert.ok(cluster.touched())
})

test('a rule that denies goes, and another one comes in its place', () => {
  const cluster = new Cluster()
  cluster.clusterPolicy('gate', 'deny')
  cluster.touched()
  cluster.index.removePolicy('clusternetworkpolicy/gate')
  cluster.clusterPolicy('other', 'deny')
  assert.ok(cluster.touched())
})

test('one more NetworkPolicy for a pod that has one allows more, and one less allows less', () => {
  const cluster = new Cluster()
  cluster.policy({ podSelector: {}, ingress: [] }, 'more')
  assert.equal(cluster.touched(), undefined)
  cluster.index.removePolicy('networkpolicy/shop/more')
  assert.deepEqual(cluster.touched()?.locals, ['10.244.1.2'])
})

test('the last NetworkPolicy goes: all is allowed, unless a policy of the tier Baseline is there', () => {
  const cluster = new Cluster()
  cluster.index.removePolicy('networkpolicy/shop/web')
  assert.equal(cluster.touched(), undefined)
  cluster.policy(fromClients)
  assert.ok(cluster.touched())
  cluster.clusterPolicy('base', 'deny', { tier: 'Baseline' })
  assert.equal(cluster.touched(), undefined, 'what is isolated does not come to it')
  cluster.index.removePolicy('networkpolicy/shop/web')
  assert.ok(cluster.touched())
})

test('policies that change their order put pods in question', () => {
  const cluster = new Cluster()
  cluster.clusterPolicy('open', 'accept', { priority: 1 })
  cluster.clusterPolicy('gate', 'deny', { priority: 2 })
  cluster.touched()
  cluster.clusterPolicy('gate', 'deny', { priority: 0 })
  assert.ok(cluster.touched())
})

test('a namespace that is not audited any more puts its pods in question', () => {
  const cluster = new Cluster()
  cluster.index.setNamespace({ name: 'shop', labels: {}, isAudited: true })
  assert.equal(cluster.touched(), undefined)
  cluster.index.setNamespace({ name: 'shop', labels: {}, isAudited: false })
  assert.deepEqual(cluster.touched()?.locals, ['10.244.1.2'])
})

test('a pod with another address is in question', () => {
  const cluster = new Cluster()
  const addrs = [Addr.parse('10.244.1.3')]
  cluster.index.setLocal({ hostDevice: 'cwv1', namespace: 'shop', name: 'web', uid: 'uid of web', addrs })
  assert.deepEqual(cluster.touched()?.locals, ['10.244.1.3'])
})

test('a pod that calls a port otherwise may lose connections with anybody', () => {
  const cluster = new Cluster()
  const named = (name: string): void => {
    const pod = { namespace: 'shop', name: 'web', uid: 'uid of web', node: 'this', labels: { app: 'web' } }
    const namedPorts = [{ name, protocol: 'TCP', port: 80 }] as const
    cluster.index.setPod({ ...pod, namedPorts, addrs: [], isHostNetwork: false, hasEnded: false })
  }
  named('http')
  cluster.policy({ podSelector: { matchLabels: { app: 'web' } }, ingress: [{ ports: [{ port: 'http' }] }] })
  cluster.touched()
  named('other')
  assert.deepEqual(cluster.touched()?.locals, ['10.244.1.2'])
})
