// The definitions of the kinds with one object in a cluster: Routing and BGPConfiguration.
import { bgpDefaults, bgpRanges, nodeMeshes } from '#/model/bgp-limits.ts'
import { singletonName } from '#/model/bgp-objects.ts'
import { datapathNames } from '#/model/datapath.ts'
import { routings } from '#/model/routing.ts'
import { definition } from './definition.ts'
import {
  asn,
  choice,
  communities,
  defaulted,
  flag,
  list,
  mapping,
  nodeSelector,
  secretRef,
  text,
  whole,
} from './schema.ts'
import { bfd, gracefulRestart, timers } from './sections.ts'
import { conditionColumn, count, statusOfMany } from './status.ts'

export const routingDefinition = definition({
  kind: 'Routing',
  plural: 'routings',
  shortName: 'cwr',
  description: 'How packets cross between nodes, and what carries them on a node. There is one, named "default".',
  onlyName: singletonName,
  spec: mapping('What is wanted.', {
    mode: choice(
      'vxlan: in a tunnel. native: as they are, by routes of BGP, and straight to nodes of the same subnet. auto: native where that is possible, else vxlan. Absent: as agents are set.',
      routings,
    ),
    datapath: choice(
      'bridge: the network stack of the node carries all packets of pods. ebpf: programs carry those of running connections, on nodes whose kernel can. Running pods follow a change. Absent: as agents are set.',
      datapathNames,
    ),
  }),
  status: statusOfMany(
    'Applied: all nodes cross as it says. DatapathApplied: pods of all nodes have the datapath that it says.',
    {
      all: count('Nodes that the mode is for: those without an annotation of their own.'),
      applied: count('Of these, those that cross as it says.'),
      datapathAll: count('Nodes that the datapath is for: those without an annotation of their own.'),
      datapathApplied: count('Of these, those whose pods have it.'),
    },
  ),
  columns: [
    { name: 'Mode', type: 'string', jsonPath: '.spec.mode', description: 'vxlan, native or auto.' },
    { name: 'Datapath', type: 'string', jsonPath: '.spec.datapath', description: 'bridge or ebpf.' },
    { name: 'Applied', type: 'integer', jsonPath: '.status.nodes.applied', description: 'Nodes that cross so.' },
    { name: 'Nodes', type: 'integer', jsonPath: '.status.nodes.all', description: 'Nodes that it is for.' },
    conditionColumn('Accepted', 'Whether it is used as it is written.'),
    {
      name: 'Datapath-Applied',
      type: 'integer',
      jsonPath: '.status.nodes.datapathApplied',
      description: 'Nodes whose pods have that datapath.',
      priority: 1,
    },
    {
      name: 'Datapath-Nodes',
      type: 'integer',
      jsonPath: '.status.nodes.datapathAll',
      description: 'Nodes that the datapath is for.',
      priority: 1,
    },
  ],
})

const reflectors = mapping(
  'Route reflectors (RFC 4456), with nodeMesh Auto.',
  {
    nodeSelector: nodeSelector(
      'The nodes that are reflectors. Absent, or where it selects none: they are chosen in an AS of more than "above" nodes.',
    ),
    count: whole('How many are chosen.', bgpRanges.reflectorCount, { default: bgpDefaults.reflectorCount }),
    above: whole('Up to this many nodes of an AS peer each with each other.', bgpRanges.reflectorsAbove, {
      default: bgpDefaults.reflectorsAbove,
    }),
    topologyKey: text('Label of nodes by which those that are chosen are spread: a zone, a rack.', {
      minLength: 1,
      maxLength: 317,
      default: bgpDefaults.topologyKey,
    }),
  },
  defaulted,
)

export const configurationDefinition = definition({
  kind: 'BGPConfiguration',
  plural: 'bgpconfigurations',
  shortName: 'bgpconf',
  description:
    'What the BGP speakers of all nodes have in common. There is one, named "default"; its defaults hold without it.',
  onlyName: singletonName,
  spec: mapping('What is wanted.', {
    asn: asn('AS number of nodes that localASNs does not select.', { default: bgpDefaults.asn }),
    localASNs: list(
      'AS numbers of some nodes, such as of each rack; the first that selects a node counts. Nodes of different AS peer by eBGP.',
      {
        ...mapping('Nodes and their AS.', {
          nodeSelector: nodeSelector('The nodes.'),
          asn: asn('Their AS number.'),
        }),
        required: ['nodeSelector', 'asn'],
      },
      { maxItems: 4096 },
    ),
    listenPort: whole(
      'TCP port on which every node listens; 0: none does, and there is no mesh.',
      bgpRanges.listenPort,
      {
        default: bgpDefaults.port,
      },
    ),
    nodeMesh: choice(
      'Sessions between nodes, which are there unless the routing is vxlan. Full: each with each. Auto: through route reflectors where they are named or an AS is large, else each with each. None: only BGPPeers.',
      nodeMeshes,
      { default: 'Auto' },
    ),
    reflectors,
    meshPasswordSecretRef: secretRef(
      'Password of all sessions between nodes (TCP MD5, RFC 2385). While it cannot be read they stay down.',
      bgpDefaults.passwordKey,
    ),
    meshMaxPrefixes: mapping(
      'How many prefixes of one node may be taken in a session between nodes. With more the session ends.',
      {
        count: whole(
          `The limit. Absent: ${bgpDefaults.meshMaxPrefixes.nodeCount}, of a route reflector ${bgpDefaults.meshMaxPrefixes.reflectorCount}.`,
          bgpRanges.maxPrefixesCount,
        ),
        warningPercent: whole('From there on it is told.', bgpRanges.warningPercent),
        restartSeconds: whole('How long the session then stays down.', bgpRanges.maxPrefixesRestartSeconds),
      },
    ),
    timers: timers('Timers of all sessions.', 'with defaults'),
    gracefulRestart: gracefulRestart('Graceful restart (RFC 4724) of all sessions.', 'with defaults'),
    bfd: bfd(
      'BFD (RFC 5880) with BGPPeers. Sessions between nodes have none: they may cross routers, and a node that is gone takes its pods with it.',
      'with defaults',
    ),
    maxPaths: whole('How many equal paths to a prefix are used.', bgpRanges.maxPaths, {
      default: bgpDefaults.maxPaths,
    }),
    multipathRelax: flag('Whether paths by different neighbouring AS can be equal.', { default: true }),
    communities: communities('Communities of the pod CIDRs that nodes advertise: 65000:1, 65000:1:2, or a name.'),
  }),
  status: statusOfMany(''),
  columns: [
    { name: 'ASN', type: 'integer', jsonPath: '.spec.asn', description: 'AS number of most nodes.' },
    { name: 'Mesh', type: 'string', jsonPath: '.spec.nodeMesh', description: 'Sessions between nodes.' },
    conditionColumn('Accepted', 'Whether it is used as it is written.'),
    { name: 'Port', type: 'integer', jsonPath: '.spec.listenPort', description: 'TCP port of the nodes.', priority: 1 },
    { name: 'BFD', type: 'boolean', jsonPath: '.spec.bfd.enabled', description: 'BFD with BGPPeers.', priority: 1 },
  ],
})
