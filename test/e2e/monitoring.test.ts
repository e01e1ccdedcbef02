// The alerts and the dashboard with a real Prometheus and the metrics of real agents. `npm test faults/alerts` causes every alert.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { askedOf, dashboardJson, TestPrometheus } from '../monitoring/prometheus.ts'
import { readRules } from '../monitoring/rules.ts'
import { causeway, eventually, must, TestLab } from './harness.ts'

const nodes = ['node-1', 'node-2', 'node-3']
/** Panels that are empty, wholly or for one of their questions, while all is well. */
const emptyWhenWell = [
  'What is wrong now',
  'Problems by code',
  'BGP sessions that are down',
  'BGP sessions',
  'Packets that policies deny',
  'Packets that the eBPF datapath drops',
]

/** "TITLE: EXPRESSION" of those that give nothing. */
async function emptyPanels(prometheus: TestPrometheus): Promise<string[]> {
  const empty: string[] = []
  for (const { title, targets } of dashboardJson().panels)
    for (const { expr } of targets)
      if ((await prometheus.query(askedOf(expr))).length === 0) empty.push(`${title}: ${expr}`)
  return empty
}

test('no alert in a healthy lab, alerts by its faults, and every panel shows something', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--nodes', '3', '--pods', '2', '--routing', 'native', '--datapath', 'ebpf')
  await using prometheus = await TestPrometheus.start(lab.name, nodes, 60)
  // what is a rate needs some values
  await sleep(8000)
  assert.deepEqual(await prometheus.firing(), [])
  for (const { alert, expr } of readRules()) assert.deepEqual(await prometheus.query(expr), [], `${alert} would fire`)
  await eventually('panels show what they show of a healthy network', async () => {
    const wrong = (await emptyPanels(prometheus)).filter((line) => !emptyWhenWell.includes(line.split(':')[0]!))
    assert.deepEqual(wrong, [])
    return true
  })

  must(causeway, 'lab', 'break', 'policy-denies', '--name', lab.name, '--quiet')
  must(causeway, 'lab', 'break', 'node-cidr-outside', '--name', lab.name, '--quiet')
  must(causeway, 'lab', 'break', 'agent-dead', '--node', 'node-3', '--name', lab.name, '--quiet')
  await eventually('alerts of these faults, and no others', async () => {
    assert.deepEqual(await prometheus.firing(), [
      'CausewayAgentDown node-3',
      'CausewayBgpSessionDown node/node-3',
      'CausewayPacketsLost CW1105 node/zz-elsewhere',
    ])
    return true
  })
  const [own, other] = pods.map(({ addrs }) => addrs[0]!) as [string, string]
  await eventually(
    'every panel shows something',
    async () => {
      for (const pod of ['pod-default-web-1', 'pod-default-web-2']) lab.inside(pod, 'ping', '-c', '1', '-W', '1', other)
      lab.inside(
        'pod-default-web-1',
        'sh',
        '-c',
        `ip addr add 192.0.2.7/32 dev lo; ping -c 2 -i 0.2 -W 1 -I 192.0.2.7 ${other}`,
      )
      assert.deepEqual(await emptyPanels(prometheus), [], own)
      return true
    },
    20_000,
  )
})
