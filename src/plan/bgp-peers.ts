// Plans one node's neighbours from BGPPeers: selects the BGPPeers for this node, and takes defaults from the BGPConfiguration.
import { type Family, type Prefix } from '#/lib/addr.ts'
import { type PeerConfig, type RoutePolicy } from '#/model/bgp.ts'
import { type BgpConfiguration, type BgpPeer } from '#/model/bgp-objects.ts'
import { wholeBfd, wholeGracefulRestart, wholeTimers } from '#/model/bgp-sections.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type BgpMember, hasNextHop } from './bgp-member.ts'
import { passwordOf, type Secrets } from './bgp-passwords.ts'
import { exportToNode } from './bgp-exports.ts'
import { type CidrSets, only, onlyOfNode, policyOf } from './bgp-policies.ts'

export type RemoteContext = {
  readonly self: BgpMember
  /** This node's AS number, used where a BGPPeer sets no `localAsn`. */
  readonly asn: number
  readonly configuration: BgpConfiguration
  readonly families: readonly Family[]
  readonly sets: CidrSets
  readonly secrets: Secrets
  /** Nodes other than this one, by address. */
  readonly nodesByAddr: ReadonlyMap<string, BgpMember>
  /** The pod CIDRs that are routed to another node. */
  readonly podCIDRsOf: (name: string) => readonly Prefix[]
  /** Whether a node reflects other nodes' routes to its clients, in the mesh or because a BGPPeer makes it a reflector. */
  readonly isReflector: (node: BgpMember) => boolean
  /** All BGPPeers. */
  readonly peers: readonly BgpPeer[]
}

export type PlannedPeers = { readonly peers: readonly PeerConfig[]; readonly problems: readonly Problem[] }

/** The key of a BGPPeer's neighbour: two BGPPeers with the same key are about the same neighbour. */
export function endOf({ addr, device }: BgpPeer): string {
  return addr === undefined || addr.isLinkLocal ? `${addr ?? ''}%${device ?? ''}` : String(addr)
}

/** The families of a BGPPeer's session: the configured ones for which this node has a next hop. */
function familiesOf(peer: BgpPeer, { self, families }: RemoteContext): Family[] {
  const over = peer.addr?.family ?? 6
  return families.filter((family) => (peer.families ?? families).includes(family) && hasNextHop(self, family, over))
}

/** The import policy for a BGPPeer that sets none: a node may announce only its own pod CIDRs, a reflector or router all cluster CIDRs. */
function defaultImport({ addr }: BgpPeer, context: RemoteContext): RoutePolicy {
  const node = addr && context.nodesByAddr.get(String(addr))
  return node === undefined || context.isReflector(node)
    ? only('cluster-cidrs', context.sets.ClusterCIDRs)
    : onlyOfNode(node.name, context.podCIDRsOf(node.name))
}

/**
 * The export policy for a BGPPeer that sets none. RFC 8212 requires an explicit one for an external neighbour: it gets this node's own pod
 * CIDRs. A node of the own AS gets what it takes; undefined: a router of the own AS gets everything.
 */
function defaultExport({ addr }: BgpPeer, isExternal: boolean, context: RemoteContext): RoutePolicy | undefined {
  const { self, sets, peers } = context
  if (isExternal) return only('own-pod-cidrs', sets.OwnPodCIDRs)
  const node = addr && context.nodesByAddr.get(String(addr))
  return node && exportToNode(node, { self, isReflector: context.isReflector(self), peers, sets })
}

function policiesOf(
  peer: BgpPeer,
  isExternal: boolean,
  context: RemoteContext,
): Pick<PeerConfig, 'importPolicy' | 'exportPolicy'> {
  const { importPolicy, exportPolicy } = peer
  const { sets } = context
  const given = exportPolicy ? policyOf(exportPolicy, sets) : defaultExport(peer, isExternal, context)
  return {
    importPolicy: importPolicy ? policyOf(importPolicy, sets) : defaultImport(peer, context),
    ...(given && { exportPolicy: given }),
  }
}

