import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import {
  encodeAnnouncements,
  encodeEndOfRib,
  encodeWithdrawals,
  type Nlri,
  nlriOf,
  type PathAttributes,
  type Update,
  type WireSettings,
} from './index.ts'
import { anyAttributes, anyFamily, anyNextHop, anyNlri, anySettings } from './testing/arbitraries.ts'
import { bytesOf, framed, plainSettings, readAll } from './testing/messages.ts'

const nlri = (...texts: string[]): Nlri[] => texts.map((text) => nlriOf(Prefix.parse(text)))
const addr = Addr.parse.bind(Addr)

function updatesOf(bytes: Uint8Array, settings: WireSettings): Update[] {
  const { messages, failure } = readAll(bytes, settings)
  assert.equal(failure, undefined)
  return messages.map((message) => {
    assert(message.kind === 'update')
    return message.update
  })
}

const attributes: PathAttributes = { origin: 0, asPath: [{ kind: 'sequence', asns: [65001] }] }

test('an announcement of IPv4 prefixes, octet by octet (RFC 4271 section 4.3)', () => {
  const route = { family: 4, nextHop: { addr: addr('192.0.2.1') }, attributes } as const
  const expected = framed(
    2,
    bytesOf(`0000 0014
      40 01 01 00
      40 02 06 0201 0000fde9
      40 03 04 c0000201
      18 c63364  00`),
  )
  assert.deepEqual(
    Buffer.from(encodeAnnouncements(route, nlri('198.51.100.0/24', '0.0.0.0/0'), plainSettings)),
    expected,
  )
  assert.deepEqual(updatesOf(expected, plainSettings), [
    {
      withdrawn: [],
      announced: [{ family: 4, nextHop: { addr: addr('192.0.2.1') }, nlri: nlri('198.51.100.0/24', '0.0.0.0/0') }],
      attributes,
      faults: [],
    },
  ])
})

test('every attribute, in ascending order behind MP_REACH_NLRI', () => {
  const all: PathAttributes = {
    origin: 2,
    asPath: [{ kind: 'sequence', asns: [65001, 70000] }],
    med: 10,
    localPreference: 200,
    isAtomicAggregate: true,
    aggregator: { asn: 70000, addr: addr('192.0.2.9') },
    communities: [0xfde90001, 0xffffff01],
    originatorId: addr('192.0.2.7'),
    clusterList: [addr('192.0.2.5'), addr('192.0.2.6')],
    extendedCommunities: [0x0002_fde9_0000_0001n],
    largeCommunities: [[65001, 1, 2]],
    unknown: [{ flags: 0xe0, type: 25, value: Uint8Array.of(1, 2) }],
  }
  const nextHop = { addr: addr('2001:db8::1'), linkLocal: addr('fe80::1') }
  const settings = { ...plainSettings, isInternal: true }
  const expected = framed(
    2,
    bytesOf(`0000 0098
      80 0e 2c 0002 01 20 20010db8000000000000000000000001 fe800000000000000000000000000001 00 30 20010db80001
      40 01 01 02
      40 02 0a 0202 0000fde9 00011170
      80 04 04 0000000a
      40 05 04 000000c8
      40 06 00
      c0 07 08 00011170 c0000209
      c0 08 08 fde90001 ffffff01
      80 09 04 c0000207
      80 0a 08 c0000205 c0000206
      c0 10 08 0002fde900000001
      e0 19 02 0102
      c0 20 0c 0000fde9 00000001 00000002`),
  )
  const route = { family: 6, nextHop, attributes: all } as const
  assert.equal(
    Buffer.from(encodeAnnouncements(route, nlri('2001:db8:1::/48'), settings)).toString('hex'),
    expected.toString('hex'),
  )
  assert.deepEqual(updatesOf(expected, settings)[0]?.attributes, all)
})

