import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiUnreachable } from '#/cluster/errors.ts'
import { Outage } from '#/cluster/outage.ts'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { silent } from '#/lib/log.ts'
import { fieldsOf, type KubeNode, type KubeObject } from '#/model/kubernetes.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { nodeCondition } from './node-condition.ts'
import { type NodePatcher } from './node-patcher.ts'
import { NodeEvents } from './node-events.ts'

type Written = Readonly<Record<string, unknown>>

class Scene {
  readonly clock = new ManualClock()
  readonly outage = new Outage({ clock: this.clock, random: () => 0.5 })
  readonly written: Written[] = []
  readonly condition: NodePatcher
  node: KubeNode | undefined = { metadata: { name: 'node-1', uid: 'u1' } }
  trouble: string | undefined
  error: Error | undefined

  constructor() {
    this.condition = nodeCondition({
      client: {
        patch: async <T extends KubeObject>(path: string, body: unknown): Promise<T> => {
          await Promise.resolve()
          assert.equal(path, '/api/v1/nodes/node-1/status')
          const [condition] = fieldsOf(fieldsOf(body)['status'])['conditions'] as Written[]
          this.written.push(condition!)
          if (this.error) throw this.error
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as the client does
          return {} as T
        },
      },
      node: () => this.node,
      trouble: () => this.trouble,
      log: silent,
      outage: this.outage,
      clock: this.clock,
      random: () => 1,
    })
  }

  /** What the API shows from now on. */
  show(condition: Written): void {
    this.node = { metadata: { name: 'node-1', uid: 'u1' }, status: { conditions: [condition] } }
  }

  async notice(trouble: string | undefined, ms = 0): Promise<void> {
    this.trouble = trouble
    this.condition.notice()
    await this.clock.advance(ms)
  }

  summary(): string[] {
    return this.written.map(({ status, reason, message }) => `${status} ${reason}: ${message}`)
  }
}

const up = 'False CausewayIsUp: Causeway has set up the network of this node'

test('a network that is set up is written to the condition at once, and once', async () => {
  const scene = new Scene()
  await scene.notice(undefined)
  assert.deepEqual(scene.written, [
    {
      type: 'NetworkUnavailable',
      status: 'False',
      reason: 'CausewayIsUp',
      message: 'Causeway has set up the network of this node',
      lastHeartbeatTime: '2024-05-01T12:00:00Z',
      lastTransitionTime: '2024-05-01T12:00:00Z',
    },
  ])
  scene.show(scene.written[0]!)
  for (let turn = 0; turn < 20; turn++) await scene.notice(undefined, 60_000)
  assert.deepEqual(scene.summary(), [up])
})

test('trouble is written to the condition when it has lasted, with its own message, and its end at once', async () => {
  const scene = new Scene()
  await scene.notice(undefined)
  scene.show(scene.written[0]!)
  await scene.notice('route 10.244.1.0/24: EEXIST', 9_000)
  await scene.notice(undefined, 1_000)
  await scene.notice('route 10.244.1.0/24: EEXIST', 9_000)
  assert.equal(scene.written.length, 1, 'a hiccup is no news')
  await scene.clock.advance(2_000)
  assert.deepEqual(scene.summary().slice(1), ['True CausewayIsNotReady: route 10.244.1.0/24: EEXIST'])
  scene.show(scene.written[1]!)
  await scene.clock.advance(5_000)
  await scene.notice(undefined)
  assert.deepEqual(scene.summary().slice(2), [up])
})

test('a condition with another reason and the same status is no transition', async () => {
  const scene = new Scene()
  scene.show({ type: 'NetworkUnavailable', status: 'True', reason: 'NoRouteCreated', message: 'x' })
  await scene.notice('no pod CIDR', 10_000)
  assert.deepEqual(scene.summary(), ['True CausewayIsNotReady: no pod CIDR'])
  assert.equal('lastTransitionTime' in scene.written[0]!, false)
})

test('a write that fails is tried again after growing pauses, and nothing waits for it', async () => {
  const scene = new Scene()
  scene.error = new ApiUnreachable('PATCH', new Error('connection refused'))
  await scene.notice(undefined, 500)
  assert.equal(scene.written.length, 1)
  await scene.clock.advance(600)
  assert.equal(scene.written.length, 2)
  // however often passes end
  for (let turn = 0; turn < 100; turn++) await scene.notice(undefined, 10)
  assert.equal(scene.written.length, 2)
  await scene.clock.advance(3_600_000)
  const tries = scene.written.length
  assert.ok(tries > 60 && tries < 80, `${tries} tries in an hour`)
  scene.error = undefined
  await scene.clock.advance(60_000)
  scene.show(scene.written.at(-1)!)
  const done = scene.written.length
  await scene.clock.advance(600_000)
  assert.equal(scene.written.length, done)
})

