import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { CeaseSubcode, ErrorCode, notificationOf } from '#/wire/bgp/index.ts'
import { step } from './machine.ts'
import {
  type Agreed,
  type ConnectionEvent,
  type FsmAction,
  type FsmEvent,
  type FsmSettings,
  type FsmState,
  initialState,
  nameOf,
  type Phase,
} from './state.ts'

const settings: FsmSettings = { routerId: Addr.parse('10.0.0.1'), asn: 65001, connects: true }
const agreed = (changes: Partial<Agreed> = {}): Agreed => ({
  routerId: Addr.parse('10.0.0.2'),
  asn: 65002,
  holdTimeSeconds: 90,
  keepaliveSeconds: 30,
  keepsRoutes: false,
  ...changes,
})
const other = notificationOf(ErrorCode.update, 1)

type Played = { readonly state: FsmState; readonly actions: readonly FsmAction[] }

/** Plays events from the start; the actions are those of the last one. */
function play(events: readonly FsmEvent[], of: FsmSettings = settings): Played {
  let played: Played = { state: initialState, actions: [] }
  for (const event of events) played = step(of, played.state, event)
  return played
}

/** Actions in short: "drop 1 6/7", "startRetry failed". */
function told({ actions }: Played): string[] {
  return actions.map((action) => {
    const { kind } = action
    const id = 'id' in action ? ` ${action.id}` : ''
    if (kind === 'drop') return `drop${id}${action.notification ? ` ${codeOf(action.notification)}` : ''}`
    if (kind === 'startRetry') return `startRetry ${action.after}`
    if (kind === 'down') return `down${id} ${action.cause.kind}`
    if (kind === 'setHold' || kind === 'setKeepalive') return `${kind}${id} ${action.seconds}`
    return `${kind}${id}`
  })
}

const codeOf = ({ code, subcode }: { code: number; subcode: number }): string => `${code}/${subcode}`

const to: Record<Phase, FsmEvent[]> = {
  OpenSent: [{ kind: 'start' }, { kind: 'connected', id: 1 }],
  OpenConfirm: [{ kind: 'start' }, { kind: 'connected', id: 1 }, { kind: 'opened', id: 1, agreed: agreed() }],
  Established: [
    { kind: 'start' },
    { kind: 'connected', id: 1 },
    { kind: 'opened', id: 1, agreed: agreed() },
    { kind: 'keepalive', id: 1 },
  ],
}

test('a peer starts with an attempt at once, and a timer for the next', () => {
  const started = play([{ kind: 'start' }])
  assert.deepEqual(told(started), ['connect', 'startRetry failed'])
  assert.equal(nameOf(started.state), 'Connect')
  const again = play([{ kind: 'start' }, { kind: 'start' }])
  assert.deepEqual(told(again), [])
})

test('a passive peer only waits', () => {
  const passive = { ...settings, connects: false }
  const started = play([{ kind: 'start' }], passive)
  assert.deepEqual([told(started), nameOf(started.state)], [[], 'Active'])
  const accepted = play([{ kind: 'start' }, { kind: 'accepted', id: 1 }], passive)
  assert.deepEqual(told(accepted), ['sendOpen 1', 'setHold 1 240'])
  const lost = play([{ kind: 'start' }, { kind: 'accepted', id: 1 }, { kind: 'closed', id: 1 }], passive)
  assert.deepEqual([told(lost), nameOf(lost.state)], [[], 'Active'])
})

test('from connected to established', () => {
  assert.deepEqual(told(play(to.OpenSent)), ['stopRetry', 'sendOpen 1', 'setHold 1 240'])
  assert.deepEqual(told(play(to.OpenConfirm)), ['stopRetry', 'sendKeepalive 1', 'setHold 1 90', 'setKeepalive 1 30'])
  const established = play(to.Established)
  assert.deepEqual(told(established), ['touchHold 1', 'established 1'])
  assert.equal(nameOf(established.state), 'Established')
})

test('an attempt that fails, or takes too long, is followed by another', () => {
  const failed = play([{ kind: 'start' }, { kind: 'connectFailed' }])
  assert.deepEqual([told(failed), nameOf(failed.state)], [['startRetry failed'], 'Active'])
  assert.deepEqual(told(play([{ kind: 'start' }, { kind: 'connectFailed' }, { kind: 'retryDue' }])), [
    'connect',
    'startRetry failed',
  ])
  assert.deepEqual(told(play([{ kind: 'start' }, { kind: 'retryDue' }])), [
    'abortConnect',
    'connect',
    'startRetry failed',
  ])
})

