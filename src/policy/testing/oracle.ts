// Says of well-formed objects whether they deny a packet, straight from the words of the two APIs: no reader, no common form, no order that
// was worked out before. What the evaluator says is compared with it.
import { Prefix } from '#/lib/addr.ts'
import { type KubeObject, type Pod } from '#/model/kubernetes.ts'
import { type Direction, portProtocols } from '../policy.ts'
import { type PolicyPacket } from '../verdict.ts'
import { type ClusterObjects, type SpecObject } from './cluster-objects.ts'

// oxlint-disable-next-line typescript/no-explicit-any -- objects as they come: every field may be missing
type Json = any

function selectorHolds(selector: Json, labels: Json): boolean {
  const pairs = Object.entries(selector.matchLabels ?? {})
  if (pairs.some(([key, value]) => labels[key] !== value)) return false
  return (selector.matchExpressions ?? []).every(({ key, operator, values }: Json) => {
    const has = labels[key] !== undefined
    if (operator === 'Exists') return has
    if (operator === 'DoesNotExist') return !has
    return (has && values.includes(labels[key])) === (operator === 'In')
  })
}

const labelsOf = (object: KubeObject): Json => object.metadata.labels ?? {}

function isIn(cidr: string, addr: PolicyPacket['src']): boolean {
  return Prefix.parse(cidr).contains(addr)
}

/** Denied in one direction? */
export function oracleDenies(objects: ClusterObjects, packet: PolicyPacket, direction: Direction): boolean {
  const podAt = (addr: PolicyPacket['src']): Json =>
    objects.pods.find(
      ({ spec, status }: Json) =>
        spec.hostNetwork !== true &&
        status.phase !== 'Succeeded' &&
        status.podIPs.some(({ ip }: Json) => ip === `${addr}`),
    )
  const isEgress = direction === 'egress'
  const own: Json = podAt(isEgress ? packet.src : packet.dst)
  const otherAddr = isEgress ? packet.dst : packet.src
  const other: Json = podAt(otherAddr)
  const receiver: Json = podAt(packet.dst)
  if (own === undefined) return false
  if (objects.nodes[own.spec.nodeName]?.includes(`${otherAddr}`)) return false

  const namespaceLabels = (pod: Pod): Json =>
    labelsOf(objects.namespaces.find(({ metadata }) => metadata.name === pod.metadata.namespace)!)
  const isOfPods = ({ namespaces, pods }: Json, pod: Pod): boolean =>
    namespaces === undefined
      ? selectorHolds(pods.namespaceSelector ?? {}, namespaceLabels(pod)) &&
        selectorHolds(pods.podSelector, labelsOf(pod))
      : selectorHolds(namespaces, namespaceLabels(pod))

  const isProtocol = (name: string): boolean => portProtocols[name as 'TCP'] === packet.protocol
  const calls = (name: string, isRight: (protocol: string) => boolean): boolean =>
    (receiver?.spec.containers ?? [])
      .flatMap(({ ports }: Json) => ports)
      .some(
        (port: Json) =>
          port.name === name &&
          port.containerPort === packet.port &&
          isProtocol(port.protocol) &&
          isRight(port.protocol),
      )

  // ClusterNetworkPolicy
  const isClusterPort = (each: Json): boolean => {
    if (each.destinationNamedPort !== undefined) return calls(each.destinationNamedPort, () => true)
    const [[name, { destinationPort }]] = Object.entries(each) as [[string, Json]]
    if (!isProtocol(name.toUpperCase())) return false
    if (destinationPort === undefined) return true
    const { number, range } = destinationPort
    return range === undefined ? packet.port === number : packet.port! >= range.start && packet.port! <= range.end
  }
  const isClusterPeer = (peer: Json): boolean =>
    peer.networks === undefined
      ? other !== undefined && isOfPods(peer, other)
      : peer.networks.some((cidr: string) => isIn(cidr, otherAddr))
  const tierSays = (tier: string): string | undefined => {
    const policies: Json[] = objects.clusterNetworkPolicies.filter(
      ({ spec }: Json) => spec.tier === tier && isOfPods(spec.subject, own),
    )
    policies.sort((a, b) => a.spec.priority - b.spec.priority || (a.metadata.name < b.metadata.name ? -1 : 1))
    return policies
      .flatMap(({ spec }) => spec[direction] ?? [])
      .find(
        (rule) =>
          (rule.protocols === undefined || rule.protocols.some(isClusterPort)) &&
          rule[isEgress ? 'to' : 'from'].some(isClusterPeer),
      )?.action
  }

  // NetworkPolicy
  const isAbout = ({ spec }: Json): boolean => {
    const types = spec.policyTypes ?? []
    if (types.length > 0) return types.includes(isEgress ? 'Egress' : 'Ingress')
    return !isEgress || (spec.egress ?? []).length > 0
  }
  const isolating = objects.networkPolicies.filter(
    (policy) =>
      policy.metadata.namespace === own.metadata.namespace &&
      selectorHolds(policy.spec['podSelector'] ?? {}, labelsOf(own)) &&
      isAbout(policy),
  )
  const isPeer = (policy: SpecObject, { podSelector, namespaceSelector, ipBlock }: Json): boolean => {
    if (ipBlock !== undefined)
      return isIn(ipBlock.cidr, otherAddr) && !(ipBlock.except ?? []).some((cidr: string) => isIn(cidr, otherAddr))
    if (other === undefined || !selectorHolds(podSelector ?? {}, labelsOf(other))) return false
    return namespaceSelector === undefined
      ? other.metadata.namespace === policy.metadata.namespace
      : selectorHolds(namespaceSelector, namespaceLabels(other))
  }
  const isPort = ({ protocol = 'TCP', port, endPort }: Json): boolean => {
    if (typeof port === 'string') return calls(port, (each) => each === protocol)
    if (!isProtocol(protocol)) return false
    return port === undefined || (packet.port! >= port && packet.port! <= (endPort ?? port))
  }
  const allows = (policy: SpecObject): boolean =>
    ((policy.spec[direction] ?? []) as Json[]).some((rule) => {
      const peers = rule[isEgress ? 'to' : 'from'] ?? []
      const ports = rule.ports ?? []
      return (
        (peers.length === 0 || peers.some((peer: Json) => isPeer(policy, peer))) &&
        (ports.length === 0 || ports.some(isPort))
      )
    })

  const admin = tierSays('Admin')
  if (admin === 'Accept') return false
  if (admin === 'Deny') return true
  if (isolating.length > 0) return !(isolating.some(allows) || other === own)
  return tierSays('Baseline') === 'Deny'
}
