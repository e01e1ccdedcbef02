import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { filesToClean, pluginsOfOthers, removeFiles } from './clean-files.ts'

test("an agent's files are removed, the CNI configuration first, and no other file is", (t) => {
  const root = mkdtempSync(join(tmpdir(), 'clean-files-'))
  t.after(() => rmSync(root, { recursive: true }))
  for (const folder of ['state/cni-spool', 'run', 'net.d']) mkdirSync(join(root, folder), { recursive: true })
  const ours = [
    'net.d/10-causeway.conflist',
    'state/endpoints.sqlite',
    'state/endpoints.sqlite-wal',
    'state/cni-spool',
    'run/cni.sock',
    'run/bgp-speaker.json',
  ]
  const others = ['net.d/99-loopback.conf', 'state/notes', 'run/other.sock']
  for (const name of [...ours.filter((each) => !each.endsWith('spool')), 'state/cni-spool/c1:eth0', ...others])
    writeFileSync(join(root, name), 'x')
  const folders = { stateDir: join(root, 'state'), runDir: join(root, 'run') }
  const found = filesToClean({ ...folders, confDir: join(root, 'net.d') })
  assert.deepEqual(
    found,
    ours.map((name) => join(root, name)),
  )
  assert.deepEqual(filesToClean({ ...folders, confDir: undefined }), found.slice(1))
  assert.deepEqual(pluginsOfOthers(found), [])
  writeFileSync(
    found[0]!,
    '{"plugins":[{"type":"causeway-cni","chained":["portmap"]},{"type":"portmap"},{"type":"mesh-cni"}]}',
  )
  assert.deepEqual(pluginsOfOthers(found), ['mesh-cni'])
  removeFiles(found)
  assert.deepEqual(filesToClean({ ...folders, confDir: join(root, 'net.d') }), [])
  for (const name of others) assert.ok(existsSync(join(root, name)), name)
})