// RFC 4271 section 8.2.2, RFC 6608, RFC 9687: event, and for each phase the notification and the state after it
const answers: [ConnectionEvent, Record<Phase, [string, string]>][] = [
  [
    { kind: 'opened', id: 1, agreed: agreed() },
    { OpenSent: ['', 'OpenConfirm'], OpenConfirm: ['5/2', 'Idle'], Established: ['5/3', 'Active'] },
  ],
  [
    { kind: 'openRefused', id: 1, notification: notificationOf(ErrorCode.open, 2) },
    { OpenSent: ['2/2', 'Idle'], OpenConfirm: ['5/2', 'Idle'], Established: ['5/3', 'Active'] },
  ],
  [
    { kind: 'keepalive', id: 1 },
    { OpenSent: ['5/1', 'Idle'], OpenConfirm: ['', 'Established'], Established: ['', 'Established'] },
  ],
  [
    { kind: 'update', id: 1 },
    { OpenSent: ['5/1', 'Idle'], OpenConfirm: ['5/2', 'Idle'], Established: ['', 'Established'] },
  ],
  [
    { kind: 'refresh', id: 1 },
    { OpenSent: ['5/1', 'Idle'], OpenConfirm: ['5/2', 'Idle'], Established: ['', 'Established'] },
  ],
  [
    { kind: 'notified', id: 1, notification: other },
    { OpenSent: ['', 'Idle'], OpenConfirm: ['', 'Idle'], Established: ['', 'Active'] },
  ],
  [
    { kind: 'malformed', id: 1, notification: other },
    { OpenSent: ['3/1', 'Idle'], OpenConfirm: ['3/1', 'Idle'], Established: ['3/1', 'Active'] },
  ],
  [
    { kind: 'holdExpired', id: 1 },
    { OpenSent: ['4/0', 'Idle'], OpenConfirm: ['4/0', 'Idle'], Established: ['4/0', 'Active'] },
  ],
  [
    { kind: 'sendHoldExpired', id: 1 },
    { OpenSent: ['8/0', 'Idle'], OpenConfirm: ['8/0', 'Idle'], Established: ['8/0', 'Active'] },
  ],
  [
    { kind: 'closed', id: 1 },
    { OpenSent: ['', 'Active'], OpenConfirm: ['', 'Active'], Established: ['', 'Active'] },
  ],
  [
    { kind: 'keepaliveDue', id: 1 },
    { OpenSent: ['', 'OpenSent'], OpenConfirm: ['', 'OpenConfirm'], Established: ['', 'Established'] },
  ],
  [
    { kind: 'bfdDown', id: 1 },
    { OpenSent: ['', 'OpenSent'], OpenConfirm: ['', 'OpenConfirm'], Established: ['6/10', 'Active'] },
  ],
  [
    { kind: 'maxPrefixes', id: 1 },
    { OpenSent: ['', 'OpenSent'], OpenConfirm: ['', 'OpenConfirm'], Established: ['6/1', 'Idle'] },
  ],
]
for (const [event, expected] of answers)
  for (const phase of ['OpenSent', 'OpenConfirm', 'Established'] as const)
    test(`${event.kind} in ${phase}`, () => {
      const played = play([...to[phase], event])
      const sent = played.actions.flatMap((action) =>
        action.kind === 'drop' && action.notification ? [codeOf(action.notification)] : [],
      )
      assert.deepEqual([sent.join(), nameOf(played.state)], expected[phase])
      // unless somebody must start it again, it goes on by itself
      const isOver = played.state.connections.length === 0 && event.kind !== 'maxPrefixes'
      assert.equal(played.state.isWaiting, isOver)
      const isLost = phase === 'Established' && played.state.connections.length === 0
      assert.equal(
        played.actions.some(({ kind }) => kind === 'down'),
        isLost,
      )
    })

test('stopping ends everything with the notification that is given, or with none', () => {
  const cease = notificationOf(ErrorCode.cease, CeaseSubcode.shutdown)
  assert.deepEqual(told(play([...to.Established, { kind: 'stop', notification: cease, isHard: true }])), [
    'down 1 stopped',
    'drop 1 6/2',
    'stopRetry',
  ])
  assert.deepEqual(told(play([...to.Established, { kind: 'stop' }])), ['down 1 stopped', 'drop 1', 'stopRetry'])
  assert.deepEqual(told(play([{ kind: 'start' }, { kind: 'stop' }])), ['abortConnect', 'stopRetry'])
  const refused = play([{ kind: 'start' }, { kind: 'stop' }, { kind: 'accepted', id: 9 }])
  assert.deepEqual([told(refused), nameOf(refused.state)], [['drop 9'], 'Idle'])
  // an attempt that succeeded in the very moment
  assert.deepEqual(told(play([{ kind: 'start' }, { kind: 'stop' }, { kind: 'connected', id: 9 }])), ['drop 9'])
})

