// The node mesh: BGP sessions between nodes, either from every node to every other or through route reflectors (RFC 4456). Nodes of
// different AS always have direct sessions, because a node that passes a route on across AS borders becomes the route's next hop.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type MaxPrefixes, type PeerConfig } from '#/model/bgp.ts'
import { bgpDefaults } from '#/model/bgp-limits.ts'
import { type BgpConfiguration, type BgpPeer, singletonName } from '#/model/bgp-objects.ts'
import { wholeGracefulRestart, wholeTimers } from '#/model/bgp-sections.ts'
import { selects } from '#/model/label-selector.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { addrOf, asnOf, type BgpMember, hasNextHop } from './bgp-member.ts'
import { exportToNode } from './bgp-exports.ts'
import { type Password } from './bgp-passwords.ts'
import { type CidrSets, only, onlyOfNode } from './bgp-policies.ts'
import { reflectorsOf } from './bgp-reflectors.ts'

export type BgpRole = 'mesh' | 'reflector' | 'client' | 'none'

export type MeshContext = {
  readonly self: BgpMember
  readonly configuration: BgpConfiguration
  /** All BGPPeers. */
  readonly peers: readonly BgpPeer[]
  readonly families: readonly Family[]
  readonly clusterCIDRs: readonly Prefix[]
  readonly sets: CidrSets
  /** The pod CIDRs that are routed to another node. */
  readonly podCIDRsOf: (name: string) => readonly Prefix[]
  readonly password: Password
}

export type Mesh = {
  readonly role: BgpRole
  /** The names of the reflectors of this node's AS. */
  readonly reflectors: ReadonlySet<string>
  readonly peers: readonly PeerConfig[]
  readonly problems: readonly Problem[]
}

const noReflectors: ReadonlySet<string> = new Set()
/** The TTL of sessions between nodes of different AS, which need not be on one link. */
const meshTtl = 64

/**
 * The addresses of both ends of a session, of the first family that both nodes have an address of; the family of the first cluster CIDR
 * is tried first. Both nodes compute the same pair, so each gets connections from the address that it expects.
 */
function endsOf(
  self: BgpMember,
  other: BgpMember,
  clusterCIDRs: readonly Prefix[],
): [own: Addr, its: Addr] | undefined {
  const preferred = clusterCIDRs[0]?.family ?? 4
  for (const family of [preferred, preferred === 4 ? 6 : 4] as const) {
    const own = addrOf(self, family)
    const its = addrOf(other, family)
    if (own !== undefined && its !== undefined) return [own, its]
  }
  return undefined
}

/**
 * Which side of a session connects. In the mesh both sides do, so that the session of a restarted node returns at once instead of at the
 * other side's next attempt; collision detection (RFC 4271 section 6.8) closes one of two crossing connections. Clients connect to
 * reflectors: a restarted reflector would otherwise connect to thousands of clients at once; the clients' retry timers spread the load.
 */
const modes = { mesh: 'both', toReflector: 'active', toClient: 'passive' } as const

type Tie = keyof typeof modes

/** The kind of session that this node has with another node; undefined when they have none. */
function tieOf(reflectors: ReadonlySet<string> | undefined, self: string, other: string): Tie | undefined {
  if (reflectors === undefined) return 'mesh'
  const [isReflector, isWithReflector] = [reflectors.has(self), reflectors.has(other)]
  if (isReflector) return isWithReflector ? 'mesh' : 'toClient'
  return isWithReflector ? 'toReflector' : undefined
}

/**
 * Counted is what the import policy takes: whatever a router tells one node is no reason for others to lose it. Memory has its own limit,
 * for a node that tells more than it should.
 */
function limitOf({ meshMaxPrefixes }: BgpConfiguration, usual: 'nodeCount' | 'reflectorCount'): MaxPrefixes {
  const { [usual]: usualCount, reflectorCount, warningPercent, restartSeconds } = bgpDefaults.meshMaxPrefixes
  const count = meshMaxPrefixes.count ?? usualCount
  const receivedCount = Math.max(count, reflectorCount)
  return { warningPercent, restartSeconds, ...meshMaxPrefixes, count, receivedCount }
}

const configured = `bgpconfiguration/${singletonName}`

