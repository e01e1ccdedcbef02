import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainVxlan, type RoutingState } from '#/model/routing.ts'
import { type TunnelFacts, TunnelLifetime, tunnelLingerMs } from './tunnel-lifetime.ts'

const refusing: RoutingState = { mode: 'native', sends: ['native'], accepts: ['native'] }

class Scene {
  nowMs = 1000
  readonly life = new TunnelLifetime({ nowMs: () => this.nowMs })

  isDue(more: Partial<TunnelFacts>): boolean {
    return this.life.isDue({ isNeeded: false, isComplete: true, hasDevice: true, published: refusing, ...more })
  }
}

test('the tunnel is deleted a while after the node has published that it accepts no VXLAN, not sooner', () => {
  const scene = new Scene()
  assert.ok(scene.isDue({ isNeeded: true, published: plainVxlan }))
  assert.ok(scene.isDue({ published: plainVxlan }))
  scene.nowMs += 10 * tunnelLingerMs
  assert.ok(scene.isDue({ published: plainVxlan }), 'what was told counts, however long ago')
  assert.ok(scene.isDue({ published: undefined }), 'who tells nothing takes VXLAN')
  assert.ok(scene.isDue({}))
  scene.nowMs += tunnelLingerMs - 1
  assert.ok(scene.isDue({}))
  scene.nowMs++
  assert.ok(!scene.isDue({}))
})

test('a need for the tunnel in between starts the waiting time anew', () => {
  const scene = new Scene()
  assert.ok(scene.isDue({}))
  scene.nowMs += tunnelLingerMs
  assert.ok(scene.isDue({ isNeeded: true }))
  assert.ok(scene.isDue({}))
})

test('a restarted agent makes no tunnel that no node needs, and deletes none before it knows all nodes', () => {
  const scene = new Scene()
  assert.ok(!scene.isDue({ isComplete: false, hasDevice: false, published: undefined }))
  assert.ok(scene.isDue({ isComplete: false, hasDevice: true, published: undefined }))
  assert.ok(!scene.isDue({ hasDevice: false }))
})
