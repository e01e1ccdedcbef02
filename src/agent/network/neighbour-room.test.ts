import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silent } from '#/lib/log.ts'
import { problemId } from '#/model/problems.ts'
import { NeighbourRoom, type TableUse } from './neighbour-room.ts'

const use = (some: Partial<TableUse> = {}): TableUse => ({
  family: 4,
  name: 'arp_cache',
  entries: 100,
  most: 1024,
  permanent: 0,
  refusals: 500n,
  ...some,
})

function watched() {
  let uses: readonly TableUse[] | Error = []
  let nowMs = 0
  let changes = 0
  const room = new NeighbourRoom({
    onChange: () => changes++,
    log: silent,
    clock: { monotonicMs: () => nowMs, wallMs: () => nowMs, after: () => () => {} },
    read: async () => {
      if (uses instanceof Error) throw uses
      return uses
    },
  })
  return {
    /** What is told after a look, 10 s after the one before. */
    async look(...now: readonly TableUse[]): Promise<readonly string[]> {
      uses = now
      nowMs += 10_000
      await room.look()
      return room.problems.map(({ object, message }) => `${object}: ${message}`)
    },
    async fail(): Promise<readonly string[]> {
      uses = new Error('EPERM')
      await room.look()
      return room.problems.map(problemId)
    },
    room,
    changes: () => changes,
  }
}

test('a table that is nearly full is a problem until a tenth of it is free', async () => {
  const { look, changes, room } = watched()
  assert.deepEqual(await look(use({ entries: 972 })), [])
  const full = "neighbours/IPv4: 973 of 1024 entries of the kernel's table are in use"
  assert.deepEqual(await look(use({ entries: 973 })), [full])
  assert.match(
    room.problems[0]!.remedy,
    /sysctl -w net\.ipv4\.neigh\.default\.gc_thresh3=2048 net\.ipv4\.neigh\.default\.gc_thresh2=1024 net\.ipv4\.neigh\.default\.gc_thresh1=512/,
  )
  assert.equal((await look(use({ entries: 922 }))).length, 1)
  assert.deepEqual(await look(use({ entries: 921 })), [])
  assert.deepEqual(await look(use({ entries: 960 })), [])
  assert.equal(changes(), 2)
})

test('permanent entries take no room', async () => {
  const { look } = watched()
  assert.deepEqual(await look(use({ entries: 1500, permanent: 600 })), [])
  assert.equal((await look(use({ entries: 1500, permanent: 500 }))).length, 1)
})

test('what the kernel refused in the last minute is told with its number, what it refused before is not', async () => {
  const { look } = watched()
  assert.deepEqual(await look(use(), use({ family: 6 })), [], 'since the boot')
  const told = "neighbours/IPv6: 100 of 1024 entries of the kernel's table are in use, and new ones were refused"
  assert.deepEqual(await look(use(), use({ family: 6, refusals: 507n })), [`${told} 7 times in the last minute`])
  assert.deepEqual(await look(use(), use({ family: 6, refusals: 510n })), [`${told} 10 times in the last minute`])
  for (let seconds = 10; seconds < 60; seconds += 10)
    assert.equal((await look(use(), use({ family: 6, refusals: 510n }))).length, 1, `${seconds} s after the last one`)
  assert.deepEqual(await look(use(), use({ family: 6, refusals: 510n })), [])
})

test('a kernel that counts no refusals, or has no limit to reach, is watched as far as it tells', async () => {
  const { refusals: _, ...uncounted } = use()
  const { look } = watched()
  assert.deepEqual(await look(uncounted), [])
  assert.equal((await look({ ...uncounted, entries: 1024 })).length, 1)
})

test('what cannot be read leaves what was told', async () => {
  const { look, fail } = watched()
  assert.equal((await look(use({ entries: 1024 }))).length, 1)
  assert.deepEqual(await fail(), ['CW8107 neighbours/IPv4'])
})
