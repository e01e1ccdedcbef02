import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { type NflogListener } from '#/kernel/nflog.ts'
import { type Fields, type Logger, silent } from '#/lib/log.ts'
import { denialPrefix } from '#/plan/policy/names.ts'
import { viewOf } from '#/policy/evaluate.ts'
import { type IpPacket, tcpFlags } from '#/wire/ip/packet.ts'
import { type PolicyDenialsReport } from '#/api/schemas/policy.ts'
import { policyHandlers } from './policy-api.ts'
import { PolicyDenials, type ToldPacket } from './policy-denials.ts'
import { DenialListener } from './policy-listener.ts'
import { sceneCluster, sceneSources } from './testing/policy-scene.ts'

/** 10.244.1.5 to 10.244.2.7, TCP from 49152 to `port`. */
function payload(port: number, flags = 0x02, sender = 5): Uint8Array {
  const ip = `4500003c12344000400600000af401${sender.toString(16).padStart(2, '0')}0af40207`
  const tcp = `c000${port.toString(16).padStart(4, '0')}000000010000000050${flags.toString(16).padStart(2, '0')}faf000000000`
  return Uint8Array.fromHex(ip + tcp)
}

const prefix = denialPrefix({ direction: 'ingress', class: 'c1', isAudited: false })
const audited = denialPrefix({ direction: 'ingress', class: 'c1', isAudited: true })
const told = (port: number, flags?: number, sender?: number): ToldPacket => ({
  prefix,
  packet: payload(port, flags, sender),
})

function scene(adopt: (packet: IpPacket) => boolean = () => false) {
  const clock = new ManualClock()
  const lines: string[] = []
  const log: Logger = {
    ...silent,
    info: (message: string, fields: Fields = {}) => void lines.push(`${message} ${JSON.stringify(fields)}`),
    warn: (message: string, fields: Fields = {}) => void lines.push(`${message} ${JSON.stringify(fields)}`),
  }
  const view = viewOf(sceneCluster())
  const denials = new PolicyDenials({ view: () => view, adopt, clock, log })
  return { clock, lines, log, denials }
}

test('a denial is named by its pods and policies, once for a connection and reason', async () => {
  const { clock, lines, denials } = scene()
  for (let count = 0; count < 3; count++) {
    denials.note(told(5432))
    await clock.advance(1000)
  }
  denials.note({ prefix: audited, packet: payload(80) })
  const [latest, first] = denials.recent
  assert.deepEqual(first, {
    direction: 'ingress',
    src: '10.244.1.5',
    dst: '10.244.2.7',
    from: 'shop/web-1',
    to: 'db/pg-0',
    protocol: 'TCP',
    port: 5432,
    by: 'networkpolicy/db/only-api',
    isAudited: false,
    firstMs: clock.wallMs() - 3000,
    lastMs: clock.wallMs() - 1000,
    packets: 3,
  })
  assert.deepEqual([latest!.isAudited, latest!.port, denials.recent.length], [true, 80, 2])
  assert.deepEqual(lines, [
    'policy denied shop/web-1 → db/pg-0 TCP 5432: networkpolicy/db/only-api (ingress) {"src":"10.244.1.5","dst":"10.244.2.7","packets":1}',
    'policy would deny shop/web-1 → db/pg-0 TCP 80: networkpolicy/db/only-api (ingress) {"src":"10.244.1.5","dst":"10.244.2.7","packets":1}',
  ])
  await clock.advance(60_000)
  denials.note(told(5432))
  assert.match(lines[2]!, /TCP 5432.*"packets":3/, 'it goes on')
})

test('a flood costs few lines, few looks and no memory, and what is left out is told', async () => {
  const { clock, lines, denials } = scene()
  for (let port = 1; port <= 5000; port++) denials.note(told(port, 0x02, port % 250))
  assert.equal(lines.length, 20)
  assert.equal(denials.recent.length, 400)
  assert.equal(denials.notTold, 4600)
  await clock.advance(10_000)
  assert.equal(lines.at(-1), 'policies denied more than the log has lines for: causeway policy denials {"denials":380}')
  for (let second = 0; second < 20; second++) {
    for (let port = 1; port <= 300; port++) denials.note(told(second * 1000 + port, 0x02, port % 250))
    await clock.advance(1000)
  }
  assert.equal(denials.recent.length, 1000)
  assert.ok(lines.length < 20 + 20 + 20 * 10 + 5, String(lines.length))
  denials[Symbol.dispose]()
})

