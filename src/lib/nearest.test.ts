import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { didYouMean, nearest } from './nearest.ts'

const known = ['routing', 'mtu', 'log-level', 'http-port']

test('one slip of the hand is forgiven: a letter missing, too many, wrong, swapped, or in another case', () => {
  for (const word of ['routng', 'routting', 'routinh', 'rotuing', 'Routing', 'ROUTING'])
    assert.equal(nearest(word, known), 'routing', word)
  assert.equal(nearest('mut', known), 'mtu')
  assert.equal(nearest('loglevel', known), 'log-level')
})

test('a word that is like none of the known ones has no nearest', () => {
  assert.equal(nearest('encryption', known), undefined)
  assert.equal(nearest('', known), undefined)
  assert.equal(nearest('routing', []), undefined)
})

test('of several words that are equally near, the first is named', () => {
  assert.equal(nearest('ipv5', ['ipv4', 'ipv6']), 'ipv4')
  assert.equal(nearest('ipv5', ['ipv6', 'ipv4']), 'ipv6')
})

test('a known word is nearest to itself', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z]{1,8}$/), { minLength: 1, maxLength: 5 }), (words) => {
      for (const word of words) assert.equal(nearest(word, words), word)
    }),
  )
})

const names = ['--nodes', '--pods', '--name', '--mesh', '--cluster-cidrs']

test('a slip of the fingers finds the name that was meant', () => {
  for (const [typed, meant] of [
    ['--node', '--nodes'],
    ['--ndoes', '--nodes'],
    ['--PODS', '--pods'],
    ['--cluster-cidr', '--cluster-cidrs'],
    ['--clus', '--cluster-cidrs'],
  ] as const)
    assert.equal(nearest(typed, names), meant, typed)
})

test('what is like nothing finds nothing', () => {
  assert.equal(nearest('--frobnicate', names), undefined)
  assert.equal(nearest('x', ['up', 'down', 'status']), undefined)
  assert.equal(nearest('', names), undefined)
  assert.equal(nearest('up', []), undefined)
  assert.equal(didYouMean('frobnicate', names), '')
})

test('the end of a message', () => {
  assert.equal(didYouMean('--meshh', names), '; did you mean --mesh?')
})
