// Tables for tests that have what network policies need: sets of keys, maps, lists of numbers, logs, and Ethernet headers.
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import {
  type NftAction,
  type NftChain,
  type NftKeySet,
  type NftMatch,
  type NftRule,
  type NftSet,
  type NftTable,
} from '../ruleset.ts'

const addr = (text: string): Addr => Addr.parse(text)
const pods = { 4: [addr('10.244.0.2'), addr('10.244.0.3')], 6: [addr('fd10::2'), addr('fd10::3')] } as const

const sets: NftSet[] = [
  { name: 'blocks4', type: 'ipv4_addr', interval: true, elements: [Prefix.parse('192.0.2.0/24')] },
  { name: 'local4', type: 'ipv4_addr', interval: false, elements: pods[4] },
  { name: 'seen4', type: 'ipv4_addr', interval: false, dynamic: true, elements: [] },
]

const keySets: NftKeySet[] = [
  ...([4, 6] as const).flatMap((family): NftKeySet[] => {
    const type = `ipv${family}_addr` as const
    const [first, second] = pods[family]
    return [
      { name: `pairs${family}`, type: [type, type], elements: [[first, second]] },
      {
        name: `ports${family}`,
        type: [type, 'inet_proto', 'inet_service'],
        elements: [
          [first, 6, 80],
          [first, 132, 65535],
          [second, 17, 53],
        ],
      },
      {
        name: `bound${family}`,
        type: ['ifname', type],
        counter: true,
        elements: [
          ['cwv0123456789ab', first],
          ['cwv1', second],
        ],
      },
    ]
  }),
  { name: 'pod-devices', type: ['ifname'], elements: [['cwv1'], ['fifteen-letters']] },
  { name: 'no-devices', type: ['ifname'], elements: [] },
  { name: 'comers', type: ['ifname', 'ipv4_addr'], dynamic: true, elements: [] },
]

const tcp: NftMatch = { kind: 'l4proto', protocol: 'tcp' }
const is = (family: Family): NftMatch => ({ kind: 'family', family })
const range = (first: number, last = first): { first: number; last: number } => ({ first, last })
const ports = (ranges: readonly { first: number; last: number }[], not: boolean): NftMatch[] => [
  tcp,
  { kind: 'ports', field: 'dport', ranges, not },
]

/** Each entry is the whole condition of a rule. */
const matches: NftMatch[][] = [
  ...[true, false].flatMap((not): NftMatch[][] => [
    ...([4, 6] as const).flatMap((family): NftMatch[][] => [
      [{ kind: 'keySet', family, fields: ['saddr', 'daddr'], set: `pairs${family}`, not }],
      [{ kind: 'keySet', family, fields: ['daddr', 'l4proto', 'dport'], set: `ports${family}`, not }],
      [tcp, { kind: 'keySet', family, fields: ['saddr', 'l4proto', 'sport'], set: `ports${family}`, not }],
      [{ kind: 'keySet', family, fields: ['iifname', 'saddr'], set: `bound${family}`, not }],
    ]),
    [{ kind: 'keySet', fields: ['oifname'], set: 'pod-devices', not }],
    [{ kind: 'l4proto', protocol: 132, not }],
    [{ kind: 'l4proto', protocol: 'icmp', not }],
    [{ kind: 'l4proto', protocol: 'icmpv6', not }],
    [{ kind: 'l4protos', protocols: ['sctp', 'tcp', 58, 'icmp'], not }],
    [{ kind: 'l4protos', protocols: ['tcp'], not }],
    ports([range(80)], not),
    ports([range(80), range(443)], not),
    ports([range(8080, 8090)], not),
    ports([range(0, 79), range(81, 442), range(60000, 65535)], not),
    ports([range(80), range(81), range(500, 600), range(550, 700), range(701)], not),
    [is(4), { kind: 'l4proto', protocol: 'icmp' }, { kind: 'icmpType', family: 4, types: [8], not }],
    [is(4), { kind: 'l4proto', protocol: 'icmp' }, { kind: 'icmpType', family: 4, types: [8, 0], not }],
    [is(6), { kind: 'l4proto', protocol: 58 }, { kind: 'icmpType', family: 6, types: [135], not }],
    [
      is(6),
      { kind: 'l4proto', protocol: 58 },
      { kind: 'icmpType', family: 6, types: [133, 134, 135, 136, 137, 143, 130], not },
    ],
    [{ kind: 'etherType', types: ['arp'], not }],
    [{ kind: 'etherType', types: ['arp', 'ip', 'ip6'], not }],
  ]),
  // more than one message holds
  ports(
    Array.from({ length: 1000 }, (_, index) => range(3 * index, 3 * index + 1)),
    false,
  ),
  [
    { kind: 'l4protos', protocols: ['tcp', 'udp', 'sctp'] },
    { kind: 'ports', field: 'sport', ranges: [range(53), range(5353)] },
  ],
  [{ kind: 'limit', packetsPerSecond: 10, burst: 20 }],
  [tcp, { kind: 'tcpSyn' }, { kind: 'limit', packetsPerSecond: 1, burst: 1 }],
]
const inetMatches: NftMatch[][] = [
  [{ kind: 'ctState', states: ['new', 'invalid', 'untracked'] }],
  [{ kind: 'ctState', states: ['new'] }],
  [{ kind: 'ctDirection', direction: 'original' }],
  [{ kind: 'ctDirection', direction: 'reply' }],
]
const bridgeMatches: NftMatch[][] = [
  is(4),
  is(6),
  { kind: 'addr' as const, field: 'saddr' as const, prefix: Prefix.parse('10.0.0.0/8') },
  { kind: 'addr' as const, field: 'daddr' as const, prefix: Prefix.parse('fe80::/10'), not: true },
  { kind: 'addrSet' as const, field: 'saddr' as const, family: 4 as const, set: 'blocks4' },
  { kind: 'device' as const, field: 'iifname' as const, name: 'cwv*' },
  { kind: 'device' as const, field: 'oifname' as const, name: 'cw-br0', not: true },
  { kind: 'mark' as const, mask: 0x4000, value: 0x4000 },
  { kind: 'vlan' as const },
  { kind: 'hasRoute' as const },
  ...[true, false].flatMap((not): NftMatch[] => [
    { kind: 'etherAddr', field: 'daddr', mac: '02:43:57:00:00:01', not },
    { kind: 'etherAddr', field: 'saddr', mac: 'ff:ff:ff:ff:ff:ff', not },
    { kind: 'etherMulticast', not },
    { kind: 'pktTypeHost', not },
  ]),
].map((match) => [match])

