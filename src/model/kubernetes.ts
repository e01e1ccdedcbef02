// The few fields of Kubernetes objects that Causeway uses, and the readers that turn them into our values. Objects from the wire are never
// trusted to have the shape of their API type: `isKubeObject` checks identity, everything below `metadata` is typed `unknown`, and the
// functions here read it. They use defaults and report problems; they never throw. Shapes follow
// https://kubernetes.io/docs/reference/kubernetes-api/ (core/v1, coordination.k8s.io/v1).
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type Problem, problem } from './problems.ts'

export type ObjectMeta = {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: unknown
  readonly annotations?: unknown
}

/** Any object of the API. Its own sections (spec, status, …) are `unknown` until a reader checks them. */
export type KubeObject = {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata: ObjectMeta
}

export type KubeNode = KubeObject & { readonly spec?: unknown; readonly status?: unknown }
export type Pod = KubeObject & { readonly spec?: unknown; readonly status?: unknown }
export type Lease = KubeObject & { readonly spec?: unknown }

/** The object that an Event or an error is about (core/v1 ObjectReference). */
export type ObjectReference = {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
}

export type EventType = 'Normal' | 'Warning'

/** A reference to an object. The caller gives kind and version, because the items of a list do not carry them. */
export function referenceTo(apiVersion: string, kind: string, object: KubeObject): ObjectReference {
  const { name, namespace, uid } = object.metadata
  return {
    apiVersion,
    kind,
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
  }
}

/** core/v1 Event as we write it. */
export type Event = KubeObject & {
  readonly involvedObject: ObjectReference
  readonly type: EventType
  readonly reason: string
  readonly message: string
  readonly count: number
  readonly firstTimestamp: string
  readonly lastTimestamp: string
  readonly source: { readonly component: string }
  readonly reportingComponent: string
  readonly reportingInstance: string
}

export type NodeAddress = { readonly type: string; readonly address: string }
export type Condition = {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
}

type Fields = Readonly<Record<string, unknown>>

/** The value as an object with unknown fields; an empty one for anything else (arrays included). */
export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {}
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value as a list of unknown items; an empty one for anything else. */
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
/** The value as a text; an empty one for anything else. */
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const identityFields = [
  'namespace',
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
] as const satisfies (keyof ObjectMeta)[]

/** Whether a value has the identity of an API object: a name, and strings where ObjectMeta has strings. */
export function isKubeObject(value: unknown): value is KubeObject {
  const metadata = fieldsOf(fieldsOf(value)['metadata'])
  return (
    typeof metadata['name'] === 'string' &&
    metadata['name'] !== '' &&
    identityFields.every((field) => metadata[field] === undefined || typeof metadata[field] === 'string')
  )
}

