// What an agent's end, an API that is away, another datapath and other people's commands do to network policies while packets flow: nothing that is
// denied passes, nothing that is allowed is lost.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { networkPoliciesPath, podsPath } from '#/cluster/paths.ts'
import { eventually } from '#/cluster/testing/manual-clock.ts'
import { podObject, policyObject } from '#/agent/policy/testing/policy-objects.ts'
import { Flow } from './ebpf-node.ts'
import { type TestNetns } from './namespace.ts'
import { codeOf, messageIn } from './pod-node.ts'
import { PolicyNode } from './policy-node.ts'
import { comesFrom, countIn, countOf, flood, onlyClients } from './policy-traffic.ts'

/** Three pods: a client has a connection to web all the time, and a stranger tries all the time to send something there. */
class Scene implements AsyncDisposable {
  readonly node: PolicyNode
  readonly #made = new AsyncDisposableStack()
  web!: TestNetns
  client!: TestNetns
  flow!: Flow

  private constructor(node: PolicyNode) {
    this.node = this.#made.use(node)
  }

  static async start(datapath: 'bridge' | 'ebpf'): Promise<Scene> {
    const scene = new Scene(await PolicyNode.start(datapath))
    const { node } = scene
    await node.setPolicy('web', onlyClients)
    scene.client = await node.addPod('client', { role: 'client' })
    const stranger = await node.addPod('stranger', {})
    scene.web = await node.addPod('web', { app: 'web' }, countIn)
    scene.flow = scene.#made.use(await Flow.start(scene.client, scene.web, node.addrOf('web'), 8080))
    scene.#made.defer(flood(stranger, node.addrOf('web')))
    await sleep(100)
    return scene
  }

