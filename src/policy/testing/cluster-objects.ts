// Small clusters as objects of the API, and packets between what is in them: few names, labels and ports, so that things meet.
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { type KubeObject, type Pod } from '#/model/kubernetes.ts'
import { type PolicyCluster } from '../cluster.ts'
import { type PolicyReading } from '../policy.ts'
import { readClusterNetworkPolicy } from '../read-cluster-network-policy.ts'
import { readPolicyNamespace } from '../read-namespace.ts'
import { readNetworkPolicy } from '../read-network-policy.ts'
import { readPolicyPod } from '../read-pod.ts'
import { type PolicyPacket } from '../verdict.ts'

/** An object with the section that all these kinds have. */
export type SpecObject = KubeObject & { readonly spec: Readonly<Record<string, unknown>> }

export type ClusterObjects = {
  readonly namespaces: readonly KubeObject[]
  readonly pods: readonly Pod[]
  readonly networkPolicies: readonly SpecObject[]
  readonly clusterNetworkPolicies: readonly SpecObject[]
  readonly nodes: Readonly<Record<string, readonly string[]>>
}

export const nodes = { n1: ['192.0.2.1', '2001:db8::1'], n2: ['192.0.2.2', '2001:db8::2'] }
const namespaceNames = ['x', 'y']
const podNames = ['a', 'b', 'c']
const outside = ['198.51.100.7', '203.0.113.9', '2001:db8:ffff::9']

/** A field that may be missing. */
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined })

function withoutAbsent<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter((entry) => entry[1] !== undefined)) as T
}

const record = <T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model).map(withoutAbsent) as fc.Arbitrary<T>

