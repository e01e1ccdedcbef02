// Policies as nobody would write them: every field with every kind of value, over the labels, addresses and ports of the truth table.
import fc from 'fast-check'
import { type KubeObject } from '#/model/kubernetes.ts'
import { type Change, clusterPolicy, namespaceNames, networkPolicy, podNames, type Spec } from './model.ts'

const some = <T>(each: fc.Arbitrary<T>, maxLength = 3): fc.Arbitrary<T[]> => fc.array(each, { minLength: 1, maxLength })

const expression = (key: string, values: readonly string[]): fc.Arbitrary<Spec> =>
  fc.oneof(
    fc
      .record({ operator: fc.constantFrom('In', 'NotIn'), values: some(fc.constantFrom(...values)) })
      .map((rest) => ({ key, ...rest })),
    fc.constantFrom('Exists', 'DoesNotExist').map((operator) => ({ key, operator })),
  )

const selector = (key: string, values: readonly string[]): fc.Arbitrary<Spec> =>
  fc.oneof(
    { weight: 2, arbitrary: fc.constant({}) },
    { weight: 4, arbitrary: fc.constantFrom(...values).map((value) => ({ matchLabels: { [key]: value } })) },
    { weight: 2, arbitrary: some(expression(key, values), 2).map((matchExpressions) => ({ matchExpressions })) },
  )

const podSelector = selector('pod', podNames)
const namespaceSelector = selector('ns', namespaceNames)

const blocks: readonly Spec[] = [
  { cidr: '0.0.0.0/0' },
  { cidr: '::/0' },
  { cidr: '10.244.1.0/24' },
  { cidr: '10.244.0.0/16', except: ['10.244.2.0/24'] },
  { cidr: '10.244.0.0/16', except: ['10.244.1.0/29', '10.244.1.4/32'] },
  { cidr: 'fd10:244:0:1::/64' },
  { cidr: 'fd10:244::/48', except: ['fd10:244:0:1::/125', 'fd10:244:0:2::a/128'] },
  { cidr: '192.0.2.0/24' },
  { cidr: '2001:db8::/32', except: ['2001:db8::/64'] },
  { cidr: '172.30.1.2/32' },
]

const peer: fc.Arbitrary<Spec> = fc.oneof(
  podSelector.map((pods) => ({ podSelector: pods })),
  namespaceSelector.map((namespaces) => ({ namespaceSelector: namespaces })),
  fc.record({ podSelector, namespaceSelector }),
  fc.constantFrom(...blocks).map((ipBlock) => ({ ipBlock })),
)

const protocol = fc.constantFrom('TCP', 'UDP', 'SCTP')
const port: fc.Arbitrary<Spec> = fc.oneof(
  fc.record({ protocol, port: fc.constantFrom(80, 81, 82) }),
  fc.record({ protocol }),
  fc.record({ protocol, port: fc.constantFrom(1, 80, 81), endPort: fc.constantFrom(81, 90) }),
  fc.record({ protocol, port: fc.constantFrom('web', 's-80-tcp', 's-81-udp', 's-80-sctp', 'nothing') }),
  fc.record({ port: fc.constantFrom<number | string>(80, 'web') }),
)

const rule = (peers: 'from' | 'to'): fc.Arbitrary<Spec> =>
  fc.record(
    { [peers]: fc.array(peer, { maxLength: 3 }), ports: fc.array(port, { maxLength: 3 }) },
    { requiredKeys: [] },
  )

const netpolSpec: fc.Arbitrary<Spec> = fc.record(
  {
    podSelector,
    policyTypes: fc.constantFrom(['Ingress'], ['Egress'], ['Ingress', 'Egress']),
    ingress: fc.array(rule('from'), { maxLength: 3 }),
    egress: fc.array(rule('to'), { maxLength: 3 }),
  },
  { requiredKeys: ['podSelector'] },
)

const clusterPods: fc.Arbitrary<Spec> = fc.oneof(
  namespaceSelector.map((namespaces) => ({ namespaces })),
  fc.record({ podSelector, namespaceSelector }).map((pods) => ({ pods })),
)
const networks = some(
  fc.constantFrom('0.0.0.0/0', '::/0', '10.244.2.0/24', 'fd10:244:0:1::/64', '192.0.2.7/32', '2001:db8::/32'),
).map((all) => ({ networks: [...new Set(all)] }))

const range = fc.constantFrom<Spec>(
  { number: 80 },
  { number: 81 },
  { range: { start: 1, end: 80 } },
  { range: { start: 81, end: 99 } },
)
const clusterProtocol: fc.Arbitrary<Spec> = fc.oneof(
  fc
    .record({ name: fc.constantFrom('tcp', 'udp', 'sctp'), of: fc.option(range) })
    .map(({ name, of }) => ({ [name]: of === null ? {} : { destinationPort: of } })),
  fc.constantFrom('web', 's-81-udp', 'nothing').map((destinationNamedPort) => ({ destinationNamedPort })),
)

function clusterRule(direction: 'from' | 'to'): fc.Arbitrary<Spec> {
  const ends = direction === 'from' ? clusterPods : fc.oneof(clusterPods, networks)
  return fc.record(
    { action: fc.constantFrom('Accept', 'Deny', 'Pass'), [direction]: some(ends), protocols: some(clusterProtocol) },
    { requiredKeys: ['action', direction] },
  )
}

const clusterSpec: fc.Arbitrary<Spec> = fc.record(
  {
    tier: fc.constantFrom('Admin', 'Baseline'),
    priority: fc.integer({ min: 0, max: 3 }),
    subject: clusterPods,
    ingress: fc.array(clusterRule('from'), { maxLength: 3 }),
    egress: fc.array(clusterRule('to'), { maxLength: 3 }),
  },
  { requiredKeys: ['tier', 'priority', 'subject'] },
)

const numbered = <T>(all: readonly T[], make: (each: T, index: number) => KubeObject): Change[] =>
  all.map((each, index) => ({ put: make(each, index) }))

/** Some policies of both kinds, then one of them with another spec, so that changes are compared too. */
export const randomSteps: fc.Arbitrary<readonly (readonly Change[])[]> = fc
  .record({
    netpols: fc.array(fc.record({ namespace: fc.constantFrom('x', 'y'), spec: netpolSpec }), { maxLength: 4 }),
    cluster: fc.array(clusterSpec, { maxLength: 3 }),
    later: netpolSpec,
    relabelled: fc.constantFrom(...podNames),
  })
  .map(({ netpols, cluster, later, relabelled }) => [
    [
      ...numbered(netpols, ({ namespace, spec }, index) => networkPolicy(`${namespace}/p${index}`, spec)),
      ...numbered(cluster, (spec, index) => clusterPolicy(`c${index}`, spec)),
    ],
    [{ put: networkPolicy('x/p0', later) }, { relabel: 'x/a', labels: { pod: relabelled } }],
    [{ drop: 'networkpolicy/x/p0' }],
  ])
