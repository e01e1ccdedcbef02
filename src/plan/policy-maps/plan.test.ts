import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Form, type FormChange } from '#/policy/form.ts'
import { directions } from '#/policy/policy.ts'
import { addrs, changeOf, ports, randomForm, wholeChange } from '../testing/policy-forms.ts'
import { isDeniedOf, type Question, SimulatedMaps } from '../testing/policy-lookup.ts'
import { notPoliced, type PolicedClasses, type PolicyEntry, policyMapNames } from './entries.ts'
import { type MapChange, PolicyPlan } from './plan.ts'

const asked = fc.record({
  peer: fc.constantFrom(...addrs),
  protocol: fc.constantFrom('TCP', 'UDP', 'ICMP'),
  port: fc.constantFrom(...ports),
}) satisfies fc.Arbitrary<Omit<Question, 'own'>>
type Asked = Omit<Question, 'own'>

const allEntries = (plan: PolicyPlan): PolicyEntry[] => policyMapNames.flatMap((map) => [...plan.entries(map)])

class Node {
  readonly plan: PolicyPlan
  readonly maps = new SimulatedMaps()
  readonly policed = new Map<string, PolicedClasses>()

  constructor(plan = new PolicyPlan()) {
    this.plan = plan
  }

  /** Does each step, and calls `check` after it. */
  take({ suspended, written, removed, policed, leftovers }: MapChange, check: () => void = () => {}): void {
    for (const device of suspended) this.policed.set(device, notPoliced)
    for (const entry of written) {
      this.maps.set(entry)
      check()
    }
    for (const key of removed) {
      this.maps.delete(key)
      check()
    }
    for (const [device, classes] of policed) {
      this.policed.set(device, classes)
      check()
    }
    for (const key of leftovers) {
      this.maps.delete(key)
      check()
    }
  }

  /** Whether programs drop it by the policies of the pod with the device, in either direction. */
  drops(form: Form, device: string, direction: 'ingress' | 'egress', { peer, protocol, port }: Asked): boolean {
    const own = form.locals.get(device)?.addrs.find(({ family }) => family === peer.family) ?? peer
    return this.maps.denial(this.policed.get(device)?.[direction] ?? 0, { peer, own, protocol, port }) !== 0
  }
}

function isDue(form: Form, device: string, direction: 'ingress' | 'egress', question: Asked): boolean {
  const local = form.locals.get(device)
  const own = local?.addrs.find(({ family }) => family === question.peer.family)
  return local !== undefined && own !== undefined && isDeniedOf(form, local, direction, { ...question, own })
}

const devices = ['cwv0', 'cwv1', 'cwv2']
const questions = fc.array(asked, { minLength: 12, maxLength: 12 })

test('what programs find in the entries of a form is what its rules say', () => {
  fc.assert(
    fc.property(randomForm, questions, (form, all) => {
      const node = new Node()
      node.take(node.plan.apply(form, wholeChange(form)))
      for (const device of devices)
        for (const direction of directions)
          for (const question of all)
            assert.equal(node.drops(form, device, direction, question), isDue(form, device, direction, question))
    }),
    { numRuns: 300 },
  )
})

/** All of a form changes, or only who is in which set, with sets that no rule asks for. */
const steps = fc.array(fc.constantFrom('all', 'members', 'sets'), { minLength: 4, maxLength: 4 })

function series(forms: readonly Form[], ways: readonly ('all' | 'members' | 'sets')[]): Form[] {
  const [first, ...more] = forms
  const all = [first!]
  for (const [index, { membersOf, namedPortsOf, peerSets, ...rest }] of more.entries()) {
    const before = all.at(-1)!
    const way = ways[index]!
    const others = [...peerSets].filter(([, { kind }]) => kind === 'blocks')
    if (way === 'all') all.push({ membersOf, namedPortsOf, peerSets, ...rest })
    else if (way === 'members') all.push({ ...before, membersOf, namedPortsOf })
    else all.push({ ...before, membersOf, peerSets: new Map([...first!.peerSets, ...before.peerSets, ...others]) })
  }
  // and back to where no rule asks for any other set
  return [...all, all.at(-2)!]
}

