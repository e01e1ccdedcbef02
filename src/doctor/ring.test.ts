import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mostPackets, otherPods, ringOf } from './ring.ts'
import { clusterOf } from './testing/answers.ts'
import { type NodeAnswers, type PlannedPacket } from './types.ts'

const nameOf = ({ from, to, protocol, family }: PlannedPacket): string =>
  `${from.name} ${to.name} ${protocol} ${family}`

test('a pod of each node sends to a pod of the next one, and two pods of a node to each other', () => {
  const { packets, left } = ringOf(clusterOf(3))
  assert.deepEqual(packets.map(nameOf), [
    'default/web-1-1 default/web-2-1 icmp 4',
    'default/web-2-1 default/web-3-1 icmp 4',
    'default/web-3-1 default/web-1-1 icmp 4',
    'default/web-1-1 default/web-2-1 tcp 4',
    'default/web-2-1 default/web-3-1 tcp 4',
    'default/web-3-1 default/web-1-1 tcp 4',
    'default/web-1-1 default/web-1-2 icmp 4',
    'default/web-2-1 default/web-2-2 icmp 4',
    'default/web-3-1 default/web-3-2 icmp 4',
  ])
  assert.equal(left, 0)
})

test('both families of a dual-stack cluster are tried, and the only one of an IPv6 cluster', () => {
  const dual = clusterOf(2).map((each): NodeAnswers => {
    const { status } = each
    const index = Number(each.node.slice(-1))
    const endpoints = status!.endpoints.map((pod, at) => ({
      ...pod,
      addrs: [...pod.addrs, `fd10::${index}:${at + 2}`],
    }))
    return { ...each, status: { ...status!, podCIDRs: [...status!.podCIDRs, `fd10::${index}:0/112`], endpoints } }
  })
  assert.equal(ringOf(dual).packets.filter(({ family }) => family === 6).length, 4)
  const six = dual.map((each): NodeAnswers => {
    const { podCIDRs, endpoints } = each.status!
    const alone = endpoints.map((pod) => ({ ...pod, addrs: pod.addrs.slice(1) }))
    return { ...each, status: { ...each.status!, podCIDRs: podCIDRs.slice(1), endpoints: alone } }
  })
  assert.deepEqual(new Set(ringOf(six).packets.map(({ family }) => family)), new Set([6]))
})

test('a node without pods sends by itself, and its gateway is asked; a silent one only is', () => {
  const bare = (answers: NodeAnswers): NodeAnswers =>
    answers.node === 'node-2' ? { ...answers, status: { ...answers.status!, endpoints: [] } } : answers
  assert.deepEqual(
    ringOf(clusterOf(2).map(bare))
      .packets.filter(({ protocol }) => protocol === 'tcp')
      .map(nameOf),
    ['default/web-1-1 10.244.1.1 tcp 4', 'node-2 default/web-1-1 tcp 4'],
  )
  const silent = ringOf(clusterOf(3, [], ['node-2'])).packets.filter(({ from, to }) => from.node !== to.node)
  assert.deepEqual(silent.filter(({ protocol }) => protocol === 'icmp').map(nameOf), [
    'default/web-1-1 default/web-3-1 icmp 4',
    'default/web-3-1 default/web-1-1 icmp 4',
    'default/web-1-1 10.244.1.1 icmp 4',
  ])
})

test('however many nodes there are, packets are bounded, and each node is an end of one', () => {
  for (const count of [1, 2, 20, 22, 64, 65, 128]) {
    const { packets, left } = ringOf(clusterOf(count))
    assert.ok(packets.length <= mostPackets)
    const ends = new Set(packets.flatMap(({ from, to }) => [from.node, to.node]))
    assert.equal(ends.size, count, `${count} nodes`)
    assert.equal(left > 0, count > 21, `${count} nodes`)
  }
})

test('asked about one node, packets are those from it and to it', () => {
  const { packets } = ringOf(clusterOf(4), 'node-3')
  assert.ok(packets.length > 0 && packets.every(({ from, to }) => from.node === 'node-3' || to.node === 'node-3'))
})

test('instead of pods whose packets policies deny, others of the same nodes are taken, each pair once', () => {
  const answers = clusterOf(2)
  const [first] = ringOf(answers).packets
  const tried: PlannedPacket[] = [first!]
  for (let next = otherPods(answers, first!, tried); next !== undefined; next = otherPods(answers, first!, tried))
    tried.push(next)
  assert.deepEqual(tried.map(nameOf), [
    'default/web-1-1 default/web-2-1 icmp 4',
    'default/web-1-2 default/web-2-1 icmp 4',
    'default/web-1-1 default/web-2-2 icmp 4',
    'default/web-1-2 default/web-2-2 icmp 4',
  ])
})
