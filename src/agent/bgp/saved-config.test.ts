import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { configOf, member, planFor } from '#/plan/testing/bgp-scene.ts'
import { SavedConfig, savedConfigName } from './saved-config.ts'

test('what is saved is read by the next agent, for root alone, and goes when no speaker is wanted, whoever wrote it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'saved-config-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const config = configOf(planFor(member(1), [member(2)]))
  new SavedConfig(folder).write(JSON.stringify(config))
  assert.equal(statSync(join(folder, savedConfigName)).mode & 0o777, 0o600)
  const next = new SavedConfig(folder)
  assert.deepEqual(next.read(), config)
  next.write(undefined)
  assert.ok(!existsSync(join(folder, savedConfigName)))
  assert.equal(next.read(), undefined)
  next.write(undefined)
  next.write(JSON.stringify(config))
  assert.deepEqual(next.read(), config)
})
