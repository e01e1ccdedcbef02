// Loading object files of eBPF, their maps and programs, against the real kernel; bpftool is the independent reader.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { BpfError } from '#/kernel/bpf/error.ts'
import { viewOf } from '#/lib/bytes.ts'
import { deleteEntries, setEntries } from '#/kernel/bpf/map-batch.ts'
import { loadObject } from '#/kernel/bpf/object.ts'
import { RingBuffer } from '#/kernel/bpf/ring-buffer.ts'
import { mustMatch } from '#/kernel/bpf/must-match.ts'
import { PerCpuMap, TypedMap } from './typed-map.ts'
import { bpfObjectPath } from '#/kernel/bpf/object-file.ts'
import { possibleCpus } from '#/sys/cpus.ts'
import { Struct } from '#/wire/bpf/layout.ts'
import { mapLayouts, programNames } from '#/wire/bpf/maps.ts'
import { probeObject } from './bpf-fixture.ts'

const index = new Struct('index', { index: 'u32' })
const count = new Struct('count', { packets: 'u64', bytes: 'u64' })
const prefix = new Struct('prefix', { length: 'u32', addr: { bytes: 4 } })
const layouts = {
  hash: { type: 'hash', key: index, value: count, maxEntries: 1024 },
  trie: { type: 'lpm_trie', key: prefix, value: count, maxEntries: 4 },
  counts: { type: 'percpu_array', key: index, value: count, maxEntries: 4 },
  percpuHash: { type: 'percpu_hash', key: index, value: count, maxEntries: 8 },
} as const

const failsWith = (pattern: RegExp, code?: string) => (error: unknown) => {
  assert.ok(error instanceof BpfError, String(error))
  assert.match(error.message, pattern)
  assert.equal(error.code, code)
  return true
}

test('the programs of the datapath are accepted by the kernel, and their maps are as src/wire/bpf says', async () => {
  using object = await loadObject({ bytes: readFileSync(bpfObjectPath()) })
  for (const [name, layout] of Object.entries(mapLayouts)) {
    mustMatch(object.maps.get(name)!, layout)
  }
  for (const name of programNames) {
    const { info } = object.programs.get(name)!
    assert.ok(info.verifiedInstructions > 0 && info.xlatedBytes > 0 && info.mapIds.length > 0, name)
  }
})

test('entries of a hash: written, read, listed, removed', async () => {
  using object = await loadObject({ bytes: probeObject() })
  const map = new TypedMap(object.maps.get('pt_hash')!, layouts.hash)
  assert.equal(map.get({ index: 7 }), undefined)
  assert.equal(map.delete({ index: 7 }), false)
  assert.deepEqual(map.entries(), [])
  map.set({ index: 7 }, { packets: 1n, bytes: 2n })
  map.set({ index: 7 }, { packets: 3n, bytes: 4n }, 'existing')
  assert.throws(
    () => map.set({ index: 7 }, { packets: 0n, bytes: 0n }, 'new'),
    failsWith(/pt_hash: write an entry: EEXIST/, 'EEXIST'),
  )
  assert.throws(() => map.set({ index: 8 }, { packets: 0n, bytes: 0n }, 'existing'), failsWith(/ENOENT/, 'ENOENT'))
  assert.deepEqual(map.get({ index: 7 }), { packets: 3n, bytes: 4n })
  const wanted = Array.from({ length: 1024 }, (_, at) => [{ index: at }, { packets: BigInt(at), bytes: 9n }] as const)
  for (const [key, value] of wanted) map.set(key, value)
  assert.deepEqual(
    map.entries().sort(([a], [b]) => a.index - b.index),
    wanted,
  )
  assert.throws(
    () => map.set({ index: 5000 }, { packets: 0n, bytes: 0n }),
    failsWith(/^map pt_hash: write an entry: E2BIG: it is full: it holds 1024 entries$/, 'E2BIG'),
  )
  assert.equal(map.delete({ index: 7 }), true)
  assert.equal(map.entries().length, 1023)
})

test('entries of a trie: the longest prefix counts for reading, and a full one says so', async () => {
  using object = await loadObject({ bytes: probeObject() })
  const map = new TypedMap(object.maps.get('pt_trie')!, layouts.trie)
  const key = (length: number, ...addr: number[]) => ({ length, addr: Uint8Array.from(addr) })
  map.set(key(8, 10, 0, 0, 0), { packets: 8n, bytes: 0n })
  map.set(key(16, 10, 1, 0, 0), { packets: 16n, bytes: 0n })
  assert.equal(map.get(key(32, 10, 1, 2, 3))!.packets, 16n)
  assert.equal(map.get(key(32, 10, 2, 2, 3))!.packets, 8n)
  assert.equal(map.get(key(32, 11, 2, 2, 3)), undefined)
  assert.deepEqual(
    map
      .entries()
      .map(([{ length }, { packets }]) => [length, packets] as const)
      .sort(([a], [b]) => b - a),
    [
      [16, 16n],
      [8, 8n],
    ],
  )
  map.set(key(24, 10, 1, 1, 0), { packets: 0n, bytes: 0n })
  map.set(key(24, 10, 1, 2, 0), { packets: 0n, bytes: 0n })
  assert.throws(() => map.set(key(24, 10, 1, 3, 0), { packets: 0n, bytes: 0n }), failsWith(/it is full/, 'ENOSPC'))
})

