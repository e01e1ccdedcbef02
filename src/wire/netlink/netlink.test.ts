// The codecs against bytes that the kernel itself dumped; the command that made each object stands above them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { WireError, Writer } from '#/lib/bytes.ts'
import { decodeAddr, encodeAddr, ownAddress } from './addr.ts'
import { eachAttr } from './attr.ts'
import { decodeLink, encodeLink, indexOfLink, nameOfLink, vethData } from './link.ts'
import { decodeAck, decodeMessages, encodeMessage, NLMSG_DONE, NLMSG_ERROR } from './message.ts'
import { decodeNeigh, encodeNeigh, NUD_PERMANENT } from './neigh.ts'
import { decodeNetconf } from './netconf.ts'
import { decodeRoute, encodeRoute, type Route, sameRoute } from './route.ts'
import { decodeRule } from './rule.ts'

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))

const base = { type: 'unicast', protocol: 67, table: 254, scope: 0 } as const

/** Dumped by the kernel after the command of each. */
const routes: { command: string; hex: string; route: Route }[] = [
  {
    command:
      'ip route add 10.2.0.0/24 encap ip id 7 src 172.30.1.11 dst 172.30.1.12 ttl 64 via 169.254.42.1 dev v0 onlink src 10.1.0.1 mtu 1450 proto 67',
    hex: '02180000fe4300010400000008000f00fe000000080001000a0200000c00080008000200aa050000080007000a01000108000500a9fe2a010800040002000000380016000c000100000000000000000708000200ac1e010c08000300ac1e010b0500050000000000050004004000000006000600000000000600150002000000',
    route: {
      ...base,
      dst: Prefix.parse('10.2.0.0/24'),
      metric: 0,
      nextHops: [{ oif: 2, gateway: Addr.parse('169.254.42.1'), onlink: true }],
      preferredSource: Addr.parse('10.1.0.1'),
      mtuBytes: 1450,
      encap: { vni: 7, src: Addr.parse('172.30.1.11'), dst: Addr.parse('172.30.1.12') },
    },
  },
  {
    command:
      'ip -6 route add fd02::/64 encap ip6 id 7 src fd30::b dst fd30::c hoplimit 64 csum via fe80::4243 dev v0 onlink src fd01::1 mtu 1430 proto 67',
    hex: '0a400000fe4300010400000008000f00fe00000014000100fd02000000000000000000000000000014000700fd0100000000000000000000000000010c0008000800020096050000080006000004000014000500fe8000000000000000000000000042430800040002000000500016000c000100000000000000000714000200fd30000000000000000000000000000c14000300fd30000000000000000000000000000b050005000000000005000400400000000600060000010000060015000400000024000c0000000000000000000000000000000000000000000000000000000000000000000500140000000000',
    route: {
      ...base,
      dst: Prefix.parse('fd02::/64'),
      metric: 1024,
      nextHops: [{ oif: 2, gateway: Addr.parse('fe80::4243'), onlink: true }],
      preferredSource: Addr.parse('fd01::1'),
      mtuBytes: 1430,
      encap: { vni: 7, src: Addr.parse('fd30::b'), dst: Addr.parse('fd30::c') },
    },
  },
  {
    command:
      'ip route add 10.3.0.0/16 proto 67 nexthop via 10.1.0.2 dev v0 weight 1 nexthop via 10.1.0.3 dev v0 weight 1',
    hex: '02100000fe4300010000000008000f00fe000000080001000a030000240009001000000002000000080005000a0100021000000002000000080005000a010003',
    route: {
      ...base,
      dst: Prefix.parse('10.3.0.0/16'),
      metric: 0,
      nextHops: [
        { oif: 2, gateway: Addr.parse('10.1.0.2') },
        { oif: 2, gateway: Addr.parse('10.1.0.3') },
      ],
    },
  },
  {
    command: 'ip route add 10.2.0.0/24 via inet6 fe80::2 dev v0 metric 7 proto 67',
    hex: '02180000fe4300010000000008000f00fe000000080001000a0200000800060007000000160012000a00fe80000000000000000000000000000200000800040003000000',
    route: {
      ...base,
      dst: Prefix.parse('10.2.0.0/24'),
      metric: 7,
      nextHops: [{ oif: 3, gateway: Addr.parse('fe80::2') }],
    },
  },
  {
    command: 'ip route add 10.3.0.0/24 metric 7 proto 67 nexthop via inet6 fd01::2 dev v0 nexthop via 10.1.0.3 dev v0',
    hex: '02180000fe4300010000000008000f00fe000000080001000a0300000800060007000000340009002000000003000000160012000a00fd01000000000000000000000000000200001000000003000000080005000a010003',
    route: {
      ...base,
      dst: Prefix.parse('10.3.0.0/24'),
      metric: 7,
      nextHops: [
        { oif: 3, gateway: Addr.parse('fd01::2') },
        { oif: 3, gateway: Addr.parse('10.1.0.3') },
      ],
    },
  },
  {
    command: 'ip -6 route add fd02::/64 metric 512 proto 67 nexthop via fd01::2 dev v0 nexthop via fd01::3 dev v0',
    hex: '0a400000fe4300010000000008000f00fe00000014000100fd02000000000000000000000000000008000600000200003c0009001c0000000300000014000500fd0100000000000000000000000000021c0000000300000014000500fd01000000000000000000000000000324000c0000000000000000000000000000000000000000000000000000000000000000000500140000000000',
    route: {
      ...base,
      dst: Prefix.parse('fd02::/64'),
      metric: 512,
      nextHops: [
        { oif: 3, gateway: Addr.parse('fd01::2') },
        { oif: 3, gateway: Addr.parse('fd01::3') },
      ],
    },
  },
  {
    command: 'ip -6 route add blackhole fd04::/64 metric 4294967295 proto 67',
    hex: '0a400000fe4300060000000008000f00fe00000014000100fd04000000000000000000000000000008000600ffffffff080004000100000024000c0000000000000000000000000000000000000000000000000000000000000000000500140000000000',
    route: { ...base, type: 'blackhole', dst: Prefix.parse('fd04::/64'), metric: 4_294_967_295, nextHops: [] },
  },
]

