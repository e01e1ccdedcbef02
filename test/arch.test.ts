// Enforces the import table of docs/architecture.md: who may import whom.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

type Room = { readonly folder: string; readonly isPure: boolean; readonly mayImport: readonly string[] }

/** A row: | `src/plan` | what | yes | wire model lib | */
function roomOf(line: string): Room[] {
  const [, folder, pure, imports] = /^\| `src\/([\w-]+)` \|[^|]*\|([^|]*)\|([^|]*)\|$/.exec(line) ?? []
  if (folder === undefined) return []
  return [{ folder, isPure: pure?.trim() === 'yes', mayImport: imports!.split(' ').filter(Boolean) }]
}

const page = readFileSync(new URL('../docs/architecture.md', import.meta.url), 'utf8')
const rooms = page.split('\n').flatMap(roomOf)
const mayImport = new Map(rooms.map((room) => [room.folder, room.mayImport]))
const impureModules = /^node:(fs|net|http|https|tls|dgram|child_process|worker_threads|timers|os|sqlite)/

type Import = { file: string; folder: string; target: string }

function importsOf(file: string): Import[] {
  const source = readFileSync(file, 'utf8')
  const folder = file.split('/')[1]!
  return [
    ...source.matchAll(/^(?:import|export)\b[^'"`]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm),
  ].map((match) => ({ file, folder, target: match[1] ?? match[2] ?? match[3]! }))
}

const files = globSync('src/**/*.ts')
const imports = files.flatMap(importsOf)

test('every folder imports only what the table allows', () => {
  const wrong: string[] = []
  for (const { file, folder, target } of imports) {
    if (file.endsWith('.test.ts') && !target.startsWith('#/')) continue
    const resolved = target.startsWith('#/')
      ? target.slice(2)
      : target.startsWith('.')
        ? normalize(join(dirname(file), target)).replace(/^src\//, '')
        : null
    if (resolved === null) continue
    const to = resolved.split('/')[0]!
    if (to === folder) {
      if (target.startsWith('#/')) wrong.push(`${file}: inside its own folder use a relative path, not ${target}`)
    } else if (!target.startsWith('#/')) wrong.push(`${file}: across folders use #/, not ${target}`)
    else if (!(mayImport.get(folder) ?? []).includes(to))
      wrong.push(`${file}: ${folder} may not import ${to} (${target})`)
  }
  assert.deepEqual(wrong, [])
})

test('only src/sys imports the FFI', () => {
  assert.deepEqual(
    imports.filter(({ target, folder }) => target === 'koffi' && folder !== 'sys').map(({ file }) => file),
    [],
  )
})

const isPure = (folder: string): boolean => rooms.some((room) => room.folder === folder && room.isPure)

test('pure folders import no module that does I/O', () => {
  const wrong = imports.filter(
    ({ file, folder, target }) => !file.endsWith('.test.ts') && isPure(folder) && impureModules.test(target),
  )
  assert.deepEqual(wrong, [])
})

test('the folders of src and the table of docs/architecture.md are the same', () => {
  const folders = new Set(files.map((file) => file.split('/')[1]!))
  assert.ok(rooms.length > 10)
  assert.deepEqual(
    rooms.map(({ folder }) => folder).filter((folder) => !folders.has(folder)),
    [],
  )
  assert.deepEqual(
    [...new Set(files.map((file) => file.split('/')[1]!))].filter((folder) => !mayImport.has(folder)),
    [],
  )
})

test('only the registry knows what pods hang on: nothing else reaches into the folder of one datapath', () => {
  const wrong = imports.filter(
    ({ file, target }) =>
      !file.startsWith('src/datapath/') && /^#\/datapath\/[\w-]+\//.test(target) && !file.endsWith('.test.ts'),
  )
  assert.deepEqual(wrong, [])
})
