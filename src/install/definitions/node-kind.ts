// The definition of BGPNode: the state of a node's speaker, written by its agent, and the settings of that node alone.
import { definition } from './definition.ts'
import { asn, choice, flag, list, mapping, routerId, text } from './schema.ts'
import { conditions, count } from './status.ts'

const session = mapping('A session.', {
  peer: text('Name of the BGPPeer, or node/NAME for a node of the mesh.'),
  address: text('Address of the neighbour, once known.'),
  asn: count('AS number of the neighbour, once known.'),
  state: choice('State of RFC 4271.', ['Idle', 'Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Established']),
  since: text('Since when it is in that state.', { format: 'date-time' }),
  received: count('Prefixes that it has sent.'),
  accepted: count('Of these, those that the policy takes.'),
  advertised: count('Prefixes that it was given.'),
  lastError: text('Why it is down, or went down last.'),
})

const status = mapping('What is. The agent of the node writes it, a few seconds after changes; counts once a minute.', {
  routerID: text('Router id.'),
  asn: count('AS number of the node.'),
  role: choice('Role in the mesh: with all, reflector, client of reflectors, or none.', [
    'mesh',
    'reflector',
    'client',
    'none',
  ]),
  established: count('How many sessions are established.'),
  configured: count('How many sessions there are to be.'),
  sessions: list('BGPPeers first, then nodes of the mesh, those that are down first; 100 at most.', session),
  routes: mapping('Routes.', {
    learned: count('Prefixes that the speaker has chosen a path for.'),
    installed: count('Of these, those that the kernel has.'),
  }),
  conditions: conditions('Established: all sessions are. Drained: nobody is told of the pod CIDRs.'),
})

export const nodeDefinition = definition({
  kind: 'BGPNode',
  plural: 'bgpnodes',
  shortName: 'bgpn',
  description:
    "What the BGP speaker of the node of this name does, and what is special about it. The node's agent makes it.",
  spec: mapping('What is special about the node.', {
    asn: asn('AS number towards BGPPeers. In the mesh that of the BGPConfiguration counts, which all nodes know.'),
    routerID: routerId('Router id. Absent: the first IPv4 address of the node, else a hash of its name.'),
    drained: flag('Advertise nothing: neighbours send nothing more to this node. Routes are learned on.', {
      default: false,
    }),
  }),
  status,
  columns: [
    { name: 'ASN', type: 'integer', jsonPath: '.status.asn', description: 'AS number.' },
    { name: 'Router-ID', type: 'string', jsonPath: '.status.routerID', description: 'Router id.' },
    { name: 'Role', type: 'string', jsonPath: '.status.role', description: 'Role in the mesh.' },
    { name: 'Up', type: 'integer', jsonPath: '.status.established', description: 'Established sessions.' },
    { name: 'Sessions', type: 'integer', jsonPath: '.status.configured', description: 'All sessions.' },
    { name: 'Routes', type: 'integer', jsonPath: '.status.routes.installed', description: 'Routes in the kernel.' },
    { name: 'Drained', type: 'boolean', jsonPath: '.spec.drained', description: 'Nothing is advertised.', priority: 1 },
  ],
})