test('external neighbours get no LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST', () => {
  const route = {
    family: 4,
    nextHop: { addr: addr('192.0.2.1') },
    attributes: { ...attributes, localPreference: 1, originatorId: addr('1.1.1.1'), clusterList: [addr('1.1.1.2')] },
  } as const
  assert.deepEqual(updatesOf(encodeAnnouncements(route, nlri('10.0.0.0/8'), plainSettings), plainSettings)[0], {
    withdrawn: [],
    announced: [{ family: 4, nextHop: route.nextHop, nlri: nlri('10.0.0.0/8') }],
    attributes,
    faults: [],
  })
})

test('confederation segments stay with internal neighbours (RFC 5065)', () => {
  const asPath = [
    { kind: 'confedSequence', asns: [64512] },
    { kind: 'sequence', asns: [65001, 70000] },
  ] as const
  const route = { family: 4, nextHop: { addr: addr('192.0.2.1') }, attributes: { origin: 0, asPath } } as const
  for (const fourOctetAsn of [true, false]) {
    for (const isInternal of [true, false]) {
      const settings = { ...plainSettings, fourOctetAsn, isInternal }
      const [update] = updatesOf(encodeAnnouncements(route, nlri('10.0.0.0/8'), settings), settings)
      assert.deepEqual(update?.attributes?.asPath, isInternal ? asPath : [asPath[1]])
    }
  }
})

test('withdrawals of both families, octet by octet', () => {
  assert.deepEqual(Buffer.from(encodeWithdrawals(4, nlri('10.0.0.0/9'))), framed(2, bytesOf('0003 09 0a00 0000')))
  const expected = framed(2, bytesOf('0000 000b 80 0f 08 0002 01 20 20010db8'))
  assert.deepEqual(Buffer.from(encodeWithdrawals(6, nlri('2001:db8::/32'))), expected)
})

test('End-of-RIB of both families (RFC 4724 section 2)', () => {
  assert.deepEqual(Buffer.from(encodeEndOfRib(4)), framed(2, bytesOf('0000 0000')))
  assert.deepEqual(Buffer.from(encodeEndOfRib(6)), framed(2, bytesOf('0000 0006 80 0f 03 0002 01')))
  for (const family of [4, 6] as const) {
    assert.deepEqual(updatesOf(encodeEndOfRib(family), plainSettings), [
      { withdrawn: [], announced: [], endOfRib: family, faults: [] },
    ])
    const another = { ...plainSettings, families: family === 4 ? ([6] as const) : ([4] as const) }
    assert.deepEqual(updatesOf(encodeEndOfRib(family), another), [{ withdrawn: [], announced: [], faults: [] }])
  }
  const ipv4InMultiprotocol = framed(2, bytesOf('0000 0006 80 0f 03 0001 01'))
  assert.equal(updatesOf(ipv4InMultiprotocol, plainSettings)[0]?.endOfRib, 4)
  const withAttribute = framed(2, bytesOf('0000 000a 80 0f 03 0002 01 40 01 01 00'))
  assert.equal(updatesOf(withAttribute, plainSettings)[0]?.endOfRib, undefined)
})

test('what is announced comes out as it went in, however many messages it takes', () => {
  const anyCase = fc.tuple(anySettings, anyFamily).chain(([settings, family]) =>
    fc.record({
      settings: fc.constant(settings),
      route: fc.record({
        family: fc.constant(family),
        nextHop: anyNextHop(family, settings),
        attributes: anyAttributes(settings.isInternal),
      }),
      prefixes: fc.array(anyNlri(family), { minLength: 1, maxLength: 400, size: 'max' }),
    }),
  )
  fc.assert(
    fc.property(anyCase, ({ settings, route, prefixes }) => {
      const updates = updatesOf(encodeAnnouncements(route, prefixes, settings), settings)
      const { nextHop, family } = route
      const found: Nlri[] = []
      for (const update of updates) {
        assert.deepEqual(update.attributes, route.attributes)
        assert.deepEqual(update.withdrawn, [])
        assert.deepEqual(update.faults, [])
        assert.equal(update.announced.length, 1)
        assert.deepEqual(update.announced[0]?.nextHop, nextHop)
        assert.equal(update.announced[0]?.family, family)
        found.push(...update.announced[0].nlri)
      }
      assert.deepEqual(found, prefixes)
    }),
    { numRuns: 150 },
  )
})

