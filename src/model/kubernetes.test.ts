import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  annotationsOf,
  conditionOf,
  firstOf,
  hasPodCIDRs,
  internalAddressesOf,
  isHostNetwork,
  isKubeObject,
  isTerminal,
  keyOf,
  type KubeNode,
  labelsOf,
  leaseSpecOf,
  nodeAddressesOf,
  nodeNameOf,
  podAddressesOf,
  podCIDRsOf,
  podPhaseOf,
  referenceTo,
} from './kubernetes.ts'
import { problemText } from './problems.ts'

const node = (spec: unknown, status: unknown = {}): KubeNode => ({ metadata: { name: 'n' }, spec, status })

test('pod CIDRs are read from podCIDRs, else from podCIDR', () => {
  assert.deepEqual(
    podCIDRsOf(node({ podCIDR: '10.0.0.0/24', podCIDRs: ['10.0.0.0/24', 'fd00::/64'] })).prefixes.map(String),
    ['10.0.0.0/24', 'fd00::/64'],
  )
  assert.deepEqual(podCIDRsOf(node({ podCIDR: '10.0.0.0/24' })).prefixes.map(String), ['10.0.0.0/24'])
  assert.deepEqual(podCIDRsOf(node({ podCIDR: '', podCIDRs: null })), { prefixes: [], extra: [], problems: [] })
  assert.deepEqual(podCIDRsOf(node(undefined)), { prefixes: [], extra: [], problems: [] })
})

test('pod CIDRs that cannot be used are problems that name node and field', () => {
  const { prefixes, problems } = podCIDRsOf(node({ podCIDRs: ['10.0.0.5/24', 7, '10.0.0.0/24', '10.0.1.0/24'] }))
  assert.deepEqual(prefixes.map(String), ['10.0.0.0/24'])
  assert.equal(problems.length, 3)
  assert.match(
    problemText(problems[0]!),
    /^CW1101 node\/n: spec\.podCIDRs: "10\.0\.0\.5\/24" has host bits set; did you mean/,
  )
  assert.match(problems[1]!.message, /7 is no CIDR/)
  assert.match(problems[2]!.message, /10\.0\.1\.0\/24 is a second one of IPv4/)
  assert.equal(hasPodCIDRs(node({ podCIDRs: ['x'] })), true)
  assert.equal(hasPodCIDRs(node({ podCIDRs: [] })), false)
})

test('internal addresses keep their order; other addresses and unreachable ones are left out', () => {
  const addresses = [
    { type: 'Hostname', address: 'n' },
    { type: 'InternalIP', address: 'fd00::5' },
    { type: 'ExternalIP', address: '192.0.2.1' },
    { type: 'InternalIP', address: '10.0.0.5' },
    { type: 'InternalIP', address: '10.0.0.5' },
    { type: 'InternalIP', address: '127.0.0.1' },
    { type: 'InternalIP', address: 'n.example' },
    null,
    { type: 'InternalIP' },
  ]
  const { addrs, problems } = internalAddressesOf(node({}, { addresses }))
  assert.deepEqual(addrs.map(String), ['fd00::5', '10.0.0.5'])
  assert.deepEqual(
    problems.map(({ object, message }) => `${object}: ${message}`),
    [
      'node/n: status.addresses: InternalIP "127.0.0.1" cannot be reached from another node',
      'node/n: status.addresses: InternalIP "n.example" is no IP address',
    ],
  )
  assert.equal(String(firstOf(addrs, 4)), '10.0.0.5')
})

test('an address that no other node can reach is none of a node', () => {
  for (const address of [
    '0.0.0.0',
    '0.1.2.3',
    '127.0.0.1',
    '224.0.0.5',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'ff02::1',
    '::ffff:10.0.0.1',
  ]) {
    const { addrs, problems } = internalAddressesOf(node({}, { addresses: [{ type: 'InternalIP', address }] }))
    assert.deepEqual(addrs, [])
    assert.deepEqual(
      problems.map(({ code }) => code),
      ['CW1102'],
      address,
    )
  }
})

test('pods tell their node, addresses and phase', () => {
  const pod = {
    metadata: { name: 'p', namespace: 'n', labels: { a: 'b', c: 1 } },
    spec: { nodeName: 'x', hostNetwork: true },
    status: { phase: 'Succeeded', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }, { ip: 'x' }] },
  }
  assert.deepEqual([keyOf(pod), nodeNameOf(pod), isHostNetwork(pod), isTerminal(pod)], ['n/p', 'x', true, true])
  const { addrs, problems } = podAddressesOf(pod)
  assert.deepEqual(
    [addrs.map(String), problems],
    [['10.0.0.1', 'fd00::1'], ['pod n/p: status.podIPs: "x" is no IP address']],
  )
  assert.deepEqual(podAddressesOf({ ...pod, status: { podIP: '10.0.0.1' } }).addrs.map(String), ['10.0.0.1'])
  assert.deepEqual(labelsOf(pod), { a: 'b' })
  assert.deepEqual(referenceTo('v1', 'Pod', pod), { apiVersion: 'v1', kind: 'Pod', name: 'p', namespace: 'n' })
})

test('conditions default to Unknown', () => {
  const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady' }
  assert.deepEqual(conditionOf(node({}, { conditions: [ready] }), 'Ready'), {
    ...ready,
    message: '',
    lastTransitionTime: '',
  })
  assert.equal(conditionOf(node({}, { conditions: [{ ...ready, status: 'yes' }] }), 'Ready').status, 'Unknown')
  assert.equal(conditionOf(node({}), 'Ready').status, 'Unknown')
})

test('no value from the wire makes a reader throw', () => {
  const metadata = fc.record({ name: fc.string({ minLength: 1 }), labels: fc.jsonValue(), annotations: fc.jsonValue() })
  const names = [
    'podCIDR',
    'podCIDRs',
    'nodeName',
    'addresses',
    'conditions',
    'podIPs',
    'podIP',
    'phase',
    'holderIdentity',
  ]
  const section = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(fc.constantFrom(...names), fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue()))),
  )
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.record({ metadata, spec: section, status: section })), (value) => {
      if (!isKubeObject(value)) return
      assert.equal(typeof keyOf(value), 'string')
      for (const read of [podCIDRsOf, internalAddressesOf, podAddressesOf])
        assert.ok(Array.isArray(read(value).problems))
      for (const read of [nodeAddressesOf, hasPodCIDRs, nodeNameOf, isHostNetwork, podPhaseOf, leaseSpecOf]) read(value)
      for (const text of Object.values({ ...labelsOf(value), ...annotationsOf(value) }))
        assert.equal(typeof text, 'string')
      conditionOf(value, 'Ready')
    }),
    { numRuns: 500 },
  )
})

test('an object needs a name, and strings where the API has strings', () => {
  assert.ok(isKubeObject({ metadata: { name: 'a' } }))
  for (const bad of [null, [], {}, { metadata: {} }, { metadata: { name: '' } }, { metadata: { name: 'a', uid: 1 } }]) {
    assert.ok(!isKubeObject(bad), JSON.stringify(bad))
  }
})
