// Two machines that connect to each other at the same moment: whatever is on its way meanwhile, one connection is left, the same on
// either side, and no session begins only to be closed by the other side.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { ErrorCode, notificationOf } from '#/wire/bgp/index.ts'
import { collisionWaitSeconds, step } from './machine.ts'
import { type FsmAction, type FsmEvent, type FsmState, initialState } from './state.ts'

type Side = 0 | 1
/** What reaches a side on a connection, in order: TCP's own event comes first. */
type Message = 'tcp' | 'open' | 'keepalive' | 'notification' | 'closed'

const routerIds = [Addr.parse('10.0.0.1'), Addr.parse('10.0.0.2')] as const

class Collision {
  readonly states: [FsmState, FsmState] = [initialState, initialState]
  /** By side and by who began the connection; ids are that of the one who began it, and one. */
  readonly #queues: readonly [readonly [Message[], Message[]], readonly [Message[], Message[]]]
  readonly told: string[] = []

  constructor() {
    this.#queues = [
      [['tcp'], ['tcp']],
      [['tcp'], ['tcp']],
    ]
    for (const side of [0, 1] as const) this.#handle(side, { kind: 'start' })
  }

  /** What can happen next. */
  get waiting(): readonly { readonly side: Side; readonly by: Side }[] {
    const all = ([0, 1] as const).flatMap((side) => ([0, 1] as const).map((by) => ({ side, by })))
    return all.filter(({ side, by }) => this.#queues[side][by].length > 0)
  }

  deliver({ side, by }: { readonly side: Side; readonly by: Side }): void {
    const message = this.#queues[side][by].shift()!
    const id = by + 1
    switch (message) {
      case 'tcp':
        if (side === by) return this.#handle(side, { kind: 'connected', id })
        // Peer does so while the session is new
        if (this.#isEstablished(side)) return this.#send(side, by, 'closed')
        return this.#handle(side, { kind: 'accepted', id })
      case 'open': {
        const other = side === 0 ? 1 : 0
        const agreed = {
          asn: 1,
          holdTimeSeconds: 90,
          keepaliveSeconds: 30,
          keepsRoutes: true,
          routerId: routerIds[other],
        }
        return this.#handle(side, { kind: 'opened', id, agreed })
      }
      case 'notification':
        return this.#handle(side, { kind: 'notified', id, notification: notificationOf(ErrorCode.cease, 7) })
      default:
        return this.#handle(side, { kind: message, id })
    }
  }

  /** Nothing is on its way: connections that wait have waited long enough. */
  expire(): boolean {
    for (const side of [0, 1] as const) {
      const withheld = this.states[side].connections.find(({ isWithheld }) => isWithheld === true)
      if (withheld === undefined) continue
      this.#handle(side, { kind: 'holdExpired', id: withheld.id })
      return true
    }
    return false
  }

  #isEstablished(side: Side): boolean {
    return this.states[side].connections.some(({ phase }) => phase === 'Established')
  }

  #handle(side: Side, event: FsmEvent): void {
    const settings = { routerId: routerIds[side], asn: 1, connects: true }
    const { state, actions } = step(settings, this.states[side], event)
    this.states[side] = state
    for (const action of actions) this.#perform(side, action)
  }

  #perform(side: Side, action: FsmAction): void {
    if (!('id' in action)) return
    const by = (action.id - 1) as Side
    if (action.kind === 'sendOpen') this.#send(side, by, 'open')
    if (action.kind === 'sendKeepalive') this.#send(side, by, 'keepalive')
    if (action.kind === 'drop') {
      if (action.notification) this.#send(side, by, 'notification')
      this.#send(side, by, 'closed')
    }
    if (action.kind === 'down' || action.kind === 'established')
      this.told.push(`${action.kind} ${action.id} at ${side}`)
  }

  #send(from: Side, by: Side, message: Message): void {
    this.#queues[from === 0 ? 1 : 0][by].push(message)
  }
}

test('both connect at once: one session, and none that is lost again', () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat(3)), (choices) => {
      const collision = new Collision()
      let turns = 0
      do {
        for (let next = collision.waiting; next.length > 0; next = collision.waiting) {
          const { value: choice = 0 } = choices.next() as { value?: number }
          collision.deliver(next[choice % next.length]!)
          assert.ok(++turns < 200, 'it never ends')
        }
      } while (collision.expire())
      const left = collision.states.map(({ connections }) =>
        connections.map(({ id, phase }) => `${phase} ${id}`).join(),
      )
      assert.equal(left[0], left[1], collision.told.join(', '))
      assert.match(left[0]!, /^Established [12]$/)
      assert.equal(collision.told.length, 2, collision.told.join(', '))
    }),
    { numRuns: 2_000 },
  )
})

test('a connection that loses against one that says nothing waits no longer than a moment', () => {
  const settings = { routerId: routerIds[0], asn: 1, connects: true }
  const agreed = { asn: 1, holdTimeSeconds: 90, keepaliveSeconds: 30, keepsRoutes: false, routerId: routerIds[1] }
  const events: FsmEvent[] = [
    { kind: 'start' },
    { kind: 'accepted', id: 2 },
    { kind: 'connected', id: 1 },
    { kind: 'opened', id: 1, agreed },
  ]
  for (const isConfirmed of [false, true]) {
    let state = initialState
    let actions: readonly FsmAction[] = []
    for (const event of [...events, ...(isConfirmed ? [{ kind: 'keepalive', id: 1 } as const] : [])])
      ({ state, actions } = step(settings, state, event))
    if (!isConfirmed) assert.deepEqual(actions.at(-1), { kind: 'setHold', id: 1, seconds: collisionWaitSeconds })
    ;({ state, actions } = step(settings, state, { kind: 'holdExpired', id: 1 }))
    const kinds = actions.map(({ kind }) => kind)
    assert.deepEqual(kinds.slice(0, 3), ['sendKeepalive', 'setHold', 'setKeepalive'])
    assert.equal(kinds.includes('established'), isConfirmed)
    const [first] = state.connections.filter(({ id }) => id === 1)
    assert.equal(first!.phase, isConfirmed ? 'Established' : 'OpenConfirm')
    assert.equal(first!.isWithheld, undefined)
  }
})
