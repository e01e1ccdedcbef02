// Computes the configuration of one node's BGP speaker from the cluster's objects. Pure: the same objects give the same configuration
// on every run, and every node computes the same set of sessions.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type PeerConfig, type Reach, type RoutePolicy, type SpeakerConfig, type UntoldRoute } from '#/model/bgp.ts'
import { type BgpConfiguration, type BgpNode, type BgpPeer, withoutConfiguration } from '#/model/bgp-objects.ts'
import { type SecretRef, secretKey } from '#/model/bgp-sections.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { asnOf, type BgpMember, routerIdOf } from './bgp-member.ts'
import { type BgpRole, planMesh } from './bgp-mesh.ts'
import { type Password, passwordOf, type Secrets } from './bgp-passwords.ts'
import { planPeers } from './bgp-peers.ts'
import { cidrSetsOf, nothing } from './bgp-policies.ts'
import { peersOf } from './bgp-selection.ts'

export type SpeakerInput = {
  readonly self: BgpMember
  /** All nodes; this node may be among them or not. */
  readonly nodes: Iterable<BgpMember>
  /** Undefined when there is no BGPConfiguration: then there is no mesh, and BGPPeers get defaults. */
  readonly configuration: BgpConfiguration | undefined
  readonly peers: readonly BgpPeer[]
  /** This node's BGPNode object. */
  readonly bgpNode: BgpNode | undefined
  /** This node's Node object was deleted: what belonged to it may be another's any moment, and no neighbour is told of it any more. */
  readonly isGone?: boolean
  /** Pod CIDRs of this node's Node object to which another node has the better claim; they are not among those of `self`. */
  readonly lost?: readonly UntoldRoute[]
  /** The pod CIDRs of another node that are routed to it, as the plan of the network has settled it. */
  readonly podCIDRsOf: (name: string) => readonly Prefix[]
  readonly secrets: Secrets
  readonly clusterCIDRs: readonly Prefix[]
  /** Where next hops are reached; undefined while that is not known. */
  readonly reach?: Reach | undefined
  readonly isRestarting: boolean
  /** The address families of this node's pods. */
  readonly families: readonly Family[]
}

export type SpeakerPlan = {
  /** Absent when neither the mesh nor a BGPPeer asks this node to speak BGP. */
  readonly config?: SpeakerConfig
  readonly role: BgpRole
  /** Why this node tells nobody of its pod CIDRs; absent when it does. */
  readonly drainedBecause?: string
  /** The Secrets that the plan depends on. The caller must read those missing in `secrets` and then plan again. */
  readonly wantedSecrets: readonly SecretRef[]
  readonly problems: readonly Problem[]
}

function uniqueSecrets(refs: readonly (SecretRef | undefined)[]): SecretRef[] {
  const byKey = new Map(refs.filter((ref) => ref !== undefined).map((ref) => [secretKey(ref), ref]))
  return [...byKey.values()]
}

/** The CIDRs of all pods: the cluster CIDRs, and the nodes' pod CIDRs outside of them. */
function allPodCIDRs(clusterCIDRs: readonly Prefix[], podCIDRs: readonly Prefix[]): Prefix[] {
  const isOutside = (cidr: Prefix): boolean => !clusterCIDRs.some((cluster) => cluster.contains(cidr))
  const outside = podCIDRs.filter(isOutside)
  return [...clusterCIDRs, ...outside.toSorted((a, b) => a.compare(b))]
}

function meshPasswordOf({ meshPassword, meshBlockedBecause }: BgpConfiguration, secrets: Secrets): Password {
  return meshBlockedBecause === undefined ? passwordOf(meshPassword, secrets) : { blockedBecause: meshBlockedBecause }
}

/** A problem for each node with this node's router id: two routers of one AS with one id refuse each other (RFC 6286 section 2.2). */
function twinsOf(self: BgpMember, routerId: Addr, others: readonly BgpMember[]): Problem[] {
  return others
    .filter((other) => routerIdOf(other).equals(routerId))
    .map(({ name }) => problem('CW4107', `node/${self.name}`, `router id ${routerId} is also that of node ${name}`))
}

