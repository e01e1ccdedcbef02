import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { silent } from '#/lib/log.ts'
import { annotationsOf, type KubeNode } from '#/model/kubernetes.ts'
import { plainVxlan, type RoutingState, routingStateAnnotation } from '#/model/routing.ts'
import { routingPublisher } from './routing-publisher.ts'

const native: RoutingState = { mode: 'native', sends: ['native'], accepts: ['native'] }
const nativeText = '{"mode":"native","sends":["native"],"accepts":["native"]}'
const plainText = '{"mode":"vxlan","sends":["vxlan"],"accepts":["vxlan","native"]}'

class Scene implements AsyncDisposable {
  readonly written: string[] = []
  readonly clock = new ManualClock()
  state: RoutingState | undefined
  #node: KubeNode
  readonly publisher

  constructor(annotations: Record<string, string> = {}) {
    this.#node = { metadata: { name: 'node-1', annotations } }
    const client = {
      patch: async <T>(path: string, body: unknown): Promise<T> => {
        const { metadata } = body as { metadata: { annotations: Record<string, string> } }
        this.written.push(`${path} ${metadata.annotations[routingStateAnnotation]}`)
        const all = { ...annotationsOf(this.#node), ...metadata.annotations }
        this.#node = { metadata: { ...this.#node.metadata, annotations: all } }
        return this.#node as T
      },
    }
    this.publisher = routingPublisher({
      client,
      node: () => this.#node,
      state: () => this.state,
      log: silent,
      clock: this.clock,
      random: () => 0,
    })
  }

  async notice(state: RoutingState | undefined): Promise<void> {
    this.state = state
    this.publisher.notice()
    await this.clock.advance(10_000)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.publisher[Symbol.asyncDispose]()
  }
}

test('plain VXLAN is published only when the annotation says something else', async () => {
  await using scene = new Scene()
  await scene.notice(undefined)
  await scene.notice(plainVxlan)
  assert.deepEqual(scene.written, [])
  await scene.notice(native)
  await scene.notice(native)
  await scene.notice(plainVxlan)
  assert.deepEqual(scene.written, [
    `/api/v1/nodes/node-1/status ${nativeText}`,
    `/api/v1/nodes/node-1/status ${plainText}`,
  ])
})

test('while the state is not known the annotation stays as it is; what another program wrote is overwritten', async () => {
  await using scene = new Scene({ [routingStateAnnotation]: nativeText })
  await scene.notice(undefined)
  assert.deepEqual(scene.written, [])
  await using other = new Scene({ [routingStateAnnotation]: 'nonsense' })
  await other.notice(plainVxlan)
  assert.deepEqual(other.written, [`/api/v1/nodes/node-1/status ${plainText}`])
})
