// The table that leads packets between pods of this node to where they are judged, and keeps pods to their own addresses.
import { type Addr, families, type Family, Prefix } from '#/lib/addr.ts'
import { linkLocalOf, policyTableName, portPrefix } from '#/model/names.ts'
import { type Form } from '#/policy/form.ts'
import { type Direction, directions } from '#/policy/policy.ts'
import {
  type NftChain,
  type NftKey,
  type NftKeySet,
  type NftMatch,
  type NftRule,
  type NftTable,
} from '#/wire/nftables/ruleset.ts'
import { neighbourTypes } from './inet-table.ts'
import { policedSet, sourceSet } from './names.ts'

/** Before br_netfilter (0), which may hand a packet to the rules for IP from here; ebtables calls it NF_BR_PRI_NAT_DST_BRIDGED. */
const priority = -300
/** Right behind br_netfilter. */
const behindBrNetfilter = 1
const IGMP = 2
/** Multicast listener discovery: query, report, done, report of version 2. */
const listenerTypes = [130, 131, 132, 143] as const
const linkLocal = Prefix.parse('fe80::/10')
const unspecified = Prefix.parse('::/128')
/** ICMP's redirect, and that of neighbour discovery. */
const redirectTypes = { 4: 5, 6: 137 } as const

export const bridgeTableName = { family: 'bridge', name: policyTableName } as const

/** The endpoints of this node: host devices and their addresses. */
export type Ports = ReadonlyMap<string, readonly Addr[]>

export function sourceShape(family: Family): Pick<NftKeySet, 'name' | 'type'> {
  return { name: sourceSet(family), type: ['ifname', family === 4 ? 'ipv4_addr' : 'ipv6_addr'] }
}

export function sourceKeys(device: string, addrs: readonly Addr[], family: Family): NftKey[] {
  return addrs.filter((addr) => addr.family === family).map((addr) => [device, addr])
}

/** The host devices of pods that have a class in this direction. */
export function policedShape(direction: Direction): Pick<NftKeySet, 'name' | 'type'> {
  return { name: policedSet(direction), type: ['ifname'] }
}

/**
 * `tells`: whether rules can tell which frames br_netfilter has handed to the rules for IP. These then stay on the bridge, since they pass the
 * hook `forward` there; all others are routed.
 */
export function bridgeTable(ports: Ports, bridgeMac: string, locals: Form['locals'], tells = true): NftTable {
  const toTheStack = tells ? [mark] : [mark, toBridgeMac(bridgeMac)]
  return {
    ...bridgeTableName,
    sets: [],
    keySets: [
      ...families.map((family) => ({
        ...sourceShape(family),
        elements: [...ports].flatMap(([device, addrs]) => sourceKeys(device, addrs, family)),
      })),
      ...directions.map((direction) => ({
        ...policedShape(direction),
        elements: [...locals].filter(([, local]) => local[direction] !== undefined).map(([device]) => [device]),
      })),
    ],
    chains: [
      prerouting,
      from4(toTheStack),
      from6,
      betweenPods6(bridgeMac, toTheStack),
      ...(tells ? [unlessBridged(bridgeMac)] : []),
      forward(tells),
      postrouting,
    ],
  }
}

const toOne: NftMatch = { kind: 'etherMulticast', not: true }
const isIgmp: NftMatch = { kind: 'l4proto', protocol: IGMP }
const isPoliced = (direction: Direction): NftMatch => ({
  kind: 'keySet',
  set: policedSet(direction),
  fields: [direction === 'egress' ? 'iifname' : 'oifname'],
})
const fromPod: NftMatch = { kind: 'device', field: 'iifname', name: `${portPrefix}*` }
/** Behind a match on IPv6. */
const icmp6 = (types: readonly number[]): NftMatch[] => [
  { kind: 'l4proto', protocol: 'icmpv6' },
  { kind: 'icmpType', family: 6, types },
]
const isIcmp6 = (types: readonly number[]): NftMatch[] => [{ kind: 'family', family: 6 }, ...icmp6(types)]
const refuse = (comment: string, ...match: readonly NftMatch[]): NftRule => ({
  comment,
  match,
  action: { kind: 'drop', counter: true },
})
/** Every pod does this all the time: no counter, which would tell of a fault. */
const drop = (comment: string, ...match: readonly NftMatch[]): NftRule => ({ comment, match, action: { kind: 'drop' } })
const pass = (comment: string, ...match: readonly NftMatch[]): NftRule => ({
  comment,
  match,
  action: { kind: 'accept' },
})
const leadTo = (chain: string, comment: string, ...match: readonly NftMatch[]): NftRule => ({
  comment,
  match,
  action: { kind: 'goto', chain },
})