for (const { command, hex, route } of routes) {
  test(`decodeRoute reads what "${command}" made, and encodeRoute asks for the same`, () => {
    assert.deepEqual(decodeRoute(bytes(hex)), route)
    assert.deepEqual(decodeRoute(encodeRoute(route)), route)
  })
}

test('decodeNeigh reads "ip neigh add 169.254.42.1 lladdr 02:43:57:ff:ff:ff dev v0 nud permanent"', () => {
  const dumped = bytes(
    '02000000020000008000000108000100a9fe2a010a000200024357ffffff000008000400000000001400030000000000000000000000000000000000',
  )
  const neighbour = { index: 2, state: NUD_PERMANENT, addr: Addr.parse('169.254.42.1'), mac: '02:43:57:ff:ff:ff' }
  assert.deepEqual(decodeNeigh(dumped), neighbour)
  assert.deepEqual(decodeNeigh(encodeNeigh(neighbour)), neighbour)
})

test('decodeAddr reads "ip addr add 10.1.0.1/24 dev v0" and "ip -6 addr add fd01::1/64 dev v0 nodad"', () => {
  const v4 = decodeAddr(
    bytes(
      '0218800002000000080001000a010001080002000a0100010700030076300000080008008000000014000600ffffffffffffffffcb550c00cb550c00',
    ),
  )
  assert.equal(`${ownAddress(v4)}/${v4.prefixLength}`, '10.1.0.1/24')
  assert.deepEqual([v4.index, v4.attrs.label, v4.attrs.flags], [2, 'v0', 0x80])
  const v6 = decodeAddr(
    bytes(
      '0a4082000200000014000100fd01000000000000000000000000000114000600ffffffffffffffffcc550c00cc550c000800080082000000',
    ),
  )
  assert.equal(`${ownAddress(v6)}/${v6.prefixLength}`, 'fd01::1/64')
  assert.equal(v6.attrs.flags, 0x82)
})

test('a request has header, length and padding where the kernel looks for them', () => {
  const into = new Writer(8)
  encodeMessage({ type: 16, flags: 5, payload: bytes('0102030405') }, 9, into)
  encodeMessage({ type: 17, flags: 5, payload: bytes('06') }, 10, into)
  const messages = decodeMessages(into.toBytes())
  assert.deepEqual(
    messages.map(({ type, flags, sequence, payload }) => [type, flags, sequence, Buffer.from(payload).toString('hex')]),
    [
      [16, 5, 9, '0102030405'],
      [17, 5, 10, '06'],
    ],
  )
})

test('decodeAck reads errno and the extended acknowledgement', () => {
  const payload = new Writer()
  payload.u32le(0x1_0000_0000 - 22)
  payload.reserve(16)
  // NLMSGERR_ATTR_MSG
  payload.u16le(4 + 4)
  payload.u16le(1)
  payload.bytes(bytes('6e6f2100'))
  const flags = 0x100 | 0x200
  const message = { type: NLMSG_ERROR, flags, sequence: 1, portId: 0, payload: payload.toBytes() }
  assert.deepEqual(decodeAck(message), { errno: 22, explanation: 'no!' })
  assert.deepEqual(decodeAck({ ...message, type: NLMSG_DONE, flags: 0, payload: bytes('00000000') }), { errno: 0 })
})

