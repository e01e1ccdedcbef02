import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { ringOf } from '#/doctor/ring.ts'
import { clusterOf } from '#/doctor/testing/answers.ts'
import { type FollowedPacket, type PlannedPacket } from '#/doctor/types.ts'
import { followPackets } from './doctor-packets.ts'

test('packets are followed some at a time, three at most at each node, and told in their order', async () => {
  for (const nodes of [1, 2, 3, 40]) {
    const { packets } = ringOf(clusterOf(nodes))
    const busy = new Map<string, number>()
    let [running, most] = [0, 0]
    const follow = async (packet: PlannedPacket): Promise<FollowedPacket> => {
      const ends = new Set([packet.from.node, packet.to.node])
      for (const node of ends) busy.set(node, (busy.get(node) ?? 0) + 1)
      running++
      most = Math.max(most, running)
      assert.ok([...ends].every((node) => busy.get(node)! <= 3) && running <= 8)
      for (let turns = packets.indexOf(packet) % 7; turns >= 0; turns--) await turn()
      for (const node of ends) busy.set(node, busy.get(node)! - 1)
      running--
      return { ...packet, verdict: { outcome: 'answered', text: '' } }
    }
    const followed = await followPackets(packets, follow)
    assert.deepEqual(
      followed.map(({ verdict: _verdict, ...packet }) => packet),
      packets,
    )
    assert.ok(nodes < 3 || most > 2)
  }
  assert.deepEqual(await followPackets([], async () => Promise.reject(new Error('none'))), [])
})