test('when the API answers again a failed write is tried again soon, however long its pause had grown', async () => {
  const scene = new Scene()
  scene.error = new ApiUnreachable('PATCH', new Error('connection refused'))
  scene.outage.failed()
  await scene.notice(undefined, 600_000)
  const tries = scene.written.length
  scene.error = undefined
  scene.outage.answered()
  await scene.clock.advance(499)
  assert.equal(scene.written.length, tries)
  await scene.clock.advance(1)
  assert.equal(scene.written.length, tries + 1)
  scene.show(scene.written.at(-1)!)
  await scene.clock.advance(60_000)
  // nothing has failed since: another outage is none of its business
  scene.outage.failed()
  scene.outage.answered()
  await scene.clock.advance(60_000)
  assert.equal(scene.written.length, tries + 1)
  await scene.condition[Symbol.asyncDispose]()
  assert.equal(scene.clock.nextMs, undefined)
})

test('a condition that another program wrote is corrected, in no hurry', async () => {
  const scene = new Scene()
  await scene.notice(undefined)
  for (let second = 0; second < 60; second++) {
    scene.show({ type: 'NetworkUnavailable', status: 'True', reason: 'NoRouteCreated', message: 'x' })
    await scene.notice(undefined, 1_000)
  }
  assert.ok(scene.written.length <= 13, `${scene.written.length} writes in a minute`)
})

test('nothing is written before the Node object is seen, nor after the end', async () => {
  const scene = new Scene()
  scene.node = undefined
  await scene.notice(undefined, 60_000)
  await scene.condition[Symbol.asyncDispose]()
  scene.node = { metadata: { name: 'node-1' } }
  await scene.notice(undefined, 60_000)
  assert.deepEqual(scene.written, [])
  assert.equal(scene.clock.nextMs, undefined)
})

/** Events of node-1, whose Node object does not exist at first. */
class Events {
  readonly clock = new ManualClock()
  readonly told: string[] = []
  node: KubeNode | undefined
  readonly #events = new NodeEvents('node-1', {
    node: () => this.node,
    recorder: {
      record: ({ name, uid }, type, reason, message) => this.told.push([name, uid, type, reason, message].join(' ')),
    },
    clock: this.clock,
  })

  /** These are the problems for so long. */
  async have(problems: readonly Problem[], forMs: number): Promise<void> {
    this.#events.update(problems)
    await this.clock.advance(forMs)
  }

  dispose(): void {
    this.#events[Symbol.dispose]()
  }
}

const noCidr = problem('CW1002', 'node/node-1', 'it has no pod CIDR yet')
const readOnly = problem('CW3004', 'file/etc/cni/net.d', 'EROFS', { remedy: 'mount it writable' })

test('a problem of this node that lasts is one event for as long as it does', async () => {
  const events = new Events()
  const { told } = events
  await events.have([noCidr], 60_000)
  assert.deepEqual(told, [], 'no node to hang it on')
  events.node = { metadata: { name: 'node-1', uid: 'u1' } }
  await events.have([noCidr, problem('CW1102', 'node/node-2', 'it has no address')], 60_000)
  // a mistake in an object that holds for all nodes is told by all agents' status, and by no event of each
  await events.have([noCidr, problem('CW4002', 'bgppeer/tor', 'spec.mode: 7')], 60_000)
  await events.have([{ ...noCidr, message: 'it still has no pod CIDR' }], 60_000)
  await events.have([noCidr, readOnly], 60_000)
  await events.have([readOnly], 60_000)
  assert.deepEqual(told, [
    `node-1 u1 Warning CausewayProblem CW1002 node/node-1: it has no pod CIDR yet; remedy: ${noCidr.remedy}`,
    'node-1 u1 Warning CausewayProblem CW3004 file/etc/cni/net.d: EROFS; remedy: mount it writable',
  ])
  await events.have([readOnly, noCidr], 60_000)
  assert.equal(told.length, 3, 'what comes back is told again')
  assert.equal(events.clock.nextMs, undefined)
})

test('what a joining node has for seconds is no event; what stays is one after 10 s, whether or not a pass comes then', async () => {
  const events = new Events()
  events.node = { metadata: { name: 'node-1', uid: 'u1' } }
  await events.have([noCidr], 9_000)
  await events.have([], 1_000)
  await events.have([noCidr], 9_000)
  await events.have([noCidr, readOnly], 999)
  assert.equal(events.told.length, 0)
  await events.clock.advance(1)
  assert.equal(events.told.length, 1)
  assert.match(events.told.join(), /CW1002/)
  await events.clock.advance(8_999)
  assert.equal(events.told.length, 1)
  events.dispose()
  await events.clock.advance(60_000)
  assert.equal(events.told.length, 1, 'nothing after the end')
})