const both: FsmEvent[] = [{ kind: 'start' }, { kind: 'accepted', id: 2 }, { kind: 'connected', id: 1 }]
const collisions: [string, Partial<Agreed>, number][] = [
  ['the lower router id gives up its own', { routerId: Addr.parse('10.0.0.2') }, 1],
  ['the higher router id keeps its own', { routerId: Addr.parse('10.0.0.0') }, 2],
  ['router ids compare as numbers', { routerId: Addr.parse('9.255.255.255') }, 2],
  ['of equal router ids the higher AS keeps its own (RFC 6286)', { routerId: settings.routerId, asn: 65000 }, 2],
  ['of equal router ids the lower AS gives up its own', { routerId: settings.routerId, asn: 65002 }, 1],
]
for (const [name, remote, loser] of collisions)
  test(`collision: ${name}, whichever OPEN comes first`, () => {
    for (const order of [
      [1, 2],
      [2, 1],
    ]) {
      const played = play([
        ...both,
        ...order.map((id): FsmEvent => ({ kind: 'opened', id, agreed: agreed(remote) })),
        { kind: 'keepalive', id: 3 - loser },
      ])
      assert.deepEqual(
        played.state.connections.map(({ id, phase }) => [id, phase]),
        [[3 - loser, 'Established']],
      )
      const first = play([...both, ...order.map((id): FsmEvent => ({ kind: 'opened', id, agreed: agreed(remote) }))])
      assert.ok(told(first).includes(`drop ${loser} 6/7`), told(first).join())
    }
  })

test('an established session survives a collision, and is asked whether its peer is still there', () => {
  const accepted = play([...to.Established, { kind: 'accepted', id: 2 }])
  assert.deepEqual(told(accepted), ['sendKeepalive 1', 'sendOpen 2', 'setHold 2 240'])
  const opened = play([...to.Established, { kind: 'accepted', id: 2 }, { kind: 'opened', id: 2, agreed: agreed() }])
  assert.deepEqual([told(opened), nameOf(opened.state)], [['drop 2 6/7'], 'Established'])
})

test('a peer that restarted takes the place of its old session without a notification (RFC 4724)', () => {
  const established = to.Established.map((event) =>
    event.kind === 'opened' ? { ...event, agreed: agreed({ keepsRoutes: true }) } : event,
  )
  const opened = play([...established, { kind: 'accepted', id: 2 }, { kind: 'opened', id: 2, agreed: agreed() }])
  assert.deepEqual(told(opened).slice(0, 2), ['down 1 replaced', 'drop 1'])
  assert.deepEqual(
    opened.state.connections.map(({ id, phase }) => [id, phase]),
    [[2, 'OpenConfirm']],
  )
})

test('who connects again before its OPEN has given up the earlier connection', () => {
  const played = play([{ kind: 'start' }, { kind: 'accepted', id: 2 }, { kind: 'accepted', id: 3 }])
  assert.deepEqual(told(played), ['drop 2 6/7', 'sendOpen 3', 'setHold 3 240'])
})

test('a connection of the peer that says nothing does not keep us from connecting', () => {
  const accepted: FsmEvent[] = [{ kind: 'start' }, { kind: 'connectFailed' }, { kind: 'accepted', id: 2 }]
  assert.deepEqual(told(play([...accepted, { kind: 'retryDue' }])), ['connect', 'startRetry failed'])
  const opened: FsmEvent = { kind: 'opened', id: 2, agreed: agreed() }
  assert.ok(told(play([...accepted, opened])).includes('stopRetry'))
  assert.deepEqual(told(play([...accepted, opened, { kind: 'retryDue' }])), [])
})

/** What may come, in terms of the connections there are; ids beyond them are of connections that were. */
const someEvent = fc.oneof(
  fc.constantFrom<FsmEvent['kind']>(
    ...([
      'start',
      'start',
      'retryDue',
      'connected',
      'connected',
      'accepted',
      'accepted',
      'connectFailed',
      'stop',
    ] as const),
  ),
  fc.record({
    which: fc.nat(3),
    kind: fc.constantFrom<ConnectionEvent['kind']>(
      ...([
        'opened',
        'opened',
        'opened',
        'keepalive',
        'keepalive',
        'keepalive',
        'update',
        'refresh',
        'closed',
      ] as const),
      ...(['openRefused', 'malformed', 'notified', 'holdExpired', 'keepaliveDue', 'sendHoldExpired'] as const),
      ...(['bfdDown', 'maxPrefixes'] as const),
    ),
    remoteId: fc.constantFrom('10.0.0.0', '10.0.0.1', '10.0.0.2'),
    keepsRoutes: fc.boolean(),
  }),
)

