// The definition of ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2) for the lab's API: what the standard channel of its project
// takes and refuses. On a cluster the project's own definition is applied (docs/policy.md).
import { checked, choice, list, mapping, type Schema, text, whole } from '#/install/definitions/schema.ts'
import { type Manifest } from '#/install/settings.ts'

const group = 'policy.networking.k8s.io'
const ports = { min: 1, max: 65_535 }
/** How many rules a direction has at most, peers and protocols a rule, CIDRs a peer. */
const maxItems = 25
const atLeastOne = { minItems: 1, maxItems }
const exactlyOne = { minProperties: 1, maxProperties: 1 }

function selector(description: string): Schema {
  const requirement = {
    ...mapping('A requirement on one label.', {
      key: text('The label.'),
      operator: text('How the label relates to the values: In, NotIn, Exists or DoesNotExist.'),
      values: list('For In and NotIn: at least one.', { type: 'string' }, { 'x-kubernetes-list-type': 'atomic' }),
    }),
    required: ['key', 'operator'],
  }
  return mapping(
    description,
    {
      matchLabels: {
        type: 'object',
        description: 'Labels with these values.',
        additionalProperties: { type: 'string' },
      },
      matchExpressions: list('Requirements on labels, all of which must hold.', requirement, {
        'x-kubernetes-list-type': 'atomic',
      }),
    },
    { 'x-kubernetes-map-type': 'atomic' },
  )
}

function pods(description: string): Schema {
  return {
    ...mapping(description, {
      namespaceSelector: selector('Namespaces by their labels; empty or missing: all.'),
      podSelector: selector('Pods of these namespaces by their labels; empty: all.'),
    }),
    required: ['podSelector'],
  }
}

const podPeers = {
  namespaces: selector(
    'All pods of the namespaces with these labels. Pods in the network of their node are not among them.',
  ),
  pods: pods(
    'Pods by their labels and those of their namespace. Pods in the network of their node are not among them.',
  ),
}

const cidr = {
  type: 'string',
  maxLength: 43,
  ...checked({ rule: 'isCIDR(self)', message: 'Invalid CIDR format provided' }),
}

const networks = list('CIDRs such as 10.0.0.0/8 or fd00::/8: all addresses in them, those of pods as well.', cidr, {
  ...atLeastOne,
  'x-kubernetes-list-type': 'set',
})

const range = {
  ...mapping('Ports from start to end.', {
    start: whole('The first port.', ports),
    end: whole('The last port.', ports),
  }),
  required: ['end', 'start'],
  ...checked({ rule: 'self.start < self.end', message: 'Start port must be less than End port' }),
}

function portsOf(protocol: string): Schema {
  const port = mapping('The port: a number, or a range.', { number: whole('The port.', ports), range }, exactlyOne)
  return mapping(`Ports of ${protocol}.`, { destinationPort: port }, { minProperties: 1 })
}

const protocols = list(
  'What the rule matches besides its peers; missing: any protocol and port.',
  mapping(
    'A protocol and its ports.',
    {
      tcp: portsOf('TCP'),
      udp: portsOf('UDP'),
      sctp: portsOf('SCTP'),
      destinationNamedPort: text('The name of a port of the receiving pod.'),
    },
    exactlyOne,
  ),
  atLeastOne,
)

function rules(description: string, peersField: 'from' | 'to', peers: Readonly<Record<string, Schema>>): Schema {
  const rule = {
    ...mapping('A rule.', {
      name: text('What the rule is called in what is told of it.', { maxLength: 100 }),
      action: choice('Accept and Deny decide; Pass goes on with the next tier.', ['Accept', 'Deny', 'Pass']),
      [peersField]: list(
        'The other ends; any of them.',
        mapping('Exactly one of these.', peers, exactlyOne),
        atLeastOne,
      ),
      protocols,
    }),
    required: ['action', peersField],
  }
  return list(description, rule, { maxItems })
}

const spec: Schema = {
  ...mapping('What is wanted.', {
    tier: choice('Admin: before NetworkPolicies. Baseline: after them, for pods that none of them selects.', [
      'Admin',
      'Baseline',
    ]),
    priority: whole('The order within the tier: lower comes first.', { min: 0, max: 1000 }),
    subject: mapping('The pods that the policy is about.', podPeers, exactlyOne),
    ingress: rules('What these pods receive. The first rule that matches decides.', 'from', podPeers),
    egress: rules('What these pods send. The first rule that matches decides.', 'to', { ...podPeers, networks }),
  }),
  required: ['priority', 'subject', 'tier'],
}

const condition = {
  ...mapping('A condition.', {
    type: text('What it is about.', {
      maxLength: 316,
      pattern:
        '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$',
    }),
    status: choice('Whether it is so.', ['True', 'False', 'Unknown']),
    observedGeneration: {
      type: 'integer',
      format: 'int64',
      minimum: 0,
      description: 'metadata.generation of the object when this was told.',
    },
    reason: text('Why, in one word.', {
      minLength: 1,
      maxLength: 1024,
      pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
    }),
    message: text('Why, for people.', { maxLength: 32_768 }),
    lastTransitionTime: text('Since when the status is this.', { format: 'date-time' }),
  }),
  required: ['lastTransitionTime', 'message', 'reason', 'status', 'type'],
}

const status: Schema = {
  ...mapping('What is.', {
    conditions: list('Conditions.', condition, {
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
    }),
  }),
  required: ['conditions'],
}

export const policyDefinition: Manifest = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: `clusternetworkpolicies.${group}`,
    annotations: {
      // a definition in a group of k8s.io must say where it was approved
      'api-approved.kubernetes.io': 'https://github.com/kubernetes-sigs/network-policy-api/pull/347',
      [`${group}/channel`]: 'standard',
    },
  },
  spec: {
    group,
    scope: 'Cluster',
    names: {
      kind: 'ClusterNetworkPolicy',
      listKind: 'ClusterNetworkPolicyList',
      plural: 'clusternetworkpolicies',
      singular: 'clusternetworkpolicy',
      shortNames: ['cnp'],
    },
    versions: [
      {
        name: 'v1alpha2',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            description: 'A policy of the whole cluster on which packets pods may send and receive.',
            properties: {
              apiVersion: { type: 'string' },
              kind: { type: 'string' },
              metadata: { type: 'object' },
              spec,
              status,
            },
            required: ['metadata', 'spec'],
          },
        },
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: 'Tier', type: 'string', jsonPath: '.spec.tier' },
          { name: 'Priority', type: 'string', jsonPath: '.spec.priority' },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
      },
    ],
  },
}