  /** Nothing of the stranger came, and every question of the client was answered soon. */
  async check(): Promise<void> {
    const { node, web, flow } = this
    assert.equal(countOf(web, node.addrOf('stranger')), 0, 'packets that are denied')
    const { slowestMs } = await flow.end()
    assert.ok(slowestMs < 1000, `an answer took ${slowestMs} ms`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync()
  }
}

test('rules stay while agent and API are away, a DEL takes its own out, and what changed meanwhile is enforced then', async () => {
  await using scene = await Scene.start('bridge')
  const { node } = scene
  await node.addPod('other', { role: 'client', app: 'web' })
  const other = node.addrOf('other')
  node.api.goAway()
  await node.restart()
  await node.settle()
  assert.equal(node.policy.state.kind, 'waiting')
  node.newPod('late')
  node.setLabels('late', { app: 'web' })
  const late = await node.tryAdd('late')
  assert.equal(codeOf(late), 11)
  assert.match(
    messageIn(late),
    /the API has not told all pods, namespaces, networkpolicies, clusternetworkpolicies yet/,
  )
  const rules = (): string => node.host.sh('nft list table inet causeway-policy; nft list table bridge causeway-policy')
  assert.ok(rules().includes(` ${other} `))
  node.delete('other')
  assert.ok(
    !new RegExp(`(in4-|out4-|sources4)[^}]*\\b${other}\\b`).test(rules()),
    'nothing leads to its class any more',
  )
  await using _second = await Flow.start(scene.client, scene.web, node.addrOf('web'), 8081)
  await scene.check()
  node.api.put(networkPoliciesPath(), policyObject('shop/web', { ...onlyClients, ingress: [] }))
  node.api.comeBack()
  await node.level()
  await eventually(() => node.policy.endedConnections > 0, 'the connection that is denied now ends')
  assert.equal(await comesFrom(scene.web, node.addrOf('client')), false)
  assert.equal(codeOf(await node.tryAdd('late')), 0)
})

for (const datapath of ['bridge', 'ebpf'] as const)
  test(`${datapath}: thousands of label changes, of pods here and elsewhere, let nothing through and cut nothing`, async () => {
    await using scene = await Scene.start(datapath)
    const { node, web, client } = scene
    const turning = await node.addPod('turning', { role: 'client' })
    await using staying = await Flow.start(turning, web, node.addrOf('web'), 8082)
    const bystander = await Flow.start(turning, client, node.addrOf('client'), 8083)
    await using _bystander = bystander
    const changes = 3000
    const elsewhere = 250
    const labelsAt = (change: number): Record<string, string> =>
      change % 2 === 0 ? { role: 'client' } : { role: 'none', turn: String(change % 7) }
    for (let change = 0; change < changes; change++) {
      const number = change % elsewhere
      const addrs = [`10.244.${100 + Math.floor(number / 200)}.${1 + (number % 200)}`]
      const labels = labelsAt(change + Math.floor(change / elsewhere))
      node.api.put(podsPath(), podObject(`shop/far-${number}`, { labels, addrs }))
      // pods of this node go from class to class, and are the same to web
      if (change % 100 === 50) node.setLabels('turning', { role: 'client', turn: String(change % 3) })
      if (change % 150 === 50) node.setLabels('web', { app: 'web', turn: String(change % 3) })
      if (change % 10 === 0) await sleep(8)
    }
    const last = node.policy.view
    await eventually(() => last.pods.get('shop/far-249')?.labels['role'] === 'client', 'all is known')
    await node.level()
    assert.deepEqual(await node.policy.differences(), [])
    await scene.check()
    for (const flow of [staying, bystander]) assert.ok((await flow.end()).slowestMs < 1000)
    assert.equal(node.policy.endedConnections, 0)
  })

test('policies are read anew after an outage while packets flow', async () => {
  await using scene = await Scene.start('bridge')
  const { node } = scene
  node.api.goAway()
  await sleep(200)
  for (const name of ['client', 'stranger', 'web'])
    node.setLabels(
      name,
      name === 'stranger' ? { new: 'yes' } : { client: { role: 'client' }, web: { app: 'web' } }[name]!,
    )
  node.api.put(networkPoliciesPath(), policyObject('shop/more', { ...onlyClients, policyTypes: ['Ingress'] }))
  node.api.comeBack()
  await eventually(() => node.policy.view.policies.size === 2, 'both policies')
  await node.level()
  await sleep(200)
  assert.equal(node.policy.endedConnections, 0)
  await scene.check()
})

test('whenever an agent ends, the next one finds and mends what it left', async () => {
  await using scene = await Scene.start('bridge')
  const { node } = scene
  for (let round = 0; round < 6; round++) {
    for (let change = 0; change < 30; change++) {
      node.api.put(
        networkPoliciesPath(),
        policyObject(`shop/p${change % 7}`, { ...onlyClients, ingress: change % 2 ? [] : onlyClients.ingress }),
      )
      node.setLabels('stranger', { round: `${round}-${change}` })
      await sleep(Math.random() * 3)
    }
    await node.restart()
  }
  await node.level()
  assert.deepEqual(await node.policy.differences(), [])
  await scene.check()
})

test('somebody who flushes the rules or deletes them lets through what comes within a moment, and no more', async () => {
  await using scene = await Scene.start('bridge')
  const { node } = scene
  for (const command of ['flush ruleset', 'delete table inet causeway-policy', 'delete table bridge causeway-policy']) {
    node.host.sh(`nft ${command}`)
    await eventually(() => node.host.sh('nft list tables').match(/causeway-policy/g)?.length === 2, command)
    await node.level()
    await sleep(50)
    assert.equal(await comesFrom(scene.web, node.addrOf('stranger')), false, command)
  }
  assert.ok((await scene.flow.end()).slowestMs < 1000)
})

test('the datapath changes to programs and back with policies and packets', async () => {
  await using scene = await Scene.start('bridge')
  const { node } = scene
  for (const wanted of ['ebpf', 'bridge'] as const) {
    node.wanted = wanted
    await node.settle()
    assert.equal(node.programsAt('web'), wanted === 'ebpf' ? 'all' : 'none')
    await sleep(200)
  }
  await scene.check()
})