test('whatever comes in whatever order: one session at most, every connection ended, never stuck', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(someEvent, { maxLength: 60, size: 'max' }), (connects, events) => {
      let state = initialState
      let nextId = 1
      let established: number | undefined
      const open = new Set<number>()
      const used: number[] = []
      let isAttempting = false
      let isTimed = false
      for (const some of events) {
        const event = eventOf(some, () => nextId++, used)
        const before = 'id' in event ? state.connections.find(({ id }) => id === event.id) : undefined
        if (event.kind === 'connected' || event.kind === 'accepted') open.add(event.id)
        if (event.kind === 'closed') open.delete(event.id)
        const result = step({ ...settings, connects }, state, event)
        if (event.kind === 'connected' || event.kind === 'connectFailed') isAttempting = false
        if (event.kind === 'retryDue') isTimed = false
        for (const action of result.actions) {
          if (action.kind === 'connect') {
            assert.equal(isAttempting, false, 'two attempts')
            isAttempting = true
          } else if (action.kind === 'abortConnect') isAttempting = false
          else if (action.kind === 'startRetry') isTimed = true
          else if (action.kind === 'stopRetry') isTimed = false
          else if (action.kind === 'established') {
            assert.equal(established, undefined, 'two established')
            established = action.id
          } else if (action.kind === 'down') {
            assert.equal(action.id, established)
            established = undefined
          } else if (action.kind === 'drop') {
            assert.ok(open.delete(action.id), `${action.id} dropped twice`)
            assert.notEqual(action.id, established, 'routes were not told')
            if (event.kind === 'notified') assert.equal(action.notification, undefined)
          } else if ('id' in action) assert.ok(open.has(action.id), `${action.kind} on a connection that is no more`)
        }
        // one that waits for another to come to nothing goes on then
        const hasWaited = before?.isWithheld === true && event.kind === 'holdExpired'
        if (!hasWaited) checkAnswer(event, before?.phase, result.actions)
        state = result.state
        assert.deepEqual([state.isConnecting, state.isWaiting], [isAttempting, isTimed])
        assert.deepEqual(new Set(state.connections.map(({ id }) => id)), open, 'connections that nobody knows of')
        assert.equal(state.connections.find((each) => each.phase === 'Established')?.id, established)
        assert.ok(state.connections.filter((each) => each.phase !== 'OpenSent').length <= 1, 'two past their OPEN')
        assert.ok(state.connections.length <= 3)
        const hasHope = state.connections.some(({ isOurs, phase: now }) => isOurs || now !== 'OpenSent')
        if (state.isRunning && connects && !hasHope && event.kind !== 'retryDue') assert.ok(state.isWaiting, 'stuck')
        if (state.isConnecting) assert.ok(state.isWaiting && state.isRunning)
        if (!state.isRunning) assert.deepEqual(state, initialState)
      }
    }),
    { numRuns: 2_000 },
  )
})

type Some = typeof someEvent extends fc.Arbitrary<infer T> ? T : never

function eventOf(some: Some, nextId: () => number, used: number[]): FsmEvent {
  if (typeof some === 'string') {
    if (some === 'connected' || some === 'accepted') {
      const id = nextId()
      used.unshift(id)
      return { kind: some, id }
    }
    return { kind: some } as FsmEvent
  }
  const { which, kind, remoteId, keepsRoutes } = some
  const id = used[which] ?? 999
  if (kind === 'opened') return { kind, id, agreed: agreed({ routerId: Addr.parse(remoteId), keepsRoutes }) }
  if (kind === 'openRefused' || kind === 'malformed' || kind === 'notified') return { kind, id, notification: other }
  return { kind, id }
}

/** The notification that a connection's own event is answered with. */
function checkAnswer(event: FsmEvent, phase: Phase | undefined, actions: readonly FsmAction[]): void {
  if (!('id' in event) || phase === undefined || event.kind === 'opened') return
  const row = answers.find(([each]) => each.kind === event.kind)
  if (row === undefined) return
  const expected = event.kind === 'openRefused' && phase === 'OpenSent' ? codeOf(other) : row[1][phase][0]
  const own = actions.find((action) => action.kind === 'drop' && action.id === event.id)
  const sent = own?.kind === 'drop' && own.notification ? codeOf(own.notification) : ''
  assert.equal(sent, expected, `${event.kind} in ${phase}`)
}
