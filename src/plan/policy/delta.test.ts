// Changes by element and chain lead to the table that is made of the form at once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { checkTable } from '#/wire/nftables/check.ts'
import { isEmptyDelta } from '#/wire/nftables/delta.ts'
import { policyDelta } from './delta.ts'
import { inetTable } from './inet-table.ts'
import { applyDelta, changeBetween, tableText } from './testing/changes.ts'
import { changeOf, TestForm, tcp } from './testing/form.ts'
import { randomForm } from './testing/random-form.ts'
import { WrittenForm } from './written.ts'

test('after any changes the table is as if made anew, and the kernel would have refused none of them', () => {
  fc.assert(
    fc.property(fc.array(randomForm, { minLength: 2, maxLength: 6 }), (forms) => {
      let form = forms[0]!
      const written = WrittenForm.of(form)
      const table = tableText(inetTable(form))
      for (const next of forms.slice(1)) {
        checkTable(inetTable(next))
        const change = changeBetween(form, next)
        applyDelta(table, policyDelta(next, change, written))
        written.note(next, change)
        form = next
        assert.deepEqual(table, tableText(inetTable(form)))
        assert.deepEqual(written, WrittenForm.of(form))
      }
    }),
    { numRuns: 300 },
  )
})

function someForm(): TestForm {
  return new TestForm()
    .pods('a', '10.244.1.5')
    .policy('p1', 'NetworkPolicy', 'ingress', { peers: ['a'], ports: tcp(80) })
    .policy('p2', 'NetworkPolicy', 'ingress', { peers: ['a'] })
    .class('c1', 'ingress', ['p1'])
    .class('c2', 'ingress', ['p2'])
    .local('cwv1', ['10.244.1.2', 'fd10::2'], { ingress: 'c1' })
}

test('nothing changes without a change', () => {
  const form = someForm()
  assert.ok(isEmptyDelta(policyDelta(form, changeOf({}), WrittenForm.of(form))))
})

test('a pod that gets into another class changes two elements', () => {
  const form = someForm()
  const written = WrittenForm.of(form)
  form.local('cwv1', ['10.244.1.2', 'fd10::2'], { ingress: 'c2' })
  const { addElements, deleteElements, ...rest } = policyDelta(form, changeOf({ locals: form.locals }), written)
  assert.ok(isEmptyDelta(rest))
  const text = (elements: typeof addElements) =>
    elements!.flatMap((each) =>
      each.kind === 'ranges' ? each.ranges.map(({ first }) => `${each.set.name} ${first}`) : ['?'],
    )
  assert.deepEqual(text(deleteElements), ['in4-c1 10.244.1.2', 'in6-c1 fd10::2'])
  assert.deepEqual(text(addElements), ['in4-c2 10.244.1.2', 'in6-c2 fd10::2'])
})

test('a pod of a class that is there changes elements alone: nothing that leads anywhere, for which the kernel walks all rules', () => {
  const form = someForm()
  const written = WrittenForm.of(form)
  form.local('cwv2', ['10.244.1.3', 'fd10::3'], { ingress: 'c1' })
  const { addElements, ...rest } = policyDelta(form, changeOf({ locals: form.locals }), written)
  assert.ok(isEmptyDelta(rest))
  assert.deepEqual(
    addElements!.map((each) => each.set.name),
    ['itself4', 'itself6', 'in4-c1', 'in6-c1', 'policed-in4', 'policed-in6'],
  )
})

test('a class that comes or goes has its direction lead to it, and no other chain is written', () => {
  const form = someForm()
  const written = WrittenForm.of(form)
  form.class('c3', 'ingress', ['p1', 'p2'])
  const delta = policyDelta(form, changeOf({ classes: new Map([['c3', form.classes.get('c3')]]) }), written)
  assert.deepEqual([...delta.setRules!.keys()], ['ingress4-c', 'ingress6-c'])
  assert.deepEqual(
    delta.setRules!.get('ingress6-c')!.map(({ action }) => action),
    ['in-c1', 'in-c2', 'in-c3'].map((chain) => ({ kind: 'goto', chain })),
  )
})

test('a policy that changes has the rules of its own chain replaced, and no other', () => {
  const form = someForm()
  const written = WrittenForm.of(form)
  form.policy('p1', 'NetworkPolicy', 'ingress', { ports: tcp(443) })
  const { setRules, ...rest } = policyDelta(
    form,
    changeOf({ policies: new Map([['p1', form.policies.get('p1')]]) }),
    written,
  )
  assert.ok(isEmptyDelta(rest))
  assert.deepEqual([...setRules!.keys()], ['np-p1'])
})
