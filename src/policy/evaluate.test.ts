import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { fieldsOf } from '#/model/kubernetes.ts'
import { type PolicyCluster, type PolicyView } from './cluster.ts'
import { evaluate, evaluateDirection, viewOf } from './evaluate.ts'
import { directions, type Policy, type PolicyRule } from './policy.ts'
import {
  type ClusterObjects,
  clusterOf,
  clusters,
  networkPolicies,
  nodes,
  severalPackets,
} from './testing/cluster-objects.ts'
import { oracleDenies } from './testing/oracle.ts'
import { type PolicyPacket } from './verdict.ts'

test('the evaluator says what the words of the APIs say', () => {
  const outcomes = new Map<string, number>()
  const agrees = fc.property(clusters, severalPackets, (objects, several) => {
    const view = viewOf(clusterOf(objects))
    for (const packet of several)
      for (const direction of directions) {
        const verdict = evaluateDirection(view, packet, direction)
        assert.equal(verdict.isDenied, oracleDenies(objects, packet, direction), JSON.stringify(verdict))
        const { decision } = verdict
        const outcome = decision.kind === 'rule' ? `${decision.tier} ${decision.action}` : decision.kind
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
  })
  fc.assert(agrees, { numRuns: 3_000 })
  const wanted = ['noPod', 'ownNode', 'itself', 'isolated', 'default', 'NetworkPolicy accept']
  const ofTiers = ['Admin', 'Baseline'].flatMap((tier) => [`${tier} accept`, `${tier} deny`])
  for (const outcome of [...wanted, ...ofTiers]) assert.ok((outcomes.get(outcome) ?? 0) > 20, `${outcome} is met often`)
})

const withPolicies = (cluster: PolicyCluster, policies: Iterable<Policy>): PolicyCluster => ({
  ...cluster,
  policies: new Map(Array.from(policies, (policy) => [policy.key, policy])),
})

test('one NetworkPolicy more allows no less where its pods were isolated before', () => {
  const holds = fc.property(clusters, networkPolicies, severalPackets, (objects, more, several) => {
    const before = viewOf(clusterOf(objects))
    const added: ClusterObjects = {
      ...objects,
      networkPolicies: [
        ...objects.networkPolicies,
        ...more.map(({ metadata, spec }) => ({ spec, metadata: { ...metadata, name: `more-${metadata.name}` } })),
      ],
    }
    const after = viewOf(clusterOf(added))
    for (const packet of several)
      for (const direction of directions) {
        const { decision, isDenied } = evaluateDirection(before, packet, direction)
        const isIsolated =
          decision.kind === 'isolated' || (decision.kind === 'rule' && decision.tier === 'NetworkPolicy')
        if (isIsolated && !isDenied) assert.equal(evaluateDirection(after, packet, direction).isDenied, false)
      }
  })
  fc.assert(holds, { numRuns: 500 })
})

test('the order in which policies come to be known changes nothing, not even which rule is named', () => {
  const holds = fc.property(clusters, severalPackets, (objects, several) => {
    const cluster = clusterOf(objects)
    const reversed = withPolicies(cluster, [...cluster.policies.values()].toReversed())
    for (const packet of several)
      assert.deepEqual(evaluate(viewOf(reversed), packet), evaluate(viewOf(cluster), packet))
  })
  fc.assert(holds, { numRuns: 500 })
})

test('a view without a memory of what selects a pod says the same', () => {
  const holds = fc.property(clusters, severalPackets, (objects, several) => {
    const { policiesOf: _, ...plain } = viewOf(clusterOf(objects))
    const view: PolicyView = plain
    for (const packet of several) assert.deepEqual(evaluate(view, packet), evaluate(viewOf(clusterOf(objects)), packet))
  })
  fc.assert(holds, { numRuns: 300 })
})

const everything = { namespaces: { kind: 'labels', selector: [] }, pods: [] } as const

function clusterPolicy(
  name: string,
  tier: 'Admin' | 'Baseline',
  priority: number,
  rule: Omit<PolicyRule, 'index'>,
): Policy {
  const rules = [{ index: 0, ...rule }]
  return {
    key: `clusternetworkpolicy/${name}`,
    tier,
    priority,
    subject: everything,
    rules: { ingress: rules, egress: rules },
  }
}

test('Pass in front of a tier is as if the tier were empty', () => {
  const holds = fc.property(
    clusters,
    severalPackets,
    fc.constantFrom('Admin', 'Baseline'),
    (objects, several, tier) => {
      const cluster = clusterOf(objects)
      const all = [...cluster.policies.values()]
      const pass = clusterPolicy('first', tier, -1, { action: 'pass', peers: 'any', ports: 'any' })
      const passed = viewOf(withPolicies(cluster, [...all, pass]))
      const without = viewOf(
        withPolicies(
          cluster,
          all.filter((policy) => policy.tier !== tier),
        ),
      )
      for (const packet of several) assert.deepEqual(evaluate(passed, packet), evaluate(without, packet))
    },
  )
  fc.assert(holds, { numRuns: 500 })
})

test('one Deny in front of the Admin tier ends everything but what comes from the own node', () => {
  const holds = fc.property(clusters, severalPackets, (objects, several) => {
    const cluster = clusterOf(objects)
    const deny = clusterPolicy('first', 'Admin', -1, { action: 'deny', peers: 'any', ports: 'any' })
    const view = viewOf(withPolicies(cluster, [...cluster.policies.values(), deny]))
    for (const packet of several)
      for (const direction of directions) {
        const { decision, isDenied } = evaluateDirection(view, packet, direction)
        assert.equal(isDenied, decision.kind !== 'noPod' && decision.kind !== 'ownNode')
      }
  })
  fc.assert(holds, { numRuns: 200 })
})

// x/client on n1, y/server on n2 with port web on TCP 8080
const base: ClusterObjects = {
  namespaces: ['x', 'y'].map((name) => ({ metadata: { name, labels: { 'kubernetes.io/metadata.name': name } } })),
  pods: [
    {
      metadata: { namespace: 'x', name: 'client', uid: '1', labels: { app: 'client' } },
      spec: { nodeName: 'n1', containers: [{}] },
      status: { phase: 'Running', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] },
    },
    {
      metadata: { namespace: 'y', name: 'server', uid: '2', labels: { app: 'server' } },
      spec: { nodeName: 'n2', containers: [{ ports: [{ name: 'web', containerPort: 8080 }] }] },
      status: { phase: 'Running', podIPs: [{ ip: '10.0.1.2' }, { ip: 'fd00::2' }] },
    },
  ],
  networkPolicies: [],
  clusterNetworkPolicies: [],
  nodes,
}

