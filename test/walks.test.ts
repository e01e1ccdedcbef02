// docs/walks.md names files and functions: each must be there.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

const root = new URL('../', import.meta.url)
const page = readFileSync(new URL('docs/walks.md', root), 'utf8')
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

/** The stops of all walks, each the text of one numbered item. */
const stops = page.match(/^\d+\. .*(?:\n {3}.*)*/gm) ?? []

test('each stop of a walk begins at a file that is there, and the function it names after the file is in it', () => {
  assert.ok(stops.length >= 30, `${stops.length} stops`)
  for (const stop of stops) {
    const [, path = '', names = ''] =
      /`((?:src|native)\/[^`]+)`((?:,\s+`[^`]+`)*)/.exec(stop.replaceAll('\n', ' ')) ?? []
    assert.ok(existsSync(new URL(path || 'absent', root)), `no file at the beginning of: ${stop}`)
    const code = read(path)
    for (const [, name = ''] of names.matchAll(/`([^`]+)`/g))
      for (const word of name.split('.').filter((each) => /^#?[A-Za-z]\w*$/.test(each)))
        assert.ok(code.includes(word), `${path} has no ${word}`)
  }
})

test('every file that a walk names is there', () => {
  for (const [, path = ''] of page.matchAll(/`((?:src|native)\/[^`]+\.[a-z]+)`/g))
    assert.ok(existsSync(new URL(path, root)), path)
})
