import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Prefix } from '#/lib/addr.ts'
import {
  BgpError,
  encodeAnnouncements,
  encodeEndOfRib,
  encodeKeepalive,
  encodeNotification,
  encodeOpen,
  encodeRefresh,
  encodeWithdrawals,
  MessageReader,
  nlriOf,
  type WireSettings,
} from './index.ts'
import { anyAttributes, anyFamily, anyNextHop, anyNlri, anyOpen, anySettings } from './testing/arbitraries.ts'
import { bytesOf, framed, plainSettings, readAll, readChunks } from './testing/messages.ts'

const marker = 'ff'.repeat(16)

const refused: [name: string, hex: string, code: number, subcode: number, data: string][] = [
  ['marker with a zero', `${'ff'.repeat(15)}fe 0013 04`, 1, 1, ''],
  ['length 18', `${marker} 0012 04`, 1, 2, '0012'],
  ['length 0', `${marker} 0000 02`, 1, 2, '0000'],
  ['length 4097', `${marker} 1001 02`, 1, 2, '1001'],
  ['OPEN of 28 octets', `${marker} 001c 01`, 1, 2, '001c'],
  ['UPDATE of 22 octets', `${marker} 0016 02`, 1, 2, '0016'],
  ['NOTIFICATION of 20 octets', `${marker} 0014 03`, 1, 2, '0014'],
  ['KEEPALIVE of 20 octets', `${marker} 0014 04`, 1, 2, '0014'],
  ['type 0', `${marker} 0013 00`, 1, 3, '00'],
  ['type 6', `${marker} 0013 06`, 1, 3, '06'],
  ['type 255 and a wrong length', `${marker} 0012 ff`, 1, 2, '0012'],
  ['ROUTE-REFRESH without a body', `${marker} 0013 05`, 1, 2, '0013'],
  ['ROUTE-REFRESH of 24 octets', `${marker} 0018 05 0001 00 01 00`, 1, 2, '0018'],
  ['begin of refresh of 24 octets', `${marker} 0018 05 0001 01 01 00`, 7, 1, `${marker}0018050001010100`],
  ['end of refresh of 22 octets', `${marker} 0016 05 0001 02`, 7, 1, `${marker}001605000102`],
  ['withdrawn routes beyond the end', `${marker} 0017 02 0001 0000`, 3, 1, ''],
  ['withdrawn routes of 65535 octets', `${marker} 0017 02 ffff 0000`, 3, 1, ''],
  ['attributes beyond the end', `${marker} 0017 02 0000 0001`, 3, 1, ''],
]
for (const [name, hex, code, subcode, data] of refused) {
  test(`a stream with ${name} ends in NOTIFICATION ${code}/${subcode}`, () => {
    const { messages, failure } = readAll(bytesOf(hex))
    assert.deepEqual(messages, [])
    assert.deepEqual({ ...failure, data: Buffer.from(failure!.data).toString('hex') }, { code, subcode, data })
  })
}

test('a header is judged before its body has come', () => {
  const reader = new MessageReader()
  reader.push(bytesOf(`${marker} ffff`))
  assert.equal(reader.next(plainSettings), undefined)
  reader.push(Uint8Array.of(2))
  assert.throws(() => reader.next(plainSettings), { name: 'BgpError', message: /Bad Message Length/ })
})

test('after an error there is nothing but that error', () => {
  const reader = new MessageReader()
  reader.push(bytesOf(`${marker} 0013 00`))
  const thrown = (): unknown => {
    try {
      return reader.next(plainSettings)
    } catch (error) {
      return error
    }
  }
  const first = thrown()
  reader.push(encodeKeepalive())
  assert(first instanceof BgpError)
  assert.equal(thrown(), first)
})

test('the messages before an error are still read', () => {
  const { messages, failure } = readAll(
    Buffer.concat([encodeKeepalive(), encodeKeepalive(), bytesOf(`${marker} 0013 09`)]),
  )
  assert.deepEqual(messages, [{ kind: 'keepalive' }, { kind: 'keepalive' }])
  assert.equal(failure?.subcode, 3)
})

