// Whether pods, peers and ports are what a policy means.
import { type Addr } from '#/lib/addr.ts'
import { selects } from '#/model/label-selector.ts'
import { type PolicyCluster, type PolicyPod } from './cluster.ts'
import { type PeerMatch, type PodMatch, type PolicyRule, type PortMatch, portProtocols } from './policy.ts'
import { type PolicyPacket } from './verdict.ts'

type Namespaces = PolicyCluster['namespaces']

/** Whether policies can mean the pod by its labels: neither a part of its node nor ended. */
export function isPoliced({ isHostNetwork, hasEnded }: PolicyPod): boolean {
  return !isHostNetwork && !hasEnded
}

/** Whether a match means pods of the namespace. One that is not known has no labels that could be asked. */
export function matchesNamespace({ namespaces: match }: PodMatch, name: string, namespaces: Namespaces): boolean {
  if (match.kind === 'name') return match.name === name
  const namespace = namespaces.get(name)
  return namespace !== undefined && selects(match.selector, namespace.labels)
}

export function matchesPod(match: PodMatch, pod: PolicyPod, namespaces: Namespaces): boolean {
  return isPoliced(pod) && selects(match.pods, pod.labels) && matchesNamespace(match, pod.namespace, namespaces)
}

/** One end of a packet as policies see it: an address, and the pod that has it. */
export type End = { readonly addr: Addr; readonly pod: PolicyPod | undefined }

export function matchesPeer(peer: PeerMatch, { addr, pod }: End, namespaces: Namespaces): boolean {
  if (peer.kind === 'pods') return pod !== undefined && matchesPod(peer, pod, namespaces)
  return peer.cidr.contains(addr) && !peer.except.some((except) => except.contains(addr))
}

/** Whether the packet goes to the port. A packet whose port is not known goes to "any port" only. */
export function matchesPort(
  match: PortMatch,
  { protocol, port }: PolicyPacket,
  receiver: PolicyPod | undefined,
): boolean {
  if (match.protocol !== undefined && portProtocols[match.protocol] !== protocol) return false
  if (match.kind === 'range')
    return port === undefined ? match.first === 0 && match.last === 65_535 : match.first <= port && port <= match.last
  return (
    receiver?.namedPorts.some(
      (named) => named.name === match.name && named.port === port && portProtocols[named.protocol] === protocol,
    ) ?? false
  )
}

/** The ends of a packet in one direction of it: `other` is the peer of rules, `receiver` has the port. */
export type Ends = { readonly own: PolicyPod; readonly other: End; readonly receiver: PolicyPod | undefined }

export function matchesRule(
  { peers, ports }: PolicyRule,
  packet: PolicyPacket,
  ends: Ends,
  namespaces: Namespaces,
): boolean {
  return (
    (ports === 'any' || ports.some((port) => matchesPort(port, packet, ends.receiver))) &&
    (peers === 'any' || peers.some((peer) => matchesPeer(peer, ends.other, namespaces)))
  )
}
