// Reads a NetworkPolicy (networking.k8s.io/v1). Its rules only allow, so what cannot be read allows nothing.
import { fieldsOf, isFields, type KubeObject } from '#/model/kubernetes.ts'
import { shown } from '#/model/spec-reader.ts'
import {
  cidrIn,
  type Fields,
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
  isPortProtocol,
  type PeerMatch,
  type PolicyFault,
  type PolicyReading,
  type PolicyRule,
  type PortMatch,
  portProtocolNames,
} from './policy.ts'

const typeOf = { ingress: 'Ingress', egress: 'Egress' } as const satisfies Record<Direction, string>

/** "networkpolicy/NAMESPACE/NAME" */
export function networkPolicyKey({ metadata }: KubeObject): string {
  return `networkpolicy/${metadata.namespace ?? ''}/${metadata.name}`
}

/**
 * Never throws. A policy whose own selector cannot be read is not enforced: to let it select all pods of the namespace would cut off pods
 * that nobody named, or open others by its rules. The API server refuses such selectors, so only an API that is newer can have one.
 */
export function readNetworkPolicy(object: KubeObject): PolicyReading {
  const faults: PolicyFault[] = []
  const spec = fieldsOf(object)['spec'] ?? {}
  if (!isFields(spec))
    return { faults: [{ field: 'spec', why: `${shown(spec)} is no mapping; the policy is not enforced` }] }
  for (const [name, value] of Object.entries(spec))
    if (!['podSelector', 'policyTypes', ...directions].includes(name))
      faults.push({ field: `spec.${name}`, why: `${shown(value)}: no field that is known here; it changes nothing` })
  const pods = selectorIn(spec['podSelector'] ?? {}, 'spec.podSelector', refuser(faults, 'the policy is not enforced'))
  const namespace = object.metadata.namespace ?? ''
  const types = directionsOf(spec, faults)
  const rules = Object.fromEntries(
    types.map((direction) => [direction, readRules(spec, { namespace, direction, faults })]),
  )
  if (pods === undefined || types.length === 0) return { faults }
  const subject = { namespaces: { kind: 'name', name: namespace }, pods } as const
  return { policy: { key: networkPolicyKey(object), tier: 'NetworkPolicy', priority: 0, subject, rules }, faults }
}

/** Without policyTypes: ingress always, egress when there is something for it. */
function directionsOf(spec: Fields, faults: PolicyFault[]): readonly Direction[] {
  const types = listIn(spec['policyTypes'], 'spec.policyTypes', refuser(faults, 'the policy is for both directions'))
  if (types === undefined) return directions
  if (types.length === 0) {
    const egress = spec['egress'] ?? []
    return Array.isArray(egress) && egress.length === 0 ? ['ingress'] : directions
  }
  const refuse = refuser(faults, 'it changes nothing')
  for (const [index, type] of types.entries())
    if (type !== typeOf.ingress && type !== typeOf.egress)
      refuse(`spec.policyTypes[${index}]`, `${shown(type)}: expected ${typeOf.ingress} or ${typeOf.egress}`)
  return directions.filter((direction) => types.includes(typeOf[direction]))
}

/** What the reading of a rule depends on beside the rule. */
type Context = { readonly namespace: string; readonly direction: Direction; readonly faults: PolicyFault[] }

function readRules(spec: Fields, context: Context): PolicyRule[] {
  const at = `spec.${context.direction}`
  const rules = listIn(spec[context.direction], at, refuser(context.faults, 'no rule allows anything')) ?? []
  return rules.map((rule, index) => readRule(rule, index, `${at}[${index}]`, context))
}