test('settings count from the next message on', () => {
  const path = '40010100 400206 0201 0000fde9 400304c0000201 00'
  const update = framed(2, bytesOf(`0000 0014 ${path}`))
  const reader = new MessageReader()
  reader.push(Buffer.concat([update, update, update]))
  const kindOf = (settings: WireSettings): string => {
    const message = reader.next(settings)
    assert(message?.kind === 'update')
    return message.update.attributes === undefined ? 'withdrawn' : 'announced'
  }
  // Two-octet numbers: the second of these would be AS 65001, the first AS 0
  const narrow = { ...plainSettings, fourOctetAsn: false }
  assert.deepEqual(
    [kindOf(plainSettings), kindOf(narrow), kindOf({ ...plainSettings })],
    ['announced', 'withdrawn', 'announced'],
  )
})

test('ROUTE-REFRESH of all kinds and families (RFC 2918, RFC 7313)', () => {
  for (const family of [4, 6] as const) {
    for (const kind of ['request', 'begin', 'end'] as const) {
      assert.deepEqual(readAll(encodeRefresh({ family, kind })).messages, [
        { kind: 'refresh', refresh: { family, kind } },
      ])
    }
  }
  assert.deepEqual(Buffer.from(encodeRefresh({ family: 6, kind: 'end' })), framed(5, bytesOf('0002 02 01')))
  // A kind and a family that nobody has told us of
  assert.deepEqual(readAll(framed(5, bytesOf('0001 03 01'))).messages, [{ kind: 'refresh' }])
  assert.deepEqual(readAll(framed(5, bytesOf('0019 00 46'))).messages, [{ kind: 'refresh' }])
})

const anyMessage = (settings: WireSettings): fc.Arbitrary<Uint8Array> => {
  const anyUpdate = anyFamily.chain((family) =>
    fc
      .tuple(
        anyNextHop(family, settings),
        anyAttributes(settings.isInternal),
        fc.array(anyNlri(family), { maxLength: 30 }),
      )
      .map(([nextHop, attributes, nlri]) => encodeAnnouncements({ family, nextHop, attributes }, nlri, settings)),
  )
  const anyWithdrawal = anyFamily.chain((family) =>
    fc.array(anyNlri(family), { maxLength: 30 }).map((nlri) => encodeWithdrawals(family, nlri)),
  )
  const anyNotification = fc
    .record({ code: fc.nat(255), subcode: fc.nat(255), data: fc.uint8Array({ maxLength: 40 }) })
    .map(encodeNotification)
  return fc.oneof(
    { weight: 4, arbitrary: anyUpdate },
    { weight: 2, arbitrary: anyWithdrawal },
    { weight: 1, arbitrary: anyOpen.map(encodeOpen) },
    { weight: 1, arbitrary: anyNotification },
    { weight: 1, arbitrary: anyFamily.map(encodeEndOfRib) },
    { weight: 1, arbitrary: fc.constant(encodeKeepalive()) },
  )
}

/** A stream cut into chunks at any places. */
const chunked = (bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] => {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((start, index) => bytes.subarray(start, places[index] ?? bytes.length))
}

const anyCuts = fc.array(fc.nat(), { maxLength: 40 })
const anyStream = anySettings.chain((settings) =>
  fc.record({
    settings: fc.constant(settings),
    bytes: fc.array(anyMessage(settings), { minLength: 1, maxLength: 6 }).map((messages) => Buffer.concat(messages)),
    cuts: anyCuts,
  }),
)

test('a stream reads the same in any chunks, and keeps nothing of these', () => {
  fc.assert(
    fc.property(anyStream, ({ settings, bytes, cuts }) => {
      const whole = readAll(bytes, settings)
      assert.equal(whole.failure, undefined)
      assert.deepEqual(readChunks(chunked(bytes, cuts), settings), whole)
    }),
    { numRuns: 150 },
  )
})

test('a stream reads the same octet by octet', () => {
  fc.assert(
    fc.property(anyStream, ({ settings, bytes }) => {
      const octets = Array.from(bytes, (octet) => Uint8Array.of(octet))
      assert.deepEqual(readChunks(octets, settings), readAll(bytes, settings))
    }),
    { numRuns: 20 },
  )
})

const anyChange = fc.record({
  at: fc.nat(),
  kind: fc.constantFrom('set', 'flip', 'insert', 'remove'),
  octet: fc.nat(255),
})

