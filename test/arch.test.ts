// Enforces the import table of docs/architecture.md: who may import whom.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

/** Folder of src -> folders it may import besides itself. A key with a slash is a folder inside a folder. */
const mayImport: Record<string, string[]> = {
  lib: [],
  wire: ['lib'],
  sys: ['lib'],
  kernel: ['wire', 'sys', 'lib'],
  model: ['wire', 'lib'],
  api: ['model', 'lib'],
  cluster: ['model', 'lib'],
  controller: ['cluster', 'plan', 'model', 'lib'],
  policy: ['model', 'lib'],
  plan: ['wire', 'model', 'lib', 'policy'],
  bgp: ['wire', 'model', 'lib'],
  reconcile: ['kernel', 'sys', 'wire', 'model', 'lib'],
  trace: ['wire', 'kernel', 'policy', 'model', 'lib'],
  agent: ['api', 'bgp', 'cluster', 'kernel', 'lib', 'model', 'plan', 'policy', 'reconcile', 'sys', 'trace', 'wire'],
  lab: ['agent', 'api', 'cluster', 'install', 'kernel', 'lib', 'model', 'plan', 'reconcile', 'sys', 'wire'],
  install: ['cluster', 'model', 'lib'],
  cli: ['lab', 'install', 'controller', 'agent', 'api', 'cluster', 'model', 'lib'],
}

/** Pure rooms: same input, same output. No I/O, no clock. */
const pure = ['lib', 'wire', 'model', 'plan', 'policy', 'api']
/** The effects at their edge: the way to an agent. */
const impureFiles = ['src/api/socket-transport.ts']
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
    else if (!(mayImport[folder] ?? []).includes(to)) wrong.push(`${file}: ${folder} may not import ${to} (${target})`)
  }
  assert.deepEqual(wrong, [])
})

test('only src/sys imports the FFI', () => {
  assert.deepEqual(
    imports.filter(({ target, folder }) => target === 'koffi' && folder !== 'sys').map(({ file }) => file),
    [],
  )
})

test('pure folders import no module that does I/O', () => {
  const wrong = imports.filter(
    ({ file, folder, target }) =>
      !file.endsWith('.test.ts') && pure.includes(folder) && !impureFiles.includes(file) && impureModules.test(target),
  )
  assert.deepEqual(wrong, [])
})

test('every folder of src stands in the table', () => {
  assert.deepEqual(
    [...new Set(files.map((file) => file.split('/')[1]!))].filter((folder) => !(folder in mayImport)),
    [],
  )
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

/** These change a kernel themselves. */
const kernelCommands = ['agent', 'bgp-speak', 'clean', 'lab', 'lab-options']

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