test('what is withdrawn comes out as it went in', () => {
  const anyCase = anyFamily.chain((family) =>
    fc.tuple(fc.constant(family), fc.array(anyNlri(family), { maxLength: 1500, size: 'max' })),
  )
  fc.assert(
    fc.property(anyCase, ([family, prefixes]) => {
      const updates = updatesOf(encodeWithdrawals(family, prefixes), plainSettings)
      assert.deepEqual(
        updates.flatMap(({ withdrawn }) => withdrawn.flatMap((each) => each.nlri)),
        prefixes,
      )
      assert(updates.every(({ withdrawn }) => withdrawn.every((each) => each.family === family)))
      assert(updates.every(({ endOfRib }) => endOfRib === undefined))
    }),
    { numRuns: 50 },
  )
})

test('a message is filled before the next one is begun', () => {
  const many = Array.from({ length: 5000 }, (_, index) => nlriOf(new Prefix(new Addr(4, BigInt(index) << 8n), 24)))
  const route = { family: 4, nextHop: { addr: addr('192.0.2.1') }, attributes } as const
  const bytes = encodeAnnouncements(route, many, plainSettings)
  const sizes = updatesOf(bytes, plainSettings).map(({ announced }) => announced[0]!.nlri.length)
  // 4096 octets less 19 of header, 4 of lengths and 20 of attributes hold 1013 prefixes of four octets
  assert.deepEqual(sizes, [1013, 1013, 1013, 1013, 948])
})

test('attributes that leave no room for a prefix are a RangeError', () => {
  const communities = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
  const route = (count: number) =>
    ({
      family: 4,
      nextHop: { addr: addr('192.0.2.1') },
      attributes: { ...attributes, communities: communities(count) },
    }) as const
  assert.equal(encodeAnnouncements(route(1011), nlri('10.1.2.3/32'), plainSettings).length, 4096)
  assert.throws(() => encodeAnnouncements(route(1012), nlri('10.1.2.3/32'), plainSettings), {
    name: 'RangeError',
    message: /path attributes too large/,
  })
  assert.throws(() => encodeAnnouncements(route(20_000), nlri('10.1.2.3/32'), plainSettings), RangeError)
})

test('next hops that the neighbour cannot take are a RangeError', () => {
  const nextHop = { addr: addr('2001:db8::1') }
  const settings = { ...plainSettings, extendedNextHop: false }
  assert.throws(() => encodeAnnouncements({ family: 4, nextHop, attributes }, nlri('10.0.0.0/8'), settings), RangeError)
  const plain = { addr: addr('192.0.2.1') }
  assert.throws(
    () => encodeAnnouncements({ family: 6, nextHop: plain, attributes }, nlri('2001:db8::/32'), plainSettings),
    RangeError,
  )
})

test('a length takes two octets only where it must', () => {
  const headerOf = (length: number): string => {
    const unknown = [{ flags: 0xe0, type: 99, value: new Uint8Array(length) }]
    const route = { family: 4, nextHop: { addr: addr('192.0.2.1') }, attributes: { ...attributes, unknown } } as const
    const bytes = Buffer.from(encodeAnnouncements(route, nlri('0.0.0.0/0'), plainSettings))
    return bytes.subarray(19 + 4 + 20, -length - 1).toString('hex')
  }
  assert.equal(headerOf(255), 'e063ff')
  assert.equal(headerOf(256), 'f0630100')
})

