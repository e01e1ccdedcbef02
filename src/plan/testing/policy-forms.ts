// Small random forms of policies, and what is different between two of them.
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { PrefixUnion } from '#/lib/prefix-union.ts'
import {
  type ClassForm,
  type Form,
  type FormChange,
  type FormRule,
  type LocalPodForm,
  type Members,
  type NamedPortMember,
  type PeerSet,
  type PolicyForm,
} from '#/policy/form.ts'
import { type Direction, type PortProtocol, type Tier } from '#/policy/policy.ts'

const localAddrs = [
  ['10.244.1.11', 'fd10:244:0:1::11'],
  ['10.244.1.12', 'fd10:244:0:1::12'],
  ['10.244.1.13', 'fd10:244:0:1::13'],
] as const
const others = [
  '10.244.2.20',
  '10.244.3.20',
  '192.0.2.1',
  '172.30.1.2',
  'fd10:244:0:2::20',
  'fd10:244:0:3::20',
  'fd30::2',
]
export const addrs: readonly Addr[] = [...localAddrs.flat(), ...others].map((text) => Addr.parse(text))
const blocks = [
  '10.244.0.0/16',
  '10.244.1.0/24',
  '10.244.1.12/31',
  '10.244.2.20/32',
  '0.0.0.0/0',
  '192.0.2.0/30',
  '::/0',
  'fd10:244::/32',
]
const [setIds, blockIds, nameIds] = [
  ['s1', 's2', 's3'],
  ['b1', 'b2'],
  ['n1', 'n2'],
]
export const ports: readonly number[] = [0, 1, 79, 80, 81, 443, 8080, 32_767, 32_768, 65_535]
const protocols: readonly PortProtocol[] = ['TCP', 'UDP', 'SCTP']

const prefixesOf = fc.subarray(blocks, { minLength: 1 }).map((texts) => {
  const union = new PrefixUnion()
  for (const text of texts) union.add(Prefix.parse(text))
  return union.prefixes
})
const portNumber = fc.constantFrom(...ports)
const range = fc
  .tuple(fc.constantFrom(...protocols), portNumber, portNumber)
  .map(([protocol, a, b]) => ({ protocol, first: Math.min(a, b), last: Math.max(a, b) }))
const peers = fc.oneof(fc.constant('any' as const), fc.subarray([...setIds, ...blockIds]))
const portsOf = fc.oneof(
  fc.constant('any' as const),
  fc.record({ ranges: fc.array(range, { maxLength: 3 }), names: fc.subarray(nameIds) }),
)

function policy(name: string, tier: Tier, direction: Direction): fc.Arbitrary<PolicyForm> {
  const action =
    tier === 'NetworkPolicy'
      ? fc.constant('accept' as const)
      : fc.constantFrom('accept' as const, 'deny' as const, 'pass' as const)
  const key = tier === 'NetworkPolicy' ? `networkpolicy/shop/${name}` : `clusternetworkpolicy/${name}`
  const rule = fc.record({ action, peers, ports: portsOf })
  return fc.array(rule, { maxLength: 3 }).map((rules) => ({
    id: `${name}-${direction}`,
    policy: key,
    tier,
    direction,
    rules: rules.map((each, index): FormRule => ({ ...each, ref: { policy: key, direction, index } })),
  }))
}

const allPolicies = (['ingress', 'egress'] as const).flatMap((direction) =>
  (['Admin', 'NetworkPolicy', 'Baseline'] as const).flatMap((tier) =>
    ['a', 'b'].map((name) => policy(`${tier}-${name}`.toLowerCase(), tier, direction)),
  ),
)

function classOf(direction: Direction): fc.Arbitrary<ClassForm> {
  const chosen = (tier: Tier): fc.Arbitrary<string[]> =>
    fc.subarray(['a', 'b'].map((name) => `${tier}-${name}`.toLowerCase() + `-${direction}`))
  return fc
    .record({
      policies: fc.record({
        Admin: chosen('Admin'),
        NetworkPolicy: chosen('NetworkPolicy'),
        Baseline: chosen('Baseline'),
      }),
      isAudited: fc.integer({ min: 0, max: 9 }).map((number) => number === 0),
    })
    .map(({ policies, isAudited }) => ({
      id: `${direction} ${Object.values(policies).flat().join(' ')} ${isAudited}`,
      direction,
      policies,
      isAudited,
    }))
}

const member = fc.record({ protocol: fc.constantFrom(...protocols), port: portNumber })
/** A pod calls the same port so at all of its addresses. */
const pods: readonly (readonly Addr[])[] = [
  ...localAddrs.map((pair) => pair.map((text) => Addr.parse(text))),
  ...others.map((text) => [Addr.parse(text)]),
]
const named = fc
  .array(fc.tuple(fc.constantFrom(...pods), member), { maxLength: 4 })
  .map((list): NamedPortMember[] => list.flatMap(([all, each]) => all.map((addr) => ({ ...each, addr }))))

const local = fc.record({
  ingress: fc.option(classOf('ingress'), { nil: undefined }),
  egress: fc.option(classOf('egress'), { nil: undefined }),
})