const isOwn = (family: Family, not = false): NftMatch => ({
  kind: 'keySet',
  set: sourceSet(family),
  fields: ['iifname', 'saddr'],
  family,
  not,
})
const isForPod = (family: Family): NftMatch => ({
  kind: 'keySet',
  set: sourceSet(family),
  fields: ['oifname', 'daddr'],
  family,
})
/** To the MAC of the bridge, or to that of the pod's own host device, which the bridge takes in as well. */
const toNode = { kind: 'pktTypeHost' } as const
const toLinkLocal = (not = false): NftMatch => ({ kind: 'addr', field: 'daddr', prefix: linkLocal, not })

/** Most of what a pod sends goes to other nodes, by this one: that is decided by the first rule of its family. */
const prerouting: NftChain = {
  name: 'prerouting',
  hook: { type: 'filter', hook: 'prerouting', priority },
  policy: 'accept',
  rules: [
    // the address last: what goes to pods costs no look-up here
    pass('to the node, from an address of the pod (IPv4)', toNode, { kind: 'family', family: 4 }, isOwn(4)),
    pass(
      'to the node, from an address of the pod (IPv6)',
      toNode,
      { kind: 'family', family: 6 },
      toLinkLocal(true),
      isOwn(6),
    ),
    pass('not from a pod', { ...fromPod, not: true }),
    leadTo('from-pod4', 'IPv4 of a pod', { kind: 'family', family: 4 }),
    leadTo('from-pod6', 'IPv6 of a pod', { kind: 'family', family: 6 }),
    // the bridge takes the second tag off after these rules, and there may be any packet behind it
    refuse('a VLAN tag behind a VLAN tag', { kind: 'etherType', types: ['8021q', '8021ad'] }),
  ],
}

const toGroups = pass('to groups: see chain forward', { kind: 'etherMulticast' })

const isTagged = pass('with a VLAN tag: see chain forward', { kind: 'vlan' })
/** What is for the node's network stack: the mark stays on a frame, wherever it goes. */
const marked = toNode
const mark: NftRule = { comment: 'to the node, for its network stack', match: [], action: { kind: 'pktTypeHost' } }
const toBridgeMac = (mac: string, ...match: readonly NftMatch[]): NftRule => ({
  comment: 'to the MAC of the node',
  match,
  action: { kind: 'setEtherDaddr', mac },
})

/** Behind the first rule, which has let through what goes to the node from an address of the pod. */
function from4(toTheStack: readonly NftRule[]): NftChain {
  return {
    name: 'from-pod4',
    rules: [refuse('not an address of the pod (IPv4)', isOwn(4, true)), toGroups, isTagged, ...toTheStack],
  }
}

const ownChain6 = 'from-own-address6'

const from6: NftChain = {
  name: 'from-pod6',
  rules: [
    // a pod chooses its link-local addresses itself; the rules for IP do not forward them
    pass('neighbour discovery from a link-local address', ...fromPrefix(linkLocal), ...icmp6(neighbourTypes)),
    pass('neighbour discovery', isOwn(6), ...icmp6(neighbourTypes)),
    pass(
      'duplicate address detection, listeners',
      ...fromPrefix(unspecified),
      ...icmp6([...neighbourTypes, ...listenerTypes]),
    ),
    leadTo(ownChain6, 'from an address of the pod', isOwn(6)),
    leadTo(ownChain6, 'from a link-local address', ...fromPrefix(linkLocal)),
    refuse('not an address of the pod (IPv6)'),
  ],
}

function fromPrefix(prefix: Prefix): NftMatch[] {
  return [{ kind: 'addr', field: 'saddr', prefix }]
}

function betweenPods6(mac: string, toTheStack: readonly NftRule[]): NftChain {
  const ofNode: NftMatch = { kind: 'addr', field: 'daddr', prefix: Prefix.parse(`${linkLocalOf(mac)}/128`) }
  return {
    name: ownChain6,
    rules: [
      toGroups,
      pass('to the link-local address of the node', toNode, ofNode),
      // the kernel would forward it, since it leaves by the device by which it came, and the address tells no rule which pod it is
      refuse('link-local addresses of others are not reached by way of the node', toNode, toLinkLocal()),
      pass('to the node', toNode),
      pass('link-local addresses are not routed: see chain forward', toLinkLocal()),
      isTagged,
      ...toTheStack,
    ],
  }
}

