// What network policies need of the nftables client, against a real kernel and with the `nft` binary as the second opinion.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { NftClient } from '#/kernel/nftables.ts'
import { nftDelta } from '#/wire/nftables/compare-delta.ts'
import { differences, sameTable } from '#/wire/nftables/compare.ts'
import { isEmptyDelta } from '#/wire/nftables/delta.ts'
import { renderTable } from '#/wire/nftables/render.ts'
import { type NftTable } from '#/wire/nftables/ruleset.ts'
import { bridgeTable, policyTable } from '#/wire/nftables/testing/policy-tables.ts'
import { TestNetns } from './namespace.ts'

let ns: TestNetns
let client: NftClient

beforeEach(() => {
  ns = new TestNetns()
  client = new NftClient(ns.netns)
})
afterEach(() => {
  client[Symbol.dispose]()
  ns[Symbol.dispose]()
})

function nft(script: string, where: TestNetns = ns): void {
  where.netns.run(() => execFileSync('nft', ['-f', '-'], { input: script, stdio: 'pipe' }))
}

/** What `nft` reads of a table, without what differs between any two tables. */
function listed({ family, name }: NftTable, where: TestNetns = ns): unknown {
  const json = where.netns.run(() => execFileSync('nft', ['-j', 'list', 'table', family, name], { encoding: 'utf8' }))
  return JSON.parse(json, (key, value: unknown) => (key === 'handle' || key === 'metainfo' ? undefined : value))
}

describe('a table of policies', () => {
  for (const table of [policyTable, bridgeTable]) {
    test(`${table.family}: is read back as what was asked for`, async () => {
      client.replaceTable(table)
      const actual = await client.readTable(table.family, table.name)
      assert.deepEqual(differences(table, actual), [])
      assert.ok(sameTable(table, actual))
      assert.ok(isEmptyDelta(nftDelta(table, actual)!))
    })

    test(`${table.family}: is what nft makes of its text`, () => {
      using other = new TestNetns()
      client.replaceTable(table)
      nft(renderTable(table), other)
      assert.deepEqual(listed(table), listed(table, other))
    })

    test(`${table.family}: is listed by nft in words that nft reads`, () => {
      client.replaceTable(table)
      const is = `${table.family} ${table.name}`
      const text = ns.sh(`nft list table ${is}`)
      for (const comment of text.matchAll(/comment "(.*)"/g)) assert.match(comment[1]!, /\[[0-9a-f]{8}\]$/)
      nft(`delete table ${is}\n${text}`)
      assert.equal(ns.sh(`nft list table ${is}`), text)
    })
  }
})
