// `causeway ipam` on a lab, as a user would use it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type IpamReport } from '#/api/schemas/ipam.ts'
import { causeway, must, run, TestLab } from './harness.ts'

type Answers = { node: string; value: IpamReport }[]

test('ipam shows who holds what, finds store and kernel in agreement, and releases by force only what lives', () => {
  using lab = new TestLab()
  const { pods } = lab.up('--nodes', '2', '--pods', '2')
  const options = ['--lab', lab.name]
  const shown = JSON.parse(must(causeway, 'ipam', 'show', '--json', ...options)) as Answers
  const held = shown.flatMap(({ node, value }) => value.addresses.map(({ addr, state }) => `${addr} ${node} ${state}`))
  const expected = pods.flatMap(({ node, addrs }) => addrs.map((addr) => `${addr} ${node} in use`))
  assert.deepEqual(held.toSorted(), expected.toSorted())
  assert.match(must(causeway, 'ipam', 'check', ...options), /node-1: store and kernel agree on \d pod interfaces/)
  const [addr] = pods[0]!.addrs
  const refused = run(causeway, ['ipam', 'release', addr!, ...options])
  assert.equal(refused.status, 1)
  assert.match(refused.stdout, /in use: the namespace of pod default\/web-1 lives/)
  assert.match(
    must(causeway, 'ipam', 'release', addr!, '--force', ...options),
    /released \S+ \S+ of pod default\/web-1/,
  )
  assert.match(must(causeway, 'ipam', 'show', '--node', pods[0]!.node, ...options), /cooling down +default\/web-1/)
  for (const wrong of [['take'], ['release'], ['release', 'web'], ['show', '--force'], ['show', 'more']])
    assert.equal(run(causeway, ['ipam', ...wrong, ...options]).status, 2, wrong.join(' '))
})
