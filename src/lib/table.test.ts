import assert from 'node:assert/strict'
import { test } from 'node:test'
import { styleText } from 'node:util'
import { table, textWidth } from './table.ts'

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

test('a table that is too wide wraps its cells at spaces, the widest column first', () => {
  const rows = [['node-1', '172.30.1.11 fd30:0:0:1::b', '10.244.0.0/24 fd10:244::/64']]
  assert.equal(
    table(['NODE', 'ADDRESSES', 'POD CIDRS'], rows, { columns: 40 }),
    [
      'NODE    ADDRESSES        POD CIDRS',
      'node-1  172.30.1.11      10.244.0.0/24',
      '        fd30:0:0:1::b    fd10:244::/64',
    ].join('\n'),
  )
})

test('notes that find no room stand below the table, each different one once, wrapped', () => {
  const reason = 'the kernel said: no such device, and it will be tried again'
  const rows = [
    ['route', '10.244.1.0/24', reason],
    ['route', '10.244.2.0/24', ''],
    ['route', '10.244.3.0/24', reason],
    ['link', 'cw-vxlan', 'busy'],
  ]
  const header = ['KIND', 'OBJECT', 'MESSAGE']
  assert.equal(
    table(header, rows, { columns: 40, hasNotes: true }),
    [
      'KIND   OBJECT         MESSAGE',
      'route  10.244.1.0/24  [1]',
      'route  10.244.2.0/24',
      'route  10.244.3.0/24  [1]',
      'link   cw-vxlan       [2]',
      '[1] the kernel said: no such device, and',
      '    it will be tried again',
      '[2] busy',
    ].join('\n'),
  )
  // without notes their column is none
  const silent = rows.map((row) => row.toSpliced(2, 1, ''))
  assert.equal(table(header, silent, { columns: 27, hasNotes: true }).split('\n')[0], 'KIND   OBJECT')
  // where there is room, a row tells all about itself
  assert.equal(table(header, rows, { columns: 100, hasNotes: true }), table(header, rows))
})

test('columns without a space to wrap at go under their row, with their names', () => {
  const rows = [
    ['10.244.0.2', 'used', '/run/netns/one', 'in use'],
    ['10.244.0.3', 'free', '', ''],
  ]
  assert.equal(
    table(['ADDRESS', 'STATE', 'NAMESPACE', 'WHY'], rows, { columns: 26, hasNotes: true }),
    [
      'ADDRESS     STATE  WHY',
      '10.244.0.2  used   [1]',
      '    NAMESPACE',
      '    /run/netns/one',
      '10.244.0.3  free',
      '[1] in use',
    ].join('\n'),
  )
})

test('a table of any width fits, as long as its words do, and loses none of them', () => {
  const rows = Array.from({ length: 5 }, (_, row) =>
    Array.from({ length: 8 }, (__, column) => `r${row} c${column} ${'word '.repeat(column)}end`),
  )
  const header = rows[0]!.map((_, column) => `H${column}`)
  for (let columns = 12; columns < 200; columns += 7)
    for (const hasNotes of [true, false]) {
      const text = table(header, rows, { columns, hasNotes })
      assert.ok(textWidth(text) <= columns, `${columns}: ${text}`)
      for (let column = 0; column < 8; column += 1) assert.ok(text.includes(`c${column}`))
    }
})

test('a table may have more rows, and more notes, than a call takes arguments', () => {
  const rows = Array.from({ length: 150_000 }, (_, row) => [`10.0.0.0/${row}`, 'one two three', `because of ${row}`])
  const lines = table(['PREFIX', 'PATH', 'WHY'], rows, { columns: 30, hasNotes: true }).split('\n')
  assert.equal(lines.at(-1), '[150000] because of 149999')
})