const toServer = (more: Partial<PolicyPacket> = {}): PolicyPacket => ({
  src: Addr.parse('10.0.0.1'),
  dst: Addr.parse('10.0.1.2'),
  protocol: 6,
  port: 8080,
  ...more,
})

const policy = (name: string, spec: Record<string, unknown>): ClusterObjects['networkPolicies'][number] => ({
  metadata: { namespace: 'y', name },
  spec,
})

test('a verdict names the pod, the policies that isolate it, and the rule that allows', () => {
  const isolated = viewOf(clusterOf({ ...base, networkPolicies: [policy('b', {}), policy('a', { ingress: [] })] }))
  assert.deepEqual(evaluate(isolated, toServer()), {
    egress: { direction: 'egress', pod: 'x/client', decision: { kind: 'default' }, isDenied: false, isAudited: false },
    ingress: {
      direction: 'ingress',
      pod: 'y/server',
      decision: { kind: 'isolated', by: ['networkpolicy/y/a', 'networkpolicy/y/b'] },
      isDenied: true,
      isAudited: false,
    },
    isDropped: true,
  })
  const web = policy('web', { ingress: [{ ports: [{ port: 81 }] }, { ports: [{ port: 'web' }] }] })
  const allowed = viewOf(clusterOf({ ...base, networkPolicies: [policy('b', {}), web] }))
  assert.deepEqual(evaluate(allowed, toServer()).ingress.decision, {
    kind: 'rule',
    tier: 'NetworkPolicy',
    rule: { policy: 'networkpolicy/y/web', direction: 'ingress', index: 1 },
    action: 'accept',
  })
  assert.equal(evaluate(allowed, toServer({ protocol: 17 })).isDropped, true, 'web is TCP')
  assert.equal(evaluate(allowed, toServer({ protocol: 1 })).isDropped, true, 'a rule with ports is not about ICMP')
})

test('what an audited namespace denies is told, and passes', () => {
  const namespaces = base.namespaces.map(({ metadata }) => ({
    metadata: {
      ...metadata,
      annotations: { 'causeway.dev/network-policy': metadata.name === 'y' ? 'audit' : 'other' },
    },
  }))
  const view = viewOf(clusterOf({ ...base, namespaces, networkPolicies: [policy('a', {})] }))
  const { ingress, isDropped } = evaluate(view, toServer())
  assert.deepEqual([ingress.isDenied, ingress.isAudited, isDropped], [true, true, false])
})

test('a packet whose port is not known goes to any port of its protocol only', () => {
  const view = (ports: unknown): PolicyView =>
    viewOf(clusterOf({ ...base, networkPolicies: [policy('a', { ingress: [{ ports }] })] }))
  const { port: _, ...packet } = toServer()
  assert.equal(evaluate(view([{ protocol: 'TCP' }]), packet).isDropped, false)
  assert.equal(evaluate(view([{ port: 1, endPort: 65_535 }]), packet).isDropped, true)
  assert.equal(evaluate(view([{ protocol: 'UDP' }]), packet).isDropped, true)
})

test('a NetworkPolicy cannot forbid a pod to itself, a ClusterNetworkPolicy can', () => {
  const toItself = toServer({ src: Addr.parse('10.0.1.2') })
  const isolated = clusterOf({ ...base, networkPolicies: [policy('a', { policyTypes: ['Ingress', 'Egress'] })] })
  const verdict = evaluate(viewOf(isolated), toItself)
  assert.deepEqual([verdict.egress.decision.kind, verdict.ingress.decision.kind], ['itself', 'itself'])
  const deny = clusterPolicy('deny', 'Admin', 0, { action: 'deny', peers: 'any', ports: 'any' })
  assert.equal(evaluate(viewOf(withPolicies(isolated, [deny])), toItself).isDropped, true)
})

test('the address of a pod that has ended is that of the one that has it now', () => {
  const [client, server] = base.pods
  const ended = {
    ...server!,
    metadata: { ...server!.metadata, name: 'ended', labels: {} },
    status: { ...fieldsOf(server!.status), phase: 'Failed' },
  }
  const view = viewOf(clusterOf({ ...base, pods: [client!, server!, ended] }))
  assert.equal(evaluate(view, toServer()).ingress.pod, 'y/server')
})
