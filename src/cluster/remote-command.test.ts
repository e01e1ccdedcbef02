import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { execMessage, readExecMessage, readExecStatus } from './remote-command.ts'

const bytes = fc.uint8Array({ maxLength: 200 })

test('what is sent to a channel arrives on it, byte for byte', () => {
  const names = { 1: 'stdout', 2: 'stderr', 3: 'status' } as const
  fc.assert(
    fc.property(fc.constantFrom(1 as const, 2 as const, 3 as const), bytes, (channel, sent) => {
      assert.deepEqual(readExecMessage(execMessage(sent, channel)), { channel: names[channel], bytes: sent })
    }),
  )
  assert.deepEqual(execMessage(Uint8Array.of(7)), Uint8Array.of(0, 7), 'standard input is channel 0')
})

test('the empty messages with which a server begins are messages without bytes', () => {
  assert.deepEqual(readExecMessage(Uint8Array.of(1)), { channel: 'stdout', bytes: Uint8Array.of() })
})

test('whatever comes is a message of a known channel, or says what is wrong', () => {
  fc.assert(
    fc.property(bytes, (any) => {
      const message = readExecMessage(any)
      if ('malformed' in message) assert.ok(![1, 2, 3, 255].includes(any[0]!))
      else assert.equal(message.channel === 'close', any[0] === 255)
    }),
  )
  assert.deepEqual(readExecMessage(Uint8Array.of()), { malformed: 'a message without a channel' })
  assert.deepEqual(readExecMessage(Uint8Array.of(0, 1)), {
    malformed: 'a message for channel 0, which no command writes to',
  })
})

test('a status says how the command ended', () => {
  assert.deepEqual(readExecStatus('{"metadata":{},"status":"Success"}'), { kind: 'success' })
  const exit = {
    metadata: {},
    status: 'Failure',
    message: 'command terminated with non-zero exit code: exit status 3',
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: '3' }] },
  }
  assert.deepEqual(readExecStatus(JSON.stringify(exit)), { kind: 'exit', code: 3 })
  const { details: _, ...without } = exit
  assert.equal(readExecStatus(JSON.stringify(without)).kind, 'failure', 'of an exit without its status nothing follows')
  const failure = { status: 'Failure', reason: 'InternalError', message: 'no such\ncontainer\u001b[2J' }
  assert.deepEqual(readExecStatus(JSON.stringify(failure)), {
    kind: 'failure',
    reason: 'InternalError',
    message: 'no such container [2J',
  })
  const deep = `Internal error occurred: Internal error occurred: ${'failed: '.repeat(60)}the reason`
  const told = readExecStatus(JSON.stringify({ ...failure, message: deep }))
  assert.ok(told.kind === 'failure' && /^failed: .* the reason$/.test(told.message), 'the reason is at the end')
})

test('whatever comes as a status is a success that says so, or a failure of one line', () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      const status = readExecStatus(text)
      if (status.kind === 'failure') assert.doesNotMatch(status.message + status.reason, /[\p{Cc}]/u)
      else assert.match(text, /"status"/)
    }),
  )
})
