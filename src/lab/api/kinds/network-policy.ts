// Network policies: defaults and validation (pkg/apis/networking/v1/defaults.go, pkg/apis/networking/validation).
import { Addr } from '#/lib/addr.ts'
import { forbiddenField, invalidValue, required, unsupported, type Cause } from '../api-error.ts'
import { dig, isArray, isObject, list, objects, text, type Json, type JsonObject } from '../json.ts'
import type { KubeObject } from '../objects.ts'
import { ageColumn, column, nameColumn } from './cells.ts'
import { checkLabelSelector, labelSelectorText } from './label-selectors.ts'
import type { Column, Strategy } from './resource.ts'

const directions = [
  { field: 'ingress', peers: 'from', type: 'Ingress' },
  { field: 'egress', peers: 'to', type: 'Egress' },
] as const
const protocols: readonly Json[] = ['TCP', 'UDP', 'SCTP']
const maxPort = 65_535

export const networkPolicyColumns: readonly Column[] = [
  nameColumn,
  column('Pod-Selector', (policy) => labelSelectorText(dig(policy, 'spec', 'podSelector')), {
    description: 'The pods of its namespace that the policy is about.',
  }),
  ageColumn,
]

/** The API has no empty lists: Go leaves them out (omitempty). */
function withoutEmptyLists(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => !isArray(value) || value.length > 0))
}

function completePort(port: Json): Json {
  return isObject(port) ? { protocol: 'TCP', ...port } : port
}

function completeRule(rule: Json): Json {
  if (!isObject(rule)) return rule
  const { ports } = rule
  return withoutEmptyLists({ ...rule, ...(isArray(ports) && { ports: ports.map(completePort) }) })
}

function complete(policy: KubeObject): KubeObject {
  const spec = isObject(policy['spec']) ? withoutEmptyLists(policy['spec']) : {}
  const rules = directions.flatMap(({ field }): [string, Json][] =>
    isArray(spec[field]) ? [[field, spec[field].map(completeRule)]] : [],
  )
  const policyTypes = spec['egress'] === undefined ? ['Ingress'] : ['Ingress', 'Egress']
  return { ...policy, spec: { podSelector: {}, policyTypes, ...spec, ...Object.fromEntries(rules) } }
}

function portFault(port: number): string | undefined {
  return port >= 1 && port <= maxPort ? undefined : `must be between 1 and ${maxPort}, inclusive`
}

/** What is wrong with the name of a port (apimachinery pkg/util/validation IsValidPortName). */
function portNameFaults(name: string): string[] {
  const faults = [
    name.length > 15 && 'must be no more than 15 characters',
    !/^[-a-z0-9]+$/.test(name) && 'must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
    !/[a-z]/.test(name) && 'must contain at least one letter (a-z)',
    name.includes('--') && 'must not contain consecutive hyphens',
    (name.startsWith('-') || name.endsWith('-')) && 'must not begin or end with a hyphen',
  ]
  return faults.filter((fault) => fault !== false)
}

function checkPort(given: JsonObject, at: string): Cause[] {
  const { protocol, port, endPort } = given
  const causes: Cause[] = []
  if (protocol !== undefined && !protocols.includes(protocol))
    causes.push(unsupported(`${at}.protocol`, protocol, protocols))
  if (typeof port === 'number') {
    const fault = portFault(port)
    if (fault !== undefined) causes.push(invalidValue(`${at}.port`, port, fault))
    if (typeof endPort !== 'number') return causes
    if (endPort < port) causes.push(invalidValue(`${at}.endPort`, port, 'must be greater than or equal to `port`'))
    const endFault = portFault(endPort)
    if (endFault !== undefined) causes.push(invalidValue(`${at}.endPort`, endPort, endFault))
    return causes
  }
  if (endPort !== undefined) {
    const why = port === undefined ? 'not specified' : 'non-numeric'
    causes.push(invalidValue(`${at}.endPort`, endPort, `may not be specified when \`port\` is ${why}`))
  }
  const names = port === undefined ? [] : portNameFaults(text(port))
  return [...causes, ...names.map((fault) => invalidValue(`${at}.port`, port, fault))]
}

type Cidr = { readonly addr: Addr; readonly length: number }

