import assert from 'node:assert/strict'
import { test } from 'node:test'
import { styleText } from 'node:util'
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