const value = fc.constantFrom('1', '2')
const labels = record({ app: maybe(value), role: maybe(value) })
const key = fc.constantFrom('app', 'role')
const expression = fc.oneof(
  fc.record({ key, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
  fc.record({
    key,
    operator: fc.constantFrom('In', 'NotIn'),
    values: fc.uniqueArray(value, { minLength: 1, maxLength: 2 }),
  }),
)
const podSelector = fc.oneof(
  fc.constant({}),
  fc.record({ matchLabels: labels }),
  record({ matchLabels: maybe(labels), matchExpressions: fc.array(expression, { minLength: 1, maxLength: 2 }) }),
)
const namespaceSelector = fc.oneof(
  fc.constant({}),
  fc.record({
    matchLabels: record({ team: maybe(value), 'kubernetes.io/metadata.name': maybe(fc.constantFrom('x', 'y')) }),
  }),
  fc.record({
    matchExpressions: fc.tuple(
      fc.record({ key: fc.constant('team'), operator: fc.constantFrom('Exists', 'DoesNotExist') }),
    ),
  }),
)

const port = fc.constantFrom(79, 80, 81, 82, 443)
const protocol = fc.constantFrom('TCP', 'UDP', 'SCTP')
const portName = fc.constantFrom('web', 'dns')

const blocks = [
  { cidr: '0.0.0.0/0' },
  { cidr: '0.0.0.0/0', except: ['10.0.0.0/8', '192.0.2.0/24'] },
  { cidr: '10.0.0.0/16', except: ['10.0.1.0/24'] },
  { cidr: '10.0.1.2/31' },
  { cidr: '198.51.100.0/24' },
  { cidr: '192.0.2.1/32' },
  { cidr: '::/0', except: ['fd00::/64'] },
  { cidr: 'fd00::/16' },
]

const npPort = fc.oneof(
  record({ protocol: maybe(protocol), port: maybe(fc.oneof(port, portName)) }),
  fc.record({ port: fc.constantFrom(79, 80), endPort: fc.constantFrom(80, 82, 65_535) }),
)
const npPeer = fc.oneof(
  fc.record({ podSelector }),
  fc.record({ namespaceSelector }),
  fc.record({ podSelector, namespaceSelector }),
  fc.record({ ipBlock: fc.constantFrom(...blocks) }),
)
const list = <T>(item: fc.Arbitrary<T>, maxLength = 2): fc.Arbitrary<T[] | undefined> =>
  maybe(fc.array(item, { maxLength }))

const npSpec = record({
  podSelector: maybe(podSelector),
  policyTypes: maybe(fc.subarray(['Ingress', 'Egress'])),
  ingress: list(record({ from: list(npPeer), ports: list(npPort) })),
  egress: list(record({ to: list(npPeer), ports: list(npPort) })),
})

export const networkPolicies: fc.Arbitrary<SpecObject[]> = fc.uniqueArray(
  fc.record({
    metadata: fc.record({ namespace: fc.constantFrom(...namespaceNames), name: fc.constantFrom('p', 'q', 'r') }),
    spec: npSpec,
  }),
  { maxLength: 4, selector: ({ metadata }) => `${metadata.namespace}/${metadata.name}` },
)

const namespacedPod = record({ namespaceSelector: maybe(namespaceSelector), podSelector })
const podsPeer = fc.oneof(fc.record({ namespaces: namespaceSelector }), fc.record({ pods: namespacedPod }))
const networksPeer = fc.record({
  networks: fc.uniqueArray(fc.constantFrom(...blocks.map(({ cidr }) => cidr)), { minLength: 1, maxLength: 2 }),
})
const destinationPort = fc.oneof(
  fc.record({ number: port }),
  fc.constantFrom({ range: { start: 79, end: 80 } }, { range: { start: 81, end: 65_535 } }),
)
const protocolMatch = fc.oneof(
  fc.record({ tcp: fc.record({ destinationPort }) }),
  fc.record({ udp: record({ destinationPort: maybe(destinationPort) }) }),
  fc.record({ sctp: fc.record({ destinationPort }) }),
  fc.record({ destinationNamedPort: portName }),
)
const action = fc.constantFrom('Accept', 'Deny', 'Pass')
const protocols = maybe(fc.array(protocolMatch, { minLength: 1, maxLength: 2 }))
const peersOf = <T>(peer: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(peer, { minLength: 1, maxLength: 2 })

const someRules = <T>(rule: fc.Arbitrary<T>): fc.Arbitrary<T[] | undefined> =>
  maybe(fc.array(rule, { minLength: 1, maxLength: 3 }))

export const clusterNetworkPolicies: fc.Arbitrary<SpecObject[]> = fc.uniqueArray(
  fc.record({
    metadata: fc.record({ name: fc.constantFrom('k', 'l', 'm') }),
    spec: record({
      tier: fc.constantFrom('Admin', 'Baseline'),
      priority: fc.constantFrom(0, 10, 1000),
      subject: fc.oneof(fc.constant({ namespaces: {} }), podsPeer),
      ingress: someRules(record({ action, from: peersOf(podsPeer), protocols })),
      egress: someRules(
        record({ action, to: peersOf(fc.oneof<fc.Arbitrary<object>[]>(podsPeer, networksPeer)), protocols }),
      ),
    }),
  }),
  { maxLength: 3, selector: ({ metadata }) => metadata.name },
)

const podPorts = fc.uniqueArray(fc.record({ name: portName, containerPort: port, protocol }), {
  maxLength: 2,
  selector: ({ name }) => name,
})

/** Pod number `place` of the cluster has addresses of its own. */
function podObject(namespace: string, name: string, place: number): fc.Arbitrary<Pod> {
  return fc
    .record({
      labels,
      nodeName: fc.constantFrom('n1', 'n2'),
      ports: podPorts,
      // the middle, since numbers at both ends are tried more often
      isHostNetwork: fc.integer({ max: 9, min: 0 }).map((each) => each === 5),
      phase: fc.constantFrom('Running', 'Running', 'Running', 'Pending', 'Succeeded'),
    })
    .map((pod) => ({
      metadata: { namespace, name, uid: `uid-${place}`, labels: pod.labels },
      spec: {
        nodeName: pod.nodeName,
        containers: [{ ports: pod.ports }],
        ...(pod.isHostNetwork && { hostNetwork: true }),
      },
      status: {
        phase: pod.phase,
        podIPs: pod.isHostNetwork
          ? nodes[pod.nodeName].map((ip) => ({ ip }))
          : [{ ip: `10.0.${place % 2}.${place}` }, { ip: `fd00::${place}` }],
      },
    }))
}

const pods = fc.tuple(
  ...namespaceNames.flatMap((namespace, one) =>
    podNames.map((name, two) => podObject(namespace, name, one * podNames.length + two + 1)),
  ),
)

const namespaces = fc.tuple(
  ...namespaceNames.map((name) =>
    fc.record({ team: maybe(value), isAudited: fc.boolean() }).map(({ team, isAudited }): KubeObject => ({
      metadata: {
        name,
        labels: withoutAbsent({ 'kubernetes.io/metadata.name': name, team }),
        annotations: isAudited ? { 'causeway.dev/network-policy': 'audit' } : {},
      },
    })),
  ),
)

export const clusters: fc.Arbitrary<ClusterObjects> = fc.record({
  namespaces,
  pods,
  networkPolicies,
  clusterNetworkPolicies,
  nodes: fc.constant(nodes),
})

const podAddrs = namespaceNames.flatMap((_, one) =>
  podNames.flatMap((__, two) => {
    const place = one * podNames.length + two + 1
    return [`10.0.${place % 2}.${place}`, `fd00::${place}`]
  }),
)

const ipv4 = (text: string): boolean => !text.includes(':')

/** Between pods, nodes and the world outside; both ends of one family. */
export const packets: fc.Arbitrary<PolicyPacket> = fc.boolean().chain((isV4) => {
  const addr = fc
    .oneof(
      { weight: 5, arbitrary: fc.constantFrom(...podAddrs.filter((text) => ipv4(text) === isV4)) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(...[...nodes.n1, ...nodes.n2, ...outside].filter((text) => ipv4(text) === isV4)),
      },
    )
    .map(Addr.parse)
  return fc.oneof(
    { weight: 6, arbitrary: fc.record({ src: addr, dst: addr, protocol: fc.constantFrom(6, 6, 17, 132), port }) },
    { weight: 1, arbitrary: fc.record({ src: addr, dst: addr, protocol: fc.constant(isV4 ? 1 : 58) }) },
  )
})

export const severalPackets = fc.array(packets, { minLength: 1, maxLength: 10 })

/** The cluster as the readers see it. */
export function clusterOf(objects: ClusterObjects): PolicyCluster {
  const readings: PolicyReading[] = [
    ...objects.networkPolicies.map(readNetworkPolicy),
    ...objects.clusterNetworkPolicies.map(readClusterNetworkPolicy),
  ]
  return {
    pods: new Map(objects.pods.map(readPolicyPod).map((pod) => [`${pod.namespace}/${pod.name}`, pod])),
    namespaces: new Map(objects.namespaces.map(readPolicyNamespace).map((namespace) => [namespace.name, namespace])),
    policies: new Map(readings.flatMap(({ policy }) => (policy === undefined ? [] : [[policy.key, policy]]))),
    nodes: new Map(Object.entries(objects.nodes).map(([name, addrs]) => [name, addrs.map(Addr.parse)])),
  }
}
