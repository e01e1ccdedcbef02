import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readSysctl, useProcSys, writeSysctl } from './sysctl.ts'

test('sysctls are read and written below the folder that useProcSys was given', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sysctl-'))
  t.after(() => {
    useProcSys('/proc/sys')
    rmSync(folder, { recursive: true })
  })
  mkdirSync(join(folder, 'net'))
  assert.notEqual(readSysctl('kernel/ostype'), undefined)
  useProcSys(folder)
  assert.equal(readSysctl('kernel/ostype'), undefined)
  writeSysctl('net/example', '7')
  assert.equal(readFileSync(join(folder, 'net/example'), 'utf8'), '7')
  assert.equal(readSysctl('net/example'), '7')
})
