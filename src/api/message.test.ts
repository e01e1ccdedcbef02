import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readAnswer, readParams, requestOf } from './message.ts'
import { type Operation, operationNames, operationOf, operations, type ParamsOf } from './operations.ts'
import { type AgentRequest } from './transport.ts'
import { valueOf } from './testing.ts'

function received(operation: Operation, { path, body = '' }: AgentRequest) {
  const { pathname, searchParams } = new URL(path, 'http://agent')
  assert.equal(pathname, operation.path)
  return readParams(operation, searchParams, body)
}

function mismatchOf(operation: Operation, query: string, body = ''): string | undefined {
  const read = readParams(operation, new URLSearchParams(query), body)
  return 'mismatch' in read ? read.mismatch : undefined
}

test('a time that no Date can be is none', () => {
  const sent = (sentAtMs: string): string => `{"node":"n","sentAtMs":${sentAtMs}}`
  assert.ok('value' in readAnswer('traceSend', sent('8.64e15')))
  for (const time of ['1e999', '-1e999', '8.65e15', '"now"']) {
    const read = readAnswer('traceSend', sent(time))
    assert.match('mismatch' in read ? read.mismatch : '', /sentAtMs/, time)
  }
})

test('all paths except those of probes and Prometheus have a version, and no two operations share a path', () => {
  const paths = operationNames.map((name) => operationOf(name).path)
  assert.equal(new Set(paths).size, paths.length)
  assert.deepEqual(
    paths.filter((path) => !path.startsWith('/v1/')),
    ['/healthz', '/readyz', '/metrics'],
  )
})

for (const name of operationNames) {
  const operation = operationOf(name)
  const { params: asked, answer } = operation

  test(`${name}: what is asked arrives as it was asked`, () => {
    fc.assert(
      fc.property(asked ? valueOf(asked, true) : fc.constant({}), (params) => {
        const request = requestOf(name, params as ParamsOf<typeof name>)
        assert.equal(request.method, operation.method)
        assert.deepEqual(received(operation, request), { value: { ...(params as object) } })
      }),
    )
  })

  if (answer === 'text') {
    test(`${name}: the answer is text as it is`, () => {
      assert.deepEqual(readAnswer(name, 'a\n'), { value: 'a\n' })
    })
    continue
  }

  test(`${name}: an answer is read as it was told, with what a newer agent adds`, () => {
    fc.assert(
      fc.property(valueOf(answer), (value) => {
        const plain = JSON.parse(JSON.stringify(value)) as Record<string, unknown>
        assert.deepEqual(readAnswer(name, JSON.stringify(value)), { value: plain })
        const newer = { ...plain, added: { by: 'a newer agent' } }
        assert.deepEqual(readAnswer(name, JSON.stringify(newer)), { value: newer })
      }),
    )
  })

  test(`${name}: an answer that lacks a field, or has another type of value in it, is none, and the field is named`, () => {
    fc.assert(
      fc.property(
        valueOf(answer),
        fc.constantFrom(...Object.keys((answer as unknown as { entries: object }).entries)),
        (value, key) => {
          const fields = value as Record<string, unknown>
          const other = readAnswer(name, JSON.stringify({ ...fields, [key]: null }))
          assert.ok('mismatch' in other && other.mismatch.startsWith(`${key}: expected `), JSON.stringify(other))
          const { [key]: _, ...rest } = fields
          const without = readAnswer(name, JSON.stringify(rest))
          const isRequired = 'mismatch' in without
          if (isRequired) assert.equal(without.mismatch, `${key}: is missing`)
        },
      ),
    )
    for (const text of ['', '{', 'null', '[]', '7', 'there is no such thing']) {
      assert.ok('mismatch' in readAnswer(name, text), text)
    }
  })

  test(`${name}: what it does not know is refused by name`, () => {
    for (const key of ['nonsense', 'toString', '__proto__', 'constructor']) {
      const [query, body] = operation.method === 'GET' ? [`${key}=1`, ''] : ['', `{"${key}":1}`]
      assert.match(mismatchOf(operation, query, body)!, new RegExp(`^${key}: is unknown; `))
    }
  })
}

test('a bad request is refused with the field, what is wrong and what was expected', () => {
  const { bgpRoutes, bgpReset, ipamRelease } = operations
  assert.equal(mismatchOf(bgpRoutes, 'peer=a&peer=b'), 'peer: is given more than once')
  assert.equal(mismatchOf(bgpRoutes, 'explain=yes'), 'explain: expected ("true" | "false"), not "yes"')
  assert.equal(mismatchOf(bgpRoutes, 'prefix=10.0.0.1/24'), 'prefix: "10.0.0.1/24" is no CIDR, such as 10.244.1.0/24')
  assert.equal(mismatchOf(bgpRoutes, 'from=x'), 'from: is unknown; prefix, peer, explain')
  assert.equal(mismatchOf(bgpReset, '', '{"how":"soft"}'), 'peer: is missing')
  assert.equal(mismatchOf(bgpReset, '', '{"peer":"","how":"soft"}'), 'peer: "" names no neighbour')
  assert.equal(mismatchOf(bgpReset, '', '{"peer":"a","how":"later"}'), 'how: expected ("soft" | "hard"), not "later"')
  assert.equal(mismatchOf(bgpReset, 'peer=a', '{}'), 'peer: a POST has its parameters in the body, not behind "?"')
  assert.equal(mismatchOf(ipamRelease, '', '{"addr":7}'), 'addr: expected string, not 7')
  assert.equal(mismatchOf(ipamRelease, '', '{"addr":"::1","force":"yes"}'), 'force: expected boolean, not "yes"')
  assert.equal(mismatchOf(ipamRelease, '', '["::1"]'), 'the body: expected a JSON object, not ["::1"]')
  assert.match(mismatchOf(ipamRelease, '', '')!, /^the body is no JSON: /)
})

test('whatever comes as a query or body is read or refused in words, and what was read is read again as the same', () => {
  const key = fc.oneof(fc.constantFrom('prefix', 'peer', 'explain', 'addr', 'force', 'how', '__proto__'), fc.string())
  const text = fc.oneof(fc.constantFrom('true', 'false', '::/0', '10.0.0.1', 'soft', ''), fc.string({ unit: 'binary' }))
  const body = fc.oneof(
    fc.json(),
    fc.string(),
    fc.dictionary(key, fc.oneof(text, fc.boolean())).map((each) => JSON.stringify(each)),
  )
  const query = fc.oneof(
    fc.string(),
    fc.array(fc.tuple(key, text)).map((pairs) => String(new URLSearchParams(pairs))),
  )
  fc.assert(
    fc.property(fc.constantFrom(...operationNames), query, body, (name, asked, sent) => {
      const operation = operationOf(name)
      const read = readParams(operation, new URLSearchParams(asked), sent)
      if ('mismatch' in read) return assert.ok(read.mismatch.length > 0)
      const again = received(operation, requestOf(name, read.value as ParamsOf<typeof name>))
      assert.deepEqual(again, { value: read.value })
    }),
    { numRuns: 2000 },
  )
})

test('any text is an answer or a mismatch', () => {
  fc.assert(
    fc.property(fc.constantFrom(...operationNames), fc.oneof(fc.json(), fc.string()), (name, text) => {
      const read = readAnswer(name, text)
      assert.ok('value' in read || read.mismatch.length > 0)
    }),
    { numRuns: 1000 },
  )
})
