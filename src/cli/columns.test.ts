import assert from 'node:assert/strict'
import { test } from 'node:test'
import { columnsOf } from './columns.ts'

test('a terminal has its own width, anything else that of COLUMNS, or none', () => {
  assert.equal(columnsOf({ isTTY: true, columns: 80 }, { COLUMNS: '200' }), 80)
  assert.equal(columnsOf({}, { COLUMNS: '100' }), 100)
  assert.equal(columnsOf({}, {}), Infinity)
  assert.equal(columnsOf({}, { COLUMNS: '' }), Infinity)
  assert.equal(columnsOf({}, { COLUMNS: 'wide' }), Infinity)
  // a terminal that does not know its size says 0
  assert.equal(columnsOf({ isTTY: true, columns: 0 }, {}), Infinity)
})
