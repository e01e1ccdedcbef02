// Any changes in any order leave the form that the cluster has, and the form says of packets what the evaluator says.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Addr } from '#/lib/addr.ts'
import { type PolicyCluster, type PolicyNamespace, type PolicyPod, type PolicyView } from '../cluster.ts'
import { evaluateDirection, viewOf } from '../evaluate.ts'
import { type Form } from '../form.ts'
import { isPoliced } from '../match.ts'
import { directions, type Policy } from '../policy.ts'
import {
  allAddrs,
  anyNamespace,
  anyProtocol,
  anyPod,
  anyPodAddrs,
  anyPodKey,
  anyPolicy,
  anyUid,
  namespaceNames,
  nodeAddrs,
} from '../testing/arbitrary.ts'
import { interpret, localAt } from '../testing/interpret.ts'
import { reachable } from '../testing/reachable.ts'
import { plainOf, Shadow } from '../testing/shadow.ts'
import { type PolicyPacket } from '../verdict.ts'
import { type LocalPod, PolicyIndex } from './policy-index.ts'

const keyOf = ({ namespace, name }: { namespace: string; name: string }): string => `${namespace}/${name}`

/** What is to be known of a cluster, kept in the plainest way. */
class Model {
  readonly pods = new Map<string, PolicyPod>()
  readonly namespaces = new Map<string, PolicyNamespace>()
  readonly policies = new Map<string, Policy>()
  readonly locals = new Map<string, { readonly local: LocalPod; pod: PolicyPod | undefined }>()

