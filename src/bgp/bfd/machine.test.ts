import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BfdPacket, type BfdState } from '#/wire/bfd/packet.ts'
import {
  type BfdEvent,
  type BfdMachineState,
  bfdStep,
  detectionTimeUs,
  initialBfdState,
  packetOf,
  reportedState,
  transmitIntervalUs,
} from './machine.ts'

const settings = { intervalMs: 100, detectMultiplier: 3 }
const secondUs = 1_000_000

/** A packet of a neighbour with the same settings. */
function packet(state: BfdState, more: Partial<BfdPacket> = {}): BfdPacket {
  return {
    ...packetOf(initialBfdState(7, settings), false),
    state,
    yourDiscriminator: 1,
    desiredMinTxUs: state === 'Up' ? 100_000 : secondUs,
    ...more,
  }
}

function run(state: BfdMachineState, ...events: readonly BfdEvent[]): BfdMachineState {
  return events.reduce((before, event) => bfdStep(before, event).state, state)
}

const heard = (state: BfdState, more: Partial<BfdPacket> = {}): BfdEvent => ({
  kind: 'packet',
  packet: packet(state, more),
})

const initial = initialBfdState(1, settings)
const inState: Readonly<Record<BfdState, BfdMachineState>> = {
  Down: initial,
  Init: run(initial, heard('Down')),
  // the Poll Sequence that goes with coming up is over
  Up: run(initial, heard('Init'), heard('Up', { isFinal: true })),
  AdminDown: run(initial, { kind: 'disable' }),
}

test('states follow from states (RFC 5880 section 6.8.6)', () => {
  for (const [local, remote, next, diagnostic] of [
    ['Down', 'AdminDown', 'Down', 0],
    ['Down', 'Down', 'Init', 0],
    ['Down', 'Init', 'Up', 0],
    ['Down', 'Up', 'Down', 0],
    ['Init', 'AdminDown', 'Down', 3],
    ['Init', 'Down', 'Init', 0],
    ['Init', 'Init', 'Up', 0],
    ['Init', 'Up', 'Up', 0],
    ['Up', 'AdminDown', 'Down', 3],
    ['Up', 'Down', 'Down', 3],
    ['Up', 'Init', 'Up', 0],
    ['Up', 'Up', 'Up', 0],
    ['AdminDown', 'AdminDown', 'AdminDown', 7],
    ['AdminDown', 'Down', 'AdminDown', 7],
    ['AdminDown', 'Init', 'AdminDown', 7],
    ['AdminDown', 'Up', 'AdminDown', 7],
  ] as const) {
    assert.equal(inState[local].local, local)
    const { state, send } = bfdStep(inState[local], heard(remote))
    assert.deepEqual([state.local, state.diagnostic], [next, diagnostic], `${local}, hears ${remote}`)
    assert.equal(send, next === local ? undefined : 'news', `${local}, hears ${remote}`)
  }
})

test('silence takes a session down and forgets the other side', () => {
  for (const local of ['Init', 'Up'] as const) {
    const { state, send } = bfdStep(inState[local], { kind: 'detectionExpired' })
    assert.deepEqual([state.local, state.diagnostic, state.remoteDiscriminator, send], ['Down', 1, 0, 'news'])
    assert.equal(detectionTimeUs(state), undefined)
    assert.equal(transmitIntervalUs(state), secondUs)
  }
  const down = run(initial, heard('Up'), { kind: 'detectionExpired' })
  assert.deepEqual([down.local, down.diagnostic, down.remoteDiscriminator], ['Down', 0, 0])
})

test('a Poll is answered at once, but for a session that is shut down', () => {
  for (const local of ['Down', 'Init', 'Up', 'AdminDown'] as const) {
    const { state, send } = bfdStep(inState[local], heard('Up', { isPoll: true }))
    assert.equal(send, local === 'AdminDown' ? undefined : 'final')
    const answer = packetOf(state, true)
    assert.deepEqual([answer.isFinal, answer.isPoll], [true, false])
  }
})

test('sending is slow until up, and quick from then on, with a Poll', () => {
  assert.equal(transmitIntervalUs(inState.Down), secondUs)
  assert.equal(transmitIntervalUs(inState.Init), secondUs)
  const up = run(initial, heard('Init'))
  assert.equal(transmitIntervalUs(up), 100_000)
  assert.ok(packetOf(up, false).isPoll)
  const answered = run(up, heard('Up', { isFinal: true }))
  assert.ok(!packetOf(answered, false).isPoll)
})

