import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { agentDaemonSet } from '#/install/agent.ts'
import { observerManifests } from '#/install/observer.ts'
import { matchesLabels, parseLabelSelector } from '#/lab/api/selectors.ts'
import { type KubeNode, type Pod } from '#/model/kubernetes.ts'
import { agentPlaces, agentSelector } from './agent-pods.ts'

const running = { running: { startedAt: '2026-01-01T00:00:00Z' } }

function pod(name: string, nodeName: string, state: object | null = running, more: object = {}): Pod {
  const containerStatuses = state === null ? undefined : [{ name: 'agent', state, ...more }]
  return {
    metadata: { namespace: 'causeway-system', name },
    spec: { nodeName },
    status: { phase: 'Pending', containerStatuses },
  }
}

function node(name: string, labels: object = { 'kubernetes.io/os': 'linux' }): KubeNode {
  return { metadata: { name, labels } }
}

const daemonSet = {
  metadata: { name: 'causeway-agent', namespace: 'causeway-system' },
  spec: { template: { spec: { nodeSelector: { 'kubernetes.io/os': 'linux' } } } },
}

const view = (pods: readonly Pod[], nodes?: readonly KubeNode[]) => ({ pods, nodes, daemonSets: [daemonSet] })

test('the selector finds the pods that installations make, of agents and of observers', () => {
  const settings = { image: 'i', given: {}, nodeSelector: {}, apiServer: undefined, controller: 'no' } as const
  const observers = observerManifests({ namespace: 'x', ...settings }).find(({ kind }) => kind === 'DaemonSet')!
  for (const { spec } of [agentDaemonSet({ namespace: 'x', ...settings }), observers]) {
    const { labels } = (spec as { template: { metadata: { labels: Record<string, string> } } }).template.metadata
    assert.ok(matchesLabels(parseLabelSelector(agentSelector), labels))
  }
})

test('each node with a pod is a place, in the order of their numbers', () => {
  const places = agentPlaces(view(['node-10', 'node-9', 'a'].map((name) => pod(`p-${name}`, name))))
  assert.deepEqual(
    places.map((place) => place.node),
    ['a', 'node-9', 'node-10'],
  )
  assert.deepEqual(places[0], { node: 'a', pod: { namespace: 'causeway-system', name: 'p-a' } })
})

test('of several pods of a node the one that runs is asked, while another comes or goes', () => {
  const going = { ...pod('old', 'n'), metadata: { ...pod('old', 'n').metadata, deletionTimestamp: 'now' } }
  const chosen = (...pods: Pod[]): string | undefined => agentPlaces(view(pods))[0]?.pod?.name
  assert.equal(chosen(going, pod('new', 'n', { waiting: { reason: 'ContainerCreating' } })), 'old')
  assert.equal(chosen(going, pod('new', 'n')), 'new')
  assert.equal(chosen(pod('new', 'n'), going), 'new')
})

test('a pod that does not run says why, and where to look', () => {
  const last = { lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }
  const cases: [Pod, string][] = [
    [
      pod('a', 'n', { waiting: { reason: 'ImagePullBackOff', message: 'dial udp 10.0.0.1:59948' } }),
      'its container waits (ImagePullBackOff); see: kubectl -n causeway-system describe pod a',
    ],
    [
      pod('a', 'n', { waiting: { reason: 'CrashLoopBackOff' } }, last),
      'its container waits (CrashLoopBackOff); it ended before, with exit status 137 (OOMKilled); see: kubectl -n causeway-system logs a --previous',
    ],
    [
      pod('a', 'n', { terminated: { exitCode: 2 } }),
      'its container has ended, with exit status 2 (no reason is told); see: kubectl -n causeway-system logs a',
    ],
    [pod('a', 'n', null), 'it is Pending; see: kubectl -n causeway-system describe pod a'],
  ]
  for (const [one, words] of cases) {
    assert.equal(agentPlaces(view([one]))[0]?.why, `pod causeway-system/a does not run: ${words}`)
  }
})

test('a node that should have an agent and has none is told, and no other', () => {
  const nodes = [node('a'), node('b'), node('w', { 'kubernetes.io/os': 'windows' })]
  const places = agentPlaces(view([pod('p', 'a')], nodes))
  assert.deepEqual(
    places.map((place) => [place.node, place.why]),
    [
      ['a', undefined],
      ['b', 'no pod of an agent is on the node; see: kubectl -n causeway-system describe daemonset causeway-agent'],
    ],
  )
  assert.equal(agentPlaces({ ...view([pod('p', 'a')], nodes), daemonSets: [] }).length, 1, 'who is wanted is unknown')
  assert.equal(agentPlaces(view([pod('p', 'a')])).length, 1, 'nodes cannot be listed')
})

test('whatever the API gives as pods, each place has a node, and is asked or says why', () => {
  const object = fc.record({
    metadata: fc.record({ name: fc.string({ minLength: 1 }), namespace: fc.string() }),
    spec: fc.oneof(fc.jsonValue(), fc.record({ nodeName: fc.string() })),
    status: fc.oneof(
      fc.jsonValue(),
      fc.record({ containerStatuses: fc.array(fc.record({ name: fc.constant('agent'), state: fc.jsonValue() })) }),
    ),
  })
  fc.assert(
    fc.property(fc.array(object), fc.array(object), (pods, nodes) => {
      for (const place of agentPlaces(view(pods, nodes))) assert.ok(place.pod !== undefined || place.why !== undefined)
    }),
  )
})
