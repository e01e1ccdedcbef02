// Reads a ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2). What cannot be read fails closed, rule by rule, as the API says it: an
// Accept rule matches nothing, a Deny or Pass rule denies everything.
import { fieldsOf, isFields, type KubeObject } from '#/model/kubernetes.ts'
import { shown } from '#/model/spec-reader.ts'
import {
  cidrIn,
  fieldsIn,
  listIn,
  maxPort,
  portNameIn,
  portNumberIn,
  refuser,
  type Refuse,
  selectorIn,
} from './fields.ts'
import {
  type Direction,
  directions,
  type PeerMatch,
  type PodMatch,
  type PolicyFault,
  type PolicyReading,
  type PolicyRule,
  type PortMatch,
  type RuleAction,
} from './policy.ts'

const actions: ReadonlyMap<unknown, RuleAction> = new Map([
  ['Accept', 'accept'],
  ['Deny', 'deny'],
  ['Pass', 'pass'],
])

/** "clusternetworkpolicy/NAME" */
export function clusterNetworkPolicyKey({ metadata }: KubeObject): string {
  return `clusternetworkpolicy/${metadata.name}`
}

/**
 * Never throws. A policy whose place in the order or whose subject cannot be read is not enforced: its rules, which may be of any action,
 * could be applied neither where nor to whom they are meant. The API server refuses such a policy unless its definition is newer.
 */
export function readClusterNetworkPolicy(object: KubeObject): PolicyReading {
  const faults: PolicyFault[] = []
  const refuse = refuser(faults, 'the policy is not enforced')
  const spec = fieldsOf(object)['spec']
  if (!isFields(spec)) {
    refuse('spec', `${shown(spec)} is no mapping`)
    return { faults }
  }
  for (const [name, value] of Object.entries(spec))
    if (!['tier', 'priority', 'subject', ...directions].includes(name))
      faults.push({ field: `spec.${name}`, why: `${shown(value)}: no field that is known here; it changes nothing` })
  const { tier, priority } = spec
  const isTier = tier === 'Admin' || tier === 'Baseline'
  if (!isTier) refuse('spec.tier', `${shown(tier)}: expected Admin or Baseline`)
  const isPriority = typeof priority === 'number' && Number.isSafeInteger(priority)
  if (!isPriority) refuse('spec.priority', `${shown(priority)}: expected a whole number`)
  const [kind, content] = oneFieldIn(spec['subject'], 'spec.subject', ['namespaces', 'pods'], refuse) ?? []
  const subject = kind === undefined ? undefined : readPods(kind, content, 'spec.subject', refuse)
  const rules: Partial<Record<Direction, readonly PolicyRule[]>> = {}
  for (const direction of directions) {
    const read = readRules(spec[direction], direction, faults)
    if (read.length > 0) rules[direction] = read
  }
  if (!isTier || !isPriority || subject === undefined) return { faults }
  return { policy: { key: clusterNetworkPolicyKey(object), tier, priority, subject, rules }, faults }
}

function readRules(value: unknown, direction: Direction, faults: PolicyFault[]): readonly PolicyRule[] {
  const at = `spec.${direction}`
  const rules = listIn(value, at, refuser(faults, `all ${direction} is denied`))
  return rules?.map((rule, index) => readRule(rule, index, direction, faults)) ?? [{ index: 0, ...denyAll }]
}

const denyAll = { action: 'deny', peers: 'any', ports: 'any' } as const
const acceptNothing = { action: 'accept', peers: [], ports: 'any' } as const

function readRule(value: unknown, index: number, direction: Direction, faults: PolicyFault[]): PolicyRule {
  const at = `spec.${direction}[${index}]`
  const { action: written, name } = fieldsOf(value)
  const action = actions.get(written)
  const closed = action === 'accept' ? acceptNothing : denyAll
  const own: PolicyFault[] = []
  const refuse = refuser(own, action === 'accept' ? 'this rule matches nothing' : `this rule denies all ${direction}`)
  const match = readMatch(value, direction, at, refuse)
  if (isFields(value) && action === undefined)
    refuse(`${at}.action`, `${shown(written)}: expected one of ${[...actions.keys()].join(', ')}`)
  faults.push(...own)
  return {
    index,
    ...(typeof name === 'string' && name !== '' && { name }),
    ...(action !== undefined && match !== undefined && own.length === 0 ? { action, ...match } : closed),
  }
}

type Match = Pick<PolicyRule, 'peers' | 'ports'>

/** Undefined, or less than was written, when a part of it was refused. */
function readMatch(value: unknown, direction: Direction, at: string, refuse: Refuse): Match | undefined {
  const peersField = direction === 'ingress' ? 'from' : 'to'
  const fields = fieldsIn(value, at, ['name', 'action', peersField, 'protocols'], refuse)
  const peers = fields && listIn(fields[peersField], `${at}.${peersField}`, refuse)
  const protocols = fields && listIn(fields['protocols'], `${at}.protocols`, refuse)
  if (peers === undefined || protocols === undefined) return undefined
  if (peers.length === 0) return refuse(`${at}.${peersField}`, 'has no peer')
  if (protocols.length === 0 && fields?.['protocols'] !== undefined) return refuse(`${at}.protocols`, 'is empty')
  return {
    peers: peers.flatMap((peer, place) => readPeer(peer, direction, `${at}.${peersField}[${place}]`, refuse)),
    ports:
      protocols.length === 0
        ? 'any'
        : protocols.flatMap((each, place) => readProtocol(each, `${at}.protocols[${place}]`, refuse) ?? []),
  }
}