/** Go's ParseCIDRSloppy: leading zeros are read as decimal numbers. */
function sloppyCidr(value: string): Cidr | undefined {
  const [, head = '', digits = ''] = /^([^/]+)\/([0-9]+)$/.exec(value) ?? []
  const plain = head.includes('.') ? head.replaceAll(/(?<=^|[.:])0+(?=[0-9])(?=[0-9.]*$)/g, '') : head
  const addr = Addr.tryParse(plain)
  return addr === undefined || Number(digits) > addr.bits ? undefined : { addr, length: Number(digits) }
}

function masked({ addr, length }: Cidr): bigint {
  const rest = BigInt(addr.bits - length)
  return (addr.value >> rest) << rest
}

function checkCidr(value: string, at: string): Cause[] {
  const fault = (why: string): Cause[] => [invalidValue(at, value, why)]
  const cidr = sloppyCidr(value)
  if (cidr === undefined) return fault('must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')
  const [head = '', digits = ''] = value.split('/')
  if (Addr.tryParse(head) === undefined || digits !== String(cidr.length))
    return fault('must not have leading 0s in IP or prefix length')
  if (cidr.addr.family === 6 && cidr.addr.value >> 32n === 0xffffn)
    return fault('must not have an IPv4-mapped IPv6 address')
  return cidr.addr.value === masked(cidr) ? [] : fault('must not have bits set beyond the prefix length')
}

function isStrictlyWithin(inner: Cidr, outer: Cidr): boolean {
  return (
    inner.addr.family === outer.addr.family &&
    inner.length > outer.length &&
    masked({ addr: inner.addr, length: outer.length }) === masked(outer)
  )
}

function checkBlock(block: JsonObject, at: string): Cause[] {
  const value = text(block['cidr'])
  if (value === '') return [required(`${at}.cidr`)]
  const causes = checkCidr(value, `${at}.cidr`)
  const cidr = sloppyCidr(value)
  if (cidr === undefined) return causes
  for (const [index, except] of list(block['except']).map(text).entries()) {
    const place = `${at}.except[${index}]`
    causes.push(...checkCidr(except, place))
    const inner = sloppyCidr(except)
    if (inner !== undefined && !isStrictlyWithin(inner, cidr))
      causes.push(invalidValue(place, except, 'must be a strict subset of `cidr`'))
  }
  return causes
}

function checkPeer(peer: JsonObject, at: string): Cause[] {
  const { podSelector, namespaceSelector, ipBlock } = peer
  const causes = [
    ...checkLabelSelector(podSelector, `${at}.podSelector`),
    ...checkLabelSelector(namespaceSelector, `${at}.namespaceSelector`),
    ...(isObject(ipBlock) ? checkBlock(ipBlock, `${at}.ipBlock`) : []),
  ]
  const given = [podSelector, namespaceSelector, ipBlock].filter((each) => each !== undefined)
  if (given.length === 0) return [required(at, 'must specify a peer')]
  if (given.length > 1 && ipBlock !== undefined)
    causes.push(forbiddenField(at, 'may not specify both ipBlock and another peer'))
  return causes
}

function checkSpec(policy: KubeObject): Cause[] {
  const causes = checkLabelSelector(dig(policy, 'spec', 'podSelector'), 'spec.podSelector')
  for (const { field, peers } of directions) {
    for (const [index, rule] of objects(dig(policy, 'spec', field)).entries()) {
      const at = `spec.${field}[${index}]`
      causes.push(
        ...objects(rule['ports']).flatMap((port, place) => checkPort(port, `${at}.ports[${place}]`)),
        ...objects(rule[peers]).flatMap((peer, place) => checkPeer(peer, `${at}.${peers}[${place}]`)),
      )
    }
  }
  const types = list(dig(policy, 'spec', 'policyTypes'))
  if (types.length > directions.length)
    return [...causes, invalidValue('spec.policyTypes', types, 'may not specify more than two policyTypes')]
  const known = directions.map(({ type }) => type)
  const unknown = types.flatMap((type, index) =>
    known.some((each) => each === type) ? [] : [unsupported(`spec.policyTypes[${index}]`, type, known)],
  )
  return [...causes, ...unknown]
}

export const networkPolicyStrategy: Strategy = {
  complete,
  validate: checkSpec,
}
