import assert from 'node:assert/strict'
import { test } from 'node:test'
import { viewOf } from '#/lib/bytes.ts'
import { type CapturedPacket, encodePcapng } from './pcapng.ts'

type Block = { readonly type: number; readonly body: Uint8Array }

/** The blocks of a file, each with the same length before and behind. */
function blocksOf(file: Uint8Array): Block[] {
  const blocks: Block[] = []
  for (let at = 0; at < file.length;) {
    const length = viewOf(file).getUint32(at + 4, true)
    assert.ok(length >= 12 && length % 4 === 0 && at + length <= file.length)
    assert.equal(viewOf(file).getUint32(at + length - 4, true), length)
    blocks.push({ type: viewOf(file).getUint32(at, true), body: file.subarray(at + 8, at + length - 4) })
    at += length
  }
  return blocks
}

function optionsOf(body: Uint8Array, start: number): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>()
  for (let at = start; at < body.length;) {
    const [code, length] = [viewOf(body).getUint16(at, true), viewOf(body).getUint16(at + 2, true)]
    if (code === 0) {
      assert.equal(at + 4, body.length)
      break
    }
    options.set(code, body.subarray(at + 4, at + 4 + length))
    at += 4 + length + ((4 - (length % 4)) % 4)
  }
  return options
}

const frame = Uint8Array.from({ length: 61 }, (_, at) => at)
const packet = (changes: Partial<CapturedPacket> = {}): CapturedPacket => ({
  interfaceName: 'node-1/eth0',
  startsAt: 'link',
  timeNs: 1_800_000_000_123_456_789n,
  lengthBytes: 1514,
  bytes: frame,
  ...changes,
})

test('a section, an interface for each place and kind of first header, and the packets', () => {
  const file = encodePcapng(
    [
      packet({ direction: 'in', comment: 'dropped: NETFILTER_DROP' }),
      packet({ interfaceName: 'node-2/eth0', direction: 'out' }),
      packet({ startsAt: 'network' }),
      packet(),
    ],
    'causeway',
  )
  const blocks = blocksOf(file)
  assert.deepEqual(
    blocks.map(({ type }) => type),
    [0x0a0d0d0a, 1, 6, 1, 6, 1, 6, 6],
  )
  const [section, first, captured, , outgoing, network, , again] = blocks.map(({ body }) => body)
  assert.equal(viewOf(section!).getUint32(0, true), 0x1a2b3c4d)
  assert.equal(Buffer.from(optionsOf(section!, 16).get(4)!).toString(), 'causeway')
  assert.equal(viewOf(first!).getUint16(0, true), 1)
  assert.equal(Buffer.from(optionsOf(first!, 8).get(2)!).toString(), 'node-1/eth0')
  assert.deepEqual([...optionsOf(first!, 8).get(9)!], [9])
  assert.equal(viewOf(network!).getUint16(0, true), 101)
  const view = viewOf(captured!)
  assert.equal((BigInt(view.getUint32(4, true)) << 32n) | BigInt(view.getUint32(8, true)), 1_800_000_000_123_456_789n)
  assert.deepEqual([view.getUint32(0, true), view.getUint32(12, true), view.getUint32(16, true)], [0, 61, 1514])
  assert.deepEqual(captured!.subarray(20, 81), frame)
  const options = optionsOf(captured!, 84)
  assert.equal(Buffer.from(options.get(1)!).toString(), 'dropped: NETFILTER_DROP')
  assert.deepEqual([...options.get(2)!], [1, 0, 0, 0])
  assert.deepEqual([...optionsOf(outgoing!, 84).get(2)!], [2, 0, 0, 0])
  assert.equal(viewOf(again!).getUint32(0, true), 0)
  assert.equal(again!.length, 84)
})

test('a file without packets is a section', () => {
  assert.deepEqual(
    blocksOf(encodePcapng([], 'causeway')).map(({ type }) => type),
    [0x0a0d0d0a],
  )
})