test('a path of more than 255 ASes takes several segments', () => {
  const asns = Array.from({ length: 300 }, (_, index) => index + 1)
  const route = {
    family: 4,
    nextHop: { addr: addr('192.0.2.1') },
    attributes: { origin: 0, asPath: [{ kind: 'sequence', asns }] },
  } as const
  const [update] = updatesOf(encodeAnnouncements(route, nlri('10.0.0.0/8'), plainSettings), plainSettings)
  assert.deepEqual(update?.attributes?.asPath, [
    { kind: 'sequence', asns: asns.slice(0, 255) },
    { kind: 'sequence', asns: asns.slice(255) },
  ])
})

test('an old speaker gets AS_TRANS and, where it needs them, AS4_PATH and AS4_AGGREGATOR', () => {
  const settings = { ...plainSettings, fourOctetAsn: false }
  const route = (asn: number) =>
    ({
      family: 4,
      nextHop: { addr: addr('192.0.2.1') },
      attributes: {
        origin: 0,
        asPath: [{ kind: 'sequence', asns: [65001, asn] }],
        aggregator: { asn, addr: addr('1.1.1.1') },
      },
    }) as const
  const hex = (asn: number): string =>
    Buffer.from(encodeAnnouncements(route(asn), nlri('0.0.0.0/0'), settings)).toString('hex', 23)
  assert.equal(hex(65002), '400101004002060202fde9fdea400304c0000201c00706fdea0101010100')
  assert.equal(
    hex(70000),
    [
      '40010100',
      '4002060202fde95ba0',
      '400304c0000201',
      'c007065ba001010101',
      'c0110a02020000fde900011170',
      'c012080001117001010101',
      '00',
    ].join(''),
  )
})

test('bits beyond a length are cleared, so that one prefix has one form', () => {
  const [update] = updatesOf(framed(2, bytesOf('000a 09 0aff 0c 0aff 14 0affff 0000')), plainSettings)
  assert.deepEqual(update?.withdrawn[0]?.nlri, nlri('10.128.0.0/9', '10.240.0.0/12', '10.255.240.0/20'))
})

test('multicast prefixes are ignored with a word (RFC 4271 section 6.3)', () => {
  const route = { family: 4, nextHop: { addr: addr('192.0.2.1') }, attributes } as const
  const bytes = encodeAnnouncements(route, nlri('224.0.0.0/8', '10.0.0.0/8'), plainSettings)
  const [update] = updatesOf(bytes, plainSettings)
  assert.deepEqual(update?.announced[0]?.nlri, nlri('10.0.0.0/8'))
  assert.match(update?.faults[0] ?? '', /^ignored: 1 multicast/)
})

test('optional attributes that are neither known nor transitive are dropped, others marked partial', () => {
  const body = bytesOf('0000 001c 40010100 40020602010000fde9 400304c0000201 806301aa c06401bb 00')
  const [update] = updatesOf(framed(2, body), plainSettings)
  const unknown = [{ flags: 0xe0, type: 0x64, value: Uint8Array.of(0xbb) }]
  assert.deepEqual(update?.attributes, { ...attributes, unknown })
})

/** What is read of an UPDATE for 0.0.0.0/0 with ORIGIN and NEXT_HOP, and these attributes. */
function attributesOf(hex: string, settings: WireSettings): PathAttributes | undefined {
  const list = bytesOf(`40010100 400304c0000201 ${hex}`)
  const body = Buffer.concat([Buffer.of(0, 0, list.length >> 8, list.length), list, Buffer.of(0)])
  const [update] = updatesOf(framed(2, body), settings)
  assert.deepEqual(update?.faults, [])
  return update?.attributes
}

