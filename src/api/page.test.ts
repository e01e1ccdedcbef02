import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { agentApiPage } from './page.ts'

test('docs/agent-api.md is what the table of operations gives', () => {
  const committed = readFileSync(new URL('../../docs/agent-api.md', import.meta.url), 'utf8')
  assert.equal(committed, agentApiPage(), 'make it anew: node scripts/agent-api-page.ts')
})
