import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sightingStruct } from '#/wire/bpf/trace.ts'
import { decodeSighting } from './sighting.ts'

function text(value: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  new TextEncoder().encodeInto(value, bytes)
  return bytes
}

function record(changes: Partial<Parameters<typeof sightingStruct.encode>[0]> = {}): Uint8Array {
  return sightingStruct.encode({
    time_ns: 5n,
    skb: 0xffff_8880_0000_0000n,
    probe: 3,
    netns: 4026531840,
    device: 2,
    length: 98,
    captured: 3,
    mark: 0x100,
    place: 1,
    role: 2,
    flags: 3,
    reserved: new Uint8Array(5),
    device_name: text('eth0', 16),
    reason: text('SKB_DROP_REASON_NETFILTER_DROP', 64),
    location: text('nft_do_chain.isra.0 [nf_tables]', 64),
    bytes: text('abcdef', 256),
    ...changes,
  })
}

test('a sighting, field by field', () => {
  assert.deepEqual(decodeSighting(record()), {
    probe: 3,
    sighting: {
      timeNs: 5n,
      place: 'receive',
      role: 'answer',
      skb: 0xffff_8880_0000_0000n,
      netns: 4026531840,
      device: { index: 2, name: 'eth0' },
      lengthBytes: 98,
      startsAt: 'network',
      bytes: text('abc', 3),
      mark: 0x100,
      hasPartialChecksum: true,
    },
  })
  const other = decodeSighting(record({ device: 0, flags: 0 }))!.sighting
  assert.equal(other.device, undefined)
  assert.deepEqual([other.startsAt, other.hasPartialChecksum], ['link', false])
})

test("the kernel's reason of a drop, and a number for which it has no name", () => {
  const dropOf = (reason: string) => decodeSighting(record({ place: 4, reason: text(reason, 64) }))!.sighting.drop
  assert.deepEqual(dropOf('SKB_DROP_REASON_NETFILTER_DROP'), {
    reason: 'NETFILTER_DROP',
    function: 'nft_do_chain',
  })
  assert.equal(dropOf('65537')!.reason, 'reason 65537')
})

test('what only newer programs tell is passed over', () => {
  assert.equal(decodeSighting(record({ place: 99 })), undefined)
  assert.equal(decodeSighting(record({ role: 0 })), undefined)
})

test('what the kernel takes and frees without a reason is read, not dropped', () => {
  const freed = (reason: string) =>
    decodeSighting(record({ place: 4, reason: text(reason, 64), location: text('icmpv6_rcv', 64) }))!.sighting
  const taken = freed('SKB_DROP_REASON_NOT_SPECIFIED')
  assert.deepEqual([taken.place, taken.drop], ['read', undefined])
  assert.equal(freed('SKB_DROP_REASON_NO_SOCKET').place, 'drop')
})
