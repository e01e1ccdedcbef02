// Whatever changes: a connection that was allowed and is denied now is in question.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Addr } from '#/lib/addr.ts'
import { type Form } from '#/policy/form.ts'
import { PolicyIndex } from '#/policy/index/policy-index.ts'
import { directions } from '#/policy/policy.ts'
import {
  allAddrs,
  anyNamespace,
  anyPod,
  anyPodAddrs,
  anyPodKey,
  anyPolicy,
  anyProtocol,
  anyUid,
  nodeAddrs,
} from '#/policy/testing/arbitrary.ts'
import { interpret, localAt } from '#/policy/testing/interpret.ts'
import { type PolicyPacket } from '#/policy/verdict.ts'
import { ClassMemory } from './class-memory.ts'
import { type Touched, touchedBy } from './touched.ts'

type Step = { readonly run: (index: PolicyIndex) => void; readonly toString: () => string }

function steps<T>(what: string, weight: number, values: fc.Arbitrary<T>, run: (index: PolicyIndex, value: T) => void) {
  const arbitrary = values.map((value): Step => ({
    run: (index) => run(index, value),
    toString: () => `${what} ${JSON.stringify(value)}`,
  }))
  return { weight, arbitrary }
}

/** A device is one pod's for as long as it is there. */
const deviceOf = ({ namespace, name }: { readonly namespace: string; readonly name: string }): string =>
  `cwv-${namespace}-${name}`

const anyLocal = fc
  .record({ key: anyPodKey, uid: anyUid, addrs: anyPodAddrs })
  .map(({ key, ...rest }) => ({ hostDevice: deviceOf(key), ...key, ...rest }))

const anyStep = fc.oneof(
  steps('pod', 4, anyPod, (index, pod) => index.setPod(pod)),
  steps('namespace', 3, anyNamespace, (index, namespace) => index.setNamespace(namespace)),
  steps('policy', 8, anyPolicy, (index, policy) => index.setPolicy(policy)),
  steps('policy gone', 6, anyPolicy, (index, { key }) => index.removePolicy(key)),
  steps('local', 2, anyLocal, (index, local) => index.setLocal(local)),
  steps('local gone', 1, anyPodKey, (index, key) => index.removeLocal(deviceOf(key))),
)

/** Steps between which changes are taken, after many with which a cluster begins. */
const anyHistory = fc.tuple(
  fc.array(anyStep, { minLength: 20, maxLength: 30 }),
  fc.array(fc.array(anyStep, { minLength: 1, maxLength: 3 }), { minLength: 5, maxLength: 10 }),
)

/** Thousands of packets are compared with one form, as it was when it was taken. */
function copyOf(form: Form): Form {
  const members = new Map([...form.peerSets.keys()].map((id) => [id, form.membersOf(id)]))
  const namedPorts = new Map([...form.namedPortSets.keys()].map((id) => [id, form.namedPortsOf(id)]))
  return {
    ...form,
    locals: new Map(form.locals),
    classes: new Map(form.classes),
    policies: new Map(form.policies),
    peerSets: new Map(form.peerSets),
    namedPortSets: new Map(form.namedPortSets),
    membersOf: (id) => members.get(id) ?? new Map(),
    namedPortsOf: (id) => namedPorts.get(id) ?? [],
  }
}

function isDenied(form: Form, packet: PolicyPacket): boolean {
  return directions.some((direction) => {
    const said = interpret(form, packet, direction, nodeAddrs)
    return said !== undefined && said.isDenied && !said.isAudited
  })
}

function ownersOf({ locals }: Form, addr: Addr): number {
  return [...locals.values()].filter(({ addrs }) => addrs.some((each) => each.equals(addr))).length
}

/** Of two pods here with one address it is open which of them a packet is for, and with an address that is gone nobody talks. */
function isClear(before: Form, now: Form, addr: Addr): boolean {
  const [had, has] = [ownersOf(before, addr), ownersOf(now, addr)]
  return had <= 1 && has <= 1 && had <= has
}

function isNamed({ locals, peers }: Touched, form: Form, { src, dst }: PolicyPacket): boolean {
  const has = (addrs: readonly Addr[], addr: Addr): boolean => addrs.some((each) => each.equals(addr))
  const isLocal = (addr: Addr): boolean => localAt(form, addr) !== undefined
  return has(locals, src) || has(locals, dst) || (has(peers, src) && isLocal(dst)) || (has(peers, dst) && isLocal(src))
}

test('a connection that was allowed and is denied now is in question', () => {
  let [forbidden, spared] = [0, 0]
  fc.assert(
    fc.property(anyHistory, anyProtocol, ([begin, history], protocol) => {
      const index = new PolicyIndex()
      index.setNode('this', nodeAddrs)
      for (const step of begin) step.run(index)
      index.take()
      const memory = new ClassMemory()
      memory.reset(index.form)
      for (const each of history) {
        const before = copyOf(index.form)
        for (const step of each) step.run(index)
        const change = index.take()
        const touched = touchedBy(index.form, change, memory)
        memory.note(index.form, change)
        if (touched === undefined && change.classes.size > 0) spared++
        const now = copyOf(index.form)
        const clear = allAddrs.filter((addr) => isClear(before, now, addr))
        for (const src of clear)
          for (const dst of clear) {
            const packet = { src, dst, ...protocol }
            if (isDenied(before, packet) || !isDenied(now, packet)) continue
            forbidden++
            assert.ok(touched && isNamed(touched, now, packet), `${src} to ${dst} is not in question`)
          }
      }
    }),
    { numRuns: 150 },
  )
  assert.ok(forbidden > 100 && spared > 10, `${forbidden} connections forbidden, ${spared} changes spared`)
})
