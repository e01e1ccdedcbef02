// The bpffs of a lab: mounted once, usable, and gone again whatever is in it.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makePinFolder } from '#/kernel/bpf/pins.ts'
import { ensureBpffs } from '#/lab/bpffs.ts'
import { unmount } from '#/sys/mounts.ts'

function mountsOn(folder: string): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.split(' ')[1] === folder)
    .map((line) => line.split(' ')[2]!)
}

test('a bpffs is mounted once, and unmounting takes it away even while it is in use', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'mounts-'))
  t.after(() => rmSync(root, { recursive: true }))
  const folder = join(root, 'bpf')
  unmount(folder)
  ensureBpffs(folder)
  try {
    ensureBpffs(folder)
    assert.deepEqual(mountsOn(folder), ['bpf'])
    makePinFolder(join(folder, 'node-1/maps'))
    assert.ok(readdirSync(folder).includes('node-1'))
    const before = process.cwd()
    process.chdir(folder)
    try {
      unmount(folder)
    } finally {
      process.chdir(before)
    }
    assert.deepEqual([mountsOn(folder), readdirSync(folder)], [[], []])
    unmount(folder)
  } finally {
    unmount(folder)
  }
})