test('what the other side wants counts', () => {
  const { Up: up } = inState
  assert.equal(transmitIntervalUs(run(up, heard('Up', { requiredMinRxUs: 700_000 }))), 700_000)
  assert.equal(transmitIntervalUs(run(up, heard('Up', { requiredMinRxUs: 0 }))), undefined)
  assert.equal(detectionTimeUs(run(up, heard('Up', { desiredMinTxUs: 50_000, detectMultiplier: 5 }))), 500_000)
  assert.equal(detectionTimeUs(run(up, heard('Up', { desiredMinTxUs: 200_000, detectMultiplier: 5 }))), 1_000_000)
})

test('the demand mode of the other side silences us, except for a Poll Sequence', () => {
  const held = run(inState.Up, heard('Up', { isDemand: true }))
  assert.equal(transmitIntervalUs(held), undefined)
  const polling = run(held, { kind: 'configure', settings: { intervalMs: 200, detectMultiplier: 3 } })
  assert.equal(transmitIntervalUs(polling), 100_000)
})

test('slower sending and quicker detection wait for the end of the Poll Sequence (section 6.8.3)', () => {
  const { Up: up } = inState
  const slower = run(up, { kind: 'configure', settings: { intervalMs: 400, detectMultiplier: 3 } })
  assert.deepEqual([packetOf(slower, false).desiredMinTxUs, packetOf(slower, false).isPoll], [400_000, true])
  assert.deepEqual([transmitIntervalUs(slower), detectionTimeUs(slower)], [100_000, 1_200_000])
  const slow = run(slower, heard('Up', { isFinal: true }))
  assert.deepEqual([transmitIntervalUs(slow), detectionTimeUs(slow)], [400_000, 1_200_000])

  const quicker = run(slow, { kind: 'configure', settings: { intervalMs: 50, detectMultiplier: 3 } })
  assert.deepEqual([transmitIntervalUs(quicker), detectionTimeUs(quicker)], [100_000, 1_200_000])
  const quick = run(quicker, heard('Up', { isFinal: true, requiredMinRxUs: 50_000, desiredMinTxUs: 50_000 }))
  assert.deepEqual([transmitIntervalUs(quick), detectionTimeUs(quick)], [50_000, 150_000])
})

test('settings that change during a Poll Sequence bring one of their own afterwards', () => {
  const polling = run(inState.Up, { kind: 'configure', settings: { intervalMs: 200, detectMultiplier: 3 } })
  const waiting = run(polling, { kind: 'configure', settings: { intervalMs: 300, detectMultiplier: 3 } })
  assert.equal(packetOf(waiting, false).desiredMinTxUs, 200_000)
  const second = run(waiting, heard('Up', { isFinal: true }))
  assert.deepEqual([packetOf(second, false).desiredMinTxUs, second.isPolling], [300_000, true])
  assert.equal(run(second, heard('Up', { isFinal: true })).isPolling, false)
})

test('the AdminDown of the other side is told apart from a failure, also when it is silent afterwards', () => {
  const down = run(inState.Up, heard('AdminDown'))
  assert.equal(reportedState(down), 'AdminDown')
  const silent = run(down, { kind: 'detectionExpired' })
  assert.equal(reportedState(silent), 'AdminDown')
  assert.equal(reportedState(run(silent, heard('Down', { yourDiscriminator: 0 }))), 'Init')
  assert.equal(reportedState(run(inState.Up, heard('Down'))), 'Down')
})

test('a session that is shut down can be taken up again', () => {
  const again = bfdStep(inState.AdminDown, { kind: 'enable' })
  assert.deepEqual([again.state.local, again.state.diagnostic, again.send], ['Down', 0, 'news'])
  assert.equal(run(again.state, heard('Init')).local, 'Up')
})

const anySettings = fc.record({
  intervalMs: fc.integer({ min: 1, max: 60_000 }),
  detectMultiplier: fc.integer({ min: 1, max: 255 }),
})
const u32 = fc.nat({ max: 0xffff_ffff })
const anyPacket = fc
  .record({
    state: fc.constantFrom<BfdState>('AdminDown', 'Down', 'Init', 'Up'),
    isPoll: fc.boolean(),
    isFinal: fc.boolean(),
    isDemand: fc.boolean(),
    detectMultiplier: fc.integer({ min: 1, max: 255 }),
    myDiscriminator: fc.integer({ min: 1, max: 0xffff_ffff }),
    desiredMinTxUs: u32,
    requiredMinRxUs: u32,
  })
  .map((more) => packet(more.state, more))