/** A message with a few octets that are not what they were, and often a length that fits again. */
function mutated(
  message: Uint8Array,
  changes: readonly { at: number; kind: string; octet: number }[],
  mend: boolean,
): Buffer {
  const octets = [...message]
  for (const { at, kind, octet } of changes) {
    const place = 19 + (at % Math.max(1, octets.length - 19))
    if (kind === 'set') octets[place] = octet
    else if (kind === 'flip') octets[place] = (octets[place] ?? 0) ^ (1 << (octet & 7))
    else octets.splice(place, kind === 'remove' ? 1 : 0, ...(kind === 'insert' ? [octet] : []))
  }
  const bytes = Buffer.from(octets)
  if (mend && bytes.length <= 4096) bytes.writeUInt16BE(bytes.length, 16)
  return bytes
}

/** All that a reading may refer to must be whole: strings of prefixes that are prefixes. */
function checkPrefixes(messages: ReturnType<typeof readAll>['messages']): void {
  for (const message of messages) {
    if (message.kind !== 'update') continue
    for (const { family, nlri } of [...message.update.withdrawn, ...message.update.announced]) {
      for (const one of nlri) {
        assert(one.charCodeAt(0) <= (family === 4 ? 32 : 128))
        assert.equal(one.length, 1 + ((one.charCodeAt(0) + 7) >> 3))
      }
    }
    if (message.update.announced.length > 0) assert(message.update.attributes !== undefined)
  }
}

test('a message with octets changed, lost or added is read or refused, the same in any chunks', () => {
  const anyMutant = anySettings.chain((settings) =>
    fc.record({
      settings: fc.constant(settings),
      bytes: fc
        .tuple(anyMessage(settings), fc.array(anyChange, { minLength: 1, maxLength: 6 }), fc.boolean())
        .filter(([message]) => message.length >= 19)
        .map(([message, changes, mend]) => mutated(message, changes, mend)),
      cuts: anyCuts,
    }),
  )
  fc.assert(
    fc.property(anyMutant, ({ settings, bytes, cuts }) => {
      const whole = readAll(bytes, settings)
      checkPrefixes(whole.messages)
      assert.deepEqual(readChunks(chunked(bytes, cuts), settings), whole)
    }),
    { numRuns: 1500 },
  )
})

test('any octets as a body of any type are read or refused', () => {
  fc.assert(
    fc.property(fc.nat(6), fc.uint8Array({ maxLength: 200 }), anySettings, (type, body, settings) => {
      const whole = readAll(framed(type, body), settings)
      checkPrefixes(whole.messages)
      assert(whole.failure !== undefined || whole.messages.length === 1)
    }),
    { numRuns: 1500 },
  )
})

test('any attributes behind a right header are read or refused', () => {
  const anyAttribute = fc
    .tuple(
      fc.constantFrom(0x40, 0x80, 0xc0, 0xe0, 0x50, 0x90, 0xd0, 0x00),
      fc.oneof(fc.integer({ min: 1, max: 18 }), fc.constantFrom(32, 35, 99)),
      fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ maxLength: 60 })),
    )
    .map(([flags, type, value]) => {
      const length = (flags & 0x10) === 0 ? [value.length] : [0, value.length]
      return Buffer.concat([Uint8Array.of(flags, type, ...length), value])
    })
  fc.assert(
    fc.property(
      fc.array(anyAttribute, { maxLength: 6 }),
      fc.boolean(),
      anySettings,
      (attributes, hasPrefix, settings) => {
        const list = Buffer.concat(attributes)
        const prefix = hasPrefix ? [24, 10, 0, 0] : []
        const body = Buffer.concat([Buffer.of(0, 0, list.length >> 8, list.length), list, Buffer.from(prefix)])
        const { messages, failure } = readAll(framed(2, body), settings)
        checkPrefixes(messages)
        if (failure !== undefined) assert.equal(failure.code, 3)
        else if (hasPrefix) {
          // The prefix is announced or withdrawn, never lost.
          const [message] = messages
          assert(message?.kind === 'update')
          const all = [...message.update.announced, ...message.update.withdrawn]
          assert(all.some(({ nlri }) => nlri.includes(nlriOf(Prefix.parse('10.0.0.0/24')))))
        }
      },
    ),
    { numRuns: 1500 },
  )
})
