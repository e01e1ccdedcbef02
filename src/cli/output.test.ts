import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderAnswers } from './answers.ts'
import { harmless, jsonText, outputWidth } from './output.ts'

test('tables are as wide as the terminal, else as COLUMNS says, else as they need', () => {
  assert.equal(outputWidth({ isTTY: true, columns: 100 }, { COLUMNS: '60' }), 100)
  assert.equal(outputWidth({ isTTY: false }, { COLUMNS: '60' }), 60)
  for (const COLUMNS of ['', '0', '-1', 'wide', undefined]) assert.equal(outputWidth({}, { COLUMNS }), Infinity)
})

test('one cause is one line, whoever it happened to', () => {
  const failures = Array.from({ length: 20 }, (_, index) => ({
    node: `node-${index + 1}`,
    error: `no agent answers on /run/node-${index + 1}/agent.sock`,
  }))
  const answers = [...failures, { node: 'node-21', error: 'the agent answers 500' }]
  assert.deepEqual(renderAnswers(answers, () => '', '# ').split('\n'), [
    '# 20 nodes (node-1, node-2, node-3 and 17 more): no agent answers on /run/node-1/agent.sock',
    '# node-21: the agent answers 500',
  ])
})

test('who answered has a block, who did not a line', () => {
  const answers = [
    { node: 'a', value: 1 },
    { node: 'b', error: 'gone' },
    { node: 'c', value: 3 },
  ]
  assert.equal(
    renderAnswers(answers, (node, value) => `${node} has ${value}`),
    'a has 1\n\nc has 3\n\nb: gone',
  )
  assert.equal(
    renderAnswers(answers.slice(1, 2), () => '', '# '),
    '# b: gone',
  )
})

test('what is shown cannot command a terminal', () => {
  assert.equal(harmless('a\tb\nÄ \u001b[2J\u009b1m\r\u0000\u007f'), 'a\tb\nÄ \\x1b[2J\\x9b1m\\x0d\\x00\\x7f')
})

test('JSON is harmless to a terminal, and still JSON', () => {
  const value = { name: 'a\u001b[2J\u007f\u009b31m\tb\nc', 'k\u0085': 1 }
  const text = jsonText(value)
  assert.equal(harmless(text), text)
  assert.deepEqual(JSON.parse(text), value)
})
