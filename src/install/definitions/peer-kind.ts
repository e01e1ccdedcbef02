// The definition of BGPPeer: a neighbour of some nodes.
import { asnRange, bgpDefaults, bgpRanges, familyNames, reservedAsns, sessionModes } from '#/model/bgp-limits.ts'
import { definition } from './definition.ts'
import {
  asn,
  type Check,
  checked,
  choice,
  defaulted,
  deviceName,
  flag,
  list,
  mapping,
  neighbourAddress,
  nodeSelector,
  type Schema,
  secretRef,
  whole,
} from './schema.ts'
import { bfd, gracefulRestart, policy, timers } from './sections.ts'
import { conditionColumn, count, statusOfMany } from './status.ts'

const peerASN: Schema = {
  description: 'AS number of the neighbour, or "external" for any but the own.',
  'x-kubernetes-int-or-string': true,
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  ...checked({
    rule: `self == 'external' || (type(self) == int && self >= ${asnRange.min} && self <= ${asnRange.max} && !(self in [${reservedAsns.join(', ')}]))`,
    message: `expected a number from ${asnRange.min} to ${asnRange.max}, without the reserved ${reservedAsns.join(' and ')}, or "external"`,
  }),
}

/** What the fields of a BGPPeer must be together. */
const together: readonly Check[] = [
  {
    rule: 'has(self.peerAddress) || has(self.device)',
    message:
      'expected peerAddress, or device for a neighbour that is found at the other end of it by its link-local address',
  },
  {
    rule: '!has(self.peerAddress) || has(self.device) || !isIP(self.peerAddress) || ip(self.peerAddress).family() == 4 || !ip(self.peerAddress).isLinkLocalUnicast()',
    message: 'a link-local address needs the device that leads to it: set device as well',
    fieldPath: '.peerAddress',
  },
  {
    rule: '!(has(self.ttlSecurityHops) && has(self.multihopTTL))',
    message:
      'ttlSecurityHops and multihopTTL exclude each other: the first wants the neighbour near, the second lets it be far',
  },
  {
    rule: "!self.reflectorClient || (self.peerASN != 'external' && (!has(self.localASN) || self.peerASN == self.localASN))",
    message: "reflectorClient is for neighbours of the node's own AS (RFC 4456)",
    fieldPath: '.reflectorClient',
  },
]

const maxPrefixes = mapping(
  'How many prefixes it may send. With more the session ends: a router that sends the whole internet must not fill a node.',
  {
    count: whole('The limit.', bgpRanges.maxPrefixesCount, { default: bgpDefaults.maxPrefixes.count }),
    warningPercent: whole('From there on it is told.', bgpRanges.warningPercent, {
      default: bgpDefaults.maxPrefixes.warningPercent,
    }),
    restartSeconds: whole('How long the session then stays down.', bgpRanges.maxPrefixesRestartSeconds, {
      default: bgpDefaults.maxPrefixes.restartSeconds,
    }),
  },
  defaulted,
)

const spec: Schema = {
  ...mapping('What is wanted.', {
    nodeSelector: nodeSelector('The nodes that have this neighbour. Absent: all.'),
    peerAddress: neighbourAddress('Address of the neighbour. A link-local one needs a device.'),
    device: deviceName(
      'Device to the neighbour. Without an address the neighbour is found there by its link-local address (unnumbered).',
    ),
    peerPort: whole('Its TCP port.', bgpRanges.port, { default: bgpDefaults.port }),
    peerASN,
    localASN: asn('AS number of the node towards it. Absent: that of the node.'),
    families: list(
      'Families of the routes. Absent: those that the node has pods of.',
      { type: 'string', enum: familyNames },
      { minItems: 1, maxItems: 2 },
    ),
    mode: choice('Who connects. passive: the neighbour. active: the node. both: either.', sessionModes, {
      default: 'both',
    }),
    passwordSecretRef: secretRef(
      'Password of the session (TCP MD5, RFC 2385). While it cannot be read the session stays down.',
      bgpDefaults.passwordKey,
    ),
    ttlSecurityHops: whole(
      'TTL security (RFC 5082): how many links away the neighbour is at most. It must send with TTL 255.',
      bgpRanges.ttlSecurityHops,
    ),
    multihopTTL: whole(
      'TTL of packets to a neighbour of another AS that is not on a link of the node.',
      bgpRanges.multihopTtl,
    ),
    timers: timers('Timers, where they differ from those of the BGPConfiguration.', 'without defaults'),
    gracefulRestart: gracefulRestart(
      'Graceful restart, where it differs from that of the BGPConfiguration.',
      'without defaults',
    ),
    bfd: bfd('BFD, where it differs from that of the BGPConfiguration.', 'without defaults'),
    maxPrefixes,
    reflectorClient: flag('Whether the node reflects routes to and from it (RFC 4456); of the own AS only.', {
      default: false,
    }),
    nextHopSelf: flag('Whether a neighbour of the own AS gets the node as next hop of all routes.', { default: false }),
    allowOwnASN: whole(
      'How often the own AS may be in a path that it sends; for nodes that share an AS behind routers.',
      bgpRanges.allowOwnAsn,
      {
        default: 0,
      },
    ),
    importPolicy: policy('Which routes are taken. Absent: those in the cluster CIDRs.'),
    exportPolicy: policy(
      'Which routes are given. Absent: to another AS the pod CIDRs of the node, to a node of the own AS what it takes, to a router of the own AS what BGP gives there.',
    ),
  }),
  required: ['peerASN'],
  ...checked(...together),
}

export const peerDefinition = definition({
  kind: 'BGPPeer',
  plural: 'bgppeers',
  shortName: 'bgpp',
  description:
    'A BGP neighbour of some nodes, such as the router on top of a rack. Its sessions are in the BGPNode of each node.',
  spec,
  isSpecRequired: true,
  status: statusOfMany('Established: its session is, on all nodes that it is for.', {
    selected: count('Nodes that have this neighbour.'),
    established: count('Of these, those with an established session.'),
  }),
  columns: [
    { name: 'Address', type: 'string', jsonPath: '.spec.peerAddress', description: 'Address of the neighbour.' },
    { name: 'Device', type: 'string', jsonPath: '.spec.device', description: 'Device to the neighbour.' },
    { name: 'ASN', type: 'string', jsonPath: '.spec.peerASN', description: 'AS number of the neighbour.' },
    { name: 'Up', type: 'integer', jsonPath: '.status.nodes.established', description: 'Nodes with a session.' },
    { name: 'Nodes', type: 'integer', jsonPath: '.status.nodes.selected', description: 'Nodes that have it.' },
    conditionColumn('Accepted', 'Whether it is used as it is written.'),
    { name: 'BFD', type: 'boolean', jsonPath: '.spec.bfd.enabled', description: 'BFD, where it is told.', priority: 1 },
  ],
})
