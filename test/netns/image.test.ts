// The image cannot be built in a test; what it is built from, and what is in it, can be looked at.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { must } from '../e2e/harness.ts'

const root = new URL('../..', import.meta.url).pathname

/** What `COPY A B C FOLDER` takes from the clone. */
function copiedFiles(dockerfile: string): string[] {
  return [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, list]) => list!.split(' '))
}

test('the Dockerfile copies what is there, and all that its steps read', () => {
  const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
  const copied = copiedFiles(dockerfile)
  for (const path of copied) assert.ok(existsSync(join(root, path)), path)
  // the scripts of its RUN steps name files of the clone from its root
  const scripts = ['scripts/setup.sh', 'scripts/image.sh', 'scripts/bundle.ts'].map((path) =>
    readFileSync(path, 'utf8'),
  )
  const named =
    scripts.join('\n').match(/(?<![\w/.-])(native|src|scripts)\/[\w./-]+|package-lock\.json|LICENSE/g) ??
    ([] as string[])
  assert.ok(named.includes('native/cni-shim.c') && named.includes('src/cli/main.ts'))
  for (const path of new Set(named)) {
    assert.ok(
      copied.some((each) => path === each || path.startsWith(`${each}/`)),
      `${path} is read, and not copied`,
    )
  }
  const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n')
  assert.deepEqual(
    copied.filter((path) => ignored.includes(path)),
    [],
  )
})

test("the image's files run on their own, and are small but for Node", (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'image-'))
  t.after(() => rmSync(folder, { recursive: true }))
  must('sh', join(root, 'scripts/setup.sh'), 'ebpf')
  must('sh', join(root, 'scripts/image.sh'), folder)
  const run = (...args: string[]) =>
    spawnSync('sh', [join(folder, 'causeway/scripts/run.sh'), 'build/bundle/causeway.cjs', ...args], {
      encoding: 'utf8',
      cwd: '/',
      env: { PATH: process.env['PATH'] },
    })
  const help = run('help')
  assert.equal(help.status, 0, help.stderr)
  assert.match(help.stdout, /agent +run the node agent/)
  // it gets as far as reading its settings: everything it loads is there
  assert.match(run('agent').stderr, /^causeway: CAUSEWAY_NODE_NAME="": expected the name/)
  assert.ok(statSync(join(folder, 'causeway/build/causeway-cni')).mode & 0o111)
  // found by its name, and needs no library of the image
  const relay = spawnSync(join(folder, 'usr/local/bin/causeway-api-relay'), {
    encoding: 'utf8',
    env: { CAUSEWAY_RUN_DIR: folder },
  })
  assert.equal(relay.stderr, `causeway-api-relay: ${folder}/agent.sock: No such file or directory\n`)
  for (const name of ['datapath', 'trace']) assert.ok(existsSync(join(folder, `causeway/build/bpf/${name}.bpf.o`)))
  assert.equal(readFileSync(join(folder, 'usr/local/bin/causeway'), 'utf8').split('\n')[0], '#!/bin/sh')
  const [kilobytes] = must('du', '-sk', folder).split('\t')
  const node = statSync(join(folder, 'causeway/node_modules/.bin/node')).size
  assert.ok(Number(kilobytes) * 1024 - node < 10 << 20, `${kilobytes} kB`)
})
