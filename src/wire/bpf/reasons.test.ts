import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type DropReason, dropReasonName, dropReasons } from './reasons.ts'
import { reasonTold } from './words.ts'

const all: readonly (readonly [string, DropReason])[] = Object.entries(dropReasons)

test('each reason has a number of its own that fits the field in the maps, and 0 is none', () => {
  const numbers = all.map(([, { number }]) => number)
  assert.equal(new Set(numbers).size, numbers.length)
  assert.ok(numbers.every((number) => Number.isInteger(number) && number > 0 && number < 256))
  for (const [name, { number }] of all) assert.equal(dropReasonName(number), name)
})

test('a number that only a newer program knows is told as such', () => {
  assert.equal(dropReasonName(255), undefined)
  assert.equal(reasonTold(255).name, 'reason_255')
  assert.match(reasonTold(255).text, /255/)
})

test('docs/ebpf.md lists the reasons with their numbers, texts and remedies', () => {
  const page = readFileSync(new URL('../../../docs/ebpf.md', import.meta.url), 'utf8')
  const section = page.split(/^## /m).find((each) => each.startsWith('Drop reasons')) ?? ''
  assert.deepEqual(
    section.split('\n').filter((line) => /^\| \d/.test(line)),
    all.map(([name, { number, text, remedy }]) => `| ${number} | \`${name}\` | ${text} | ${remedy} |`),
  )
})