const drainedBySpec = 'this node is drained: spec.drained of its BGPNode is true'

function whyDrained({ bgpNode, isGone }: SpeakerInput): string | undefined {
  if (isGone === true) return 'the Node object of this node was deleted'
  return bgpNode?.isDrained === true ? drainedBySpec : undefined
}

function untoldOf({ self, lost = [] }: SpeakerInput, drainedBecause: string | undefined): readonly UntoldRoute[] {
  if (drainedBecause === undefined) return lost
  return [...self.podCIDRs.map((prefix) => ({ prefix, because: drainedBecause })), ...lost]
}

export function planSpeaker(input: SpeakerInput): SpeakerPlan {
  const { self, bgpNode, secrets, isRestarting } = input
  const configuration = input.configuration ?? withoutConfiguration
  const own = peersOf(self, input.peers)
  const hasMesh = configuration.nodeMesh !== 'None'
  if (input.configuration === undefined && own.length === 0) return { role: 'none', wantedSecrets: [], problems: [] }

  const nodes = [...input.nodes].filter(({ name }) => name !== self.name)
  const others = nodes.filter(({ podCIDRs, isTunnelOnly }) => podCIDRs.length > 0 && isTunnelOnly !== true)
  const { podCIDRsOf } = input
  const podCIDRs = [...self.podCIDRs, ...others.flatMap(({ name }) => podCIDRsOf(name))]
  const sets = cidrSetsOf(allPodCIDRs(input.clusterCIDRs, podCIDRs), self.podCIDRs)
  const families = input.families.toSorted((a, b) => a - b)
  const asn = bgpNode?.asn ?? asnOf(self, configuration)
  const routerId = bgpNode?.routerId ?? routerIdOf(self)
  const shared = { self, configuration, peers: input.peers, families, sets, podCIDRsOf }
  const password = meshPasswordOf(configuration, secrets)
  const mesh = planMesh(others, { ...shared, clusterCIDRs: input.clusterCIDRs, password })
  const planned = planPeers(own, {
    ...shared,
    asn,
    secrets,
    nodesByAddr: new Map(nodes.flatMap((node) => node.addrs.map((addr) => [String(addr), node]))),
    isReflector: (node) =>
      mesh.reflectors.has(node.name) || peersOf(node, input.peers).some(({ isReflectorClient }) => isReflectorClient),
  })

  // a BGPPeer with the address of a node replaces the mesh's session with that node
  const named = new Set(planned.peers.map(({ addr }) => String(addr)))
  const peers = [...mesh.peers.filter(({ addr }) => !named.has(String(addr))), ...planned.peers]
  const drainedBecause = whyDrained(input)
  const told: RoutePolicy | undefined =
    drainedBecause === undefined ? undefined : { ...nothing, otherwiseBecause: drainedBecause }
  const untold = untoldOf(input, drainedBecause)
  const { listenPort, maxPaths, multipathRelax, communities } = configuration
  const config: SpeakerConfig = {
    routerId,
    asn,
    ...(listenPort !== undefined && { listenPort }),
    maxPaths,
    multipathRelax,
    isRestarting,
    localAddrs: self.addrs,
    ...(input.reach && { reach: input.reach }),
    peers: told ? peers.map((peer): PeerConfig => ({ ...peer, exportPolicy: told })) : peers,
    originated: told ? [] : self.podCIDRs.map((prefix) => ({ prefix, ...(communities.length > 0 && { communities }) })),
    ...(untold.length > 0 && { untold }),
  }
  const problems = [
    ...mesh.problems,
    ...planned.problems,
    ...(hasMesh ? twinsOf(self, routerId, others) : []),
    ...(bgpNode?.isDrained === true ? [problem('CW4108', `bgpnode/${self.name}`, drainedBySpec)] : []),
  ]
  const wantedSecrets = uniqueSecrets([
    hasMesh ? configuration.meshPassword : undefined,
    ...own.map((peer) => peer.password),
  ])
  return { config, role: mesh.role, ...(drainedBecause !== undefined && { drainedBecause }), wantedSecrets, problems }
}