/** Runs a decoder on whatever comes: it answers, or throws WireError, and nothing else. */
function survives(decode: (input: Uint8Array) => unknown, samples: readonly Uint8Array[]): void {
  const mutated = fc
    .tuple(fc.constantFrom(...samples), fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 }), fc.nat(400))
    .map(([sample, changes, length]) => {
      const copy = sample.slice(0, length)
      for (const [at, value] of changes) if (at < copy.length) copy[at] = value
      return copy
    })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (input) => {
      try {
        decode(input)
      } catch (error) {
        if (!(error instanceof WireError)) throw error
      }
    }),
    { numRuns: 3000 },
  )
}

const linkSample = encodeLink({
  index: 3,
  attrs: {
    name: 'eth0',
    mtu: 1500,
    info: { kind: 'veth', data: vethData({ attrs: { name: 'peer', mac: '02:00:00:00:00:01' } }) },
  },
})
const routeSamples = routes.map(({ hex }) => bytes(hex))

const ruleSample = bytes(
  '021800000000000100000000080006009614000008000f0034000000080001000af4020009000300636e69300000000000',
)

test('decodeRule reads "ip rule add pref 5270 to 10.244.2.0/24 iif cni0 lookup 52"', () => {
  assert.deepEqual(decodeRule(ruleSample), {
    family: 4,
    priority: 5270,
    table: 52,
    isInverted: false,
    dst: Prefix.parse('10.244.2.0/24'),
    iif: 'cni0',
    isNarrow: false,
  })
  const dropping = Uint8Array.from(ruleSample)
  dropping[7] = 8
  assert.equal(decodeRule(dropping)?.dead, 'prohibit')
  assert.equal(decodeRule(dropping)?.table, undefined)
})

test('decoders survive any bytes', () => {
  survives(decodeRule, [ruleSample])
  survives(decodeNetconf, [bytes('0200000008000100feffffff')])
  survives(decodeRoute, routeSamples)
  survives(decodeLink, [linkSample])
  survives(decodeNeigh, [encodeNeigh({ index: 1, state: 0, addr: Addr.parse('fe80::1'), mac: '02:00:00:00:00:01' })])
  survives(decodeAddr, [encodeAddr({ prefixLength: 24, index: 1, attrs: { local: Addr.parse('10.0.0.1') } })])
  survives((input) => eachAttr(input, () => {}), routeSamples)
  survives((input) => {
    for (const message of decodeMessages(input)) decodeAck(message)
  }, routeSamples)
})

const addrOf = (family: 4 | 6) =>
  fc.bigInt({ min: 1n, max: (1n << BigInt(family === 4 ? 32 : 128)) - 1n }).map((value) => new Addr(family, value))

const anyRoute = fc.constantFrom(4 as const, 6 as const).chain((family) =>
  fc.record({
    dst: fc.tuple(addrOf(family), fc.nat(family === 4 ? 32 : 128)).map(([addr, length]) => new Prefix(addr, length)),
    type: fc.constant('unicast' as const),
    protocol: fc.integer({ min: 1, max: 255 }),
    table: fc.integer({ min: 1, max: 100_000 }),
    metric: fc.nat(5000),
    scope: fc.constant(0),
    nextHops: fc.array(
      // an IPv4 route may go over IPv6
      fc.record({
        oif: fc.integer({ min: 1, max: 9999 }),
        gateway: family === 4 ? fc.oneof(addrOf(4), addrOf(6)) : addrOf(6),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    preferredSource: addrOf(family),
    mtuBytes: fc.integer({ min: 68, max: 65_535 }),
    encap: fc
      .constantFrom(4 as const, 6 as const)
      .chain((outer) => fc.record({ vni: fc.nat((1 << 24) - 1), src: addrOf(outer), dst: addrOf(outer) })),
  }),
)

test('any route survives encoding and decoding', () => {
  const plain = (route: Route | undefined): unknown => JSON.parse(JSON.stringify(route))
  fc.assert(fc.property(anyRoute, (route) => assert.deepEqual(plain(decodeRoute(encodeRoute(route))), plain(route))))
})

test('equal paths are the same in any order, others are not', () => {
  const hop = (oif: number) => ({ oif, gateway: Addr.parse('10.1.0.9') })
  const route = (...hops: Route['nextHops']): Route => ({
    ...base,
    dst: Prefix.parse('10.3.0.0/16'),
    metric: 0,
    nextHops: hops,
  })
  assert.ok(sameRoute(route(hop(1), hop(2)), route(hop(2), hop(1))))
  assert.ok(!sameRoute(route(hop(1), hop(2)), route(hop(1), hop(1))))
  assert.ok(!sameRoute(route(hop(1), hop(1)), route(hop(1), hop(2))))
  assert.ok(!sameRoute(route(hop(1)), route(hop(1), hop(2))))
})

test('a link message names device, peer and bridge port as the kernel reads them', () => {
  const { attrs, index } = decodeLink(linkSample)
  assert.deepEqual([nameOfLink(linkSample), indexOfLink(linkSample)], [attrs.name, index])
  assert.deepEqual([index, attrs.name, attrs.mtu, attrs.info?.kind], [3, 'eth0', 1500, 'veth'])
})
