import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { silent } from '#/lib/log.ts'
import { ConflistFile } from './conflist-file.ts'
import { type Conflist, conflistFor } from './conflist.ts'

class Scene implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'conflist-'))
  readonly path = join(this.folder, '10-causeway.conflist')
  nowMs = 0
  readonly file = new ConflistFile(this.path, { log: silent, nowMs: () => this.nowMs })

  turn(): void {
    this.nowMs += 10_000
    const found = this.file.look()
    this.file.put(conflistFor([], found))
  }

  get list(): Conflist {
    return JSON.parse(readFileSync(this.path, 'utf8')) as Conflist
  }

  get types(): unknown[] {
    return this.list.plugins.map(({ type }) => type)
  }

  /** As a service mesh does: the whole list, with another order of fields and form. */
  add(type: string): void {
    const { plugins, ...rest } = this.list
    writeFileSync(this.path, JSON.stringify({ plugins: [...plugins, { type }], ...rest }))
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true })
  }
}

test('a file that says what it should is left alone, in whatever form and mode another wrote it', () => {
  using scene = new Scene()
  scene.turn()
  scene.add('mesh-cni')
  chmodSync(scene.path, 0o644)
  const { ino } = statSync(scene.path)
  scene.turn()
  assert.equal(statSync(scene.path).ino, ino)
  assert.deepEqual(scene.types, ['causeway-cni', 'mesh-cni'])
  // whoever can write it could have the runtime execute anything
  chmodSync(scene.path, 0o666)
  scene.turn()
  assert.equal(statSync(scene.path).mode & 0o777, 0o600)
})

test('entries of others come back when the file was deleted, removed by us, or spoilt', () => {
  using scene = new Scene()
  scene.turn()
  scene.add('mesh-cni')
  scene.turn()
  rmSync(scene.path)
  scene.turn()
  assert.deepEqual(scene.types, ['causeway-cni', 'mesh-cni'])
  scene.add('scan')
  scene.file.remove()
  assert.ok(!existsSync(scene.path))
  scene.turn()
  assert.deepEqual(scene.types, ['causeway-cni', 'mesh-cni', 'scan'])
  writeFileSync(scene.path, '{"plugins": [')
  scene.turn()
  assert.equal(readFileSync(scene.path, 'utf8'), '{"plugins": [', 'somebody may be writing just now')
  scene.turn()
  assert.deepEqual(scene.types, ['causeway-cni', 'mesh-cni', 'scan'])
})

test('an agent without memory takes over what it finds', () => {
  using scene = new Scene()
  scene.turn()
  scene.add('mesh-cni')
  const later = new ConflistFile(scene.path, { log: silent, nowMs: () => 0 })
  later.put(conflistFor([], later.look()))
  assert.deepEqual(scene.types, ['causeway-cni', 'mesh-cni'])
})

test('a writer that insists is not fought: the pause grows, a problem says so, and both end when it stops', () => {
  using scene = new Scene()
  scene.turn()
  let rewrites = 0
  for (let turn = 0; turn < 60; turn++) {
    writeFileSync(scene.path, JSON.stringify({ ...scene.list, name: 'theirs' }))
    scene.turn()
    if (scene.list['name'] === 'causeway') rewrites++
  }
  assert.ok(rewrites >= 5 && rewrites <= 12, `${rewrites} rewrites in ten minutes`)
  const [contested] = scene.file.problems
  assert.match(
    contested!.message,
    /^somebody changes what Causeway wrote: it was put right \d+ times in a row, and is put right again at the earliest \d+ s after/,
  )
  for (let turn = 0; turn < 250; turn++) scene.turn()
  assert.equal(scene.list['name'], 'causeway')
  assert.deepEqual(scene.file.problems, [])
})
