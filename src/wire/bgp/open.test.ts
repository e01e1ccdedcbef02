import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { encodeOpen, type Open } from './index.ts'
import { anyOpen } from './testing/arbitraries.ts'
import { bytesOf, framed, readAll } from './testing/messages.ts'

function openOf(hex: string): Open {
  const { messages, failure } = readAll(framed(1, bytesOf(hex)))
  assert.equal(failure, undefined)
  assert(messages[0]?.kind === 'open')
  return messages[0].open
}

const nothing = {
  families: [4],
  routeRefresh: false,
  enhancedRouteRefresh: false,
  extendedNextHop: [],
  unknown: [],
} as const

test('an OPEN without capabilities is IPv4 unicast of two-octet AS numbers', () => {
  assert.deepEqual(openOf('04 fde9 005a 01020304 00'), {
    asn: 65001,
    holdTimeSeconds: 90,
    routerId: Addr.parse('1.2.3.4'),
    capabilities: nothing,
  })
})

test('an OPEN with everything, octet by octet', () => {
  const open: Open = {
    asn: 70000,
    holdTimeSeconds: 90,
    routerId: Addr.parse('1.2.3.4'),
    capabilities: {
      families: [4, 6],
      routeRefresh: true,
      enhancedRouteRefresh: true,
      asn: 70000,
      extendedNextHop: [4],
      gracefulRestart: {
        isRestarting: true,
        onNotification: true,
        restartTimeSeconds: 120,
        families: [
          { family: 4, keptForwarding: true },
          { family: 6, keptForwarding: false },
        ],
      },
      longLivedRestart: [{ family: 4, keptForwarding: true, staleTimeSeconds: 86400 }],
      unknown: [],
    },
  }
  const expected = framed(
    1,
    bytesOf(`04 5ba0 005a 01020304 35
      02 33
      01 04 0001 00 01
      01 04 0002 00 01
      02 00
      05 06 0001 0001 0002
      40 0a c078 0001 01 80 0002 01 00
      41 04 00011170
      46 00
      47 07 0001 01 80 015180`),
  )
  assert.equal(Buffer.from(encodeOpen(open)).toString('hex'), expected.toString('hex'))
  assert.deepEqual(readAll(expected).messages, [{ kind: 'open', open }])
})

test('capabilities in parameters of their own, twice, and unknown ones', () => {
  const { capabilities, asn } = openOf(`04 5ba0 005a 01020304 30
    02 06 01 04 0001 00 01
    02 06 01 04 0001 00 01
    02 02 02 00
    02 04 80 00 80 00
    02 06 41 04 00011170
    02 06 01 04 0019 00 46
    02 04 49 02 6162`)
  assert.equal(asn, 70000)
  assert.deepEqual(capabilities, { ...nothing, routeRefresh: true, asn: 70000, unknown: [0x80, 0x49] })
})

test('families that are not ours do not make it IPv4 unicast', () => {
  assert.deepEqual(openOf('04 fde9 005a 01020304 08 02 06 01 04 0002 00 02').capabilities.families, [])
})

test('extended next hops of other families, and of other next hops, are not ours (RFC 8950 section 4)', () => {
  const hex = '0001 0101 0002  0001 0002 0002  0001 0001 0001  0019 0001 0002'
  assert.deepEqual(openOf(`04 fde9 005a 01020304 1c 02 1a 05 18 ${hex}`).capabilities.extendedNextHop, [])
  assert.deepEqual(openOf(`04 fde9 005a 01020304 0a 02 08 05 06 0001 0001 0002`).capabilities.extendedNextHop, [4])
})

test('extended optional parameters (RFC 9072), whatever the short length says', () => {
  for (const short of ['ff', '0b']) {
    const { capabilities } = openOf(`04 fde9 005a 01020304 ${short} ff 000b 02 0008 01 04 0002 00 01 02 00`)
    assert.deepEqual(capabilities, { ...nothing, families: [6], routeRefresh: true })
  }
  const many = Array.from({ length: 100 }, () => '80 02 0000').join(' ')
  assert.deepEqual(openOf(`04 fde9 005a 01020304 ff ff 0193 02 0190 ${many}`).capabilities.unknown, [0x80])
})

