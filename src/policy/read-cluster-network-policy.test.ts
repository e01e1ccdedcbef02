import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { evaluateDirection, viewOf } from './evaluate.ts'
import { directions, type PolicyReading, type PolicyRule } from './policy.ts'
import { readClusterNetworkPolicy } from './read-cluster-network-policy.ts'
import { clusterOf, clusters, severalPackets, type SpecObject } from './testing/cluster-objects.ts'
import { spoiledRules, spoilers } from './testing/spoil.ts'

const read = (spec: unknown): PolicyReading =>
  readClusterNetworkPolicy({ metadata: { name: 'guard' }, spec } as SpecObject)

const head = { tier: 'Admin', priority: 7, subject: { namespaces: {} } }
const everywhere = { kind: 'labels', selector: [] } as const
const allPods = { kind: 'pods', namespaces: everywhere, pods: [] } as const

function ruleOf(direction: 'ingress' | 'egress', rule: unknown): PolicyRule {
  const { policy, faults } = read({ ...head, [direction]: [rule] })
  assert.deepEqual(faults, [])
  assert.deepEqual(Object.keys(policy!.rules), [direction])
  return policy!.rules[direction]![0]!
}

test('tier, priority, subject and rules are read', () => {
  const podSelector = { matchLabels: { app: 'a' } }
  const { policy, faults } = read({
    tier: 'Baseline',
    priority: 0,
    subject: { pods: { namespaceSelector: {}, podSelector } },
    ingress: [{ name: 'first', action: 'Accept', from: [{ namespaces: {} }] }],
    egress: [],
  })
  assert.deepEqual(faults, [])
  assert.deepEqual(policy, {
    key: 'clusternetworkpolicy/guard',
    tier: 'Baseline',
    priority: 0,
    subject: { namespaces: everywhere, pods: [{ key: 'app', operator: 'In', values: ['a'] }] },
    rules: { ingress: [{ index: 0, name: 'first', action: 'accept', peers: [allPods], ports: 'any' }] },
  })
})

test('peers and protocols of rules are read', () => {
  const rule = (peer: unknown, protocol?: unknown): PolicyRule =>
    ruleOf('egress', { action: 'Deny', to: [peer], ...(protocol !== undefined && { protocols: [protocol] }) })
  assert.equal(
    JSON.stringify(rule({ networks: ['10.1.2.3/8', '::/0'] }).peers),
    '[{"kind":"block","cidr":"10.0.0.0/8","except":[]},{"kind":"block","cidr":"::/0","except":[]}]',
  )
  assert.deepEqual(rule({ pods: { namespaceSelector: {}, podSelector: {} } }).peers, [allPods])
  assert.deepEqual(rule({ pods: { podSelector: {} } }).peers, [allPods], 'no namespaceSelector means all namespaces')
  const portOf = (protocol: unknown): unknown => rule({ namespaces: {} }, protocol).ports
  assert.deepEqual(portOf({ tcp: { destinationPort: { number: 80 } } }), [
    { kind: 'range', protocol: 'TCP', first: 80, last: 80 },
  ])
  assert.deepEqual(portOf({ udp: { destinationPort: { range: { start: 1, end: 9 } } } }), [
    { kind: 'range', protocol: 'UDP', first: 1, last: 9 },
  ])
  assert.deepEqual(portOf({ sctp: {} }), [{ kind: 'range', protocol: 'SCTP', first: 0, last: 65_535 }])
  assert.deepEqual(portOf({ destinationNamedPort: 'web' }), [{ kind: 'name', name: 'web' }])
  assert.equal(rule({ namespaces: {} }).ports, 'any')
})

test('a rule that cannot be read fails closed: Accept matches nothing, Deny and Pass deny everything', () => {
  const from = (peer: unknown): object => ({ from: [peer] })
  const port = (protocol: unknown): object => ({ from: [{ namespaces: {} }], protocols: [protocol] })
  const cases: [object, string, string][] = [
    [{}, 'from', 'has no peer'],
    [{ from: [] }, 'from', 'has no peer'],
    [{ from: {} }, 'from', '{} is no list'],
    [{ from: [{ namespaces: {} }], ports: [] }, 'ports', '[]: no field that is known here'],
    [{ from: [{ namespaces: {} }], protocols: [] }, 'protocols', 'is empty'],
    [from({}), 'from[0]', 'must have exactly one of namespaces, pods'],
    [from({ namespaces: {}, pods: {} }), 'from[0]', 'must have exactly one of namespaces, pods'],
    [from({ nodes: {} }), 'from[0].nodes', 'peers of this kind are not supported'],
    [from({ domainNames: ['a.b'] }), 'from[0].domainNames', 'peers of this kind are not supported'],
    [from({ networks: ['10.0.0.0/8'] }), 'from[0].networks', '["10.0.0.0/8"]: no field that is known here'],
    [from({ namespaces: { matchLabels: { a: 1 } } }), 'from[0].namespaces', 'matchLabels[a] is no text'],
    [from({ pods: { namespaceSelector: {} } }), 'from[0].pods.podSelector', 'undefined is no mapping'],
    [port({}), 'protocols[0]', 'must have exactly one of tcp, udp, sctp, destinationNamedPort'],
    [port({ icmp: {} }), 'protocols[0].icmp', '{}: no field that is known here'],
    [
      port({ destinationNamedPort: '80' }),
      'protocols[0].destinationNamedPort',
      '"80": no container can call its port so',
    ],
    [port({ tcp: { sourcePort: 1 } }), 'protocols[0].tcp.sourcePort', '1: no field that is known here'],
    [
      port({ tcp: { destinationPort: {} } }),
      'protocols[0].tcp.destinationPort',
      'must have exactly one of number, range',
    ],
    [
      port({ tcp: { destinationPort: { number: 65_536 } } }),
      'protocols[0].tcp.destinationPort.number',
      '65536: expected a whole number from 1 to 65535',
    ],
    [
      port({ tcp: { destinationPort: { range: { start: 2, end: 1 } } } }),
      'protocols[0].tcp.destinationPort.range.end',
      '1 is lower than start, which is 2',
    ],
  ]
  for (const [fields, field, why] of cases)
    for (const action of ['Accept', 'Deny', 'Pass']) {
      const { policy, faults } = read({ ...head, ingress: [{ action, ...fields }] })
      const isAccept = action === 'Accept'
      const meaning = isAccept ? 'this rule matches nothing' : 'this rule denies all ingress'
      assert.deepEqual(faults, [{ field: `spec.ingress[0].${field}`, why: `${why}; ${meaning}` }])
      assert.deepEqual(policy!.rules.ingress, [
        isAccept
          ? { index: 0, action: 'accept', peers: [], ports: 'any' }
          : { index: 0, action: 'deny', peers: 'any', ports: 'any' },
      ])
    }
})

