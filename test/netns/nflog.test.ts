// Packets that rules log, read by us.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { KernelError } from '#/kernel/netlink.ts'
import { listenToGroup } from '#/kernel/nflog.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { type NflogPacket } from '#/wire/nflog/messages.ts'
import { type NftTable } from '#/wire/nftables/ruleset.ts'
import { TestNetns } from './namespace.ts'

const group = 4711
const fail = (error: unknown): void => assert.fail(String(error))

const logging = (limit: boolean): NftTable => ({
  family: 'inet',
  name: 'causeway-test',
  sets: [],
  chains: [
    {
      name: 'output',
      hook: { type: 'filter', hook: 'output', priority: 0 },
      rules: [
        {
          comment: 'log',
          match: [
            { kind: 'l4protos', protocols: ['icmp', 'icmpv6'] },
            ...(limit ? [{ kind: 'limit', packetsPerSecond: 1, burst: 3 } as const] : []),
          ],
          action: { kind: 'log', group, prefix: 'CW deny pod-a: ', snaplen: 28, counter: true },
        },
      ],
    },
  ],
})

let ns: TestNetns
let client: NftClient
beforeEach(() => {
  ns = new TestNetns()
  ns.sh('ip link set lo up')
  client = new NftClient(ns.netns)
})
afterEach(() => {
  client[Symbol.dispose]()
  ns[Symbol.dispose]()
})

async function until(isTrue: () => boolean): Promise<void> {
  for (let round = 0; !isTrue(); round++) {
    assert.ok(round < 300, 'it takes too long')
    await sleep(10)
  }
}

describe('a group of NFLOG', () => {
  test('gives what a rule logs, with prefix, devices and the first bytes', async () => {
    client.replaceTable(logging(false))
    const seen: NflogPacket[] = []
    using listener = listenToGroup(group, (packet) => seen.push(packet), fail, ns.netns)
    ns.sh('ping -c1 -W1 127.0.0.1; ping -c1 -W1 ::1')
    await until(() => seen.length >= 4)
    const [echo, , echo6] = seen
    const { packet, ...known } = echo!
    assert.deepEqual(known, {
      group,
      family: 2,
      prefix: 'CW deny pod-a: ',
      etherType: 0x0800,
      hook: 3,
      mark: 0,
      inDevice: undefined,
      outDevice: 1,
      physicalInDevice: undefined,
      physicalOutDevice: undefined,
      sequence: 0,
    })
    assert.equal(packet.length, 28)
    assert.deepEqual([...packet.subarray(12, 21)], [127, 0, 0, 1, 127, 0, 0, 1, 8])
    assert.equal(echo6!.family, 10)
    assert.equal(echo6!.packet[0]! >> 4, 6)
    assert.equal(listener.lost, 0)
  })

  test('is limited by the rule, while its counter counts what was logged', async () => {
    client.replaceTable(logging(true))
    let seen = 0
    using _listener = listenToGroup(group, () => seen++, fail, ns.netns)
    ns.sh('ping -c20 -i0.002 -W1 -q 127.0.0.1')
    await until(() => seen >= 3)
    await sleep(200)
    assert.ok(seen < 6, `${seen}`)
    const [counter] = await client.readCounters('inet', 'causeway-test')
    assert.equal(counter?.packets, seen)
  })

  test('has one listener at a time', () => {
    using _listener = listenToGroup(group, () => {}, fail, ns.netns)
    assert.throws(
      () => listenToGroup(group, () => {}, fail, ns.netns),
      (error) =>
        error instanceof KernelError &&
        error.message.startsWith('listen to NFLOG group 4711: EPERM: another socket listens to it'),
    )
  })

  test('can be listened to again after the listener is gone', async () => {
    client.replaceTable(logging(false))
    listenToGroup(group, fail, fail, ns.netns)[Symbol.dispose]()
    let seen = 0
    using _listener = listenToGroup(group, () => seen++, fail, ns.netns)
    ns.sh('ping -c1 -W1 127.0.0.1')
    await until(() => seen === 2)
  })

  test('an error of whoever takes packets ends the listening, and is told', async () => {
    client.replaceTable(logging(false))
    const errors: unknown[] = []
    const taker = (): void => {
      throw new Error('no more')
    }
    using _listener = listenToGroup(group, taker, (error) => errors.push(error), ns.netns)
    ns.sh('ping -c1 -W1 127.0.0.1')
    await until(() => errors.length > 0)
    assert.match(String(errors[0]), /no more/)
  })

  test('counts packets that came faster than they were taken', async () => {
    client.replaceTable(logging(false))
    let seen = 0
    using listener = listenToGroup(group, () => seen++, fail, ns.netns)
    // the event loop stands still meanwhile, and the socket takes some thousand packets
    const flood = ns.netns.run(() => spawnSync('ping', ['-f', '-c40000', '-q', '127.0.0.1'], { timeout: 20_000 }))
    assert.equal(flood.status, 0)
    await until(() => seen > 0)
    for (let before = -1; before !== seen;) {
      before = seen
      await sleep(150)
    }
    // the next one shows how many were lost before it
    ns.sh('ping -c1 -W1 127.0.0.1')
    await until(() => seen + listener.lost >= 80_002)
    assert.equal(seen + listener.lost, 80_002)
    assert.ok(listener.lost > 0)
  })
})
