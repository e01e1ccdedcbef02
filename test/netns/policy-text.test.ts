// The policy tables as text: `nft -f` makes of it what the agent makes by itself.
import assert from 'node:assert/strict'
import { writeFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import fc from 'fast-check'
import { NftClient } from '#/kernel/nftables.ts'
import { Addr } from '#/lib/addr.ts'
import { bridgeTable } from '#/plan/policy/bridge-table.ts'
import { inetTable } from '#/plan/policy/inet-table.ts'
import { randomForm } from '#/plan/policy/testing/random-form.ts'
import { deltaLines } from '#/wire/nftables/delta-lines.ts'
import { renderTable } from '#/wire/nftables/render.ts'
import { TestNetns } from './namespace.ts'

test('nft makes the same tables of their text', async () => {
  using netns = new TestNetns()
  using client = new NftClient(netns.netns)
  const file = join(tmpdir(), `${netns.name}.nft`)
  const ports = new Map([['cwv00000000001', [Addr.parse('10.244.1.2'), Addr.parse('fd10::2')]]])
  try {
    for (const form of fc.sample(randomForm, 20))
      for (const table of [inetTable(form), bridgeTable(ports, '02:43:00:00:00:01', form.locals)]) {
        writeFileSync(file, renderTable(table))
        netns.sh(`nft flush ruleset; nft -f ${file}`)
        assert.deepEqual(deltaLines((await client.findDelta(table))!), [])
      }
  } finally {
    rmSync(file)
  }
})
