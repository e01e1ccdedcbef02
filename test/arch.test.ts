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
/** The effects at the edge of a pure room: the way to an agent. */
const impureFiles = ['src/api/socket-transport.ts', 'src/api/http-transport.ts']
const mayImport = new Map(rooms.map((room) => [room.folder, room.mayImport]))
const impureModules = /^node:(fs|net|http|https|tls|dgram|child_process|worker_threads|timers|os|sqlite)/

type Import = { file: string; folder: string; target: string; isDynamic: boolean }

function importsOf(file: string): Import[] {
  const source = readFileSync(file, 'utf8')
  const folder = file.split('/')[1]!
  return [
    ...source.matchAll(/^(?:import|export)\b[^'"`]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm),
  ].map((match) => ({ file, folder, target: match[1] ?? match[2] ?? match[3]!, isDynamic: match[3] !== undefined }))
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
    // the version stands there
    if (resolved === null || resolved === 'package.json') continue
    const to = resolved.split('/')[0]!
    if (to === folder) {
      if (target.startsWith('#/')) wrong.push(`${file}: inside its own folder use a relative path, not ${target}`)
    } else if (!target.startsWith('#/')) wrong.push(`${file}: across folders use #/, not ${target}`)
    else if (!(mayImport.get(folder) ?? []).includes(to))
      wrong.push(`${file}: ${folder} may not import ${to} (${target})`)
  }
  assert.deepEqual(wrong, [])
})

test('the page in a browser imports only what the table allows, which is pure, and nothing else but its library', () => {
  const row = page.split('\n').find((line) => line.startsWith('| `web` |'))!
  const allowed = row.split('|').at(-2)!.split(' ').filter(Boolean)
  assert.deepEqual(
    allowed.filter((folder) => !isPure(folder)),
    [],
  )
  const libraries = /^(preact|preact\/hooks|walk)$/
  const wrong = globSync('web/**/*.{ts,tsx}')
    .filter((file) => !file.endsWith('.test.ts'))
    .flatMap(importsOf)
    .filter(({ file, target }) =>
      target.startsWith('#/')
        ? !allowed.includes(target.split('/')[1]!)
        : target.startsWith('.')
          ? !normalize(join(dirname(file), target)).startsWith('web/')
          : !libraries.test(target),
    )
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
    ({ file, folder, target }) =>
      !file.endsWith('.test.ts') && isPure(folder) && !impureFiles.includes(file) && impureModules.test(target),
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

/** What is read with a file, all that it imports included; what it imports only when it needs it is not. */
function closureOf(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const { target, isDynamic } of imports.filter((each) => each.file === file)) {
    if (isDynamic) continue
    if (target.startsWith('#/')) closureOf(target.replace('#/', 'src/'), seen)
    else if (target.startsWith('.')) closureOf(normalize(join(dirname(file), target)), seen)
    else seen.add(target)
  }
  return seen
}

/** These work on a kernel themselves. */
const kernelCommands = [
  'agent',
  'bgp-speak',
  'clean',
  'lab',
  'lab-break',
  'lab-options',
  'lab-report',
  'lab-serve',
  'lab-up',
  'observe',
]

test('a command that only asks agents or the cluster reads no FFI', () => {
  const asking = files.filter(
    (file) => /^src\/cli\/[^.]+\.ts$/.test(file) && !kernelCommands.some((name) => file === `src/cli/${name}.ts`),
  )
  assert.ok(asking.includes('src/cli/status.ts'))
  assert.deepEqual(
    asking.filter((file) => closureOf(file).has('koffi')),
    [],
  )
  assert.ok(closureOf('src/cli/agent.ts').has('koffi'), 'the closure finds it where it is')
})