/** "name" or "namespace/name": the key under which stores keep an object. */
export function keyOf(object: KubeObject): string {
  const { namespace, name } = object.metadata
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`
}

function stringMapOf(value: unknown): Readonly<Record<string, string>> {
  const entries = Object.entries(fieldsOf(value)).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  )
  return Object.fromEntries(entries)
}

export function labelsOf(object: KubeObject): Readonly<Record<string, string>> {
  return stringMapOf(object.metadata.labels)
}

export function annotationsOf(object: KubeObject): Readonly<Record<string, string>> {
  return stringMapOf(object.metadata.annotations)
}

/** A node's pod CIDRs beyond the one per family that its spec can have, separated by commas. */
export const extraPodCIDRsAnnotation = 'causeway.dev/extra-pod-cidrs'

/**
 * The pod CIDRs of a node: spec.podCIDRs (or spec.podCIDR if only that is set), at most one per family by the API's rules, then those of
 * the annotation, which `extra` has alone. Malformed ones are left out and reported in `problems`.
 */
export function podCIDRsOf(node: KubeNode): { prefixes: Prefix[]; extra: Prefix[]; problems: Problem[] } {
  const spec = fieldsOf(node.spec)
  const several = listOf(spec['podCIDRs'])
  const single = spec['podCIDR']
  const texts = several.length > 0 ? several : single === undefined || single === '' ? [] : [single]
  const prefixes: Prefix[] = []
  const extra: Prefix[] = []
  const problems: Problem[] = []
  const refuse = (where: string, why: string): number =>
    problems.push(problem('CW1101', `node/${node.metadata.name}`, `${where}: ${why}`))
  for (const text of texts) {
    const result = readPrefix(text)
    if (typeof result === 'string') refuse('spec.podCIDRs', result)
    else if (prefixes.some(({ family }) => family === result.family))
      refuse('spec.podCIDRs', `${result} is a second one of IPv${result.family}`)
    else prefixes.push(result)
  }
  for (const text of (annotationsOf(node)[extraPodCIDRsAnnotation] ?? '').split(',')) {
    if (text.trim() === '') continue
    const result = readPrefix(text.trim())
    const where = `annotation ${extraPodCIDRsAnnotation}`
    if (typeof result === 'string') refuse(where, result)
    else if (prefixes.some((other) => other.overlaps(result)))
      refuse(where, `${result} overlaps another one of the node`)
    else {
      prefixes.push(result)
      extra.push(result)
    }
  }
  return { prefixes, extra, problems }
}

/** Pod CIDRs that a node has lost while pods still have addresses of them, separated by commas: its agent writes the annotation. */
export const formerPodCIDRsAnnotation = 'causeway.dev/former-pod-cidrs'

/** What cannot be read is left out: the agent of that node writes it again. */
export function formerCIDRsOf(node: KubeNode): Prefix[] {
  const texts = annotationsOf(node)[formerPodCIDRsAnnotation]?.split(',') ?? []
  return texts.flatMap((text) => Prefix.tryParse(text.trim()) ?? [])
}

/**
 * The condition that a network plugin sets to False once it has set up the node's network
 * (https://kubernetes.io/docs/reference/node/node-status/#condition).
 */
export const networkUnavailable = 'NetworkUnavailable'
/** The reason of that condition when Causeway has set it to False. */
export const networkUpReason = 'CausewayIsUp'

/** The condition that an agent sets to True while packets of its node's pods to other nodes are lost on the way. */
export const pathsBroken = 'CausewayPathsBroken'

/** The conditions of other nodes that Causeway reads. */
const keptConditions = ['Ready', networkUnavailable]

/** A copy of the node with only its identity, labels, pod CIDRs, addresses, kept conditions, and the annotations in `names`. */
export function withAnnotationsOnly(node: KubeNode, names: readonly string[]): KubeNode {
  const { name, uid, resourceVersion, creationTimestamp, labels } = node.metadata
  const all = annotationsOf(node)
  const annotations = Object.fromEntries(names.flatMap((each) => (all[each] === undefined ? [] : [[each, all[each]]])))
  const { podCIDR, podCIDRs } = fieldsOf(node.spec)
  const { addresses } = fieldsOf(node.status)
  const conditions = keptConditions.flatMap((wanted): Partial<ReturnType<typeof conditionOf>>[] => {
    const { type, status, reason, lastTransitionTime } = conditionOf(node, wanted)
    if (wanted !== 'Ready') return status === 'Unknown' ? [] : [{ type, status, reason }]
    // when a node that is Ready became so, nobody asks
    return status === 'True' ? [{ type, status }] : [{ type, status, lastTransitionTime }]
  })
  return {
    metadata: {
      name,
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(creationTimestamp !== undefined && { creationTimestamp }),
      ...(labels !== undefined && { labels }),
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
    spec: { ...(podCIDR !== undefined && { podCIDR }), ...(podCIDRs !== undefined && { podCIDRs }) },
    status: {
      ...(addresses !== undefined && { addresses }),
      ...(conditions.length > 0 && { conditions }),
    },
  }
}

/** Whether the node has any pod CIDR, readable or not: the API lets them be set only once. */
export function hasPodCIDRs(node: KubeNode): boolean {
  const spec = fieldsOf(node.spec)
  return listOf(spec['podCIDRs']).length > 0 || textOf(spec['podCIDR']) !== ''
}

function readPrefix(value: unknown): Prefix | string {
  if (typeof value !== 'string') return `${JSON.stringify(value)} is no CIDR`
  try {
    return Prefix.parse(value)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** status.addresses without entries that lack a type or an address. */
export function nodeAddressesOf(node: KubeNode): readonly NodeAddress[] {
  return listOf(fieldsOf(node.status)['addresses'])
    .map(fieldsOf)
    .map((entry) => ({ type: textOf(entry['type']), address: textOf(entry['address']) }))
    .filter(({ type, address }) => type !== '' && address !== '')
}

/**
 * The InternalIP addresses of a node in the order of the API, which is the order of preference. All addresses of a family are kept; callers
 * that need one per family take the first. Addresses that no other node can reach are left out and reported.
 */
export function internalAddressesOf(node: KubeNode): { addrs: Addr[]; problems: Problem[] } {
  const addrs: Addr[] = []
  const problems: Problem[] = []
  for (const { type, address } of nodeAddressesOf(node)) {
    if (type !== 'InternalIP') continue
    const addr = Addr.tryParse(address)
    const fault =
      addr === undefined
        ? 'is no IP address'
        : addr.isUnspecified || addr.isLoopback || addr.isMulticast || addr.isReserved
          ? 'cannot be reached from another node'
          : undefined
    if (fault !== undefined)
      problems.push(
        problem('CW1102', `node/${node.metadata.name}`, `status.addresses: InternalIP "${address}" ${fault}`),
      )
    else if (addr !== undefined && !addrs.some((known) => known.equals(addr))) addrs.push(addr)
  }
  return { addrs, problems }
}

/** The first address of the family, or undefined. */
export function firstOf(addrs: readonly Addr[], family: Family): Addr | undefined {
  return addrs.find((addr) => addr.family === family)
}

/** status.conditions[type]; its status is Unknown when the condition is absent or malformed, `lastTransitionTime` is RFC 3339 or ''. */
export function conditionOf(object: KubeNode | Pod, type: string): Condition & { readonly lastTransitionTime: string } {
  const entry = listOf(fieldsOf(object.status)['conditions'])
    .map(fieldsOf)
    .find((each) => each['type'] === type)
  const status = entry?.['status']
  return {
    type,
    status: status === 'True' || status === 'False' ? status : 'Unknown',
    reason: textOf(entry?.['reason']),
    message: textOf(entry?.['message']),
    lastTransitionTime: textOf(entry?.['lastTransitionTime']),
  }
}

/** The node a pod is bound to; "" while it is unscheduled. */
export function nodeNameOf(pod: Pod): string {
  return textOf(fieldsOf(pod.spec)['nodeName'])
}

/** Whether the pod lives in its node's network namespace and so has no address of its own. */
export function isHostNetwork(pod: Pod): boolean {
  return fieldsOf(pod.spec)['hostNetwork'] === true
}

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'

export function podPhaseOf(pod: Pod): PodPhase {
  const phase = fieldsOf(pod.status)['phase']
  return phase === 'Pending' || phase === 'Running' || phase === 'Succeeded' || phase === 'Failed' ? phase : 'Unknown'
}

/** Whether the pod has ended for good: its address may already belong to another pod. */
export function isTerminal(pod: Pod): boolean {
  const phase = podPhaseOf(pod)
  return phase === 'Succeeded' || phase === 'Failed'
}

/** status.podIPs, or status.podIP where only that is set. */
export function podAddressesOf(pod: Pod): { addrs: Addr[]; problems: string[] } {
  const status = fieldsOf(pod.status)
  const several = listOf(status['podIPs']).map((entry) => fieldsOf(entry)['ip'])
  const texts = several.length > 0 ? several : status['podIP'] === undefined ? [] : [status['podIP']]
  const addrs: Addr[] = []
  const problems: string[] = []
  for (const text of texts) {
    const addr = Addr.tryParse(textOf(text))
    if (addr !== undefined) addrs.push(addr)
    else if (text !== '') problems.push(`pod ${keyOf(pod)}: status.podIPs: ${JSON.stringify(text)} is no IP address`)
  }
  // a copy has no room for more: there are tens of thousands
  return { addrs: [...addrs], problems }
}

/** coordination.k8s.io/v1 LeaseSpec with its defaults: no holder, no duration, no transitions. */
export type LeaseSpec = {
  readonly holderIdentity: string
  readonly leaseDurationSeconds: number
  readonly acquireTime: string
  readonly renewTime: string
  readonly leaseTransitions: number
}

export function leaseSpecOf(lease: Lease): LeaseSpec {
  const spec = fieldsOf(lease.spec)
  const countOf = (value: unknown): number => (Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : 0)
  return {
    holderIdentity: textOf(spec['holderIdentity']),
    leaseDurationSeconds: countOf(spec['leaseDurationSeconds']),
    acquireTime: textOf(spec['acquireTime']),
    renewTime: textOf(spec['renewTime']),
    leaseTransitions: countOf(spec['leaseTransitions']),
  }
}
