// Expressions as `nft --debug=netlink` (1.0.6) shows them for the same text; test/netns compares all kinds with nft itself.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { compileRule } from './compile.ts'
import { fingerprint } from './expressions.ts'
import { commentOf, renderRule } from './render-rule.ts'
import { renderTable } from './render.ts'
import {
  type NftAction,
  type NftFamily,
  type NftMatch,
  type NftRule,
  type NftTable,
  type NumberRange,
  RulesetError,
} from './ruleset.ts'
import { masquerade, postrouting, small } from './testing/tables.ts'

const does = (rule: NftRule, family: NftFamily = 'inet'): string[] => fingerprint(compileRule(rule, family)).split('; ')

describe('compileRule', () => {
  test('asks for the IP family once, before the first address', () => {
    assert.deepEqual(does(masquerade), [
      'meta dreg=1 key=15',
      'cmp data=(value=0x02) sreg=1',
      'payload base=1 dreg=1 len=4 offset=12',
      'lookup set=pods4 sreg=1',
      'payload base=1 dreg=1 len=4 offset=16',
      'lookup flags=1 set=pods4 sreg=1',
      'masq flags=16',
    ])
    assert.deepEqual(does({ ...masquerade, action: { kind: 'drop' } }, 'netdev').slice(0, 2), [
      'meta dreg=1 key=1',
      'cmp data=(value=0x0800) sreg=1',
    ])
  })

  test('loads no more of an address than a prefix that ends at a byte, and masks others', () => {
    const on = (text: string, not: boolean): NftRule => ({
      comment: 'c',
      match: [{ kind: 'addr', field: 'daddr', prefix: Prefix.parse(text), not }],
      action: { kind: 'accept' },
    })
    assert.deepEqual(does(on('fd10:244::/32', true)).slice(2, 4), [
      'payload base=1 dreg=1 len=4 offset=24',
      'cmp data=(value=0xfd100244) op=1 sreg=1',
    ])
    assert.deepEqual(does(on('10.244.0.0/22', false)).slice(2), [
      'payload base=1 dreg=1 len=4 offset=16',
      'bitwise dreg=1 len=4 mask=(value=0xfffffc00) sreg=1 xor=(value=0x00000000)',
      'cmp data=(value=0x0af40000) sreg=1',
      'immediate data=(verdict=(code=1))',
    ])
  })

  test('finds the VNI behind the UDP header', () => {
    const rule: NftRule = {
      comment: 'c',
      match: [
        { kind: 'l4proto', protocol: 'udp' },
        { kind: 'dport', port: 4789 },
        { kind: 'vni', vni: 0x10203, not: true },
      ],
      action: { kind: 'drop', counter: true },
    }
    assert.deepEqual(does(rule), [
      'meta dreg=1 key=16',
      'cmp data=(value=0x11) sreg=1',
      'payload base=2 dreg=1 len=2 offset=2',
      'cmp data=(value=0x12b5) sreg=1',
      'payload base=2 dreg=1 len=3 offset=12',
      'cmp data=(value=0x010203) op=1 sreg=1',
      'counter',
      'immediate data=(verdict=())',
    ])
  })
})

