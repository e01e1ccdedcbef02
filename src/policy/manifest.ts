// Objects, rules and commands that a user can apply, made for the two ends of one packet.
import { Prefix } from '#/lib/addr.ts'
import { type KubeObject } from '#/model/kubernetes.ts'
import { type Labels, type PolicyPod } from './cluster.ts'
import { type End } from './match.ts'
import { type Direction, portProtocolNames, portProtocols, type PortProtocol } from './policy.ts'
import { type PolicyPacket } from './verdict.ts'

/** Set by the API server on every Namespace. */
export const namespaceNameLabel = 'kubernetes.io/metadata.name'

/** Labels that controllers give to the pods of one generation: a policy that names one is void after the next rollout. */
const passingLabels = [
  'pod-template-hash',
  'pod-template-generation',
  'controller-revision-hash',
  'controller-uid',
  'batch.kubernetes.io/controller-uid',
]

function selectorOf(labels: Labels): object {
  const lasting = Object.entries(labels).filter(([key]) => !passingLabels.includes(key))
  return lasting.length === 0 ? {} : { matchLabels: Object.fromEntries(lasting) }
}

function namespacedPodOf({ namespace, labels }: PolicyPod): object {
  return {
    namespaceSelector: { matchLabels: { [namespaceNameLabel]: namespace } },
    podSelector: selectorOf(labels),
  }
}

const peersField = { ingress: 'from', egress: 'to' } as const satisfies Record<Direction, string>

/** The packet's port as NetworkPolicies write it; undefined for protocols that have none there. */
export function portOf({
  protocol: number,
  port,
}: Pick<PolicyPacket, 'protocol' | 'port'>): { readonly protocol: PortProtocol; readonly port?: number } | undefined {
  const protocol = portProtocolNames.find((name) => portProtocols[name] === number)
  return protocol && { protocol, ...(port !== undefined && { port }) }
}

/** A rule of a NetworkPolicy of `namespace` that means the other end and the packet's port. */
export function networkPolicyRule(
  namespace: string,
  direction: Direction,
  packet: PolicyPacket,
  { addr, pod }: End,
): object {
  const port = portOf(packet)
  const peer =
    pod === undefined
      ? { ipBlock: { cidr: `${Prefix.host(addr)}` } }
      : pod.namespace === namespace
        ? { podSelector: selectorOf(pod.labels) }
        : namespacedPodOf(pod)
  return { [peersField[direction]]: [peer], ...(port !== undefined && { ports: [port] }) }
}

export type ActionName = 'Accept' | 'Deny' | 'Pass'

/** A rule of a ClusterNetworkPolicy; undefined when it cannot mean the other end: ingress from what is no pod. */
export function clusterRule(
  action: ActionName,
  direction: Direction,
  packet: PolicyPacket,
  { addr, pod }: End,
): object | undefined {
  if (pod === undefined && direction === 'ingress') return undefined
  const { protocol, port } = portOf(packet) ?? {}
  const peer = pod === undefined ? { networks: [`${Prefix.host(addr)}`] } : { pods: namespacedPodOf(pod) }
  const of = port === undefined ? {} : { destinationPort: { number: port } }
  return {
    action,
    [peersField[direction]]: [peer],
    ...(protocol !== undefined && { protocols: [{ [protocol.toLowerCase()]: of }] }),
  }
}

const typeOf = { ingress: 'Ingress', egress: 'Egress' } as const satisfies Record<Direction, string>

/** A name of an object made of names of others. */
function nameOf(...parts: readonly string[]): string {
  return parts
    .join('-')
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .slice(0, 60)
    .replace(/-+$/, '')
}

/** An object that can be applied. */
export type Manifest = KubeObject & { readonly spec: object }

/** Isolates the pods with the labels of one, and allows what `rules` say. */
export function networkPolicy(pod: PolicyPod, direction: Direction, rules: readonly object[]): Manifest {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: nameOf(direction, 'of', pod.name), namespace: pod.namespace },
    spec: {
      podSelector: selectorOf(pod.labels),
      policyTypes: [typeOf[direction]],
      ...(rules.length > 0 && { [direction]: rules }),
    },
  }
}

/** Applies one rule, before all other policies, to the pods with the labels of one. */
export function clusterNetworkPolicy(pod: PolicyPod, direction: Direction, other: End, rule: object): Manifest {
  const otherName = other.pod?.name ?? `${other.addr}`
  const ends = direction === 'ingress' ? [otherName, 'to', pod.name] : [pod.name, 'to', otherName]
  return {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: nameOf('deny', ...ends) },
    spec: { tier: 'Admin', priority: 0, subject: { pods: namespacedPodOf(pod) }, [direction]: [rule] },
  }
}

/** A text as one word of a shell. */
function quoted(text: string): string {
  return /^[\w./:=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/** The arguments of kubectl that mean the object of a policy's key. */
function targetOf(key: string): string {
  const [kind = '', ...names] = key.split('/')
  const [namespace, name] = names.length > 1 ? names : [undefined, names[0]]
  return `${kind} ${name}${namespace === undefined ? '' : ` -n ${namespace}`}`
}

/** One step of a JSON patch (RFC 6902). */
export type PatchStep = { readonly op: 'add' | 'remove'; readonly path: string; readonly value?: unknown }

export function patchCommand(policyKey: string, step: PatchStep): string {
  return `kubectl patch ${targetOf(policyKey)} --type=json -p ${quoted(JSON.stringify([step]))}`
}

/** A label to set, or to remove when it has no value. */
export type LabelEdit = { readonly key: string; readonly value?: string }

export function labelCommand(target: string, edits: readonly LabelEdit[]): string {
  const words = edits.map(({ key, value }) => quoted(value === undefined ? `${key}-` : `${key}=${value}`))
  return `kubectl label ${target} --overwrite ${words.join(' ')}`
}
