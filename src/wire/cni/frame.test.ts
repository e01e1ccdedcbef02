import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CniProtocolError } from './error.ts'
import { decodeRequest, decodeRequestHeader, encodeAnswer, frameHeaderBytes } from './frame.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test('a request as the shim writes it', () => {
  const { env, stdin } = decodeRequest(bytes('causeway-cni 1 00000023 00000002\nCNI_COMMAND=ADD\0CNI_X=\0{}'))
  assert.deepEqual(
    [...env],
    [
      ['CNI_COMMAND', 'ADD'],
      ['CNI_X', ''],
    ],
  )
  assert.equal(new TextDecoder().decode(stdin), '{}')
})

test('an answer as the shim reads it; lengths are bytes, not characters', () => {
  const answer = encodeAnswer({ status: 1, stdout: 'é\n' })
  assert.equal(new TextDecoder().decode(answer), 'causeway-cni 1 00000001 00000003\né\n')
  assert.equal(answer.length, frameHeaderBytes + 3)
})

const refused: [string, string, RegExp][] = [
  ['another client', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', /is the client causeway-cni\?/],
  ['another protocol', 'causeway-cni 2 00000000 00000000\n', /protocol 2, the agent speaks 1; install/],
  ['too much environment', 'causeway-cni 1 00262145 00000000\n', /262145 bytes of environment, above 262144/],
  ['too much stdin', 'causeway-cni 1 00000000 01048577\n', /1048577 bytes of stdin, above 1048576/],
  ['a body that broke off', 'causeway-cni 1 00000000 00000003\n{}', /35 bytes, the header announces 36/],
  ['an entry without NUL', 'causeway-cni 1 00000003 00000000\nA=b', /not ended by NUL/],
  ['an entry without name', 'causeway-cni 1 00000003 00000000\n=b\0', /no NAME=value/],
  ['an empty entry', 'causeway-cni 1 00000001 00000000\n\0', /no NAME=value/],
  ['a name twice', 'causeway-cni 1 00000008 00000000\nA=b\0A=c\0', /A is set twice/],
]
for (const [what, text, message] of refused) {
  test(`a request with ${what} is refused`, () => {
    assert.throws(() => decodeRequest(bytes(text)), { name: 'CniProtocolError', message })
  })
}

test('every environment and stdin come through', () => {
  const name = fc.stringMatching(/^[A-Z_]{1,12}$/)
  const value = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', ''))
  fc.assert(
    fc.property(fc.dictionary(name, value, { noNullPrototype: true }), fc.uint8Array(), (env, stdin) => {
      const block = bytes(
        Object.entries(env)
          .map(([key, text]) => `${key}=${text}\0`)
          .join(''),
      )
      const field = (size: number): string => String(size).padStart(8, '0')
      const frame = Buffer.concat([
        bytes(`causeway-cni 1 ${field(block.length)} ${field(stdin.length)}\n`),
        block,
        stdin,
      ])
      const decoded = decodeRequest(frame)
      assert.deepEqual(Object.fromEntries(decoded.env), env)
      assert.deepEqual([...decoded.stdin], [...stdin])
    }),
  )
})

test('any bytes are read or refused with a CniProtocolError', () => {
  const header = fc.tuple(fc.nat(40), fc.nat(40)).map(([env, stdin]) => {
    return bytes(`causeway-cni 1 ${String(env).padStart(8, '0')} ${String(stdin).padStart(8, '0')}\n`)
  })
  const frame = fc.tuple(fc.oneof(header, fc.uint8Array()), fc.uint8Array()).map((parts) => Buffer.concat(parts))
  fc.assert(
    fc.property(frame, (input) => {
      for (const read of [decodeRequest, decodeRequestHeader]) {
        try {
          read(input)
        } catch (error) {
          assert.ok(error instanceof CniProtocolError, String(error))
        }
      }
    }),
    { numRuns: 1000 },
  )
})
