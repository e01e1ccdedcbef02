// A way between nodes that breaks, as its operator sees it: in status, on the Node object, in Events and in metrics.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { causeway, eventually, must, run, TestLab } from './harness.ts'

test('a tunnel that breaks is told everywhere, and so is its end', async () => {
  using lab = new TestLab()
  lab.up('--nodes', '2', '--pods', '1')
  const status = (): string => run(causeway, ['status', '--node', 'node-1', '--lab', lab.name]).stdout
  const condition = (): string =>
    lab.kubectl(
      'get',
      'node',
      'node-1',
      '-o',
      'jsonpath={range .status.conditions[?(@.type=="CausewayPathsBroken")]}{.status} {.reason}{end}',
    )
  await eventually('all ways answer', () => /^ways: 4 of 4 answer, 1 node asked; p50 \d+(\.\d+)? ms$/m.test(status()))
  assert.equal(condition(), '', 'a node on which nothing was ever wrong has no such condition')

  must(causeway, 'lab', 'break', 'overlay-port-blocked', '--name', lab.name, '--quiet')
  await eventually('status tells it', () =>
    /^! +CW1306 node\/node-2: node-2: no answer since \d\d:\d\d:\d\d UTC from its gateway 10\.244\.1\.1 through the tunnel/m.test(
      status(),
    ),
  )
  assert.match(status(), /^ways: 2 of 4 answer, 1 node asked/m)
  assert.match(status(), /^ {2}node-2 pod IPv4 vxlan 10\.244\.1\.1: broken for \d+s$/m)
  await eventually('the condition', () => condition() === 'True PacketsAreLost')
  await eventually('the event', () => /Warning\s+CausewayPathBroken.*CW1306/.test(lab.kubectl('get', 'events')))
  assert.match(
    lab.askAgent('node-1', '/metrics'),
    /^causeway_probe_way\{peer_node="node-2",path="pod",family="ipv4",state="broken"\} 1$/m,
  )
  assert.match(status(), /^node-1: ready with problems/m, 'one silent node is no reason to keep pods away')
  must(causeway, 'lab', 'mend', '--name', lab.name)
  await eventually('it is over', () => /^ways: 4 of 4 answer/m.test(status()) && !/CW1306/.test(status()))
  assert.equal(condition(), 'True PacketsAreLost', 'not taken back at once')

  // a firewall that refuses echo requests alone, while packets of pods arrive
  for (const node of ['node-1', 'node-2'])
    lab.mustInside(
      node,
      'nft',
      'add table inet t; add chain inet t in { type filter hook input priority 0; }; add rule inet t in icmp type echo-request drop; add rule inet t in icmpv6 type echo-request drop',
    )
  await eventually('nothing is known of the ways', () => /^ways: 0 of 4 answer, 4 not known/m.test(status()))
  await sleep(10_000)
  assert.match(status(), /^node-1: ready, /m)
  assert.doesNotMatch(status(), /CW/)

  // and TCP with them, but for connections of the node itself, such as that to the Kubernetes API
  for (const node of ['node-1', 'node-2'])
    lab.mustInside(
      node,
      'nft',
      'add rule inet t in ct state established accept; add rule inet t in meta l4proto tcp drop',
    )
  for (let second = 0; second < 15; second++) {
    await sleep(1_000)
    // that its pods do not reach their own node is told, and nothing of other nodes
    assert.deepEqual(
      [...new Set(status().match(/CW\d{4}/g))].filter((code) => code !== 'CW7003'),
      [],
    )
  }
})
