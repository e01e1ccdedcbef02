import assert from 'node:assert/strict'
import { test } from 'node:test'
import { holderAnnotation, namespaceObject } from './objects.ts'
import { type Holder, holderName, holderText, isHolderGone, isOwn, startedIn } from './ownership.ts'

const self: Holder = { host: 'here', boot: 'b1', pidNamespace: 'p1', pid: 7, started: '100' }
const of = (holder: Partial<Holder>) =>
  namespaceObject('causeway-test', { [holderAnnotation]: holderText({ ...self, pid: 5, ...holder }) })
const running = (started: string | undefined) => () => started

test('a namespace is this command’s by its label', () => {
  assert.equal(isOwn(of({})), true)
  assert.equal(isOwn({ metadata: { name: 'causeway-test', labels: { app: 'web' } } }), false)
})

test('on one machine it is seen whether the process is there, also when its number was used again', () => {
  assert.equal(isHolderGone(of({}), self, running('100')), false)
  assert.equal(isHolderGone(of({}), self, running(undefined)), true)
  assert.equal(isHolderGone(of({}), self, running('200')), true)
})

test('of another machine, or of what cannot be read, nothing is known', () => {
  assert.equal(isHolderGone(of({ host: 'there' }), self, running(undefined)), undefined)
  // another machine of the same name, or this one before it was started anew
  assert.equal(isHolderGone(of({ boot: 'b0' }), self, running(undefined)), undefined)
  assert.equal(isHolderGone(of({ pidNamespace: 'p2' }), self, running(undefined)), undefined)
  const broken = namespaceObject('causeway-test', { [holderAnnotation]: '{' })
  assert.equal(isHolderGone(broken, self, running(undefined)), undefined)
  assert.equal(holderName(broken), 'somebody')
  assert.equal(holderName(of({})), 'process 5 on here')
})

test('a process that has ended is gone, also while its parent has not heard of it', () => {
  const stat = (state: string): string =>
    `7 (a name) of (b)) ${state} ${Array.from({ length: 30 }, (_, at) => at + 4).join(' ')}`
  // field 22 of proc(5)
  assert.equal(startedIn(stat('S')), '22')
  assert.equal(startedIn(stat('Z')), undefined)
  assert.equal(startedIn(''), undefined)
})
