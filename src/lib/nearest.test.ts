import assert from 'node:assert/strict'
import { test } from 'node:test'
import { didYouMean, nearest } from './nearest.ts'

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
