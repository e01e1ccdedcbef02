// Computes the configuration of one node's BGP speaker from the cluster's objects. Pure: the same objects give the same configuration
// on every run, and every node computes the same set of sessions.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type PeerConfig, type SpeakerConfig } from '#/model/bgp.ts'
import { type BgpConfiguration, type BgpNode, type BgpPeer, withoutConfiguration } from '#/model/bgp-objects.ts'
import { type SecretRef, secretKey } from '#/model/bgp-sections.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { asnOf, type BgpMember, routerIdOf } from './bgp-member.ts'
import { type BgpRole, planMesh } from './bgp-mesh.ts'
import { type Password, passwordOf, type Secrets } from './bgp-passwords.ts'
import { planPeers } from './bgp-peers.ts'
import { cidrSetsOf, nothing } from './bgp-policies.ts'
import { peersOf } from './bgp-selection.ts'
import { allStandingCIDRs } from './claims.ts'

export type SpeakerInput = {
  readonly self: BgpMember
  /** All nodes; this node may be among them or not. */
  readonly nodes: Iterable<BgpMember>
  /** Undefined when there is no BGPConfiguration: then there is no mesh, and BGPPeers get defaults. */
  readonly configuration: BgpConfiguration | undefined
  readonly peers: readonly BgpPeer[]
  /** This node's BGPNode object. */
  readonly bgpNode: BgpNode | undefined
  readonly secrets: Secrets
  readonly clusterCIDRs: readonly Prefix[]
  /** The subnets that this node is connected to; undefined while they are not known. */
  readonly subnets?: readonly Prefix[] | undefined
  readonly isRestarting: boolean
  /** The address families of this node's pods. */
  readonly families: readonly Family[]
}

export type SpeakerPlan = {
  /** Absent when neither the mesh nor a BGPPeer asks this node to speak BGP. */
  readonly config?: SpeakerConfig
  readonly role: BgpRole
  /** The Secrets that the plan depends on. The caller must read those missing in `secrets` and then plan again. */
  readonly wantedSecrets: readonly SecretRef[]
  readonly problems: readonly Problem[]
}

function uniqueSecrets(refs: readonly (SecretRef | undefined)[]): SecretRef[] {
  const byKey = new Map(refs.filter((ref) => ref !== undefined).map((ref) => [secretKey(ref), ref]))
  return [...byKey.values()]
}

/** The CIDRs of all pods: the cluster CIDRs, and the nodes' pod CIDRs outside of them. */
function podCIDRsOf(clusterCIDRs: readonly Prefix[], members: readonly BgpMember[]): Prefix[] {
  const isOutside = (cidr: Prefix): boolean => !clusterCIDRs.some((cluster) => cluster.contains(cidr))
  const outside = members.flatMap(({ podCIDRs }) => podCIDRs.filter(isOutside))
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

export function planSpeaker(input: SpeakerInput): SpeakerPlan {
  const { self, bgpNode, secrets, isRestarting } = input
  const configuration = input.configuration ?? withoutConfiguration
  const own = peersOf(self, input.peers)
  const hasMesh = configuration.nodeMesh !== 'None'
  if (input.configuration === undefined && own.length === 0) return { role: 'none', wantedSecrets: [], problems: [] }

  const nodes = [...input.nodes].filter(({ name }) => name !== self.name)
  const others = nodes.filter(({ podCIDRs, isTunnelOnly }) => podCIDRs.length > 0 && isTunnelOnly !== true)
  const standingCIDRs = allStandingCIDRs([...nodes, self])
  const sets = cidrSetsOf(podCIDRsOf(input.clusterCIDRs, [self, ...others]), self.podCIDRs)
  const families = input.families.toSorted((a, b) => a - b)
  const asn = bgpNode?.asn ?? asnOf(self, configuration)
  const routerId = bgpNode?.routerId ?? routerIdOf(self)
  const shared = { self, configuration, peers: input.peers, families, sets, standingCIDRs }
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
  const isDrained = bgpNode?.isDrained === true
  const { listenPort, maxPaths, multipathRelax, communities } = configuration
  const config: SpeakerConfig = {
    routerId,
    asn,
    ...(listenPort !== undefined && { listenPort }),
    maxPaths,
    multipathRelax,
    isRestarting,
    localAddrs: self.addrs,
    ...(input.subnets && { subnets: input.subnets }),
    peers: isDrained ? peers.map((peer): PeerConfig => ({ ...peer, exportPolicy: nothing })) : peers,
    originated: isDrained
      ? []
      : self.podCIDRs.map((prefix) => ({ prefix, ...(communities.length > 0 && { communities }) })),
  }
  const problems = [...mesh.problems, ...planned.problems, ...(hasMesh ? twinsOf(self, routerId, others) : [])]
  const wantedSecrets = uniqueSecrets([
    hasMesh ? configuration.meshPassword : undefined,
    ...own.map((peer) => peer.password),
  ])
  return { config, role: mesh.role, wantedSecrets, problems }
}
