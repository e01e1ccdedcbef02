// Tables for tests: one of each family with every kind of match and action, and small ones to change.
import { Addr, Prefix } from '#/lib/addr.ts'
import {
  type NftAction,
  type NftChain,
  type NftHook,
  type NftMatch,
  type NftRule,
  type NftSet,
  type NftTable,
} from '../ruleset.ts'

const prefix = (text: string): Prefix => Prefix.parse(text)
const addr = (text: string): Addr => Addr.parse(text)

export const sets: NftSet[] = [
  { name: 'pods4', type: 'ipv4_addr', interval: true, elements: [prefix('10.244.0.0/24'), prefix('10.244.1.0/24')] },
  { name: 'pods6', type: 'ipv6_addr', interval: true, elements: [prefix('fd10:244::/32'), addr('fd00::1')] },
  { name: 'nodes4', type: 'ipv4_addr', interval: false, elements: [addr('172.30.0.12'), addr('172.30.0.11')] },
  { name: 'nodes6', type: 'ipv6_addr', interval: false, elements: [addr('fd30::11'), prefix('fd30::12/128')] },
  { name: 'counted4', type: 'ipv4_addr', interval: false, counter: true, elements: [addr('172.30.0.12')] },
  { name: 'counted6', type: 'ipv6_addr', interval: false, counter: true, elements: [addr('fd30::12')] },
  { name: 'empty4', type: 'ipv4_addr', interval: true, elements: [] },
  { name: 'every6', type: 'ipv6_addr', interval: true, elements: [prefix('::/0')] },
]

/** All kinds of matches; each entry is the whole condition of one rule. */
const matches: NftMatch[][] = [
  [],
  [{ kind: 'family', family: 4 }],
  [{ kind: 'family', family: 6 }],
  ...[true, false].flatMap((not): NftMatch[][] => [
    ...['10.0.0.0/8', '10.244.0.0/22', '10.1.2.3/32', '0.0.0.0/0', 'fd10:244::/44', 'fe80::/64', 'fd00::1/128'].map(
      (text): NftMatch[] => [{ kind: 'addr', field: 'daddr', prefix: prefix(text), not }],
    ),
    [{ kind: 'addrSet', field: 'saddr', family: 4, set: 'pods4', not }],
    [{ kind: 'addrSet', field: 'daddr', family: 6, set: 'nodes6', not }],
    [{ kind: 'device', field: 'iifname', name: 'eth0', not }],
    [{ kind: 'device', field: 'iifname', name: 'fifteen-letters', not }],
    [{ kind: 'device', field: 'iifname', name: 'cwv*', not }],
    [{ kind: 'daddrLocal', not }],
    [{ kind: 'saddrLocal', not }],
    [{ kind: 'l4proto', protocol: 'udp', not }],
    [{ kind: 'mark', mask: 0x4000, value: 0x4000, not }],
    [{ kind: 'mark', mask: 0xffffffff, value: 0xdeadbeef, not }],
    [
      { kind: 'l4proto', protocol: 'tcp' },
      { kind: 'dport', port: 443, not },
    ],
    [
      { kind: 'l4proto', protocol: 'tcp' },
      { kind: 'sport', port: 179, not },
    ],
    [
      { kind: 'l4proto', protocol: 'tcp' },
      { kind: 'tcpSyn', not },
    ],
    [
      { kind: 'l4proto', protocol: 'udp' },
      { kind: 'dport', port: 4789 },
      { kind: 'vni', vni: 0x123456, not },
    ],
  ]),
  [{ kind: 'ttlBelow', family: 4, ttl: 255 }],
  [
    { kind: 'addr', field: 'saddr', prefix: prefix('fd00::1/128') },
    { kind: 'ttlBelow', family: 6, ttl: 253 },
  ],
  [{ kind: 'l4proto', protocol: 'tcp' }],
  [{ kind: 'l4proto', protocol: 'udp' }],
  [{ kind: 'l4proto', protocol: 'sctp' }],
  [
    { kind: 'family', family: 4 },
    { kind: 'addrSet', field: 'saddr', family: 4, set: 'pods4' },
    { kind: 'addrSet', field: 'daddr', family: 4, set: 'pods4', not: true },
    { kind: 'addr', field: 'daddr', prefix: prefix('224.0.0.0/4'), not: true },
  ],
  [
    { kind: 'addr', field: 'saddr', prefix: prefix('10.0.0.1/32') },
    { kind: 'addr', field: 'daddr', prefix: prefix('10.0.0.2/32') },
  ],
]
const inetMatches: NftMatch[][] = [
  [{ kind: 'device', field: 'oifname', name: 'cwv*', not: true }],
  [{ kind: 'device', field: 'oifname', name: 'eth1' }],
  [{ kind: 'ctState', states: ['established'] }],
  [{ kind: 'ctState', states: ['established', 'related'] }],
  [{ kind: 'ctDnat' }],
  [
    { kind: 'l4proto', protocol: 'udp' },
    { kind: 'ctOriginalPort', port: 53 },
  ],
]
const translations: NftRule[] = ['10.244.1.3', 'fd10:244:0:1::3'].map((text) => {
  const to = Addr.parse(text)
  return {
    comment: `translate to IPv${to.family}`,
    match: [
      { kind: 'family', family: to.family },
      { kind: 'l4proto', protocol: 'tcp' },
      { kind: 'dport', port: 8080 },
      { kind: 'daddrLocal' },
    ],
    action: { kind: 'dnat', addr: to, port: 80 },
  }
})
const actions: NftAction[] = [
  { kind: 'accept' },
  { kind: 'drop' },
  { kind: 'drop', counter: true },
  { kind: 'return' },
  { kind: 'setMark', value: 0x4000 },
  { kind: 'setMark', value: 0 },
  { kind: 'orMark', value: 0x80004000 },
]