test('of several graceful restart capabilities the last one counts (RFC 4724 section 3)', () => {
  const { gracefulRestart } = openOf('04 fde9 005a 01020304 0a 02 08 40 02 8010 40 02 0020').capabilities
  assert.deepEqual(gracefulRestart, {
    isRestarting: false,
    onNotification: false,
    restartTimeSeconds: 32,
    families: [],
  })
})

test('long-lived graceful restart without the other one is ignored (RFC 9494)', () => {
  const { capabilities } = openOf('04 fde9 005a 01020304 0b 02 09 47 07 0001 01 80 015180')
  assert.deepEqual(capabilities, nothing)
})

test('malformed capabilities that can be done without count as unknown', () => {
  const { capabilities } = openOf('04 fde9 005a 01020304 11 02 0f 05 01 00 40 03 000000 47 03 000000 40 00')
  assert.deepEqual(capabilities, { ...nothing, unknown: [5, 64, 71] })
})

const refused: [name: string, hex: string, subcode: number, data?: string][] = [
  ['version 3', '03 fde9 005a 01020304 00', 1, '0004'],
  ['version 5', '05 fde9 005a 01020304 00', 1, '0004'],
  ['AS 0', '04 0000 005a 01020304 00', 2],
  ['AS 0 in the capability', '04 5ba0 005a 01020304 08 02 06 41 04 00000000', 2],
  ['AS 0 beside a capability', '04 0000 005a 01020304 08 02 06 41 04 00011170', 2],
  ['router id 0', '04 fde9 005a 00000000 00', 3],
  ['hold time 1', '04 fde9 0001 01020304 00', 6],
  ['hold time 2', '04 fde9 0002 01020304 00', 6],
  ['an authentication parameter', '04 fde9 005a 01020304 03 01 01 00', 4],
  ['an unknown parameter', '04 fde9 005a 01020304 02 07 00', 4],
  ['parameters beyond the message', '04 fde9 005a 01020304 03 02 00', 0],
  ['octets behind the parameters', '04 fde9 005a 01020304 00 00', 0],
  ['extended parameters of no length', '04 fde9 005a 01020304 00 ff 0000', 0],
  ['a parameter beyond the others', '04 fde9 005a 01020304 02 02 01', 0],
  ['a parameter of one octet', '04 fde9 005a 01020304 01 02', 0],
  ['a capability beyond its parameter', '04 fde9 005a 01020304 04 02 02 02 01', 0],
  ['a capability of one octet', '04 fde9 005a 01020304 03 02 01 02', 0],
  ['a multiprotocol capability of three octets', '04 fde9 005a 01020304 07 02 05 01 03 000100', 0],
  ['an AS number capability of two octets', '04 fde9 005a 01020304 06 02 04 41 02 fde9', 0],
  ['extended parameters cut off', '04 fde9 005a 01020304 ff ff 00', 0],
  ['extended parameters beyond the message', '04 fde9 005a 01020304 ff ff 0004 02 0000', 0],
  ['an extended parameter of two octets', '04 fde9 005a 01020304 ff ff 0002 02 00', 0],
]
for (const [name, hex, subcode, data = ''] of refused) {
  test(`an OPEN with ${name} ends in NOTIFICATION 2/${subcode}`, () => {
    const { failure } = readAll(framed(1, bytesOf(hex)))
    assert.deepEqual({ ...failure, data: Buffer.from(failure!.data).toString('hex') }, { code: 2, subcode, data })
  })
}

test('what is offered is understood', () => {
  fc.assert(
    fc.property(anyOpen, (open) => {
      assert.deepEqual(readAll(encodeOpen(open)), { messages: [{ kind: 'open', open }] })
    }),
  )
})