function objectOf({ name }: BgpPeer): string {
  return `bgppeer/${name}`
}

function planRemote(peer: BgpPeer, context: RemoteContext): { config: PeerConfig; problems: Problem[] } {
  const { configuration, secrets } = context
  const { name, addr, device, port, asn: remoteAsn, localAsn = context.asn, mode, maxPrefixes } = peer
  const { nextHopSelf, allowOwnAsn, ttlSecurityHops, multihopTtl } = peer
  const problems: Problem[] = []
  const object = objectOf(peer)
  const isExternal = remoteAsn === 'external' || remoteAsn !== localAsn
  const gracefulRestart = wholeGracefulRestart({ ...configuration.gracefulRestart, ...peer.gracefulRestart })
  const bfd = wholeBfd({ ...configuration.bfd, ...peer.bfd })
  const { password, isPending, ...secret } = passwordOf(peer.password, secrets)
  if (secret.blockedBecause !== undefined && !isPending) problems.push(problem('CW4102', object, secret.blockedBecause))
  if (peer.isReflectorClient && isExternal)
    problems.push(
      problem(
        'CW4103',
        object,
        `spec.reflectorClient: a client is of the reflector's own AS, and this is AS ${remoteAsn}`,
      ),
    )
  const families = familiesOf(peer, context)
  for (const family of peer.families ?? [])
    if (context.families.includes(family) && !families.includes(family))
      problems.push(
        problem(
          'CW4104',
          object,
          `spec.families: IPv${family} is left out: this node has no IPv${family} address to be its next hop`,
        ),
      )
  const noFamily = families.length === 0 ? 'spec.families: this node has none of them' : undefined
  if (noFamily !== undefined) problems.push(problem('CW4104', object, noFamily))
  if (mode === 'passive' && configuration.listenPort === undefined)
    problems.push(
      problem(
        'CW4105',
        object,
        'spec.mode: it waits for connections, and spec.listenPort of the BGPConfiguration is 0',
      ),
    )
  const blockedBecause = peer.blockedBecause ?? secret.blockedBecause ?? noFamily
  const config: PeerConfig = {
    name,
    ...(addr && { addr }),
    ...(device !== undefined && { device }),
    port,
    localAsn,
    remoteAsn,
    families,
    mode,
    timers: wholeTimers({ ...configuration.timers, ...peer.timers }),
    ...(gracefulRestart && { gracefulRestart }),
    ...(bfd && { bfd }),
    ...(password !== undefined && { password }),
    ...(ttlSecurityHops !== undefined && { ttlSecurityHops }),
    ...(multihopTtl !== undefined && { multihopTtl }),
    maxPrefixes,
    ...policiesOf(peer, isExternal, context),
    isReflectorClient: peer.isReflectorClient && !isExternal,
    ...(addr && context.nodesByAddr.has(String(addr)) && { isNode: true }),
    nextHopSelf,
    allowOwnAsn,
    ...(blockedBecause !== undefined && { blockedBecause }),
  }
  return { config, problems }
}

/** Plans the neighbours. When several BGPPeers are about the same neighbour, the first by name is used. */
export function planPeers(own: readonly BgpPeer[], context: RemoteContext): PlannedPeers {
  const taken = new Map<string, string>()
  const peers: PeerConfig[] = []
  const problems: Problem[] = []
  for (const peer of own) {
    const end = endOf(peer)
    const other = taken.get(end)
    if (other !== undefined) {
      const message = `BGPPeer ${other} is with the same neighbour on node ${context.self.name}: that one is taken`
      problems.push(problem('CW4101', objectOf(peer), message))
      continue
    }
    taken.set(end, peer.name)
    const planned = planRemote(peer, context)
    peers.push(planned.config)
    problems.push(...planned.problems)
  }
  return { peers, problems }
}