test('communities are what they are once each, standard ones in order', () => {
  const read = attributesOf(
    `400200 c00810 fde90002 fde90001 fde90002 00000001
      c01018 0002000000000002 0002000000000001 0002000000000002
      c02024 000000020000000000000000 000000010000000000000000 000000020000000000000000`,
    plainSettings,
  )
  assert.deepEqual(read?.communities, [1, 0xfde90001, 0xfde90002])
  assert.deepEqual(read?.extendedCommunities, [0x0002000000000002n, 0x0002000000000001n])
  assert.deepEqual(read?.largeCommunities, [
    [2, 0, 0],
    [1, 0, 0],
  ])
})

test('what old speakers pass on of four-octet AS numbers (RFC 6793 section 4.2.3)', () => {
  const narrow = { ...plainSettings, fourOctetAsn: false }
  const of = (hex: string): PathAttributes | undefined => attributesOf(`400206 0202 fdea5ba0 ${hex}`, narrow)
  const as4Path = 'c01106 0201 00011170'
  const as4Aggregator = 'c01208 00011170 01010101'
  const plain = [{ kind: 'sequence', asns: [65002, 23456] }]
  const whole = [{ kind: 'sequence', asns: [65002, 70000] }]
  assert.deepEqual(of(as4Path)?.asPath, whole)
  const aggregated = of(`c00706 5ba0 02020202 ${as4Path} ${as4Aggregator}`)
  assert.deepEqual(aggregated?.asPath, whole)
  assert.deepEqual(aggregated?.aggregator, { asn: 70000, addr: addr('1.1.1.1') })
  // One that is not AS_TRANS aggregated later than those who wrote the others
  const later = of(`c00706 fdeb 02020202 ${as4Path} ${as4Aggregator}`)
  assert.deepEqual(later?.asPath, plain)
  assert.deepEqual(later?.aggregator, { asn: 65003, addr: addr('2.2.2.2') })
  const alone = of(`${as4Path} ${as4Aggregator}`)
  assert.deepEqual(alone?.asPath, whole)
  assert.equal(alone?.aggregator, undefined)
  assert.deepEqual(of('c0110c 0301 00000009 0201 00011170')?.asPath, whole)
})

test('an IPv6 next hop and the link-local one beside it, in the ways in which they are sent', () => {
  const hopOf = (hex: string): unknown => {
    const list = bytesOf(
      `800e${(hex.length / 2 + 6).toString(16)} 000201 ${(hex.length / 2).toString(16)} ${hex} 00 00 40010100 400200`,
    )
    const body = Buffer.concat([Buffer.of(0, 0, 0, list.length), list])
    return updatesOf(framed(2, body), plainSettings)[0]?.announced[0]?.nextHop
  }
  const global = '20010db8000000000000000000000001'
  const local = 'fe800000000000000000000000000001'
  const none = '00'.repeat(16)
  assert.deepEqual(hopOf(global), { addr: addr('2001:db8::1') })
  assert.deepEqual(hopOf(local), { addr: addr('fe80::1') })
  assert.deepEqual(hopOf(global + local), { addr: addr('2001:db8::1'), linkLocal: addr('fe80::1') })
  assert.deepEqual(hopOf(local + local), { addr: addr('fe80::1') })
  assert.deepEqual(hopOf(none + local), { addr: addr('fe80::1') })
  assert.deepEqual(hopOf(global + none), { addr: addr('2001:db8::1') })
  assert.deepEqual(hopOf(global + global), { addr: addr('2001:db8::1') })
})

test('attributes of the same octets are one object, also when prefixes of RFC 4760 stand between', () => {
  const route = { family: 6, nextHop: { addr: addr('2001:db8::1') }, attributes } as const
  const bytes = Buffer.concat([
    encodeAnnouncements(route, nlri('2001:db8:1::/48'), plainSettings),
    encodeAnnouncements({ ...route, nextHop: { addr: addr('2001:db8::2') } }, nlri('2001:db8:2::/48'), plainSettings),
  ])
  const [first, second] = updatesOf(bytes, plainSettings)
  assert.equal(first?.attributes, second?.attributes)
  assert.notDeepEqual(first?.announced, second?.announced)
})