describe('a look-up', () => {
  const rule = (match: readonly NftMatch[], action: NftAction = { kind: 'accept' }): NftRule => ({
    comment: 'c',
    match,
    action,
  })

  test('loads the fields behind one another', () => {
    const fields = ['daddr', 'l4proto', 'dport'] as const
    assert.deepEqual(does(rule([{ kind: 'keySet', family: 4, fields, set: 's' }])).slice(2, 6), [
      'payload base=1 dreg=1 len=4 offset=16',
      'meta dreg=9 key=16',
      'payload base=2 dreg=10 len=2 offset=2',
      'lookup set=s sreg=1',
    ])
    assert.deepEqual(does(rule([{ kind: 'keySet', family: 6, fields, set: 's', not: true }]), 'bridge').slice(0, 6), [
      'meta dreg=1 key=1',
      'cmp data=(value=0x86dd) sreg=1',
      'payload base=1 dreg=1 len=16 offset=24',
      'meta dreg=2 key=16',
      'payload base=2 dreg=13 len=2 offset=2',
      'lookup flags=1 set=s sreg=1',
    ])
  })

  test('is needed for lists of numbers, not for one number or range', () => {
    const ports = (not: boolean, ...ranges: NumberRange[]): string[] =>
      does(
        rule([
          { kind: 'l4proto', protocol: 'tcp' },
          { kind: 'ports', field: 'dport', ranges, not },
        ]),
      ).slice(3, -1)
    assert.deepEqual(ports(true, { first: 80, last: 80 }), ['cmp data=(value=0x0050) op=1 sreg=1'])
    assert.deepEqual(ports(false, { first: 80, last: 90 }), [
      'cmp data=(value=0x0050) op=5 sreg=1',
      'cmp data=(value=0x005a) op=3 sreg=1',
    ])
    assert.deepEqual(ports(true, { first: 80, last: 90 }), ['range from=(value=0x0050) op=1 sreg=1 to=(value=0x005a)'])
    const many = Array.from({ length: 1000 }, (_, index) => ({ first: index * 3, last: index * 3 + 1 }))
    assert.match(ports(false, ...many).join(), /^lookup set=inet_service\{0-1,3-4,.*,2997-2998\} sreg=1$/)
  })
})

describe('commentOf', () => {
  test('changes with what the rule does, and only then', () => {
    const comment = commentOf(masquerade, 'inet')
    assert.match(comment, /^masquerade what leaves the cluster \[[0-9a-f]{8}\]$/)
    assert.equal(commentOf({ ...masquerade }, 'inet'), comment)
    assert.notEqual(commentOf({ ...masquerade, action: { kind: 'masquerade' } }, 'inet'), comment)
    assert.notEqual(commentOf({ ...masquerade, match: masquerade.match.slice(1) }, 'inet'), comment)
  })
})

describe('renderTable', () => {
  test('is what nft reads and people too', () => {
    assert.equal(
      renderTable({ ...small, sets: small.sets.slice(0, 1), chains: [{ ...postrouting, rules: [masquerade] }] }),
      [
        'table inet causeway-test {',
        '\tset pods4 {',
        '\t\ttype ipv4_addr',
        '\t\tflags interval',
        '\t\telements = { 10.244.0.0/23 }',
        '\t}',
        '',
        '\tchain postrouting {',
        '\t\ttype nat hook postrouting priority 100; policy accept;',
        `\t\tip saddr @pods4 ip daddr != @pods4 masquerade fully-random comment "${commentOf(masquerade, 'inet')}"`,
        '\t}',
        '}',
        '',
      ].join('\n'),
    )
  })
})

