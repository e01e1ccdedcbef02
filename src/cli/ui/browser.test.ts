import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { openInBrowser } from './browser.ts'

test('the browser gets the address by a file that nobody else may read, and no process has it among its arguments', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-open-'))
  const path = process.env['PATH']
  t.after(() => {
    process.env['PATH'] = path
    rmSync(folder, { recursive: true })
  })
  process.env['PATH'] = folder
  await assert.rejects(openInBrowser('http://127.0.0.1:1/#token=secret'), /ENOENT/)
  const told = join(folder, 'told')
  const opener = join(folder, 'xdg-open')
  writeFileSync(
    opener,
    `#!/bin/sh\n{ echo "$@"; /usr/bin/stat -c '%a %n' "$1" "\${1%/*}"; /bin/cat "$1"; } >${told}.new\n/bin/mv ${told}.new ${told}\n`,
  )
  chmodSync(opener, 0o755)
  await openInBrowser('http://127.0.0.1:1/#token=secret')
  while (!existsSync(told)) await sleep(5)
  const [args = '', file = '', dir = '', html = ''] = readFileSync(told, 'utf8').split('\n')
  assert.doesNotMatch(args, /secret/)
  assert.match(file, /^600 /)
  assert.match(dir, /^700 /)
  assert.match(html, /content="0;url=http:\/\/127\.0\.0\.1:1\/#token=secret"/)
})
