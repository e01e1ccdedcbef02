import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type KubeObject } from '#/model/kubernetes.ts'
import { evaluateDirection, viewOf } from './evaluate.ts'
import { directions, type PolicyReading, type PolicyRule } from './policy.ts'
import { readNetworkPolicy } from './read-network-policy.ts'
import { clusterOf, clusters, severalPackets } from './testing/cluster-objects.ts'
import { spoiledRules, spoilers } from './testing/spoil.ts'

const policyOf = (spec: unknown): KubeObject & { readonly spec: unknown } => ({
  metadata: { namespace: 'shop', name: 'db' },
  spec,
})
const read = (spec: unknown): PolicyReading => readNetworkPolicy(policyOf(spec))

function rulesOf(spec: unknown): NonNullable<PolicyReading['policy']>['rules'] {
  const { policy, faults } = read(spec)
  assert.deepEqual(faults, [])
  assert.ok(policy)
  return policy.rules
}

const rule = (fields: Partial<PolicyRule> = {}): PolicyRule => ({
  index: 0,
  action: 'accept',
  peers: 'any',
  ports: 'any',
  ...fields,
})

test('defaults are filled in as the API says', () => {
  const { policy, faults } = read(undefined)
  assert.deepEqual(faults, [])
  assert.deepEqual(policy, {
    key: 'networkpolicy/shop/db',
    tier: 'NetworkPolicy',
    priority: 0,
    subject: { namespaces: { kind: 'name', name: 'shop' }, pods: [] },
    rules: { ingress: [] },
  })
  assert.deepEqual(rulesOf({ podSelector: {} }), { ingress: [] })
  assert.deepEqual(rulesOf({ ingress: [{}] }), { ingress: [rule()] })
  assert.deepEqual(rulesOf({ ingress: [{ from: [], ports: null }] }), { ingress: [rule()] })
  assert.deepEqual(rulesOf({ egress: [] }), { ingress: [] })
  assert.deepEqual(rulesOf({ egress: [{}] }), { ingress: [], egress: [rule()] })
  assert.deepEqual(rulesOf({ policyTypes: [], egress: [{}] }), { ingress: [], egress: [rule()] })
  assert.deepEqual(rulesOf({ policyTypes: ['Egress'], ingress: [{}] }), { egress: [] })
  assert.deepEqual(rulesOf({ policyTypes: ['Egress', 'Ingress'] }), { ingress: [], egress: [] })
})

test('peers are read as pods of the own namespace, of others, or as blocks', () => {
  const peersOf = (peer: unknown): unknown => rulesOf({ ingress: [{ from: [peer] }] }).ingress![0]!.peers
  const own = { kind: 'name', name: 'shop' }
  const app = { key: 'app', operator: 'In', values: ['a'] }
  assert.deepEqual(peersOf({ podSelector: {} }), [{ kind: 'pods', namespaces: own, pods: [] }])
  assert.deepEqual(peersOf({ podSelector: { matchLabels: { app: 'a' } }, ipBlock: null }), [
    { kind: 'pods', namespaces: own, pods: [app] },
  ])
  assert.deepEqual(peersOf({ namespaceSelector: {} }), [
    { kind: 'pods', namespaces: { kind: 'labels', selector: [] }, pods: [] },
  ])
  assert.deepEqual(
    peersOf({
      namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'Exists' }] },
      podSelector: { matchLabels: { app: 'a' } },
    }),
    [
      {
        kind: 'pods',
        namespaces: { kind: 'labels', selector: [{ key: 'team', operator: 'Exists', values: [] }] },
        pods: [app],
      },
    ],
  )
  const blockOf = (ipBlock: unknown): string => JSON.stringify(peersOf({ ipBlock }))
  assert.equal(blockOf({ cidr: '10.0.0.0/8' }), '[{"kind":"block","cidr":"10.0.0.0/8","except":[]}]')
  assert.equal(
    blockOf({ cidr: '2001:db8::/32', except: ['2001:db8:1::/48'] }),
    '[{"kind":"block","cidr":"2001:db8::/32","except":["2001:db8:1::/48"]}]',
  )
  // the API server takes host bits, with a warning, and means the network
  assert.equal(
    blockOf({ cidr: '10.1.2.3/8', except: ['10.1.2.3/16'] }),
    '[{"kind":"block","cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}]',
  )
})