const anyEvent: fc.Arbitrary<BfdEvent> = fc.oneof(
  { weight: 8, arbitrary: anyPacket.map((each): BfdEvent => ({ kind: 'packet', packet: each })) },
  fc.constant<BfdEvent>({ kind: 'detectionExpired' }),
  anySettings.map((each): BfdEvent => ({ kind: 'configure', settings: each })),
  fc.constantFrom<BfdEvent>({ kind: 'disable' }, { kind: 'enable' }),
)

test('whatever comes, what must hold holds', () => {
  fc.assert(
    fc.property(anySettings, fc.array(anyEvent, { maxLength: 40 }), (own, events) => {
      let state = initialBfdState(1, own)
      let isEnabled = true
      for (const event of events) {
        const before = state
        const step = bfdStep(state, event)
        state = step.state
        if (event.kind === 'disable') isEnabled = false
        if (event.kind === 'enable') isEnabled = true
        assert.equal(state.local === 'AdminDown', !isEnabled)
        assert.equal(state.localDiscriminator, 1)
        if (state.local !== before.local && event.kind !== 'configure') assert.ok(step.send !== undefined)
        if (state.local === 'Up' && before.local !== 'Up') assert.ok(event.kind === 'packet')
        for (const isFinal of [false, true]) {
          const sent = packetOf(state, isFinal)
          assert.ok(!(sent.isPoll && sent.isFinal))
          if (state.local !== 'Up') assert.ok(sent.desiredMinTxUs >= secondUs)
          if (state.local === 'Up' || state.local === 'Init') assert.notEqual(sent.yourDiscriminator, 0)
        }
        assert.ok(state.usedMinTxUs <= state.desiredMinTxUs)
        assert.ok(state.usedMinRxUs >= state.requiredMinRxUs)
        const intervalUs = transmitIntervalUs(state)
        assert.ok(intervalUs === undefined || intervalUs >= state.remoteMinRxUs)
        const detectUs = detectionTimeUs(state)
        assert.ok(detectUs === undefined || detectUs >= state.requiredMinRxUs)
        if (state.local === 'Up') assert.notEqual(detectUs, undefined)
      }
    }),
    { numRuns: 500 },
  )
})

test('two sessions come up with any settings, from whatever they were in, and agree on their intervals', () => {
  fc.assert(
    fc.property(
      anySettings,
      anySettings,
      fc.array(anyEvent, { maxLength: 10 }),
      fc.array(anyEvent, { maxLength: 10 }),
      (leftSettings, rightSettings, leftPast, rightPast) => {
        const past = (discriminator: number, own: typeof settings, events: readonly BfdEvent[]): BfdMachineState =>
          // as after an outage
          run(
            run(initialBfdState(discriminator, own), ...events),
            { kind: 'enable' },
            { kind: 'configure', settings: own },
            { kind: 'detectionExpired' },
          )
        let left = past(1, leftSettings, leftPast)
        let right = past(2, rightSettings, rightPast)
        const carry = (from: BfdMachineState, to: BfdMachineState, isFinal: boolean) =>
          bfdStep(to, { kind: 'packet', packet: packetOf(from, isFinal) })
        for (let round = 0; round < 10; round++) {
          const there = carry(left, right, false)
          right = there.state
          if (there.send !== undefined) left = carry(right, left, there.send === 'final').state
          const back = carry(right, left, false)
          left = back.state
          if (back.send !== undefined) right = carry(left, right, back.send === 'final').state
        }
        assert.deepEqual([left.local, right.local], ['Up', 'Up'])
        assert.deepEqual([left.isPolling, right.isPolling], [false, false])
        const slowerUs = Math.max(leftSettings.intervalMs, rightSettings.intervalMs) * 1000
        for (const [one, other] of [
          [left, right],
          [right, left],
        ] as const) {
          assert.equal(transmitIntervalUs(one), slowerUs)
          assert.equal(detectionTimeUs(one), slowerUs * other.settings.detectMultiplier)
        }
      },
    ),
    { numRuns: 300 },
  )
})