test('egress to networks that cannot be read fails closed too', () => {
  for (const [networks, field, why] of [
    [[], 'networks', 'has no network'],
    ['10.0.0.0/8', 'networks', '"10.0.0.0/8" is no list'],
    [['10.0.0.0/8', '::ffff:10.0.0.0/104'], 'networks[1]', '"::ffff:10.0.0.0/104" is IPv4 written as IPv6'],
    [['10.0.0.0'], 'networks[0]', '"10.0.0.0" is no CIDR'],
  ] as const) {
    const { policy, faults } = read({ ...head, egress: [{ action: 'Accept', to: [{ networks }] }] })
    assert.equal(faults[0]!.field, `spec.egress[0].to[0].${field}`)
    assert.equal(faults[0]!.why, `${why}; this rule matches nothing`)
    assert.deepEqual(policy!.rules.egress![0]!.peers, [])
  }
})

test('what is no rule, or has another action, denies everything of its direction', () => {
  for (const [egress, field, why] of [
    ['none', 'spec.egress', '"none" is no list; all egress is denied'],
    [[3], 'spec.egress[0]', '3 is no mapping; this rule denies all egress'],
    [
      [{ action: 'Log', to: [{ namespaces: {} }] }],
      'spec.egress[0].action',
      '"Log": expected one of Accept, Deny, Pass; this rule denies all egress',
    ],
  ] as const) {
    const { policy, faults } = read({ ...head, egress })
    assert.deepEqual(faults, [{ field, why }])
    assert.deepEqual(policy!.rules, { egress: [{ index: 0, action: 'deny', peers: 'any', ports: 'any' }] })
  }
})

test('a policy whose place or subject cannot be known is not enforced', () => {
  const rules = { ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }] }
  for (const [spec, field, why] of [
    [undefined, 'spec', 'undefined is no mapping'],
    [{ ...head, ...rules, tier: 'Middle' }, 'spec.tier', '"Middle": expected Admin or Baseline'],
    [{ ...head, ...rules, priority: '1' }, 'spec.priority', '"1": expected a whole number'],
    [{ ...head, ...rules, subject: {} }, 'spec.subject', 'must have exactly one of namespaces, pods'],
    [{ ...head, ...rules, subject: { nodes: {} } }, 'spec.subject.nodes', '{}: no field that is known here'],
  ] as const)
    assert.deepEqual(read(spec), { faults: [{ field, why: `${why}; the policy is not enforced` }] })
})

test('no JSON makes the reader throw', () => {
  const never = fc.property(fc.jsonValue(), fc.jsonValue(), (spec, rules) => {
    read(spec)
    read({ ...head, ingress: rules, egress: [rules] })
  })
  fc.assert(never, { numRuns: 1_000 })
})

test('a rule that is spoiled lets nothing through that was denied before', () => {
  let faulty = 0
  const closed = fc.property(clusters, spoilers, severalPackets, (objects, spoil, several) => {
    const [first, ...others] = objects.clusterNetworkPolicies
    if (first === undefined) return
    const broken = { ...first, spec: { ...first.spec, ...spoiledRules(first, spoil) } }
    if (readClusterNetworkPolicy(broken).faults.length === 0) return
    faulty++
    const before = viewOf(clusterOf(objects))
    const after = viewOf(clusterOf({ ...objects, clusterNetworkPolicies: [broken, ...others] }))
    for (const packet of several)
      for (const direction of directions)
        if (evaluateDirection(before, packet, direction).isDenied)
          assert.ok(evaluateDirection(after, packet, direction).isDenied)
  })
  fc.assert(closed, { numRuns: 2_000 })
  assert.ok(faulty > 400, `${faulty} were faulty`)
})
