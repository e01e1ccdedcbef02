import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

test('an agent that lacks a setting names the mistyped variable that may have it', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['src/cli/main.ts', 'agent'], {
    encoding: 'utf8',
    env: { CAUSEWAY_NODE_NAM: 'node-1' },
  })
  assert.equal(status, 2)
  assert.match(stdout, /CAUSEWAY_NODE_NAM is no setting of the agent; did you mean CAUSEWAY_NODE_NAME\?/)
  assert.match(stderr, /causeway: CAUSEWAY_NODE_NAME="": expected the name of this node's Node object/)
})