test('ports are read as ranges and names', () => {
  const portOf = (port: unknown): unknown => {
    const { ports } = rulesOf({ egress: [{ ports: [port] }] }).egress![0]!
    return Array.isArray(ports) ? ports[0] : ports
  }
  assert.deepEqual(portOf({}), { kind: 'range', protocol: 'TCP', first: 0, last: 65_535 })
  assert.deepEqual(portOf({ protocol: 'SCTP' }), { kind: 'range', protocol: 'SCTP', first: 0, last: 65_535 })
  assert.deepEqual(portOf({ port: 80 }), { kind: 'range', protocol: 'TCP', first: 80, last: 80 })
  assert.deepEqual(portOf({ protocol: 'UDP', port: 80, endPort: 90 }), {
    kind: 'range',
    protocol: 'UDP',
    first: 80,
    last: 90,
  })
  assert.deepEqual(portOf({ port: 80, endPort: 80 }), { kind: 'range', protocol: 'TCP', first: 80, last: 80 })
  assert.deepEqual(portOf({ protocol: 'UDP', port: 'dns' }), { kind: 'name', protocol: 'UDP', name: 'dns' })
})

const nothing = 'this rule matches nothing'
const noPeer = 'this peer matches nothing'
const noPort = 'this port matches nothing'

