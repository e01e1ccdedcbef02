// For tests of what the agent tells of network policy: two namespaces on two nodes, a policy of db that allows TCP 5432 from app=api of shop, and
// one that cannot be enforced as written. The agent is that of node-2, which runs db/pg-0.
import { Addr } from '#/lib/addr.ts'
import { type PolicyCluster, type PolicyPod } from '#/policy/cluster.ts'
import { viewOf } from '#/policy/evaluate.ts'
import { type Form } from '#/policy/form.ts'
import { type PolicyReading } from '#/policy/policy.ts'
import { readNetworkPolicy } from '#/policy/read-network-policy.ts'
import { type PolicySources } from '../policy-sources.ts'

function pod(key: string, node: string, addrs: readonly string[], labels: Record<string, string>): [string, PolicyPod] {
  const [namespace = '', name = ''] = key.split('/')
  const addresses = addrs.map((each) => Addr.parse(each))
  const made = { namespace, name, uid: key, node, labels, addrs: addresses, namedPorts: [] }
  return [key, { ...made, isHostNetwork: false, hasEnded: false }]
}

const readings: ReadonlyMap<string, PolicyReading> = new Map(
  [
    {
      metadata: { namespace: 'db', name: 'only-api' },
      spec: {
        podSelector: { matchLabels: { app: 'pg' } },
        ingress: [
          {
            from: [
              {
                namespaceSelector: { matchLabels: { team: 'shop' } },
                podSelector: { matchLabels: { app: 'api' } },
              },
            ],
            ports: [{ protocol: 'TCP', port: 5432 }],
          },
        ],
      },
    },
    {
      metadata: { namespace: 'shop', name: 'typo' },
      spec: {
        podSelector: { matchLabels: { app: 'wbe' } },
        ingress: [{ from: [{ ipBlock: { cidr: '10.0.0/8' } }] }],
      },
    },
  ].map((object) => [`networkpolicy/${object.metadata.namespace}/${object.metadata.name}`, readNetworkPolicy(object)]),
)

export function sceneCluster(changes: { readonly isAudited?: boolean } = {}): PolicyCluster {
  return {
    pods: new Map([
      pod('shop/web-1', 'node-1', ['10.244.1.5', 'fd00:1::5'], { app: 'web' }),
      pod('shop/api-1', 'node-1', ['10.244.1.6', 'fd00:1::6'], { app: 'api' }),
      pod('db/pg-0', 'node-2', ['10.244.2.7', 'fd00:2::7'], { app: 'pg' }),
      pod('shop/pg-0', 'node-2', ['10.244.2.8'], { app: 'pg' }),
    ]),
    namespaces: new Map([
      ['shop', { name: 'shop', labels: { team: 'shop' }, isAudited: false }],
      ['db', { name: 'db', labels: {}, isAudited: changes.isAudited ?? false }],
    ]),
    policies: new Map([...readings].flatMap(([key, { policy }]) => (policy ? [[key, policy] as const] : []))),
    nodes: new Map([
      ['node-1', [Addr.parse('172.30.1.11'), Addr.parse('10.244.1.1')]],
      ['node-2', [Addr.parse('172.30.1.12')]],
    ]),
  }
}

const onlyApi = 'networkpolicy/db/only-api'
const pgAddrs = [Addr.parse('10.244.2.7'), Addr.parse('fd00:2::7')]

const form: Form = {
  locals: new Map([
    ['cwv1', { pod: 'db/pg-0', hostDevice: 'cwv1', addrs: pgAddrs, ingress: 'c1' }],
    ['cwv2', { pod: 'shop/pg-0', hostDevice: 'cwv2', addrs: [Addr.parse('10.244.2.8')] }],
  ]),
  classes: new Map([
    [
      'c1',
      {
        id: 'c1',
        direction: 'ingress',
        policies: { Admin: [], NetworkPolicy: ['p1'], Baseline: [] },
        isAudited: false,
      },
    ],
  ]),
  policies: new Map([
    [
      'p1',
      {
        id: 'p1',
        policy: onlyApi,
        tier: 'NetworkPolicy',
        direction: 'ingress',
        rules: [
          {
            ref: { policy: onlyApi, direction: 'ingress', index: 0 },
            action: 'accept',
            peers: ['s1'],
            ports: { ranges: [{ protocol: 'TCP', first: 5432, last: 5432 }], names: [] },
          },
        ],
      },
    ],
  ]),
  peerSets: new Map(),
  namedPortSets: new Map(),
  families: new Set([4, 6]),
  membersOf: () => new Map(),
  namedPortsOf: () => [],
}

export function sceneSources(changes: Partial<PolicySources> = {}): PolicySources {
  return {
    nodeName: 'node-2',
    view: viewOf(sceneCluster()),
    form: () => form,
    readings: () => readings,
    state: () => ({ kind: 'enforced', sinceMs: 0 }),
    counters: async () => ({
      rules: [
        { ref: { policy: onlyApi, direction: 'ingress', index: 0 }, packets: 3, bytes: 180 },
        { ref: { policy: onlyApi, direction: 'ingress', index: 0 }, packets: 1, bytes: 60 },
      ],
      denied: [{ class: 'c1', direction: 'ingress', isAudited: false, packets: 12, bytes: 720 }],
      refused: [{ why: 'not an address of the pod (IPv4)', packets: 2, bytes: 120 }],
    }),
    untold: () => undefined,
    podInKernel: async (addrs) => ({
      addrs: addrs.flatMap((addr) => [
        { direction: 'ingress' as const, addr, chain: 'in-c1', isChainThere: true },
        { direction: 'egress' as const, addr, isChainThere: false },
      ]),
    }),
    ...changes,
  }
}
