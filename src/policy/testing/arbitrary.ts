// Random clusters for tests: few names, labels and addresses, so that much of it meets.
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type LabelSelector } from '#/model/label-selector.ts'
import { type Labels, type NamedPort, type PolicyNamespace, type PolicyPod } from '../cluster.ts'
import { type Direction, type PeerMatch, type Policy, type PolicyRule, type PortMatch } from '../policy.ts'
import { type PolicyPacket } from '../verdict.ts'

export const namespaceNames = ['x', 'y', 'z'] as const
const podNames = ['a', 'b'] as const
export const nodeAddrs = [Addr.parse('10.0.0.1'), Addr.parse('fd00::1')]
const podAddrs = [1, 2, 3, 4, 5].flatMap((last) => [Addr.parse(`10.244.0.${last}`), Addr.parse(`fd10::${last}`)])

const oneOf = <const T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values)

const anyLabels: fc.Arbitrary<Labels> = fc
  .record({ app: oneOf('web', 'db', ''), tier: oneOf('1', '2') }, { requiredKeys: [] })
  .map((labels) => ({ ...labels }))

const anySelector: fc.Arbitrary<LabelSelector> = fc.array(
  fc.record({
    key: oneOf('app', 'tier'),
    operator: oneOf('In', 'NotIn', 'Exists', 'DoesNotExist'),
    values: oneOf<readonly string[]>(['web'], ['db', 'web'], ['1'], ['', '2']),
  }),
  { maxLength: 2 },
)

const anyNamedPorts: fc.Arbitrary<readonly NamedPort[]> = fc.array(
  fc.record({ name: oneOf('http', 'dns'), protocol: oneOf('TCP', 'UDP'), port: oneOf(80, 81, 8080) }),
  { maxLength: 3 },
)

export const anyNamespace: fc.Arbitrary<PolicyNamespace> = fc.record({
  name: oneOf(...namespaceNames),
  labels: anyLabels,
  isAudited: oneOf(false, false, true),
})

const rarely = oneOf(false, false, false, false, true)

export const anyPodAddrs: fc.Arbitrary<readonly Addr[]> = fc.uniqueArray(oneOf(...podAddrs), {
  maxLength: 2,
  selector: String,
})

export const anyUid = oneOf('1', '1', '1', '2')

export const anyPodKey = fc.record({ namespace: oneOf(...namespaceNames), name: oneOf(...podNames) })

export const anyPod: fc.Arbitrary<PolicyPod> = fc
  .record({
    key: anyPodKey,
    uid: anyUid,
    labels: anyLabels,
    addrs: anyPodAddrs,
    namedPorts: anyNamedPorts,
    isHostNetwork: rarely,
    hasEnded: rarely,
  })
  .map(({ key, ...rest }) => ({ ...key, node: 'this', ...rest }))

const anyBlock: fc.Arbitrary<PeerMatch> = fc
  .tuple(
    oneOf('10.244.0.0/24', '10.244.0.0/30', '10.244.0.2/31', '0.0.0.0/0', 'fd10::/126', '::/0'),
    fc.uniqueArray(oneOf('10.244.0.0/25', '10.244.0.2/32', '10.244.0.4/30', 'fd10::2/127', 'fd10::1/128'), {
      maxLength: 2,
    }),
  )
  .map(([cidr, except]) => ({
    kind: 'block',
    cidr: Prefix.parse(cidr),
    except: except.map((each) => Prefix.parse(each)),
  }))

const anyPodMatch = fc.record({
  namespaces: fc.oneof(
    fc.record({ kind: fc.constant('name' as const), name: oneOf(...namespaceNames) }),
    fc.record({ kind: fc.constant('labels' as const), selector: anySelector }),
  ),
  pods: anySelector,
})

const anyPeer: fc.Arbitrary<PeerMatch> = fc.oneof(
  { weight: 3, arbitrary: anyPodMatch.map((match) => ({ kind: 'pods' as const, ...match })) },
  { weight: 1, arbitrary: anyBlock },
)

const anyPort: fc.Arbitrary<PortMatch> = fc.oneof(
  fc
    .record({ protocol: oneOf('TCP', 'UDP', 'SCTP'), first: oneOf(0, 80, 81), last: oneOf(80, 8080, 65_535) })
    .filter(({ first, last }) => first <= last)
    .map((range) => ({ kind: 'range' as const, ...range })),
  fc.record(
    { kind: fc.constant('name' as const), protocol: oneOf('TCP', 'UDP'), name: oneOf('http', 'dns') },
    { requiredKeys: ['kind', 'name'] },
  ),
)

const anyOr = <T>(list: fc.Arbitrary<T>): fc.Arbitrary<readonly T[] | 'any'> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant('any' as const) },
    { weight: 2, arbitrary: fc.array(list, { maxLength: 3 }) },
  )

function anyRules(...actions: readonly PolicyRule['action'][]): fc.Arbitrary<Policy['rules']> {
  const rules = fc
    .array(fc.record({ action: oneOf(...actions), peers: anyOr(anyPeer), ports: anyOr(anyPort) }), { maxLength: 3 })
    .map((list) => list.map((rule, index): PolicyRule => ({ index, ...rule })))
  return fc.record({ ingress: rules, egress: rules } satisfies Record<Direction, unknown>, { requiredKeys: [] })
}

const anyNetworkPolicy: fc.Arbitrary<Policy> = fc
  .record({ namespace: oneOf(...namespaceNames), name: oneOf('p', 'q'), pods: anySelector, rules: anyRules('accept') })
  .map(({ namespace, name, pods, rules }) => ({
    key: `networkpolicy/${namespace}/${name}`,
    tier: 'NetworkPolicy',
    priority: 0,
    subject: { namespaces: { kind: 'name', name: namespace }, pods },
    rules,
  }))

const anyClusterNetworkPolicy: fc.Arbitrary<Policy> = fc.record({
  key: oneOf('p', 'q').map((name) => `clusternetworkpolicy/${name}`),
  tier: oneOf('Admin', 'Baseline'),
  priority: oneOf(0, 1, 2),
  subject: anyPodMatch,
  rules: anyRules('accept', 'deny', 'pass'),
})

export const anyPolicy: fc.Arbitrary<Policy> = fc.oneof(anyNetworkPolicy, anyClusterNetworkPolicy)

/** Those of pods, of the node, and of others. */
export const allAddrs: readonly Addr[] = [...podAddrs, ...nodeAddrs, Addr.parse('192.0.2.1'), Addr.parse('2001:db8::1')]

/** What a packet says besides its addresses. */
export const anyProtocol: fc.Arbitrary<Pick<PolicyPacket, 'protocol' | 'port'>> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ protocol: oneOf(6, 17, 132), port: oneOf(80, 81, 443, 8080) }) },
  { weight: 1, arbitrary: fc.record({ protocol: oneOf(1, 58) }) },
)
