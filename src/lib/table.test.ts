import assert from 'node:assert/strict'
import { test } from 'node:test'
import { styleText } from 'node:util'
import fc from 'fast-check'
import { table } from './table.ts'

test('table pads each column to its widest cell, and ends no line with spaces', () => {
  const rows = [
    ['web-1', 'node-1', ''],
    ['a-longer-name', '', 'x'],
  ]
  assert.equal(
    table(['NAME', 'NODE', 'WHY'], rows),
    ['NAME           NODE    WHY', 'web-1          node-1', 'a-longer-name          x'].join('\n'),
  )
})

test('table gives colour codes no room', () => {
  const red = styleText('red', 'bad', { validateStream: false })
  assert.equal(table(['A', 'B'], [[red, 'x']]), `A    B\n${red}  x`)
})

test('table of no rows is its header', () => {
  assert.equal(table(['A', 'BB'], []), 'A  BB')
})

test('table of a narrow terminal: text goes below, cells have several lines, nothing is lost', () => {
  const header = ['KIND', 'OBJECT', 'STATE', 'MESSAGE']
  const rows = [
    ['route', '10.244.1.0/24', 'done', ''],
    ['route', '10.244.2.0/24', 'error', 'Network is unreachable (ENETUNREACH)'],
  ]
  const labelledBy = [0, 1]
  assert.equal(table(header, rows, { labelledBy }), table(header, rows))
  assert.equal(
    table(header, rows, { width: 30, labelledBy }),
    [
      'KIND   OBJECT         STATE',
      'route  10.244.1.0/24  done',
      'route  10.244.2.0/24  error',
      '! route 10.244.2.0/24: Network',
      '  is unreachable (ENETUNREACH)',
    ].join('\n'),
  )
  assert.equal(
    table(['A', 'ADDRESSES'], [['x', '10.244.0.2 fd10:244::2']], { width: 15 }),
    ['A ADDRESSES', 'x 10.244.0.2', '  fd10:244::2'].join('\n'),
  )
})

test('table says once what many rows share, and keeps the lines of a text', () => {
  const rows = ['a', 'b', 'c', 'd'].map((name) => [name, 'no route to host'])
  assert.equal(
    table(['NAME', 'WHY'], rows, { width: 20, labelledBy: [0] }),
    ['NAME', 'a', 'b', 'c', 'd', '! a, b and 2 more:', '  no route to host'].join('\n'),
  )
  assert.equal(
    table(['NAME', 'WHY'], [['a', 'first\nsecond']], { labelledBy: [0] }),
    ['NAME', 'a', '! a: first', '  second'].join('\n'),
  )
})

test('table takes as many rows as a router of the Internet has routes', () => {
  const rows = Array.from({ length: 150_000 }, (_, index) => [String(index), 'best'])
  assert.equal(table(['PREFIX', 'USE'], rows).split('\n').length, 150_001)
})

test('table keeps to any width that leaves each column a little', () => {
  const cell = fc.stringMatching(/^[a-z0-9.: ]{0,40}$/)
  const row = fc.array(cell, { minLength: 4, maxLength: 4 })
  fc.assert(
    fc.property(fc.array(row, { maxLength: 5 }), fc.integer({ min: 30, max: 100 }), (rows, width) => {
      for (const options of [{ width }, { width, labelledBy: [0] }])
        for (const line of table(['NAME', 'ADDRESSES', 'STATE', 'MESSAGE'], rows, options).split('\n'))
          assert.ok(line.length <= width, line)
    }),
  )
})