test('what cannot be read allows nothing, and is told with its path', () => {
  const from = (peer: unknown): unknown => ({ ingress: [{ from: [peer] }] })
  const ports = (port: unknown): unknown => ({ ingress: [{ ports: [port] }] })
  const block = (cidr: unknown, ...except: unknown[]): unknown => from({ ipBlock: { cidr, except } })
  const cases: [unknown, string, string][] = [
    [{ ingress: {} }, 'spec.ingress', '{} is no list; no rule allows anything'],
    [{ ingress: [null] }, 'spec.ingress[0]', `null is no mapping; ${nothing}`],
    [{ ingress: [{ form: [] }] }, 'spec.ingress[0].form', `[]: no field that is known here; ${nothing}`],
    [{ ingress: [{ from: 'any' }] }, 'spec.ingress[0].from', `"any" is no list; ${nothing}`],
    [{ ingress: [{ ports: 80 }] }, 'spec.ingress[0].ports', `80 is no list; ${nothing}`],
    [from(null), 'spec.ingress[0].from[0]', `null is no mapping; ${noPeer}`],
    [from({}), 'spec.ingress[0].from[0]', `has neither podSelector nor namespaceSelector nor ipBlock; ${noPeer}`],
    [
      from({ podSelector: {}, serviceAccounts: {} }),
      'spec.ingress[0].from[0].serviceAccounts',
      `{}: no field that is known here; ${noPeer}`,
    ],
    [
      from({ podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } }),
      'spec.ingress[0].from[0]',
      `has ipBlock and a selector, of which the API allows one; ${noPeer}`,
    ],
    [
      from({ podSelector: { matchLabels: { app: 1 } } }),
      'spec.ingress[0].from[0].podSelector',
      `matchLabels[app] is no text; ${noPeer}`,
    ],
    [
      from({ namespaceSelector: { matchExpressions: [{ key: 'a', operator: 'Gt', values: ['1'] }] } }),
      'spec.ingress[0].from[0].namespaceSelector',
      `matchExpressions[0].operator: expected one of In, NotIn, Exists, DoesNotExist; ${noPeer}`,
    ],
    [
      from({ podSelector: { matchLabel: { app: 'a' } } }),
      'spec.ingress[0].from[0].podSelector.matchLabel',
      `{"app":"a"}: no field that is known here; ${noPeer}`,
    ],
    [block('10.0.0.0'), 'spec.ingress[0].from[0].ipBlock.cidr', `"10.0.0.0" is no CIDR; ${noPeer}`],
    [block('10.0.0.0/33'), 'spec.ingress[0].from[0].ipBlock.cidr', `"10.0.0.0/33" is no CIDR; ${noPeer}`],
    [block('010.0.0.0/8'), 'spec.ingress[0].from[0].ipBlock.cidr', `"010.0.0.0/8" is no CIDR; ${noPeer}`],
    [block('10.0.0.0/08'), 'spec.ingress[0].from[0].ipBlock.cidr', `"10.0.0.0/08" is no CIDR; ${noPeer}`],
    [block(undefined), 'spec.ingress[0].from[0].ipBlock.cidr', `undefined is no CIDR; ${noPeer}`],
    [
      block('::ffff:10.0.0.0/104'),
      'spec.ingress[0].from[0].ipBlock.cidr',
      `"::ffff:10.0.0.0/104" is IPv4 written as IPv6; ${noPeer}`,
    ],
    [
      block('10.0.0.0/8', '10.1.0.0/16', '10.2.0.0/'),
      'spec.ingress[0].from[0].ipBlock.except[1]',
      `"10.2.0.0/" is no CIDR; ${noPeer}`,
    ],
    [
      block('10.0.0.0/8', '11.0.0.0/16'),
      'spec.ingress[0].from[0].ipBlock.except[0]',
      `11.0.0.0/16 is no part of 10.0.0.0/8; ${noPeer}`,
    ],
    [
      block('10.0.0.0/8', '10.0.0.0/8'),
      'spec.ingress[0].from[0].ipBlock.except[0]',
      `10.0.0.0/8 is no part of 10.0.0.0/8; ${noPeer}`,
    ],
    [
      block('10.0.0.0/8', '2001:db8::/32'),
      'spec.ingress[0].from[0].ipBlock.except[0]',
      `2001:db8::/32 is no part of 10.0.0.0/8; ${noPeer}`,
    ],
    [
      from({ ipBlock: { cidr: '10.0.0.0/8', except: '10.0.0.0/9' } }),
      'spec.ingress[0].from[0].ipBlock.except',
      `"10.0.0.0/9" is no list; ${noPeer}`,
    ],
    [
      ports({ protocol: 'tcp' }),
      'spec.ingress[0].ports[0].protocol',
      `"tcp": expected one of TCP, UDP, SCTP; ${noPort}`,
    ],
    [ports({ port: 0 }), 'spec.ingress[0].ports[0].port', `0: expected a whole number from 1 to 65535; ${noPort}`],
    [ports({ port: 1.5 }), 'spec.ingress[0].ports[0].port', `1.5: expected a whole number from 1 to 65535; ${noPort}`],
    [ports({ port: '80' }), 'spec.ingress[0].ports[0].port', `"80": no container can call its port so; ${noPort}`],
    [ports({ port: '' }), 'spec.ingress[0].ports[0].port', `"": no container can call its port so; ${noPort}`],
    [ports({ port: 'Web' }), 'spec.ingress[0].ports[0].port', `"Web": no container can call its port so; ${noPort}`],
    [ports({ port: [] }), 'spec.ingress[0].ports[0].port', `[]: expected a whole number from 1 to 65535; ${noPort}`],
    [
      ports({ port: 80, endPort: 79 }),
      'spec.ingress[0].ports[0].endPort',
      `79 is lower than port, which is 80; ${noPort}`,
    ],
    [
      ports({ endPort: 79 }),
      'spec.ingress[0].ports[0].endPort',
      `79: port is no number from which a range could go up to it; ${noPort}`,
    ],
    [
      ports({ port: 'web', endPort: 79 }),
      'spec.ingress[0].ports[0].endPort',
      `79: port is no number from which a range could go up to it; ${noPort}`,
    ],
    [ports({ name: 'web' }), 'spec.ingress[0].ports[0].name', `"web": no field that is known here; ${noPort}`],
  ]
  for (const [spec, field, why] of cases) {
    const { policy, faults } = read(spec)
    assert.deepEqual(faults, [{ field, why }])
    const [first] = policy!.rules.ingress!
    assert.ok(first === undefined || first.peers.length === 0 || first.ports.length === 0, `${field} matches nothing`)
  }
})

