import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createLogger, type Level } from './log.ts'

function logged(
  act: (log: ReturnType<typeof createLogger>) => void,
  level: Level = 'debug',
): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = []
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>)
  act(createLogger({ level, write, now: () => '2026-01-01T00:00:00.000Z' }))
  return lines
}

test('a line has its time, level and message, and then its fields', () => {
  const lines = logged((log) => {
    log.debug('too little')
    log
      .with({ node: 'a' })
      .warn('object failed', { kind: 'route', error: new Error('why', { cause: new Error('cause') }) })
  }, 'info')
  assert.deepEqual(lines, [
    {
      time: '2026-01-01T00:00:00.000Z',
      level: 'warn',
      message: 'object failed',
      node: 'a',
      kind: 'route',
      error: 'why: cause',
    },
  ])
})

test('a field takes nothing away from its line, whatever it is called, and is not lost itself', () => {
  const key = fc.oneof(fc.constantFrom('time', 'level', 'message', '_message', '__message', '__proto__'), fc.string())
  fc.assert(
    fc.property(fc.uniqueArray(key), fc.uniqueArray(key), (own, given) => {
      const fieldsOf = (keys: string[], from: number) =>
        Object.fromEntries(keys.map((each, index) => [each, from + index]))
      const fields = [fieldsOf(own, 0), fieldsOf(given, 1000)] as const
      const [line] = logged((log) => log.with(fields[0]).error('what', fields[1]))
      const { time, level, message, ...rest } = line!
      assert.deepEqual([time, level, message], ['2026-01-01T00:00:00.000Z', 'error', 'what'])
      const wanted = Object.values({ ...fields[0], ...fields[1] })
      assert.deepEqual(new Set(Object.values(rest)), new Set(wanted))
      assert.equal(Object.keys(rest).length, wanted.length)
    }),
  )
  const [line] = logged((log) => log.error('object failed', { message: 'why', _message: 'too' }))
  assert.deepEqual([line!['message'], line!['_message'], line!['__message']], ['object failed', 'why', 'too'])
})
