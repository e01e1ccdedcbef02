import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensureFrrFolders, inFrrHome, zebraSocketIn } from '#/lab/routers/frr-home.ts'

test('zebra starts at once, and whoever needs it as soon as it answers', async (context) => {
  ensureFrrFolders()
  const folder = mkdtempSync(join(tmpdir(), 'frr-home-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const start = (daemon: string) => {
    const [program, ...args] = inFrrHome(folder, daemon, ['touch', `${daemon}-started`])
    const child = spawn(program!, args, { stdio: 'inherit' })
    context.after(() => child.kill('SIGKILL'))
    return { ended: once(child, 'exit') }
  }
  const bgpd = start('bgpd')
  assert.deepEqual(await start('zebra').ended, [0, null])
  assert.ok(existsSync(join(folder, 'zebra-started')))
  await sleep(100)
  assert.ok(!existsSync(join(folder, 'bgpd-started')))

  const zebra = createServer().listen(zebraSocketIn(folder))
  await once(zebra, 'listening')
  assert.deepEqual(await bgpd.ended, [0, null])
  assert.ok(existsSync(join(folder, 'bgpd-started')))
  zebra.close()
})
