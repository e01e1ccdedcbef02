import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { type KubeObject, type Pod } from '#/model/kubernetes.ts'
import { resultOf } from '#/lib/steps.ts'
import { allowedPorts } from './allowed-ports.ts'
import { type PolicyView } from './cluster.ts'
import { evaluate, viewOf } from './evaluate.ts'
import { explain } from './explain.ts'
import { directions, tiers } from './policy.ts'
import { applied } from './testing/apply.ts'
import {
  type ClusterObjects,
  clusterOf,
  clusters,
  nodes,
  packets,
  severalPackets,
  type SpecObject,
} from './testing/cluster-objects.ts'
import { type PolicyPacket } from './verdict.ts'

/** As the API server stores them: it writes out the default of policyTypes. */
function stored(objects: ClusterObjects): ClusterObjects {
  const typesOf = ({ policyTypes, egress }: SpecObject['spec']): unknown => {
    if (Array.isArray(policyTypes) && policyTypes.length > 0) return policyTypes
    return Array.isArray(egress) && egress.length > 0 ? ['Ingress', 'Egress'] : ['Ingress']
  }
  const networkPolicies = objects.networkPolicies.map((policy) => ({
    ...policy,
    spec: { ...policy.spec, policyTypes: typesOf(policy.spec) },
  }))
  return { ...objects, networkPolicies }
}

test('an explanation has the verdict, and each change that it offers turns it round when a user makes it', () => {
  const offered = new Map<string, number>()
  const holds = fc.property(clusters.map(stored), severalPackets, (objects, several) => {
    const view = viewOf(clusterOf(objects))
    for (const packet of several) {
      const explanation = explain(view, packet)
      const verdict = evaluate(view, packet)
      assert.deepEqual(JSON.parse(JSON.stringify(explanation)), explanation, 'JSON carries it')
      assert.equal(explanation.isDropped, verdict.isDropped)
      for (const direction of directions) {
        const { decision, isDenied, changes } = explanation[direction]
        assert.deepEqual(decision, verdict[direction].decision)
        if (isDenied) assert.ok(changes.length > 0, 'there is always a way')
        for (const change of changes) {
          const after = evaluate(viewOf(clusterOf(applied(objects, change))), packet)
          assert.equal(after[direction].isDenied, !isDenied, change.what)
          const kind = /^(change label|\w+ label|add (?=TCP|UDP|SCTP)|remove (?=spec)|\w+ an? \w+)/.exec(
            change.what,
          )![0]
          offered.set(kind, (offered.get(kind) ?? 0) + 1)
        }
      }
    }
  })
  fc.assert(holds, { numRuns: 300 })
  // labels that do it are rarer
  const often = ['add ', 'remove ', 'add a rule', 'apply a NetworkPolicy', 'apply a ClusterNetworkPolicy']
  for (const kind of [...often, 'insert a Pass', 'insert an Accept', 'insert a Deny'])
    assert.ok((offered.get(kind) ?? 0) > 5, `${kind}: ${offered.get(kind)}`)
})

test('what is said of policies and rules is what decided', () => {
  const holds = fc.property(clusters, severalPackets, (objects, several) => {
    const view = viewOf(clusterOf(objects))
    for (const packet of several) {
      const explanation = explain(view, packet)
      for (const direction of directions) {
        const { policies, decision } = explanation[direction]
        const rules = policies.flatMap((policy) => policy.rules)
        for (const { peers, ports, isMatch } of rules)
          assert.equal(
            [peers, ports].every((checks) => checks.some((check) => check.isMatch)),
            isMatch,
          )
        const matches = rules.filter(({ isAsked, isMatch }) => isAsked && isMatch)
        const deciding = matches.find(({ action }) => action !== 'pass')
        assert.ok(matches.length <= tiers.length, 'one match ends a tier')
        if (decision.kind === 'rule')
          assert.deepEqual([deciding!.rule, deciding!.action], [decision.rule, decision.action])
        else assert.equal(deciding, undefined)
      }
    }
  })
  fc.assert(holds, { numRuns: 500 })
})

test('the ports that are allowed are those on which the evaluator lets packets through', () => {
  const holds = fc.property(clusters, packets, (objects, packet) => {
    const view = viewOf(clusterOf(objects))
    const ranges = resultOf(allowedPorts(view, packet))
    for (const [protocol, number] of [['TCP', 6] as const, ['UDP', 17] as const, ['SCTP', 132] as const])
      for (const port of [1, 78, 79, 80, 81, 82, 83, 443, 444, 65_535])
        assert.equal(
          ranges.some((range) => range.protocol === protocol && range.first <= port && port <= range.last),
          !evaluate(view, { ...packet, protocol: number, port }).isDropped,
        )
  })
  fc.assert(holds, { numRuns: 300 })
})

