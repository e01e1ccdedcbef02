import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LookupAnswer } from '#/wire/netlink/route-lookup.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { routeProtocol } from '#/model/names.ts'
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { kernelWayOf } from './next-hops.ts'

const devices = ['lo', 'eth0', 'cw-br0', 'wg0']
const addr = Addr.parse('203.0.113.9')

/** "203.0.113.0/24 via 192.0.2.254 dev eth0", with another protocol, table or type. */
function route(text: string, more: Partial<Route> = {}): Route {
  const [dst, ...words] = text.split(' ')
  const after = (word: string): string | undefined => words[words.indexOf(word) + 1 || words.length]
  const [via, dev] = [after('via'), after('dev')]
  const base = { type: 'unicast', protocol: 4, table: RT_TABLE_MAIN, metric: 0, scope: RT_SCOPE_UNIVERSE } as const
  const hop = { ...(via && { gateway: Addr.parse(via) }), ...(dev && { oif: devices.indexOf(dev) }) }
  return { ...base, dst: Prefix.parse(dst!), nextHops: dev ? [hop] : [], ...more }
}

const answered = (each: Route | undefined): LookupAnswer => ({ kind: 'route', route: each })
const refused = (code: string): LookupAnswer => ({ kind: 'refused', code })
const ours = route('203.0.113.0/24 via 192.0.2.1 dev eth0', { protocol: routeProtocol })
const others = [route('0.0.0.0/0 via 192.0.2.254 dev eth0'), route('203.0.113.0/28 via 192.0.2.253 dev eth0')]

const cases: readonly [what: string, answer: LookupAnswer, others: readonly Route[], said: string][] = [
  ['a link', answered(route('203.0.113.0/24 dev eth0')), [], '203.0.113.9 dev eth0'],
  ['a router', answered(route('203.0.113.0/24 via 192.0.2.254 dev eth0')), [], '192.0.2.254 dev eth0'],
  [
    'equal paths',
    answered(route('0.0.0.0/0', { nextHops: [1, 3].map((oif) => ({ oif, gateway: Addr.parse(`192.0.2.${oif}`) })) })),
    [],
    '192.0.2.1 dev eth0, 192.0.2.3 dev wg0',
  ],
  [
    'a gateway that is on the link by its word',
    answered(route('0.0.0.0/0', { nextHops: [{ oif: 1, gateway: Addr.parse('10.0.0.1'), onlink: true }] })),
    [],
    '10.0.0.1 dev eth0 onlink',
  ],
  ['another table', answered(route('0.0.0.0/0 dev wg0', { table: 51_820 })), [], '203.0.113.9 dev wg0 onlink'],
  ['our own route: the longest of others', answered(ours), others, '192.0.2.253 dev eth0 onlink'],
  ['our own route alone', answered(ours), [], 'this node has no route to it'],
  ['pods', answered(route('203.0.113.0/24 dev cw-br0')), [], 'it is on cw-br0, where pods are'],
  ['itself', answered(route('203.0.113.9/32 dev lo', { type: 'local' })), [], 'it is an address of this node itself'],
  ['an unknown kind of route', answered(undefined), [], 'this node has no route to it'],
  ['nothing', refused('ENETUNREACH'), [], 'this node has no route to it'],
  ['a blackhole', refused('EINVAL'), [], 'a route of this node drops packets to it'],
  ['an unreachable route', refused('EHOSTUNREACH'), [], 'a route of this node makes it unreachable'],
  ['what is not foreseen', refused('ENOMEM'), [], 'the kernel answers ENOMEM'],
]

for (const [what, answer, of, said] of cases)
  test(`a next hop that the kernel reaches by ${what}`, () => {
    const way = kernelWayOf(addr, answer, { others: of, nameOf: (index) => devices[index]! })
    const text = (hops: Extract<typeof way, { kind: 'reached' }>['hops']): string =>
      hops.map(({ gateway, device, onlink }) => `${gateway} dev ${device}${onlink ? ' onlink' : ''}`).join(', ')
    assert.equal(way.kind === 'reached' ? text(way.hops) : way.why, said)
  })