for (const name of ['pt_hash', 'pt_trie'] as const)
  test(`many entries of ${name} at once: those before one that the kernel refuses are written, and removing knows of none`, async () => {
    using object = await loadObject({ bytes: probeObject() })
    const map = object.maps.get(name)!
    const most = map.info.maxEntries
    const entries = Array.from({ length: most + 2 }, (_, at) => {
      const [key, value] = [new Uint8Array(map.info.keyBytes), new Uint8Array(map.info.valueBytes)]
      if (name === 'pt_trie') key.set([32, 0, 0, 0])
      viewOf(key).setUint32(map.info.keyBytes - 4, at, true)
      viewOf(value).setUint32(0, at, true)
      return { key, value }
    })
    assert.throws(() => setEntries(map, entries), failsWith(/it is full/, name === 'pt_trie' ? 'ENOSPC' : 'E2BIG'))
    assert.equal(map.entries().length, most)
    for (const { key, value } of entries.slice(0, most)) assert.deepEqual(map.get(key), value)
    const [first, second, ...others] = entries
    deleteEntries(map, [second!, ...entries.slice(most)])
    assert.equal(map.get(second!.key), undefined)
    deleteEntries(map, [first!, second!, ...others])
    assert.deepEqual(map.entries(), [])
  })

test('values per CPU: read one for each CPU, listed, and set to zero', async () => {
  using object = await loadObject({ bytes: probeObject() })
  const counts = new PerCpuMap(object.maps.get('pt_counts')!, layouts.counts)
  const frame = new Uint8Array(60)
  object.programs.get('pt_first')!.testRun({ data: frame, repeat: 5 })
  object.programs.get('pt_second')!.testRun({ data: frame, repeat: 3 })
  const sum = (values: { packets: bigint; bytes: bigint }[]) =>
    values.reduce((total, { packets }) => total + packets, 0n)
  assert.equal(counts.get({ index: 0 })!.length, possibleCpus())
  assert.equal(sum(counts.get({ index: 0 })!), 5n)
  assert.deepEqual(
    counts.entries().map(([key, values]) => [key.index, sum(values)]),
    [
      [0, 5n],
      [1, 3n],
      [2, 0n],
      [3, 0n],
    ],
  )
  counts.clear({ index: 0 })
  assert.equal(sum(counts.get({ index: 0 })!), 0n)
  assert.equal(counts.get({ index: 9 }), undefined)
  const hash = new PerCpuMap(object.maps.get('pt_percpu_hash')!, layouts.percpuHash)
  for (let at = 0; at < 8; at++) hash.clear({ index: at })
  assert.deepEqual(
    hash
      .entries()
      .map(([key]) => key.index)
      .sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7],
  )
  assert.ok(hash.delete({ index: 3 }))
  assert.equal(hash.entries().length, 7)
})

test('programs run in the kernel as told: frame, context and verdict; one for system calls has its context', async () => {
  using object = await loadObject({ bytes: probeObject() })
  const frame = Uint8Array.from({ length: 60 }, (_, at) => at)
  const mark = Uint8Array.from({ length: 192 }, (_, at) => (at === 8 ? 41 : 0))
  const swapped = object.programs.get('pt_swap')!.testRun({ data: frame, ctx: mark, repeat: 1 })
  assert.equal(swapped.retval, 0)
  assert.deepEqual([...swapped.data.subarray(0, 14)], [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12, 13])
  assert.equal(swapped.ctx[8], 42)
  assert.equal(object.programs.get('pt_first')!.testRun({ data: frame }).retval, -1)
  const { retval, ctx } = object.programs.get('pt_clock')!.testRun({ ctx: new Uint8Array(16) })
  assert.equal(retval, 3)
  const [jiffies, ns] = new BigUint64Array(ctx.slice().buffer)
  assert.ok(jiffies! > 0n)
  assert.ok(process.hrtime.bigint() - ns! < 1_000_000_000n)
})

test('a ring buffer hands over every record, in order, past its end and over many turns', async () => {
  using object = await loadObject({ bytes: probeObject() })
  const program = object.programs.get('pt_events_out')!
  const got: number[][] = []
  const { promise: done, resolve } = Promise.withResolvers<void>()
  const rounds = 40
  using _ring = new RingBuffer(object.maps.get('pt_events')!, (bytes) => {
    got.push([bytes.length, bytes[0]!])
    if (got.length === 64 * rounds) resolve()
  })
  const mark = Uint8Array.from({ length: 192 }, (_, at) => (at === 8 ? 64 : 0))
  for (let round = 0; round < rounds; round++) {
    program.testRun({ data: new Uint8Array(60), ctx: mark })
    // two rounds fill a third of the buffer
    if (round % 2 === 1) while (got.length < 64 * (round + 1)) await new Promise((next) => setTimeout(next, 1))
  }
  await done
  assert.deepEqual(
    got,
    Array.from({ length: 64 * rounds }, (_, at) => [(at % 64) + 1, (at % 64) + 1]),
  )
  assert.throws(() => new RingBuffer(object.maps.get('pt_hash')!, () => {}), failsWith(/no ring buffer, but a hash/))
})

test('a ring buffer may be closed while it hands over a record', async () => {
  using object = await loadObject({ bytes: probeObject() })
  const { promise, resolve } = Promise.withResolvers<number>()
  let taken = 0
  const ring = new RingBuffer(object.maps.get('pt_events')!, () => {
    if (++taken < 3) return
    ring[Symbol.dispose]()
    resolve(taken)
  })
  const mark = Uint8Array.from({ length: 192 }, (_, at) => (at === 8 ? 10 : 0))
  object.programs.get('pt_events_out')!.testRun({ data: new Uint8Array(60), ctx: mark })
  assert.equal(await promise, 3)
  // the next reader goes on behind
  const left: number[] = []
  const { promise: last, resolve: atLast } = Promise.withResolvers<void>()
  using _next = new RingBuffer(object.maps.get('pt_events')!, (bytes) => {
    left.push(bytes[0]!)
    if (left.length === 7) atLast()
  })
  await last
  assert.deepEqual(left, [4, 5, 6, 7, 8, 9, 10])
})