const namespace = (name: string, labels: object): KubeObject => ({
  metadata: { name, labels: { 'kubernetes.io/metadata.name': name, ...labels } },
})

const pod = (path: string, ip: string, labels: object, ports: object[] = []): Pod => {
  const [inNamespace = '', name = ''] = path.split('/')
  return {
    metadata: { namespace: inNamespace, name, labels },
    spec: { nodeName: 'n1', containers: [{ ports }] },
    status: { phase: 'Running', podIPs: [{ ip }] },
  }
}

const shop: ClusterObjects = {
  namespaces: [namespace('shop', { team: 'front' }), namespace('db', {})],
  pods: [
    pod('shop/web', '10.0.0.1', { app: 'web', 'pod-template-hash': 'f00' }),
    pod('db/pg', '10.0.1.1', { app: 'pg' }, [{ name: 'sql', containerPort: 5432 }]),
  ],
  networkPolicies: [
    {
      metadata: { namespace: 'db', name: 'clients' },
      spec: {
        podSelector: { matchLabels: { app: 'pg' } },
        policyTypes: ['Ingress'],
        ingress: [
          {
            from: [
              {
                namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'In', values: ['front', 'back'] }] },
                podSelector: { matchLabels: { role: 'client' } },
              },
              { podSelector: {} },
              { ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/24'] } },
            ],
            ports: [{ port: 'sql' }, { port: 80, endPort: 90 }, { protocol: 'UDP' }],
          },
        ],
      },
    },
  ],
  clusterNetworkPolicies: [],
  nodes,
}

const toDatabase: PolicyPacket = { src: Addr.parse('10.0.0.1'), dst: Addr.parse('10.0.1.1'), protocol: 6, port: 5432 }
const view = (objects: Partial<ClusterObjects> = {}): PolicyView => viewOf(clusterOf({ ...shop, ...objects }))