function rules(conditions: readonly NftMatch[][], last: readonly NftAction[]): NftRule[] {
  return [
    ...conditions.map((match, index): NftRule => ({
      comment: `match ${index}`,
      match,
      action: last[index % last.length]!,
    })),
    ...last.map((action, index): NftRule => ({ comment: `action ${index}`, match: [], action })),
  ]
}

const masquerades: NftAction[] = [{ kind: 'masquerade' }, { kind: 'masquerade', fullyRandom: true }, { kind: 'return' }]
export const forward: NftHook = { type: 'filter', hook: 'forward', priority: -10 }

export const everything: NftTable = {
  family: 'inet',
  name: 'causeway-test',
  sets,
  chains: [
    {
      name: 'postrouting',
      hook: { type: 'nat', hook: 'postrouting', priority: 100 },
      rules: rules([...matches, ...inetMatches.slice(0, 2)], masquerades),
    },
    { name: 'forward', hook: forward, policy: 'drop', rules: rules([...matches, ...inetMatches], actions) },
    {
      name: 'prerouting',
      hook: { type: 'filter', hook: 'prerouting', priority: -300 },
      rules: [
        {
          comment: 'count and leave untracked',
          match: [{ kind: 'addrSet', field: 'saddr', family: 4, set: 'counted4' }],
          action: { kind: 'notrack' },
        },
      ],
    },
    { name: 'nat-in', hook: { type: 'nat', hook: 'prerouting', priority: -100 }, rules: translations },
    { name: 'nat-out', hook: { type: 'nat', hook: 'output', priority: -100 }, rules: translations },
    {
      name: 'input',
      hook: { type: 'filter', hook: 'input', priority: 2147483647 },
      policy: 'accept',
      rules: [{ comment: 'on in another chain', match: [], action: { kind: 'jump', chain: 'no-hook' } }],
    },
    { name: 'output', hook: { type: 'filter', hook: 'output', priority: 0 }, rules: [] },
    { name: 'no-hook', rules: rules([[]], [{ kind: 'return' }]) },
  ],
}

export const netdev: NftTable = {
  family: 'netdev',
  name: 'causeway-test',
  sets,
  chains: [
    {
      name: 'ingress',
      hook: { type: 'filter', hook: 'ingress', device: 'lo', priority: -100 },
      rules: rules(matches, [...actions, { kind: 'pktTypeHost' }]),
    },
  ],
}

export const masquerade: NftRule = {
  comment: 'masquerade what leaves the cluster',
  match: [
    { kind: 'addrSet', field: 'saddr', family: 4, set: 'pods4' },
    { kind: 'addrSet', field: 'daddr', family: 4, set: 'pods4', not: true },
  ],
  action: { kind: 'masquerade', fullyRandom: true },
}
export const leave: NftRule = {
  comment: 'leave node addresses alone',
  match: [{ kind: 'addrSet', field: 'daddr', family: 4, set: 'nodes4' }],
  action: { kind: 'return' },
}
export const postrouting: NftChain = {
  name: 'postrouting',
  hook: { type: 'nat', hook: 'postrouting', priority: 100 },
  rules: [leave, masquerade],
}
export const small: NftTable = {
  family: 'inet',
  name: 'causeway-test',
  sets: sets.slice(0, 3),
  chains: [postrouting, { name: 'forward', hook: forward, policy: 'accept', rules: [] }],
}
export const door: NftTable = {
  family: 'netdev',
  name: 'causeway-test',
  sets: [],
  chains: [
    {
      name: 'door',
      hook: { type: 'filter', hook: 'ingress', device: 'door0', priority: 0 },
      rules: [{ comment: 'take in', match: [], action: { kind: 'pktTypeHost' } }],
    },
  ],
}