/**
 * What a pod sends to another one's MAC passes the hook `forward` of the rules for IP, and connection tracking: br_netfilter has taken it there
 * and goes on doing so, which the route shows that it gives to frames; else the node gets it, and routes it. The chains before this one have
 * marked what this is about.
 */
function unlessBridged(mac: string): NftChain {
  return {
    name: 'unless-bridged',
    hook: { type: 'filter', hook: 'prerouting', priority: behindBrNetfilter },
    policy: 'accept',
    rules: [
      pass('not for the network stack', { ...marked, not: true }),
      pass('br_netfilter has it', { kind: 'hasRoute' }),
      pass('to the node', { kind: 'etherAddr', field: 'daddr', mac }),
      toBridgeMac(mac, fromPod),
    ],
  }
}

/**
 * What goes from port to port. A packet for a pod's address with the MAC of one pod comes here only if br_netfilter has it, and gives it to the
 * rules for IP behind this chain. It has lost its route where it goes to a Service of which a pod of this bridge is the end, and the kernel had
 * to look for that pod. Others come with a VLAN tag: the node has nobody to give that to. What is left no rule for IP sees, and pods to which
 * policies apply neither send nor receive it.
 */
const forward = (tells: boolean): NftChain => ({
  name: 'forward',
  hook: { type: 'filter', hook: 'forward', priority },
  policy: 'accept',
  rules: [
    // nearly all of what comes here: before the rest is looked at
    ...(tells ? [pass('br_netfilter has it', marked, { kind: 'hasRoute' })] : []),
    pass('not from a pod', { ...fromPod, not: true }),
    pass('ARP', { kind: 'etherType', types: ['arp'] }),
    pass('neighbour discovery', ...isIcmp6(neighbourTypes)),
    ...directions.map((direction) =>
      refuse(`with a VLAN tag: ${direction === 'egress' ? 'from' : 'to'} a pod with policies`, isPoliced(direction), {
        kind: 'vlan',
      }),
    ),
    pass('to the address of a Service (IPv4)', { kind: 'family', family: 4 }, toOne),
    pass('to the address of a Service (IPv6)', toLinkLocal(true), toOne),
    ...directions.flatMap((direction) => [
      drop('listeners of groups (IPv6)', isPoliced(direction), ...isIcmp6(listenerTypes)),
      drop('listeners of groups (IPv4)', isPoliced(direction), { kind: 'family', family: 4 }, isIgmp),
      refuse(
        `groups, link-local addresses, other protocols: ${direction === 'egress' ? 'from' : 'to'} a pod with policies`,
        isPoliced(direction),
      ),
    ]),
  ],
})

const toPod = { kind: 'device', field: 'oifname', name: `${portPrefix}*` } as const

/**
 * The node is the way from pod to pod, so its kernel tells pods to take the direct one. Where they do, each packet takes the node's time twice.
 * Here, since no packet of the tunnel comes by.
 */
function redirect(family: Family): NftRule {
  return drop(
    `a redirect: pods keep their gateway (IPv${family})`,
    { kind: 'l4proto', protocol: family === 4 ? 'icmp' : 'icmpv6' },
    { kind: 'family', family },
    { kind: 'icmpType', family, types: [redirectTypes[family]] },
    toPod,
  )
}

/**
 * A pod can make the node believe that another one's address is at its MAC, and the bridge that another one's MAC is at its port. The rules for
 * IP know addresses alone: what was allowed to the one would go to the other.
 */
const postrouting: NftChain = {
  name: 'postrouting',
  hook: { type: 'filter', hook: 'postrouting', priority },
  policy: 'accept',
  rules: [
    ...families.map(redirect),
    // nearly all of what comes here: before the rest is looked at
    pass('to an address of the pod (IPv4)', isForPod(4)),
    pass('to an address of the pod (IPv6)', isForPod(6)),
    pass('not to a pod', { ...toPod, not: true }),
    pass('to groups', { kind: 'etherMulticast' }),
    pass('to a link-local address', toLinkLocal()),
    refuse('to an address of another pod (IPv4)', { kind: 'family', family: 4 }),
    refuse('to an address of another pod (IPv6)', { kind: 'family', family: 6 }),
  ],
}