test('one sender does not take all looks', () => {
  const { denials } = scene()
  for (let port = 1; port <= 5000; port++) denials.note(told(port))
  assert.equal(denials.recent.length, 40)
  denials.note(told(80, 0x02, 6))
  assert.equal(denials.recent[0]!.src, '10.244.1.6')
})

test('a packet in the middle of a connection is offered for adoption first', () => {
  const offered: string[] = []
  const { denials } = scene(({ src, port, tcp }) => {
    offered.push(`${src} ${port} ${tcp?.flags}`)
    return port === 5432 && tcp?.flags === tcpFlags.ACK
  })
  denials.note(told(5432, 0x10))
  denials.note(told(80, 0x12))
  denials.note(told(5432, 0x02))
  assert.deepEqual(offered, ['10.244.1.5 5432 16', '10.244.1.5 80 18', '10.244.1.5 5432 2'])
  assert.deepEqual(
    denials.recent.map(({ port }) => port),
    [5432, 80],
    'the one that was adopted is no denial',
  )
})

test('rules that are being replaced, prefixes of others, and any bytes', () => {
  const { denials } = scene()
  denials.note({ prefix: 'iptables: DROP ', packet: payload(80) })
  assert.deepEqual(denials.recent, [])
  const rule = 'clusternetworkpolicy/gone ingress 0'
  const gone = denialPrefix({ direction: 'egress', class: 'c7', isAudited: false, rule })
  denials.note({ prefix: gone, packet: payload(80) })
  assert.match(String(denials.recent.map(({ by }) => by)), /^clusternetworkpolicy\/gone ingress 0, /)
  fc.assert(
    fc.property(fc.oneof(fc.constant(prefix), fc.string()), fc.uint8Array({ maxLength: 128 }), (text, bytes) => {
      denials.note({ prefix: text, packet: bytes })
    }),
  )
})

test('a kernel whose rules cannot tell is said to be the reason why nothing is heard', async () => {
  const { clock, log, denials } = scene()
  const listen = (): NflogListener => ({ lost: 0, [Symbol.dispose]() {} })
  using listener = new DenialListener({ denials, listen, clock, log })
  listener.want(true)
  const answers = async (untold: string | undefined) => {
    const handlers = policyHandlers(sceneSources({ untold: () => untold }), listener)
    return [await handlers.policyDenials!({}), await handlers.policyDenialsWatch!({})] as const
  }
  const why = 'the kernel counts what policies deny, and does not tell of it: ENOENT'
  const [list, stream] = await answers('ENOENT')
  assert.equal('body' in list && (list.body as PolicyDenialsReport).why, why)
  assert.deepEqual(stream, { status: 503, body: `no denial is heard of: ${why}\n` })
  const [heard] = await answers(undefined)
  assert.equal('body' in heard && (heard.body as PolicyDenialsReport).why, undefined)
})

test('who follows hears each denial until it ends', () => {
  const { denials } = scene()
  const heard: number[] = []
  {
    using _following = denials.follow(({ packets }) => heard.push(packets))
    denials.note(told(1))
    denials.note(told(1))
  }
  denials.note(told(1))
  assert.deepEqual(heard, [1, 2])
  assert.equal(denials.followers, 0)
})

test('it listens while rules may deny, and again after a failure, and counts what was lost', async () => {
  const { clock, lines, log, denials } = scene()
  let fail: ((error: unknown) => void) | undefined
  let [opened, closed] = [0, 0]
  let isTaken = true
  const listen = (onPacket: (packet: ToldPacket) => void, onError: (error: unknown) => void): NflogListener => {
    if (isTaken) throw new Error('listen to NFLOG group 17240: EPERM')
    opened++
    fail = onError
    onPacket(told(opened))
    return { lost: 5, [Symbol.dispose]: () => void closed++ }
  }
  using listener = new DenialListener({ denials, listen, clock, log })
  assert.deepEqual([listener.isListening, listener.why], [false, undefined], 'there is nothing to hear')
  listener.want(true)
  assert.equal(listener.why, 'listen to NFLOG group 17240: EPERM')
  await clock.advance(11_000)
  assert.equal(lines.length, 1, 'the same failure is told once')
  isTaken = false
  await clock.advance(5_000)
  assert.deepEqual([listener.isListening, listener.why, listener.notTold], [true, undefined, 5])
  fail!(new Error('ENOBUFS'))
  assert.deepEqual([listener.isListening, listener.why], [false, 'ENOBUFS'])
  await clock.advance(5_000)
  assert.deepEqual([opened, closed, listener.notTold], [2, 1, 10])
  listener.want(false)
  assert.deepEqual([closed, listener.isListening], [2, false])
  await clock.advance(60_000)
  assert.equal(opened, 2)
})
