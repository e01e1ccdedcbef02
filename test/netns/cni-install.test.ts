// The CNI installer on real file systems: read-only and full ones (in a mount namespace of the test's own), and killed.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

const root = new URL('../..', import.meta.url).pathname

/** A program that installs once into `folder`/bin and `folder`/conf and prints its problems, and what is in bin then. */
const installOnce = (folder: string): string => `
import { readdirSync, readFileSync } from 'node:fs'
import { CniInstaller } from '#/agent/cni-install/installer.ts'
import { silent } from '#/lib/log.ts'
const config = { binDir: '${folder}/bin', confDir: '${folder}/conf', plugin: '${folder}/plugin', chain: undefined }
const installer = new CniInstaller(config, { canServe: () => true, onChange() {}, log: silent })
installer.start()
installer[Symbol.dispose]()
const problems = installer.problems.map(({ object, message }) => object + ': ' + message)
console.log(JSON.stringify({ problems, files: readdirSync(config.binDir), plugin: readFileSync(config.binDir + '/causeway-cni', 'utf8') }))
`

/** Replaces `path` for ever, by one content and the other. */
const replaceForEver = (path: string): string => `
import { writeWholeFile } from '#/agent/whole-file.ts'
const contents = ['a', 'b'].map((letter) => Buffer.from(letter.repeat(300_000)))
writeWholeFile('${path}', contents[0], 0o600)
console.log('started')
for (let turn = 0; ; turn++) writeWholeFile('${path}', contents[turn % 2], 0o600)
`

function folderFor(t: { after: (fn: () => void) => void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'cni-install-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'plugin'), 'p'.repeat(100_000))
  return folder
}

type Outcome = { problems: string[]; files: string[]; plugin: string }

/** Runs the installer where `mounts`, a shell script, has prepared the file systems; nobody else sees them. */
function installWith(folder: string, mounts: string): Outcome {
  const script = `set -e; cd ${folder}; mkdir -p bin conf; ${mounts}; cd ${root}; exec "$0" --input-type=module -e "$1"`
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['--mount', 'sh', '-c', script, process.execPath, installOnce(folder)],
    { encoding: 'utf8' },
  )
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout) as Outcome
}

test('a read-only folder is told for each file, by its path', (t) => {
  const folder = folderFor(t)
  const { problems, plugin } = installWith(
    folder,
    'echo old > bin/causeway-cni; mount --bind -o ro bin bin; mount -t tmpfs -o ro none conf',
  )
  assert.equal(problems.length, 2)
  assert.match(problems[0]!, new RegExp(`^file${folder}/bin/causeway-cni: the CNI plugin cannot be installed: EROFS`))
  assert.match(problems[1]!, new RegExp(`^file${folder}/conf/10-causeway.conflist: the CNI configuration .*EROFS`))
  assert.equal(plugin, 'old\n')
})

test('a full file system is told, and the old plugin stays whole', (t) => {
  const folder = folderFor(t)
  const outcome = installWith(folder, 'mount -t tmpfs -o size=64k none bin; echo old > bin/causeway-cni')
  assert.equal(outcome.problems.length, 1)
  assert.match(
    outcome.problems[0]!,
    new RegExp(`^file${folder}/bin/causeway-cni: the CNI plugin cannot be installed: ENOSPC`),
  )
  assert.deepEqual(outcome.files, ['causeway-cni'])
  assert.equal(outcome.plugin, 'old\n')
})

test('killed at any moment, the file is the old one or the new one, whole', async (t) => {
  const path = join(folderFor(t), 'file')
  for (let round = 0; round < 25; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', replaceForEver(path)], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    await sleep(Math.random() * 12)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const content = readFileSync(path, 'latin1')
    assert.equal(content.length, 300_000)
    assert.ok(/^(a+|b+)$/.test(content), 'one content, not a mixture')
  }
})
