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
  settings: ['model', 'lib'],
  cluster: ['model', 'lib'],
  controller: ['cluster', 'plan', 'model', 'lib'],
  policy: ['model', 'lib'],
  plan: ['wire', 'model', 'lib', 'policy'],
  bgp: ['wire', 'model', 'lib'],
  reconcile: ['kernel', 'sys', 'wire', 'model', 'lib'],
  datapath: ['reconcile', 'kernel', 'sys', 'plan', 'wire', 'model', 'lib'],
  trace: ['wire', 'kernel', 'policy', 'model', 'lib'],
  agent: [
    'bgp',
    'cluster',
    'datapath',
    'kernel',
    'lib',
    'model',
    'plan',
    'policy',
    'reconcile',
    'settings',
    'sys',
    'trace',
    'wire',
  ],
  lab: [
    'agent',
    'cluster',
    'datapath',
    'install',
    'kernel',
    'lib',
    'model',
    'plan',
    'reconcile',
    'settings',
    'sys',
    'wire',
  ],
  install: ['cluster', 'settings', 'model', 'lib'],
  cli: ['lab', 'install', 'controller', 'agent', 'cluster', 'settings', 'model', 'lib'],
}

/** Pure rooms: same input, same output. No I/O, no clock. */
const pure = ['lib', 'wire', 'model', 'plan', 'policy', 'settings']
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
    ({ file, folder, target }) => !file.endsWith('.test.ts') && pure.includes(folder) && impureModules.test(target),
  )
  assert.deepEqual(wrong, [])
})

test('every folder of src stands in the table', () => {
  assert.deepEqual(
    [...new Set(files.map((file) => file.split('/')[1]!))].filter((folder) => !(folder in mayImport)),
    [],
  )
})