const actions: NftAction[] = [
  { kind: 'count' },
  { kind: 'log', group: 4321, prefix: 'CW deny: ', snaplen: 128 },
  { kind: 'log', group: 0, prefix: 'x', counter: true },
  ...([false, true] as const).flatMap((counter): NftAction[] => [
    { kind: 'accept', counter },
    { kind: 'drop', counter },
    { kind: 'return', counter },
    { kind: 'jump', chain: 'pod-a', counter },
    { kind: 'goto', chain: 'pod-b', counter },
  ]),
]

function rules(conditions: readonly NftMatch[][], last: readonly NftAction[]): NftRule[] {
  return [
    ...conditions.map((match, index): NftRule => ({
      comment: `match ${index}`,
      match,
      action: index % 2 === 0 ? { kind: 'accept' } : { kind: 'drop', counter: true },
    })),
    ...last.map((action, index): NftRule => ({ comment: `action ${index}`, match: [], action })),
  ]
}

const podChains: NftChain[] = [
  { name: 'pod-a', rules: [{ comment: 'count what goes to a', match: [], action: { kind: 'count' } }] },
  { name: 'pod-b', rules: [{ comment: 'deny', match: [], action: { kind: 'drop', counter: true } }] },
]

export const policyTable: NftTable = {
  family: 'inet',
  name: 'causeway-test',
  sets,
  keySets,
  chains: [
    ...podChains,
    {
      name: 'forward',
      hook: { type: 'filter', hook: 'forward', priority: -10 },
      rules: rules([...matches, ...inetMatches], actions),
    },
  ],
}

export const bridgeTable: NftTable = {
  family: 'bridge',
  name: 'causeway-test',
  sets,
  keySets,
  chains: [
    ...podChains,
    {
      name: 'prerouting',
      hook: { type: 'filter', hook: 'prerouting', priority: -300 },
      rules: rules(
        [...matches, ...bridgeMatches],
        [
          ...actions,
          { kind: 'setEtherDaddr', mac: '02:43:57:00:00:01' },
          { kind: 'pktTypeHost' },
          { kind: 'setMark', value: 1 },
        ],
      ),
    },
    {
      name: 'forward',
      hook: { type: 'filter', hook: 'forward', priority: 0 },
      policy: 'drop',
      rules: rules(matches, actions),
    },
    { name: 'input', hook: { type: 'filter', hook: 'input', priority: 10 }, rules: [] },
    { name: 'output', hook: { type: 'filter', hook: 'output', priority: -10 }, rules: rules(bridgeMatches, []) },
  ],
}
