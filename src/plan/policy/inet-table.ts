// The table that says which connections to and from pods of this node may be opened.
import { type Addr, families, type Family, Prefix } from '#/lib/addr.ts'
import { resultOf } from '#/lib/steps.ts'
import { bridgeName, policyTableName } from '#/model/names.ts'
import {
  type ClassForm,
  type ClassId,
  type Form,
  type LocalPodForm,
  type NamedPortMember,
  type NamedPortSetId,
  type PeerSet,
  type NamedPortSet,
} from '#/policy/form.ts'
import { type Direction, directions, portProtocols } from '#/policy/policy.ts'
import {
  type NftChain,
  type NftKey,
  type NftKeySet,
  type NftMatch,
  type NftRule,
  type NftSet,
  type NftTable,
} from '#/wire/nftables/ruleset.ts'
import { classChains, policyChainOf } from './class-chains.ts'
import { type Answers, endedRule, endedSetOf } from './ended.ts'
import { classSets, entriesOf, policedSets, toClassesChains } from './entries.ts'
import { familiesOf } from './rules.ts'
import { blockSet, itselfSet, podSet, portSet, toClassesChain } from './names.ts'

/**
 * Right before the filters of others (0, NF_IP_PRI_FILTER): what is denied does not take their time, and nothing that they let through can
 * be denied there only. Behind what may still change a packet (mangle, -150) and the translation of Services' addresses (-100). The order
 * matters for no verdict: a packet passes only if no chain at the hook drops it.
 */
const priorities = { egress: -10, ingress: -9 } as const satisfies Record<Direction, number>
const linkLocal = Prefix.parse('fe80::/10')
const groups = Prefix.parse('ff00::/8')
/** Router solicitation, neighbour solicitation, neighbour advertisement. */
export const neighbourTypes = [133, 135, 136] as const

export const inetTableName = { family: 'inet', name: policyTableName } as const

const addrTypes = { 4: 'ipv4_addr', 6: 'ipv6_addr' } as const

/** Where packets to and from pods come by besides the hook forward. */
export type OtherWays = {
  /** IPVS translates the addresses of Services in the hooks of the node itself: it takes a packet in, and sends it out. */
  readonly ipvs: boolean
}
const noOtherWay: OtherWays = { ipvs: false }

/** The whole table of a form; `ended` are the answers of connections that policies have ended. */
export function inetTable(form: Form, ended: readonly Answers[] = [], ways = noOtherWay): NftTable {
  return resultOf(inetTableInSteps(form, ended, ways))
}

/** A pod or a rule takes some microseconds, and a set as much as ten pods. */
const workPerStep = 200
const workPerSet = 10

