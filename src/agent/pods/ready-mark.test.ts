import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { silent } from '#/lib/log.ts'
import { ReadyMark } from './ready-mark.ts'

test('the mark is there while the node is ready, tells when that was, and outlives the agent', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const folder = mkdtempSync(join(tmpdir(), 'ready-mark-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'cni.sock.ready')
  let isReady = false
  let sinceBootMs = 5_000
  const mark = new ReadyMark(path, { isReady: () => isReady, sinceBootMs: () => sinceBootMs, log: silent })
  mark.start()
  assert.ok(!existsSync(path))
  isReady = true
  t.mock.timers.tick(10_000)
  assert.equal(readFileSync(path, 'utf8'), '5\n')
  sinceBootMs = 15_999
  t.mock.timers.tick(10_000)
  assert.equal(readFileSync(path, 'utf8'), '15\n')
  isReady = false
  t.mock.timers.tick(10_000)
  assert.ok(!existsSync(path))
  isReady = true
  t.mock.timers.tick(10_000)
  mark[Symbol.dispose]()
  sinceBootMs = 60_000
  t.mock.timers.tick(60_000)
  assert.equal(readFileSync(path, 'utf8'), '15\n')
})

test('a mark that cannot be written is told once', () => {
  const warnings: string[] = []
  const log = { ...silent, warn: (message: string) => void warnings.push(message) } as typeof silent
  const mark = new ReadyMark('/nonexistent/cni.sock.ready', { isReady: () => true, sinceBootMs: () => 0, log })
  mark.update()
  mark.update()
  assert.equal(warnings.length, 1)
})
