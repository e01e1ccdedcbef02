import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { Addr } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type Answers } from '#/plan/policy/ended.ts'
import { type Flow } from '#/wire/netlink/flow.ts'
import { EndedConnections, type Ends } from './ended-connections.ts'

const client = Addr.parse('10.244.1.2')
const web = Addr.parse('10.244.2.2')
const masqueraded = Addr.parse('172.30.1.1')

function flow(srcPort: number, protocol = 6): Flow & Ends {
  const answered = { addr: masqueraded, port: srcPort + 1 }
  return { protocol, src: client, srcPort, dst: web, dstPort: 80, answered, name: new Uint8Array() }
}

function scene(): { clock: ManualClock; ended: EndedConnections; blocked: Set<string> } {
  const clock = new ManualClock()
  const blocked = new Set<string>()
  const text = ({ src, srcPort, dst, dstPort }: Answers) => `${src} ${srcPort} ${dst} ${dstPort}`
  const block = (more: readonly Answers[], over: readonly Answers[]): void => {
    for (const each of more) blocked.add(text(each))
    for (const each of over) blocked.delete(text(each))
  }
  return { clock, blocked, ended: new EndedConnections({ block, clock, log: silent }) }
}

test('answers are blocked as they come, and a connection is remembered, for an hour, in either direction', async () => {
  const { clock, ended, blocked } = scene()
  ended.add([flow(1000)])
  assert.deepEqual([...blocked], ['10.244.2.2 80 172.30.1.1 1001'])
  const { src, srcPort, dst, dstPort } = flow(1000)
  assert.ok(ended.mayHave({ src: dst, srcPort: dstPort, dst: src, dstPort: srcPort }))
  assert.ok(!ended.mayHave(flow(1001)))
  await clock.advance(3_620_000)
  assert.ok(!ended.mayHave(flow(1000)))
  assert.equal(blocked.size, 0)
  assert.equal(clock.nextMs, undefined, 'no timer is left')
})

test('flows of UDP are blocked for a minute, those without ports not at all', async () => {
  const { clock, ended, blocked } = scene()
  const { srcPort: _, dstPort: __, ...ping } = flow(0, 1)
  ended.add([flow(53, 17), ping])
  assert.equal(blocked.size, 1)
  await clock.advance(70_000)
  assert.equal(blocked.size, 0)
})

test('when more were ended than are remembered, any may have been', async () => {
  const { clock, ended } = scene()
  ended.add(Array.from({ length: 50_001 }, (_, port) => flow(port)))
  assert.ok(ended.mayHave(flow(60_000)))
  await clock.advance(3_620_000)
  assert.ok(!ended.mayHave(flow(60_000)))
})

test('protocols with the same ports are apart, and of a connection that is ended again the last answers count', async () => {
  const { clock, ended, blocked } = scene()
  ended.add([flow(53), { ...flow(53, 17), answered: { addr: masqueraded, port: 99 } }])
  await clock.advance(70_000)
  assert.ok(ended.mayHave(flow(53)))
  assert.deepEqual([...blocked], ['10.244.2.2 80 172.30.1.1 54'])
  ended.add([{ ...flow(53), answered: { addr: masqueraded, port: 2000 } }])
  assert.deepEqual([...blocked], ['10.244.2.2 80 172.30.1.1 2000'])
  await clock.advance(3_620_000)
  assert.equal(blocked.size, 0)
})
