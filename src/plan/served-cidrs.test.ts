import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { type NodeState } from '#/model/network.ts'
import { serveCIDRs } from './served-cidrs.ts'

function node(name: string, ...podCIDRs: string[]): NodeState {
  return { name, podCIDRs: podCIDRs.map(Prefix.parse), addrs: [] }
}

function served(self: NodeState, others: NodeState[], ...held: string[]) {
  const ownerOf = (cidr: Prefix) =>
    others.find(({ podCIDRs: theirs }) => theirs.some((each) => each.overlaps(cidr)))?.name
  const { podCIDRs, former, problems } = serveCIDRs(self, self.podCIDRs, held.map(Prefix.parse), ownerOf)
  return {
    planned: [...podCIDRs, ...former].map(String),
    forPods: podCIDRs.map(String),
    problems: problems.map(({ object, message, remedy }) => `${object}: ${message}; ${remedy}`),
  }
}

test('a former CIDR is still served for pods with addresses of it, but gives no new address', () => {
  assert.deepEqual(served(node('a', '10.0.2.0/24'), [node('b', '10.0.3.0/24')], '10.0.1.0/24', '10.0.2.0/24'), {
    planned: ['10.0.2.0/24', '10.0.1.0/24'],
    forPods: ['10.0.2.0/24'],
    problems: [],
  })
})

test('a former CIDR that another node has now is a problem that says which pods are cut off', () => {
  const { planned, problems } = served(node('a', '10.0.2.0/24'), [node('b', '10.0.0.0/23')], '10.0.1.0/24')
  assert.deepEqual(planned, ['10.0.2.0/24'])
  assert.match(
    problems[0]!,
    /^node\/a: pods .* former pod CIDR 10\.0\.1\.0\/24 are cut off, .* node b now; delete these pods/,
  )
})

test('a CIDR that grew serves its old pods by the same gateway; one that was cut from another place does not', () => {
  assert.deepEqual(served(node('a', '10.0.0.0/23'), [], '10.0.0.0/24').problems, [])
  assert.match(
    served(node('a', '10.0.0.0/23'), [], '10.0.1.0/24').problems[0]!,
    /overlaps its pod CIDR 10\.0\.0\.0\/23/,
  )
})

test('a CIDR without an address for a pod is left out and reported as a problem, without an exception', () => {
  for (const cidr of ['10.0.0.0/31', '10.0.0.0/32', 'fd00::/127', 'fd00::/128']) {
    const { planned, problems } = served(node('a', cidr, '10.1.0.0/24'), [])
    assert.deepEqual(planned, ['10.1.0.0/24'])
    assert.match(
      problems[0]!,
      /^node\/a: pod CIDR \S+ is too small for pods: .* give the node one of \/(30|126) or larger/,
    )
  }
})

test('pods keep their gateway in a CIDR that the Node object still has, though another node has the better claim; no new address is given', () => {
  const cidr = Prefix.parse('10.0.1.0/24')
  const lost = serveCIDRs(node('a'), [cidr], [cidr], () => 'b')
  assert.deepEqual(
    [lost.podCIDRs, lost.former, lost.disputed.map(String), lost.problems],
    [[], [], ['10.0.1.0/24'], []],
  )
  assert.deepEqual(serveCIDRs(node('a'), [cidr], [], () => 'b').disputed, [])
})