test('of many blocks those that the address is in are told first', () => {
  const blocks = ['10.9.0.0/16', '10.8.0.0/16', '10.7.0.0/16'].map((cidr) => ({ ipBlock: { cidr } }))
  const from = [...blocks, { ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/24'] } }]
  const isolating = {
    metadata: { namespace: 'db', name: 'blocks' },
    spec: { podSelector: {}, policyTypes: ['Ingress'], ingress: [{ from }] },
  }
  const { ingress } = explain(view({ networkPolicies: [isolating] }), toDatabase)
  const texts = ingress.policies[0]!.rules[0]!.peers.map(({ text }) => text)
  assert.equal(texts.length, 4)
  assert.equal(texts[0], 'ipBlock 10.0.0.0/8 excepts 10.0.0.0/24, which has 10.0.0.1')
  assert.equal(texts[1], 'ipBlock 10.9.0.0/16 does not have 10.0.0.1')
})

test('a denial is explained in words, peer by peer and port by port', () => {
  const { from, egress, ingress, isDropped } = explain(view(), toDatabase)
  assert.equal(isDropped, true)
  assert.deepEqual(from, {
    addr: '10.0.0.1',
    pod: 'shop/web',
    labels: { app: 'web', 'pod-template-hash': 'f00' },
    namespaceLabels: { 'kubernetes.io/metadata.name': 'shop', team: 'front' },
  })
  assert.deepEqual([egress.text, egress.policies, egress.changes], ['no policy decides', [], []])
  assert.equal(ingress.text, 'networkpolicy/db/clients selects db/pg for ingress, and no rule allows this')
  const [rule] = ingress.policies[0]!.rules
  assert.deepEqual(
    rule!.peers.map(({ text }) => text),
    [
      'podSelector role=client does not match pod shop/web (app=web,pod-template-hash=f00)',
      'all pods in namespace db: shop/web is in another namespace',
      'ipBlock 10.0.0.0/8 excepts 10.0.0.0/24, which has 10.0.0.1',
    ],
  )
  assert.deepEqual(rule!.ports, [
    { isMatch: true, text: 'port sql (TCP): db/pg calls TCP 5432 so' },
    { isMatch: false, text: 'TCP 80-90 is not TCP 5432' },
    { isMatch: false, text: 'any port of UDP is not TCP 5432' },
  ])
})

test('a peer in another namespace is told with the labels of its namespace', () => {
  const namespaces = [namespace('shop', {}), namespace('db', {})]
  const { ingress } = explain(view({ namespaces }), toDatabase)
  assert.equal(
    ingress.policies[0]!.rules[0]!.peers[0]!.text,
    'namespaceSelector team in (front,back) does not match namespace shop (kubernetes.io/metadata.name=shop); ' +
      'podSelector role=client does not match pod shop/web (app=web,pod-template-hash=f00)',
  )
})

test('the smallest changes that allow are a label, then a rule; labels of one rollout are in no rule', () => {
  assert.deepEqual(explain(view(), toDatabase).ingress.changes, [
    {
      what: 'add label role=client to pod shop/web',
      note: 'a controller makes its pods from a template: change the label there too',
      command: 'kubectl label pod web -n shop --overwrite role=client',
    },
    {
      what: 'add a rule to spec.ingress of networkpolicy/db/clients',
      note: 'it means all pods that have these labels',
      command:
        'kubectl patch networkpolicy clients -n db --type=json -p ' +
        `'[{"op":"add","path":"/spec/ingress/-","value":{"from":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"shop"}},` +
        `"podSelector":{"matchLabels":{"app":"web"}}}],"ports":[{"protocol":"TCP","port":5432}]}}]'`,
      yaml: `- from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: shop
      podSelector:
        matchLabels:
          app: web
  ports:
    - protocol: TCP
      port: 5432
`,
    },
  ])
})

test('labels are added, changed and removed, of the pod before the namespace', () => {
  const allowing = (from: object): ClusterObjects => ({
    ...shop,
    networkPolicies: [
      { metadata: { namespace: 'db', name: 'p' }, spec: { policyTypes: ['Ingress'], ingress: [{ from: [from] }] } },
    ],
  })
  const notWeb = { key: 'app', operator: 'NotIn', values: ['web'] }
  const noApp = { matchExpressions: [notWeb, { key: 'app', operator: 'DoesNotExist' }] }
  const cases: [object, string, string][] = [
    [
      { namespaceSelector: {}, podSelector: { matchLabels: { app: 'api' } } },
      'change label app of pod shop/web from web to api',
      'kubectl label pod web -n shop --overwrite app=api',
    ],
    [
      { namespaceSelector: {}, podSelector: noApp },
      'remove label app from pod shop/web',
      'kubectl label pod web -n shop --overwrite app-',
    ],
    [
      { namespaceSelector: { matchLabels: { tier: 'one' } }, podSelector: { matchLabels: { role: 'client' } } },
      'add label role=client to pod shop/web, and add label tier=one to namespace shop',
      'kubectl label pod web -n shop --overwrite role=client && kubectl label namespace shop --overwrite tier=one',
    ],
  ]
  for (const [from, what, command] of cases) {
    const objects = allowing(from)
    const { changes } = explain(viewOf(clusterOf(objects)), toDatabase).ingress
    const change = changes.find((each) => each.what === what)
    assert.equal(change?.command, command)
    assert.equal(evaluate(viewOf(clusterOf(applied(objects, change))), toDatabase).isDropped, false)
  }
  const { changes } = explain(view(), { ...toDatabase, src: Addr.parse('10.0.0.1'), port: 85 }).ingress
  assert.equal(changes[0]!.what, 'add label role=client to pod shop/web')
  const namedElsewhere = allowing({ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'db' } } })
  assert.deepEqual(
    explain(viewOf(clusterOf(namedElsewhere)), toDatabase).ingress.changes.map(({ what }) => what),
    ['add a rule to spec.ingress of networkpolicy/db/p'],
    'the name of a namespace is no label to change',
  )
})

test('where no policy is, policies to apply are offered, the one that denies least first', () => {
  const { egress, ingress } = explain(view({ networkPolicies: [] }), toDatabase)
  assert.deepEqual(
    egress.changes.map(({ what }) => what),
    ['apply a ClusterNetworkPolicy', 'apply a NetworkPolicy'],
  )
  assert.equal(
    ingress.changes[1]!.yaml,
    `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: ingress-of-pg
  namespace: db
spec:
  podSelector:
    matchLabels:
      app: pg
  policyTypes:
    - Ingress
`,
  )
})

test('a name that is taken is not offered', () => {
  const taken = {
    metadata: { namespace: 'db', name: 'ingress-of-pg' },
    spec: { podSelector: { matchLabels: { app: 'x' } } },
  }
  const { ingress } = explain(view({ networkPolicies: [taken] }), toDatabase)
  assert.match(ingress.changes[1]!.yaml!, /name: ingress-of-pg-2\n/)
})