export const randomForm: fc.Arbitrary<Form> = fc
  .record({
    sets: fc.tuple(...setIds.map(() => fc.subarray([...addrs]))),
    present: fc.subarray(setIds, { minLength: 1 }),
    blocks: fc.tuple(...blockIds.map(() => prefixesOf)),
    names: fc.tuple(...nameIds.map(() => named)),
    policies: fc.tuple(...allPolicies),
    locals: fc.array(local, { minLength: 1, maxLength: 3 }),
  })
  .map(({ sets, present, blocks: lists, names, policies, locals }): Form => {
    // a block's name is a hash over its prefixes: other prefixes, another name
    const blockName = (id: string): string => `${id} ${lists[blockIds.indexOf(id)]!.join()}`
    // a set that no rule asks for is not there
    const nameOf = (id: string): string | undefined =>
      blockIds.includes(id) ? blockName(id) : present.find((each) => each === id)
    const peerSets = [
      ...present.map((id): PeerSet => ({
        kind: 'pods',
        id,
        match: { namespaces: { kind: 'name', name: id }, pods: { kind: 'all' } as never },
      })),
      ...blockIds.map((id, index): PeerSet => ({ kind: 'blocks', id: blockName(id), prefixes: lists[index]! })),
    ]
    const renamed = policies.map((each) => ({
      ...each,
      rules: each.rules.map((rule) => ({
        ...rule,
        peers: rule.peers === 'any' ? rule.peers : rule.peers.flatMap((id) => nameOf(id) ?? []),
      })),
    }))
    const classes = locals.flatMap(({ ingress, egress }) => [ingress ?? [], egress ?? []].flat())
    const members = new Map(setIds.map((id, index) => [id, new Map(sets[index]!.map((addr) => [String(addr), addr]))]))
    const unique = names.map((list) => [...new Map(list.map((each) => [JSON.stringify(each), each])).values()])
    return {
      families: new Set([4, 6]),
      locals: new Map(
        locals.map(({ ingress, egress }, index): [string, LocalPodForm] => [
          `cwv${index}`,
          {
            pod: `shop/pod-${index}`,
            hostDevice: `cwv${index}`,
            addrs: pods[index]!,
            ...(ingress && { ingress: ingress.id }),
            ...(egress && { egress: egress.id }),
          },
        ]),
      ),
      classes: new Map(classes.map((each) => [each.id, each])),
      policies: new Map(renamed.map((each) => [each.id, each])),
      peerSets: new Map(peerSets.map((set) => [set.id, set])),
      namedPortSets: new Map(nameIds.map((id) => [id, { id, name: id }])),
      membersOf: (id) => members.get(id) ?? new Map(),
      namedPortsOf: (id) => unique[nameIds.indexOf(id)] ?? [],
    }
  })

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

function changed<V>(before: ReadonlyMap<string, V>, after: ReadonlyMap<string, V>): Map<string, V | undefined> {
  const keys = new Set([...before.keys(), ...after.keys()])
  return new Map([...keys].filter((key) => !same(before.get(key), after.get(key))).map((key) => [key, after.get(key)]))
}

function memberChange<T>(before: Iterable<T>, after: Iterable<T>): Members<T> {
  const textsOf = (all: Iterable<T>) => new Map([...all].map((each) => [JSON.stringify(each), each]))
  const [was, is] = [textsOf(before), textsOf(after)]
  return {
    added: [...is].flatMap(([text, each]) => (was.has(text) ? [] : [each])),
    removed: [...was].flatMap(([text, each]) => (is.has(text) ? [] : [each])),
  }
}

/** What is different between two forms. */
export function changeOf(before: Form, after: Form): FormChange {
  const kept = (a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>) =>
    [...a.keys()].filter((id) => b.has(id))
  const isOther = ({ added, removed }: Members<unknown>): boolean => added.length + removed.length > 0
  return {
    newFamilies: new Set(),
    locals: changed(before.locals, after.locals),
    classes: changed(before.classes, after.classes),
    policies: changed(before.policies, after.policies),
    peerSets: changed(before.peerSets, after.peerSets),
    namedPortSets: changed(before.namedPortSets, after.namedPortSets),
    members: new Map(
      kept(before.peerSets, after.peerSets)
        .map((id) => [id, memberChange(before.membersOf(id).values(), after.membersOf(id).values())] as const)
        .filter(([, change]) => isOther(change)),
    ),
    namedPorts: new Map(
      kept(before.namedPortSets, after.namedPortSets)
        .map((id) => [id, memberChange(before.namedPortsOf(id), after.namedPortsOf(id))] as const)
        .filter(([, change]) => isOther(change)),
    ),
  }
}

/** The form as the change of one that has nothing. */
export function wholeChange(form: Form): FormChange {
  const { locals, classes, policies, peerSets, namedPortSets } = form
  const ofDevices = new Map([...locals.values()].map((each) => [each.hostDevice, each]))
  const newFamilies = form.families
  return {
    newFamilies,
    locals: ofDevices,
    classes,
    policies,
    peerSets,
    namedPortSets,
    members: new Map(),
    namedPorts: new Map(),
  }
}