/** The one field of a mapping of which the API says that exactly one must be set. */
function oneFieldIn(
  value: unknown,
  at: string,
  known: readonly string[],
  refuse: Refuse,
): [string, unknown] | undefined {
  const fields = fieldsIn(value, at, known, refuse)
  if (fields === undefined) return undefined
  const [field, ...others] = Object.entries(fields)
  return field === undefined || others.length > 0 ? refuse(at, `must have exactly one of ${known.join(', ')}`) : field
}

/** Kinds of peers that the API has as experiments. */
const unsupportedPeers = ['nodes', 'domainNames']

function readPeer(value: unknown, direction: Direction, at: string, refuse: Refuse): readonly PeerMatch[] {
  const unsupported = unsupportedPeers.find((kind) => (fieldsOf(value)[kind] ?? undefined) !== undefined)
  if (unsupported !== undefined) refuse(`${at}.${unsupported}`, 'peers of this kind are not supported')
  if (unsupported !== undefined) return []
  const kinds = direction === 'ingress' ? ['namespaces', 'pods'] : ['namespaces', 'pods', 'networks']
  const [kind, content] = oneFieldIn(value, at, kinds, refuse) ?? []
  if (kind === undefined) return []
  if (kind !== 'networks') {
    const match = readPods(kind, content, at, refuse)
    return match === undefined ? [] : [{ kind: 'pods', ...match }]
  }
  const networks = listIn(content, `${at}.networks`, refuse) ?? []
  if (networks.length === 0) refuse(`${at}.networks`, 'has no network')
  return networks.flatMap((network, index) => {
    const cidr = cidrIn(network, `${at}.networks[${index}]`, refuse)
    return cidr === undefined ? [] : [{ kind: 'block', cidr, except: [] } as const]
  })
}

/** The field `namespaces` or `pods` of a subject or a peer. */
function readPods(kind: string, content: unknown, at: string, refuse: Refuse): PodMatch | undefined {
  if (kind === 'namespaces') {
    const selector = selectorIn(content, `${at}.namespaces`, refuse)
    return selector && { namespaces: { kind: 'labels', selector }, pods: [] }
  }
  const fields = fieldsIn(content, `${at}.pods`, ['namespaceSelector', 'podSelector'], refuse)
  // the definition does not require it, and the API says of an empty one that it selects all
  const selector = fields && selectorIn(fields['namespaceSelector'] ?? {}, `${at}.pods.namespaceSelector`, refuse)
  const pods = fields && selectorIn(fields['podSelector'], `${at}.pods.podSelector`, refuse)
  return selector && pods && { namespaces: { kind: 'labels', selector }, pods }
}

const protocolFields = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' } as const

function readProtocol(value: unknown, at: string, refuse: Refuse): PortMatch | undefined {
  const [kind, content] = oneFieldIn(value, at, [...Object.keys(protocolFields), 'destinationNamedPort'], refuse) ?? []
  if (kind === undefined) return undefined
  if (kind === 'destinationNamedPort') {
    const name = portNameIn(content, `${at}.destinationNamedPort`, refuse)
    return name === undefined ? undefined : { kind: 'name', name }
  }
  const protocol = protocolFields[kind as keyof typeof protocolFields]
  const fields = fieldsIn(content, `${at}.${kind}`, ['destinationPort'], refuse)
  if (fields === undefined) return undefined
  const { destinationPort } = fields
  if (destinationPort === undefined) return { kind: 'range', protocol, first: 0, last: maxPort }
  const range = readDestinationPort(destinationPort, `${at}.${kind}.destinationPort`, refuse)
  return range && { kind: 'range', protocol, ...range }
}

function readDestinationPort(
  value: unknown,
  at: string,
  refuse: Refuse,
): { readonly first: number; readonly last: number } | undefined {
  const [kind, content] = oneFieldIn(value, at, ['number', 'range'], refuse) ?? []
  if (kind === undefined) return undefined
  if (kind === 'number') {
    const number = portNumberIn(content, `${at}.number`, refuse)
    return number === undefined ? undefined : { first: number, last: number }
  }
  const range = fieldsIn(content, `${at}.range`, ['start', 'end'], refuse)
  const first = range && portNumberIn(range['start'], `${at}.range.start`, refuse)
  const last = range && portNumberIn(range['end'], `${at}.range.end`, refuse)
  if (first === undefined || last === undefined) return undefined
  return last < first ? refuse(`${at}.range.end`, `${last} is lower than start, which is ${first}`) : { first, last }
}