describe('a table that cannot be meant is refused with a word about what', () => {
  const chain = small.chains[1]!
  const withRule = (rule: Partial<NftRule>): NftTable => ({
    ...small,
    chains: [{ ...chain, rules: [{ ...masquerade, action: { kind: 'drop' }, ...rule }] }],
  })
  const ingress = { type: 'filter', hook: 'ingress', priority: 0 } as const
  const cases: [string, NftTable, RegExp][] = [
    ['a name', { ...small, name: 'a b' }, /"a b" is no name for a table/],
    ['a name of a chain', { ...small, chains: [{ ...chain, name: '' }] }, /"" is no name for a chain/],
    ['a name twice', { ...small, chains: [chain, chain] }, /has two chains forward/],
    ['a policy without hook', { ...small, chains: [{ name: 'c', policy: 'drop', rules: [] }] }, /chain c .* policy/],
    ['ingress in inet', { ...small, chains: [{ ...chain, hook: { ...ingress, device: 'lo' } }] }, /family netdev/],
    ['ingress of no device', { ...small, family: 'netdev', chains: [{ ...chain, hook: ingress }] }, /a device belongs/],
    ['a quote in a comment', withRule({ comment: 'a"b' }), /the comment must be/],
    ['a comment too long', withRule({ comment: 'x'.repeat(113) }), /the comment must be/],
    [
      'both families',
      withRule({ match: [{ kind: 'family', family: 6 }, ...masquerade.match] }),
      /IPv4 and IPv6 at once/,
    ],
    [
      'a set that is not there',
      withRule({ match: [{ kind: 'addrSet', field: 'saddr', family: 4, set: 'x' }] }),
      /rule "masq.* in chain forward of table causeway-test: the table has no set x/,
    ],
    [
      'a set of the other family',
      withRule({ match: [{ kind: 'addrSet', field: 'saddr', family: 6, set: 'pods4' }] }),
      /set pods4 holds ipv4_addr, the match is on IPv6/,
    ],
    ['a port of no protocol', withRule({ match: [{ kind: 'dport', port: 1 }] }), /a port needs a protocol/],
    [
      'a VNI of tcp',
      withRule({
        match: [
          { kind: 'l4proto', protocol: 'tcp' },
          { kind: 'vni', vni: 1 },
        ],
      }),
      /needs udp/,
    ],
    [
      'a jump to a chain that is not there',
      withRule({ action: { kind: 'jump', chain: 'x' } }),
      /the table has no chain x/,
    ],
    [
      'a jump to a chain with a hook',
      withRule({ action: { kind: 'jump', chain: 'forward' } }),
      /chain forward has a hook/,
    ],
    [
      'a port of ICMP',
      withRule({
        match: [
          { kind: 'l4protos', protocols: ['tcp', 'icmp'] },
          { kind: 'ports', field: 'dport', ranges: [{ first: 1, last: 2 }] },
        ],
      }),
      /a port needs a protocol/,
    ],
    [
      'ports the wrong way round',
      withRule({
        match: [
          { kind: 'l4proto', protocol: 'tcp' },
          { kind: 'ports', field: 'dport', ranges: [{ first: 3, last: 2 }] },
        ],
      }),
      /port 3 is not within 0 and 2/,
    ],
    [
      'a type of ICMP for another family',
      withRule({
        match: [
          { kind: 'family', family: 6 },
          { kind: 'l4proto', protocol: 'icmp' },
          { kind: 'icmpType', family: 6, types: [1] },
        ],
      }),
      /needs IPv6 and icmpv6 matched before it/,
    ],
    ['conntrack in a bridge', { ...withRule({ match: [{ kind: 'ctDnat' }] }), family: 'bridge' }, /no match ctDnat/],
    ['a MAC address outside of a bridge', withRule({ match: [{ kind: 'etherMulticast' }] }), /no match etherMulticast/],
    [
      'a MAC address in capitals',
      { ...withRule({ match: [], action: { kind: 'setEtherDaddr', mac: 'AA:00:00:00:00:01' } }), family: 'bridge' },
      /no MAC address/,
    ],
    [
      'nat in a bridge',
      { ...small, family: 'bridge', chains: [{ ...chain, hook: { type: 'nat', hook: 'output', priority: 0 } }] },
      /type filter alone/,
    ],
    [
      'keys of another set',
      {
        ...withRule({ match: [{ kind: 'keySet', fields: ['oifname'], set: 'keys' }] }),
        keySets: [{ name: 'keys', type: ['ifname', 'ifname'], elements: [] }],
      },
      /keys holds ifname \. ifname, what is looked up is ifname/,
    ],
    ['a log with a quote', withRule({ action: { kind: 'log', group: 1, prefix: '"' } }), /the prefix of a log must be/],
    ['no rate', withRule({ match: [{ kind: 'limit', packetsPerSecond: 0, burst: 1 }] }), /rate 0 is not within 1/],
    ['a mark outside of its mask', withRule({ match: [{ kind: 'mark', mask: 1, value: 2 }] }), /mark 2 is not within/],
    [
      'a long device name',
      withRule({ match: [{ kind: 'device', field: 'iifname', name: 'x'.repeat(16) }] }),
      /no device/,
    ],
  ]
  for (const [name, table, message] of cases) {
    test(name, () =>
      assert.throws(
        () => renderTable(table),
        (error) => error instanceof RulesetError && message.test(error.message),
      ),
    )
  }

  test('a valid rule is rendered', () => {
    assert.equal(renderRule(masquerade, 'inet'), 'ip saddr @pods4 ip daddr != @pods4 masquerade fully-random')
  })
})
