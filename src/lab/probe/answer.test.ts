import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { formatAnswer, formatHttpAnswer, httpMethod, parseAnswer, peerAddr } from './answer.ts'

const anyAddr = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }).map((value) => new Addr(4, value)),
  fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value) => new Addr(6, value)),
)

test('peerAddr shows v4-mapped addresses as v4, and no zones', () => {
  assert.equal(String(peerAddr('::ffff:10.7.0.1')), '10.7.0.1')
  assert.equal(String(peerAddr('10.7.0.1')), '10.7.0.1')
  assert.equal(String(peerAddr('fd07::1')), 'fd07::1')
  assert.equal(String(peerAddr('fe80::1%eth0')), 'fe80::1')
  assert.equal(peerAddr(''), undefined)
})

test('answers round-trip in one line', () => {
  fc.assert(
    fc.property(fc.string(), anyAddr, (pod, source) => {
      const line = formatAnswer({ pod, source })
      assert.equal(line.indexOf('\n'), line.length - 1)
      const answer = parseAnswer(line)
      assert.equal(answer?.pod, pod)
      assert.ok(answer.source.equals(source))
    }),
  )
})

test('parseAnswer refuses what is no answer', () => {
  for (const line of [
    '',
    'SSH-2.0-x',
    '{',
    'null',
    '[]',
    '{"pod":"a"}',
    '{"pod":1,"source":"::1"}',
    '{"pod":"a","source":"x"}',
  ])
    assert.equal(parseAnswer(line), undefined, line)
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseAnswer(text)))
})

test('httpMethod knows request lines of HTTP/1 alone', () => {
  assert.equal(httpMethod('GET / HTTP/1.1\r\nHost: x\r\n'), 'GET')
  assert.equal(httpMethod('HEAD /healthz HTTP/1.0\n'), 'HEAD')
  for (const text of ['', 'GET', 'GET / HTTP/1.1', 'causeway probe\n', 'PRI * HTTP/2.0\r\n'])
    assert.equal(httpMethod(text), undefined, text)
})

test('the HTTP answer has the right length, and HEAD has no body', () => {
  const answer = { pod: 'wéb', source: Addr.parse('::1') }
  const [head, body] = formatHttpAnswer(answer, 'GET').split('\r\n\r\n')
  assert.match(head!, new RegExp(`^HTTP/1\\.1 200 OK\r\n[^]*Content-Length: ${Buffer.byteLength(body!)}\r\n`))
  assert.equal(body, formatAnswer(answer))
  assert.equal(formatHttpAnswer(answer, 'HEAD'), `${head}\r\n\r\n`)
})
