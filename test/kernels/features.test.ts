// The table of what kernels have, in docs/kernels.md, is true for the kernel that this runs on.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { test } from 'node:test'
import { must } from '../e2e/harness.ts'

type Row = { readonly name: string; readonly module: string; readonly has: Readonly<Record<string, string>> }

/** A row: | `name` in `module` | what | yes | no | */
function rowOf(line: string, versions: readonly string[]): Row[] {
  const [, name, module = 'vmlinux', cells] = /^\| `(\w+)`(?: in `(\w+)`)? \|[^|]*\|(.*)\|$/.exec(line) ?? []
  if (name === undefined) return []
  const values = cells!.split('|').map((cell) => cell.trim())
  return [{ name, module, has: Object.fromEntries(versions.map((version, index) => [version, values[index]!])) }]
}

/** Names in BTF are strings that end with a zero byte, one after the other. */
function isInBtf(name: string, module: string): boolean {
  return readFileSync(`/sys/kernel/btf/${module}`).includes(`\0${name}\0`)
}

test('docs/kernels.md says what this kernel has', () => {
  const page = readFileSync(new URL('../../docs/kernels.md', import.meta.url), 'utf8')
  const versions = /^\| name \|[^|]*\|(.*)\|$/m
    .exec(page)![1]!
    .split('|')
    .map((cell) => cell.trim())
  const rows = page.split('\n').flatMap((line) => rowOf(line, versions))
  assert.ok(rows.length > 10)
  const version = release().split('.').slice(0, 2).join('.')
  assert.ok(versions.includes(version), `the page tells of ${versions.join()}, and this is ${version}`)
  must('modprobe', 'nf_conntrack')
  assert.deepEqual(
    rows.map(({ name, module }) => `${name}: ${isInBtf(name, module) ? 'yes' : 'no'}`),
    rows.map(({ name, has }) => `${name}: ${has[version]}`),
  )
})