/** Problems for the parts of the BGPConfiguration that have no effect with these nodes. */
function problemsIn({ configuration, password }: MeshContext, ofOwnAs: readonly BgpMember[]): Problem[] {
  const { nodeMesh, reflectors, meshBlockedBecause } = configuration
  const { nodeSelector } = reflectors
  const problems: Problem[] = []
  if (nodeSelector !== undefined && nodeMesh === 'Full')
    problems.push(
      problem('CW4106', configured, 'spec.reflectors.nodeSelector: with spec.nodeMesh Full there are no reflectors', {
        remedy: 'set spec.nodeMesh to Auto, or remove spec.reflectors.nodeSelector',
      }),
    )
  if (nodeSelector !== undefined && nodeMesh === 'Auto' && !ofOwnAs.some(({ labels }) => selects(nodeSelector, labels)))
    problems.push(
      problem(
        'CW4106',
        configured,
        'spec.reflectors.nodeSelector: it selects no node of this AS: they are chosen as without it',
        { remedy: 'label the nodes that are to be reflectors, or correct spec.reflectors.nodeSelector' },
      ),
    )
  if (password.blockedBecause !== undefined && !password.isPending && meshBlockedBecause === undefined)
    problems.push(problem('CW4102', configured, `spec.meshPasswordSecretRef: ${password.blockedBecause}`))
  return problems
}

/** Plans the sessions of the mesh. `nodes` are the other nodes, all of which have pod CIDRs. */
export function planMesh(nodes: readonly BgpMember[], context: MeshContext): Mesh {
  const { self, configuration, families, clusterCIDRs, sets, podCIDRsOf, password } = context
  const { timers, nodeMesh, listenPort: port } = configuration
  if (nodeMesh === 'None') return { role: 'none', reflectors: noReflectors, peers: [], problems: [] }
  if (port === undefined)
    return {
      role: 'none',
      reflectors: noReflectors,
      peers: [],
      problems: [
        problem('CW4106', configured, 'spec.nodeMesh: with spec.listenPort 0 nodes cannot connect to each other', {
          remedy: 'set spec.listenPort, or set spec.nodeMesh to None',
        }),
      ],
    }
  const localAsn = asnOf(self, configuration)
  const ofOwnAs = nodes.filter((node) => asnOf(node, configuration) === localAsn)
  const asMembers = [self, ...ofOwnAs]
  const reflectors = reflectorsOf(asMembers, configuration)
  const gracefulRestart = wholeGracefulRestart(configuration.gracefulRestart)
  const common = {
    port,
    localAsn,
    timers: wholeTimers(timers),
    ...(gracefulRestart && { gracefulRestart }),
    ...(password.password !== undefined && { password: password.password }),
    ...(password.blockedBecause !== undefined && { blockedBecause: password.blockedBecause }),
    nextHopSelf: false,
    allowOwnAsn: 0,
  }
  const limits = { node: limitOf(configuration, 'nodeCount'), reflector: limitOf(configuration, 'reflectorCount') }
  const isReflector = reflectors?.has(self.name) === true
  // a node must not pass routes from its own AS or from a router on to another AS
  const toOtherAs = only('own-pod-cidrs', sets.OwnPodCIDRs)
  const peers: PeerConfig[] = []
  for (const node of nodes) {
    const remoteAsn = asnOf(node, configuration)
    const isInternal = remoteAsn === localAsn
    const tie = isInternal ? tieOf(reflectors, self.name, node.name) : 'mesh'
    const ends = endsOf(self, node, clusterCIDRs)
    if (tie === undefined || ends === undefined) continue
    const [localAddr, addr] = ends
    const exportPolicy = isInternal ? exportToNode(node, { self, isReflector, peers: context.peers, sets }) : toOtherAs
    const isFromReflector = tie === 'toReflector' || (isInternal && reflectors?.has(node.name) === true)
    peers.push({
      ...common,
      name: `node/${node.name}`,
      addr,
      localAddr,
      remoteAsn,
      families: families.filter((family) => hasNextHop(self, family, localAddr.family)),
      mode: modes[tie],
      isReflectorClient: tie === 'toClient',
      isNode: true,
      importPolicy: isFromReflector
        ? only('cluster-cidrs', sets.ClusterCIDRs)
        : onlyOfNode(node.name, podCIDRsOf(node.name)),
      ...(exportPolicy && { exportPolicy }),
      maxPrefixes: isFromReflector ? limits.reflector : limits.node,
      ...(!isInternal && { multihopTtl: meshTtl }),
    })
  }
  const role = reflectors === undefined ? 'mesh' : reflectors.has(self.name) ? 'reflector' : 'client'
  const problems = problemsIn(context, asMembers)
  return {
    role,
    reflectors: reflectors ?? noReflectors,
    peers: peers.sort((a, b) => (a.name < b.name ? -1 : 1)),
    problems,
  }
}