function readRule(value: unknown, index: number, at: string, { namespace, direction, faults }: Context): PolicyRule {
  const refuse = refuser(faults, 'this rule matches nothing')
  const peersField = direction === 'ingress' ? 'from' : 'to'
  const fields = fieldsIn(value, at, [peersField, 'ports'], refuse)
  const peers = fields && listIn(fields[peersField], `${at}.${peersField}`, refuse)
  const ports = fields && listIn(fields['ports'], `${at}.ports`, refuse)
  if (peers === undefined || ports === undefined) return { index, action: 'accept', peers: [], ports: 'any' }
  const readPeers = peers.flatMap(
    (peer, place) => readPeer(peer, `${at}.${peersField}[${place}]`, namespace, faults) ?? [],
  )
  const readPorts = ports.flatMap((port, place) => readPort(port, `${at}.ports[${place}]`, faults) ?? [])
  return {
    index,
    action: 'accept',
    peers: peers.length === 0 ? 'any' : readPeers,
    ports: ports.length === 0 ? 'any' : readPorts,
  }
}

function readPeer(value: unknown, at: string, namespace: string, faults: PolicyFault[]): PeerMatch | undefined {
  const refuse = refuser(faults, 'this peer matches nothing')
  const fields = fieldsIn(value, at, ['podSelector', 'namespaceSelector', 'ipBlock'], refuse)
  if (fields === undefined) return undefined
  const { podSelector, namespaceSelector, ipBlock } = fields
  if (ipBlock === undefined && podSelector === undefined && namespaceSelector === undefined)
    return refuse(at, 'has neither podSelector nor namespaceSelector nor ipBlock')
  if (ipBlock !== undefined) {
    if (podSelector === undefined && namespaceSelector === undefined) return readBlock(ipBlock, `${at}.ipBlock`, refuse)
    return refuse(at, 'has ipBlock and a selector, of which the API allows one')
  }
  const pods = selectorIn(podSelector ?? {}, `${at}.podSelector`, refuse)
  if (pods === undefined) return undefined
  if (namespaceSelector === undefined) return { kind: 'pods', namespaces: { kind: 'name', name: namespace }, pods }
  const selector = selectorIn(namespaceSelector, `${at}.namespaceSelector`, refuse)
  return selector && { kind: 'pods', namespaces: { kind: 'labels', selector }, pods }
}

/** What is excepted must be read whole: without a part of it the block would be wider. */
function readBlock(value: unknown, at: string, refuse: Refuse): PeerMatch | undefined {
  const fields = fieldsIn(value, at, ['cidr', 'except'], refuse)
  if (fields === undefined) return undefined
  const cidr = cidrIn(fields['cidr'], `${at}.cidr`, refuse)
  const texts = listIn(fields['except'], `${at}.except`, refuse)
  const except = texts?.map((text, index) => {
    const read = cidrIn(text, `${at}.except[${index}]`, refuse)
    if (read === undefined || cidr === undefined || (cidr.contains(read) && !cidr.equals(read))) return read
    return refuse(`${at}.except[${index}]`, `${read} is no part of ${cidr}`)
  })
  if (cidr === undefined || except === undefined) return undefined
  const whole = except.filter((each) => each !== undefined)
  return whole.length === except.length ? { kind: 'block', cidr, except: whole } : undefined
}

function readPort(value: unknown, at: string, faults: PolicyFault[]): PortMatch | undefined {
  const refuse = refuser(faults, 'this port matches nothing')
  const fields = fieldsIn(value, at, ['protocol', 'port', 'endPort'], refuse)
  if (fields === undefined) return undefined
  const { protocol = 'TCP', port, endPort } = fields
  if (!isPortProtocol(protocol))
    return refuse(`${at}.protocol`, `${shown(protocol)}: expected one of ${portProtocolNames.join(', ')}`)
  if (endPort !== undefined && typeof port !== 'number')
    return refuse(`${at}.endPort`, `${shown(endPort)}: port is no number from which a range could go up to it`)
  if (port === undefined) return { kind: 'range', protocol, first: 0, last: maxPort }
  if (typeof port === 'string') {
    const name = portNameIn(port, `${at}.port`, refuse)
    return name === undefined ? undefined : { kind: 'name', protocol, name }
  }
  const first = portNumberIn(port, `${at}.port`, refuse)
  const last = endPort === undefined ? first : portNumberIn(endPort, `${at}.endPort`, refuse)
  if (first === undefined || last === undefined) return undefined
  return last < first
    ? refuse(`${at}.endPort`, `${last} is lower than port, which is ${first}`)
    : { kind: 'range', protocol, first, last }
}