  #told(local: LocalPod): PolicyPod | undefined {
    const pod = this.pods.get(keyOf(local))
    return pod?.uid === local.uid ? pod : undefined
  }

  setLocal(local: LocalPod): void {
    const remembered = [...this.locals.values()].find(
      (each) => keyOf(each.local) === keyOf(local) && each.local.uid === local.uid,
    )
    this.locals.set(local.hostDevice, { local, pod: this.#told(local) ?? remembered?.pod })
  }

  /** What is known of pods here stays when the API knows no more. */
  remember(): void {
    for (const state of this.locals.values()) state.pod = this.#told(state.local) ?? state.pod
  }

  /** An index that has learned all of it in another order. */
  indexAnew(): PolicyIndex {
    const index = new PolicyIndex(0)
    for (const policy of this.policies.values()) index.setPolicy(policy)
    for (const { local, pod } of this.locals.values()) {
      if (pod !== undefined) index.setPod(pod)
      index.setLocal(local)
      index.removePod(keyOf(local))
    }
    for (const pod of this.pods.values()) index.setPod(pod)
    for (const namespace of this.namespaces.values()) index.setNamespace(namespace)
    return index
  }

  /** The cluster with the addresses that pods have. */
  get cluster(): PolicyCluster {
    const locals = [...this.locals.values()]
    const addrsOf = (pod: PolicyPod): readonly Addr[] => {
      const own = locals.filter((state) => state.pod === pod)
      if (own.length > 0) return own.flatMap(({ local }) => local.addrs)
      return pod.addrs.filter((addr) => !locals.some(({ local }) => local.addrs.some((each) => each.equals(addr))))
    }
    // a pod that has an interface here has not ended, whatever the API says
    const hasEnded = (pod: PolicyPod): boolean => pod.hasEnded && !locals.some((state) => state.pod === pod)
    const known = new Set([...this.pods.values(), ...locals.flatMap(({ pod }) => pod ?? [])])
    const pods = [...known].map(
      (pod) => [`${keyOf(pod)} ${pod.uid}`, { ...pod, addrs: addrsOf(pod), hasEnded: hasEnded(pod) }] as const,
    )
    const { namespaces, policies } = this
    return { namespaces, policies, pods: new Map(pods), nodes: new Map([['this', nodeAddrs]]) }
  }
}

type Step = { readonly run: (model: Model, index: PolicyIndex) => void; readonly toString: () => string }

/** A step for each value; what it prints is enough to make it again. */
function steps<T>(
  what: string,
  weight: number,
  values: fc.Arbitrary<T>,
  run: (value: T, model: Model, index: PolicyIndex) => void,
): { weight: number; arbitrary: fc.Arbitrary<Step> } {
  const arbitrary = values.map((value) => ({
    run: (model: Model, index: PolicyIndex) => run(value, model, index),
    toString: () => `${what} ${JSON.stringify(value)}`,
  }))
  return { weight, arbitrary }
}

const anyDevice = fc.constantFrom('v1', 'v2', 'v3')

const anyLocal: fc.Arbitrary<LocalPod> = fc
  .record({ hostDevice: anyDevice, key: anyPodKey, uid: anyUid, addrs: anyPodAddrs })
  .map(({ key, ...rest }) => ({ ...key, ...rest }))

const anyStep = fc.oneof(
  steps('pod', 6, anyPod, (pod, model, index) => {
    model.pods.set(keyOf(pod), pod)
    index.setPod(pod)
  }),
  steps('pod gone', 2, anyPodKey, (key, model, index) => {
    model.pods.delete(keyOf(key))
    index.removePod(keyOf(key))
  }),
  steps('namespace', 3, anyNamespace, (namespace, model, index) => {
    model.namespaces.set(namespace.name, namespace)
    index.setNamespace(namespace)
  }),
  steps('namespace gone', 1, fc.constantFrom(...namespaceNames), (name, model, index) => {
    model.namespaces.delete(name)
    index.removeNamespace(name)
  }),
  steps('policy', 6, anyPolicy, (policy, model, index) => {
    model.policies.set(policy.key, policy)
    index.setPolicy(policy)
  }),
  steps('policy gone', 1, anyPolicy, ({ key }, model, index) => {
    model.policies.delete(key)
    index.removePolicy(key)
  }),
  steps('local', 4, anyLocal, (local, model, index) => {
    model.setLocal(local)
    index.setLocal(local)
  }),
  steps('local gone', 1, anyDevice, (hostDevice, model, index) => {
    model.locals.delete(hostDevice)
    index.removeLocal(hostDevice)
  }),
)

/** Steps between which changes are taken. */
const anyHistory = fc.array(fc.array(anyStep, { minLength: 1, maxLength: 6 }), { maxLength: 10 })
const anyLongHistory = fc.array(fc.array(anyStep, { minLength: 20, maxLength: 30 }), { minLength: 1, maxLength: 3 })

function newIndex(mostKept: number): PolicyIndex {
  const index = new PolicyIndex(mostKept)
  index.setNode('this', nodeAddrs)
  return index
}

/** How many elements all sets of a form have. */
function sizeOf({ peerSets, namedPortSets, membersOf, namedPortsOf }: Form): number {
  let size = 0
  for (const set of peerSets.values()) size += set.kind === 'pods' ? membersOf(set.id).size : set.prefixes.length
  for (const id of namedPortSets.keys()) size += namedPortsOf(id).length
  return size
}

test('a form that follows changes is the form of the cluster, however that came about', () => {
  fc.assert(
    fc.property(anyHistory, fc.constantFrom(0, 2, 1000), (history, mostKept) => {
      const model = new Model()
      const index = newIndex(mostKept)
      const shadow = new Shadow()
      for (const each of history) {
        const before = plainOf(index.form)
        for (const step of each) {
          step.run(model, index)
          model.remember()
        }
        assert.deepEqual(plainOf(index.form), before, 'the form changes only when changes are taken')
        shadow.follow(index.form, index.take())
        assert.equal(
          [...index.setSizes()].reduce((sum, size) => sum + size, 0),
          sizeOf(index.form),
        )
        const anew = model.indexAnew()
        anew.take()
        assert.deepEqual(plainOf(reachable(index.form)), plainOf(anew.form))
        if (mostKept === 0) assert.deepEqual(plainOf(index.form), plainOf(anew.form))
        assert.deepEqual(shadow.plain, plainOf(index.form))
      }
    }),
    { numRuns: 300 },
  )
})

/** Whether one pod, or none, has the address; while two have it, policies may see either. */
function isClear({ cluster, locals }: Model, addr: Addr): boolean {
  const has = ({ addrs }: { readonly addrs: readonly Addr[] }): boolean => addrs.some((each) => each.equals(addr))
  const pods = [...cluster.pods.values()].filter((pod) => isPoliced(pod) && has(pod))
  return pods.length <= 1 && [...locals.values()].filter(({ local }) => has(local)).length <= 1
}

/** Thousands of packets are compared with one form. */
function withMembersAtHand(form: Form): Form {
  const members = new Map([...form.peerSets.keys()].map((id) => [id, form.membersOf(id)]))
  const namedPorts = new Map([...form.namedPortSets.keys()].map((id) => [id, form.namedPortsOf(id)]))
  return { ...form, membersOf: (id) => members.get(id)!, namedPortsOf: (id) => namedPorts.get(id)! }
}

test('what the form says of packets is what the evaluator says', () => {
  const seen = { denied: 0, allowed: 0, audited: 0 }
  const check = (form: Form, view: PolicyView, index: PolicyIndex, packet: PolicyPacket): void => {
    const [sender, receiver] = [view.podAt(packet.src), view.podAt(packet.dst)]
    // of two pods with the same name, one of which is about to go, it is left open whether they are one
    if (sender && receiver && keyOf(sender) === keyOf(receiver) && sender.uid !== receiver.uid) return
    const [from, to] = [localAt(form, packet.src), localAt(form, packet.dst)]
    if (from && from.pod === to?.pod && from !== to) return
    for (const direction of directions) {
      const said = interpret(form, packet, direction, nodeAddrs)
      if (said === undefined) continue
      const { decision, isDenied, isAudited } = evaluateDirection(view, packet, direction)
      const rule = decision.kind === 'rule' ? { rule: decision.rule } : {}
      assert.deepEqual(said, { isDenied, isAudited, ...rule })
      assert.deepEqual(evaluateDirection(index, packet, direction).decision, decision)
      seen[isAudited ? 'audited' : isDenied ? 'denied' : 'allowed']++
    }
  }
  fc.assert(
    fc.property(anyLongHistory, fc.array(anyProtocol, { minLength: 1, maxLength: 3 }), (history, protocols) => {
      const model = new Model()
      const index = newIndex(4)
      for (const each of history) {
        for (const step of each) {
          step.run(model, index)
          model.remember()
        }
        index.take()
      }
      const view = viewOf(model.cluster)
      const form = withMembersAtHand(index.form)
      const addrs = allAddrs.filter((addr) => isClear(model, addr))
      for (const src of addrs)
        for (const dst of addrs) for (const protocol of protocols) check(form, view, index, { src, dst, ...protocol })
    }),
    { numRuns: 200 },
  )
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 20, `${what}: ${count}`)
})