/** As inetTable, in steps of a millisecond or so, during which the form must not change. */
export function* inetTableInSteps(
  form: Form,
  ended: readonly Answers[],
  ways = noOtherWay,
): Generator<void, NftTable, void> {
  // the kernel looks for a set among all of the table, beginning with the oldest: those of pods that come and go are first
  const entries = addrsOfClasses(form)
  const sets = [...policedSets(form), ...[...form.classes.values()].flatMap((one) => classSetsOf(form, one, entries))]
  const keySets = families.flatMap((family) => [endedSetOf(ended, family), itselfOf(form.locals.values(), family)])
  const chains = [...baseChains, ...(ways.ipvs ? directions.map(ipvsChain) : [])]
  let work = 0
  const isLong = (more: number): boolean => {
    work += more
    if (work < workPerStep) return false
    work = 0
    return true
  }
  for (const set of form.peerSets.values()) {
    const objects = peerSetObjects(form, set)
    sets.push(...objects)
    if (isLong(workPerSet + sum(objects.map(({ elements }) => elements.length)))) yield
  }
  for (const set of form.namedPortSets.values()) {
    const objects = portSetObjects(form, set)
    keySets.push(...objects)
    if (isLong(workPerSet + sum(objects.map(({ elements }) => elements.length)))) yield
  }
  chains.push(...directions.flatMap((direction) => toClassesChains(form, direction)))
  for (const one of form.classes.values()) {
    const added = classChains(form, one)
    chains.push(...added)
    if (isLong(sum(added.map(({ rules }) => rules.length)))) yield
  }
  for (const policy of form.policies.values()) {
    if (policy.tier !== 'NetworkPolicy') continue
    const added = policyChainOf(form, policy)
    chains.push(added)
    if (isLong(added.rules.length)) yield
  }
  return { ...inetTableName, sets, keySets, chains }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

function addrsOfClasses(form: Form): Map<ClassId, Addr[]> {
  const addrs = new Map<ClassId, Addr[]>()
  for (const direction of directions)
    for (const { addr, class: id } of entriesOf(direction, form.locals).values()) {
      const present = addrs.get(id)
      if (present === undefined) addrs.set(id, [addr])
      else present.push(addr)
    }
  return addrs
}

function classSetsOf(form: Form, one: ClassForm, entries: ReadonlyMap<ClassId, readonly Addr[]>): NftSet[] {
  const addrs = entries.get(one.id) ?? []
  return classSets(form, one).map((set) => ({
    ...set,
    elements: ofFamily(addrs, set.type === 'ipv4_addr' ? 4 : 6),
  }))
}

/** Those of pods in families in which pods have addresses, those of blocks in families in which there are any. */
export function peerSetObjects(form: Pick<Form, 'families' | 'membersOf'>, set: PeerSet): NftSet[] {
  if (set.kind === 'pods') {
    const members = [...form.membersOf(set.id).values()]
    return familiesOf(form).map((family) => ({ ...podSetShape(set.id, family), elements: ofFamily(members, family) }))
  }
  return families.flatMap((family): NftSet[] => {
    const elements = set.prefixes.filter((prefix) => prefix.family === family)
    if (elements.length === 0) return []
    return [{ name: blockSet(set.id, family), type: addrTypes[family], interval: true, elements }]
  })
}

export function podSetShape(id: string, family: Family): Pick<NftSet, 'name' | 'type'> & { readonly interval: false } {
  return { name: podSet(id, family), type: addrTypes[family], interval: false }
}

export function portSetShape(id: NamedPortSetId, family: Family): Pick<NftKeySet, 'name' | 'type'> {
  return { name: portSet(id, family), type: [addrTypes[family], 'inet_proto', 'inet_service'] }
}

export function portKey({ addr, protocol, port }: NamedPortMember): NftKey {
  return [addr, portProtocols[protocol], port]
}

export function portSetObjects(form: Pick<Form, 'families' | 'namedPortsOf'>, { id }: NamedPortSet): NftKeySet[] {
  const members = form.namedPortsOf(id)
  return familiesOf(form).map((family) => ({
    ...portSetShape(id, family),
    elements: members.filter(({ addr }) => addr.family === family).map(portKey),
  }))
}

export function itselfShape(family: Family): Pick<NftKeySet, 'name' | 'type'> {
  return { name: itselfSet(family), type: [addrTypes[family], addrTypes[family]] }
}

/** All pairs of addresses of a pod that has a class. */
export function itselfKeys(local: LocalPodForm, family: Family): NftKey[] {
  if (local.egress === undefined && local.ingress === undefined) return []
  const addrs = ofFamily(local.addrs, family)
  return addrs.flatMap((from) => addrs.map((to) => [from, to]))
}

function itselfOf(locals: Iterable<LocalPodForm>, family: Family): NftKeySet {
  return { ...itselfShape(family), elements: [...locals].flatMap((local) => itselfKeys(local, family)) }
}

function ofFamily(addrs: readonly Addr[], family: Family): Addr[] {
  return addrs.filter((addr) => addr.family === family)
}

const established: NftMatch = { kind: 'ctState', states: ['established'] }

const known: readonly NftRule[] = [
  // a SYN begins a connection, whatever connection tracking has of its addresses and ports
  {
    comment: 'connections that were allowed, and their answers (TCP)',
    match: [established, { kind: 'l4proto', protocol: 'tcp' }, { kind: 'tcpSyn', not: true }],
    action: { kind: 'accept' },
  },
  {
    comment: 'connections that were allowed, and their answers',
    match: [established, { kind: 'l4proto', protocol: 'tcp', not: true }],
    action: { kind: 'accept' },
  },
  {
    comment: 'errors about such connections',
    match: [
      { kind: 'ctState', states: ['related'] },
      { kind: 'l4protos', protocols: ['icmp', 'icmpv6'] },
    ],
    action: { kind: 'accept' },
  },
]

function toClasses(direction: Direction): NftRule[] {
  return families.map((family) => ({
    comment: direction === 'egress' ? `from a pod of this node (IPv${family})` : `to a pod of this node (IPv${family})`,
    match: [{ kind: 'family', family }],
    action: { kind: 'goto', chain: toClassesChain(direction, family) },
  }))
}

function baseChain(direction: Direction): NftChain {
  return {
    name: direction,
    hook: { type: 'filter', hook: 'forward', priority: priorities[direction] },
    policy: 'accept',
    rules: [
      ...known,
      {
        comment: 'neighbour discovery',
        match: [
          { kind: 'family', family: 6 },
          { kind: 'l4proto', protocol: 'icmpv6' },
          { kind: 'icmpType', family: 6, types: neighbourTypes },
        ],
        action: { kind: 'jump', chain: neighbourChain.name },
      },
      ...(direction === 'egress' ? families.map(endedRule) : []),
      ...(direction === 'egress' ? [noLinkLocal] : []),
      ...toClasses(direction),
    ],
  }
}

/** A packet of somebody else's that this node sends has been led to a pod by IPVS. The node itself may send to its pods what it likes. */
function ipvsChain(direction: Direction): NftChain {
  return {
    name: `${direction}-ipvs`,
    hook: { type: 'filter', hook: 'output', priority: priorities[direction] },
    policy: 'accept',
    rules: [
      ...known,
      { comment: 'from this node itself', match: [{ kind: 'saddrLocal' }], action: { kind: 'accept' } },
      ...toClasses(direction),
    ],
  }
}

/**
 * A pod chooses its link-local addresses itself, so that they say nothing of it. No router may forward them (RFC 4291 section 2.5.6), but the
 * kernel does where a packet leaves by the device by which it came. What else comes here with one, br_netfilter brings from the bridge.
 */
const noLinkLocal: NftRule = {
  comment: 'link-local addresses of pods are not forwarded',
  match: [
    { kind: 'device', field: 'iifname', name: bridgeName },
    { kind: 'addr', field: 'saddr', prefix: linkLocal },
    { kind: 'addr', field: 'daddr', prefix: linkLocal, not: true },
    { kind: 'addr', field: 'daddr', prefix: groups, not: true },
  ],
  action: { kind: 'drop', counter: true },
}

/**
 * Where br_netfilter gives the packets of a bridge to this hook, pods' neighbour discovery comes by here. No router forwards it with its hop
 * limit of 255, so that this lets nothing else through.
 */
const neighbourChain: NftChain = {
  name: 'neighbours',
  rules: [
    {
      comment: 'forwarded by a router',
      match: [{ kind: 'ttlBelow', family: 6, ttl: 255 }],
      action: { kind: 'return' },
    },
    { comment: 'between ports of a bridge', match: [], action: { kind: 'accept' } },
  ],
}

const baseChains: readonly NftChain[] = [baseChain('egress'), baseChain('ingress'), neighbourChain]