test('a part that cannot be read leaves the rest of its rule', () => {
  const { policy, faults } = read({
    ingress: [{ from: [{}, { podSelector: {} }], ports: [{ port: 80 }, { port: -1 }] }, null, {}],
  })
  assert.equal(faults.length, 3)
  const peers = [{ kind: 'pods', namespaces: { kind: 'name', name: 'shop' }, pods: [] }] as const
  const ports = [{ kind: 'range', protocol: 'TCP', first: 80, last: 80 }] as const
  assert.deepEqual(policy!.rules.ingress, [rule({ peers, ports }), rule({ index: 1, peers: [] }), rule({ index: 2 })])
})

test('a policy whose pods cannot be known is not enforced, and one without a direction neither', () => {
  const notEnforced = 'the policy is not enforced'
  for (const [spec, field, why] of [
    ['any', 'spec', `"any" is no mapping; ${notEnforced}`],
    [{ podSelector: 'app=a' }, 'spec.podSelector', `"app=a" is no mapping; ${notEnforced}`],
    [
      { podSelector: { matchFields: {} } },
      'spec.podSelector.matchFields',
      `{}: no field that is known here; ${notEnforced}`,
    ],
    [{ policyTypes: ['ingress'] }, 'spec.policyTypes[0]', '"ingress": expected Ingress or Egress; it changes nothing'],
  ] as const)
    assert.deepEqual(read(spec), { faults: [{ field, why }] })
})

test('what is wrong beside the rules is told', () => {
  for (const [spec, field, why, about] of [
    [
      { policyTypes: 'Egress' },
      'spec.policyTypes',
      '"Egress" is no list; the policy is for both directions',
      directions,
    ],
    [
      { policyTypes: ['Egress', 'Forward'] },
      'spec.policyTypes[1]',
      '"Forward": expected Ingress or Egress; it changes nothing',
      ['egress'],
    ],
    [{ egress: 'all' }, 'spec.egress', '"all" is no list; no rule allows anything', directions],
    [{ mode: 'strict' }, 'spec.mode', '"strict": no field that is known here; it changes nothing', ['ingress']],
  ] as const) {
    const { policy, faults } = read(spec)
    assert.deepEqual(faults, [{ field, why }])
    assert.deepEqual(Object.keys(policy!.rules), about)
  }
})

test('no JSON makes the reader throw', () => {
  const never = fc.property(fc.jsonValue(), (spec) => {
    const { faults } = read(spec)
    for (const { field } of faults) assert.match(field, /^spec/)
  })
  fc.assert(never, { numRuns: 1_000 })
})

test('a rule that is spoiled allows nothing that it did not allow before', () => {
  let faulty = 0
  const closed = fc.property(clusters, spoilers, severalPackets, (objects, spoil, several) => {
    const [first, ...others] = objects.networkPolicies
    const directionsOf = Object.keys((first && readNetworkPolicy(first).policy?.rules) ?? {})
    if (first === undefined) return
    const { podSelector } = first.spec
    // a list of rules that comes or goes changes the default of policyTypes
    const policyTypes = directionsOf.map((direction) => (direction === 'ingress' ? 'Ingress' : 'Egress'))
    const broken = { ...first, spec: { podSelector, policyTypes, ...spoiledRules(first, spoil) } }
    if (readNetworkPolicy(broken).faults.length === 0) return
    faulty++
    const before = viewOf(clusterOf(objects))
    const after = viewOf(clusterOf({ ...objects, networkPolicies: [broken, ...others] }))
    for (const packet of several)
      for (const direction of directions)
        if (evaluateDirection(before, packet, direction).isDenied)
          assert.ok(evaluateDirection(after, packet, direction).isDenied)
  })
  fc.assert(closed, { numRuns: 2_000 })
  assert.ok(faulty > 400, `${faulty} were faulty`)
})
