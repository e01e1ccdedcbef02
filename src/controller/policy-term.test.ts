import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { clientFor } from '#/cluster/connect.ts'
import { nodesPath } from '#/cluster/paths.ts'
import { Reflector } from '#/cluster/reflector.ts'
import { FakeApi, type FakeRequest, isWatch, sendJson, sendStatus } from '#/cluster/testing/fake-api.ts'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { silent } from '#/lib/log.ts'
import { type KubeNode, type KubeObject, type ObjectReference } from '#/model/kubernetes.ts'
import { PolicyTerm } from './policy-term.ts'

type Plural = 'networkpolicies' | 'clusternetworkpolicies'

/** Policies that are listed and watched; ClusterNetworkPolicy may be undefined. */
class PoliciesApi implements AsyncDisposable {
  readonly #objects = new Map<string, KubeObject>()
  readonly #watches = new Set<{ readonly plural: string; readonly response: ServerResponse }>()
  readonly #hasClusterPolicies: boolean
  #version = 1
  #server!: FakeApi

  private constructor(hasClusterPolicies: boolean) {
    this.#hasClusterPolicies = hasClusterPolicies
  }

  static async start({ hasClusterPolicies }: { readonly hasClusterPolicies: boolean }): Promise<PoliciesApi> {
    const api = new PoliciesApi(hasClusterPolicies)
    api.#server = await FakeApi.start((request, response) => api.#serve(request, response))
    return api
  }

  get config() {
    return this.#server.config
  }

  put(plural: Plural, name: string, generation: number, spec: object): void {
    const key = `${plural}/${name}`
    const type = this.#objects.has(key) ? 'MODIFIED' : 'ADDED'
    this.#change(key, type, generation, spec)
  }

  remove(plural: Plural, name: string): void {
    this.#change(`${plural}/${name}`, 'DELETED', 1, {})
  }

  #change(key: string, type: string, generation: number, spec: object): void {
    const [plural = '', name = ''] = key.split('/')
    const object = {
      metadata: {
        name,
        ...(plural === 'networkpolicies' && { namespace: 'db' }),
        uid: `uid-${name}`,
        generation,
        resourceVersion: String(++this.#version),
      },
      spec,
    }
    if (type === 'DELETED') this.#objects.delete(key)
    else this.#objects.set(key, object)
    for (const watch of this.#watches)
      if (watch.plural === plural) watch.response.write(`${JSON.stringify({ type, object })}\n`)
  }

  #serve(request: FakeRequest, response: ServerResponse): void {
    const plural = request.path.split('?')[0]!.split('/').at(-1)!
    if (plural === 'clusternetworkpolicies' && !this.#hasClusterPolicies) return sendStatus(response, 404, 'NotFound')
    if (isWatch(request)) {
      response.writeHead(200).flushHeaders()
      const watch = { plural, response }
      this.#watches.add(watch)
      response.on('close', () => this.#watches.delete(watch))
      return
    }
    const items = [...this.#objects].flatMap(([key, object]) => (key.startsWith(`${plural}/`) ? [object] : []))
    sendJson(response, { kind: 'List', metadata: { resourceVersion: String(this.#version) }, items })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]()
  }
}

async function termOf(api: PoliciesApi, isLeader = (): boolean => true) {
  const clock = new ManualClock()
  const client = await clientFor(api.config, { clock, random: () => 0.5 })
  const events: string[] = []
  const record = ({ kind, namespace, name, apiVersion }: ObjectReference, type: string, reason: string, text: string) =>
    void events.push(`${type} ${reason} ${apiVersion} ${kind} ${namespace ?? '-'}/${name}: ${text}`)
  const shared = { client, log: silent, clock, random: () => 0.5 }
  const nodes = new Reflector<KubeNode>({ path: nodesPath() }, shared)
  const signal = new AbortController().signal
  const term = new PolicyTerm({ ...shared, recorder: { record }, isLeader, signal, nodes })
  term.start()
  return {
    term,
    events,
    until: async (isSo: () => boolean, what: string): Promise<void> => {
      for (let round = 0; round < 500 && !isSo(); round++) {
        await clock.advance(100)
        await delay(1)
      }
      assert.ok(isSo(), `still not: ${what}`)
    },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await term[Symbol.asyncDispose]()
      await nodes[Symbol.asyncDispose]()
      await client[Symbol.asyncDispose]()
    },
  }
}

const fine = { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }] }
const faulty = (cidr: string) => ({ podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr } }] }] })

test('a policy with a field that cannot be enforced gets one event for each generation, with field and why', async () => {
  await using api = await PoliciesApi.start({ hasClusterPolicies: false })
  api.put('networkpolicies', 'fine', 1, fine)
  api.put('networkpolicies', 'faulty', 1, faulty('10.0.0/8'))
  await using run = await termOf(api)
  await run.until(() => run.events.length === 1, 'the event')
  const event = run.events[0]!
  const start =
    'Warning NotEnforcedAsWritten networking.k8s.io/v1 NetworkPolicy db/faulty: CW3305 networkpolicy/db/faulty: spec.ingress[0].from[0].ipBlock.cidr: '
  assert.ok(event.startsWith(start), event)
  assert.match(event, /10\.0\.0\/8.*; remedy: /)
  assert.deepEqual(
    run.term.problems.map(({ code, object }) => `${code} ${object}`),
    ['CW3305 networkpolicy/db/faulty'],
  )
  // labels and annotations do not make a generation
  api.put('networkpolicies', 'faulty', 1, faulty('10.0.0/8'))
  api.put('networkpolicies', 'faulty', 2, faulty('10.0/8'))
  await run.until(() => run.events.length === 2, 'the event of the next generation')
  assert.match(run.events[1]!, /10\.0\/8/)
  api.put('networkpolicies', 'faulty', 3, fine)
  await run.until(() => run.term.problems.length === 0, 'it is mended')
  assert.equal(run.events.length, 2)
})

test('ClusterNetworkPolicy is watched where there is one, and a policy that is gone is no problem', async () => {
  await using api = await PoliciesApi.start({ hasClusterPolicies: true })
  api.put('clusternetworkpolicies', 'admin', 1, {
    tier: 'Admin',
    priority: 5,
    subject: { namespaces: {} },
    ingress: [{ action: 'Reject', from: [{ namespaces: {} }] }],
  })
  await using run = await termOf(api)
  await run.until(() => run.events.length === 1, 'the event')
  assert.match(
    run.events[0]!,
    /^Warning NotEnforcedAsWritten policy\.networking\.k8s\.io\/v1alpha2 ClusterNetworkPolicy -\/admin: CW3305 clusternetworkpolicy\/admin: spec\.ingress\[0\]\.action: /,
  )
  api.remove('clusternetworkpolicies', 'admin')
  await run.until(() => run.term.problems.length === 0, 'it is gone')
})

test('who does not lead tells nothing', async () => {
  await using api = await PoliciesApi.start({ hasClusterPolicies: false })
  api.put('networkpolicies', 'faulty', 1, faulty('10.0.0/8'))
  await using run = await termOf(api, () => false)
  await run.until(() => run.term.problems.length === 1, 'the policy is seen')
  assert.deepEqual(run.events, [])
})