test('a change step by step drops nothing that passes before it and after it, and ends where a new start would', () => {
  fc.assert(
    fc.property(fc.array(randomForm, { minLength: 2, maxLength: 4 }), steps, questions, (forms, ways, all) => {
      const [first, ...more] = series(forms, ways)
      const node = new Node()
      let form = first!
      node.take(node.plan.apply(form, wholeChange(form)))
      for (const next of more) {
        // each step asks a few: a question is asked of another pod and direction in each run
        const passing = devices.flatMap((device, at) =>
          directions.flatMap((direction, place) =>
            all
              .filter((_, index) => (index + 2 * at + place) % 6 === 0)
              .filter((question) => ![form, next].some((each) => isDue(each, device, direction, question)))
              .map((question) => ({ device, direction, question })),
          ),
        )
        node.take(node.plan.apply(next, changeOf(form, next)), () => {
          for (const { device, direction, question } of passing)
            assert.equal(node.drops(next, device, direction, question), false)
        })
        form = next
        for (const device of devices)
          for (const direction of directions)
            for (const question of all)
              assert.equal(node.drops(form, device, direction, question), isDue(form, device, direction, question))
        for (const entry of allEntries(node.plan)) {
          assert.deepEqual(node.plan.valueOf(entry), entry.value)
          assert.deepEqual(node.maps.entries.get(`${entry.map} ${entry.key.toHex()}`)?.value, entry.value)
        }
      }
    }),
    { numRuns: 100 },
  )
})

/** A form that becomes another one while it is read. */
function turning(forms: readonly Form[]): { readonly form: Form; readonly turn: () => void } {
  let at = 0
  const now = (): Form => forms[at]!
  const form: Form = {
    get locals() {
      return now().locals
    },
    get classes() {
      return now().classes
    },
    get policies() {
      return now().policies
    },
    get peerSets() {
      return now().peerSets
    },
    get namedPortSets() {
      return now().namedPortSets
    },
    families: new Set([4, 6]),
    membersOf: (id) => now().membersOf(id),
    namedPortsOf: (id) => now().namedPortsOf(id),
  }
  return { form, turn: () => void at++ }
}

test('a plan that is built in steps while the form changes is as if made of what the form has become', () => {
  const some = fc.array(randomForm, { minLength: 2, maxLength: 3 })
  fc.assert(
    fc.property(some, steps, fc.array(fc.nat(6), { minLength: 3 }), questions, (made, ways, waits, all) => {
      const forms = series(made, ways)
      const { form, turn } = turning(forms)
      const node = new Node()
      const queued: FormChange[] = []
      let left = waits[0]!
      const change = (): void => {
        queued.push(changeOf(forms[queued.length]!, forms[queued.length + 1]!))
        turn()
        left = waits[queued.length] ?? 3
      }
      for (const _ of node.plan.build(form)) if (left-- === 0 && queued.length < forms.length - 1) change()
      while (queued.length < forms.length - 1) change()
      for (const each of queued) node.plan.apply(form, each)
      for (const entry of allEntries(node.plan)) node.maps.set(entry)
      for (const device of devices) {
        node.policed.set(device, node.plan.policedOf(device))
        for (const direction of directions)
          for (const question of all)
            assert.equal(node.drops(form, device, direction, question), isDue(form, device, direction, question))
      }
    }),
    { numRuns: 150 },
  )
})

test('where there is no room, pods are left out, and nothing else is dropped', () => {
  const limits = fc.record({ peers: fc.constantFrom(3, 8, 1000), verdicts: fc.constantFrom(2, 10, 25, 60) })
  fc.assert(
    fc.property(fc.array(randomForm, { minLength: 2, maxLength: 3 }), limits, questions, (forms, most, all) => {
      const node = new Node(new PolicyPlan(most))
      let form: Form | undefined
      for (const next of forms) {
        node.take(node.plan.apply(next, form ? changeOf(form, next) : wholeChange(next)))
        form = next
        assert.ok([...node.plan.entries('cw_verdicts')].length <= most.verdicts)
        for (const device of devices)
          for (const direction of directions)
            for (const question of all) {
              // whoever applies a change that does not fit denies nothing at all
              const drops = !node.plan.isFull && node.drops(form, device, direction, question)
              if (drops) assert.ok(isDue(form, device, direction, question))
            }
      }
    }),
    { numRuns: 200 },
  )
})
