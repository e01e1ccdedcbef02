import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { systemClock } from '#/cluster/clock.ts'
import { Addr } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { noRemotePlan } from '#/plan/remote-plan.ts'
import { type PeerStatus } from '#/model/bgp.ts'
import { problem } from '#/model/problems.ts'
import { registerBgpMetrics } from './bgp-metrics.ts'
import { PolicyIndex } from '#/policy/index/policy-index.ts'
import { Signal } from '#/lib/signal.ts'
import { registerDatapathMetrics } from './datapath-metrics.ts'
import { AgentMetrics } from './metrics.ts'
import { ProblemTimes } from './problem-metrics.ts'
import { SimulatedWay } from '../probing/testing.ts'
import { registerProbeMetrics } from './probe-metrics.ts'
import { registerPolicyStateMetrics } from './policy-state-metrics.ts'
import { DenialListener } from './policy-listener.ts'
import { PolicyDenials } from './policy-denials.ts'
import { registerPolicyMetrics } from './policy-metrics.ts'
import { sceneSources } from './testing/policy-scene.ts'

const peer = Addr.parse('172.30.1.12')

const session: PeerStatus = {
  name: 'node/node-2',
  localAsn: 64_512,
  state: 'Established',
  sinceMs: 1_700_000_000_000,
  families: [4],
  received: 5,
  accepted: 4,
  advertised: 2,
  flaps: 1,
}

function metrics(): AgentMetrics {
  const all = new AgentMetrics({
    objects: () => [
      { kind: 'route', key: 'a', state: 'done', sinceMs: 0, attempts: 0 },
      { kind: 'route', key: 'b', state: 'done', sinceMs: 0, attempts: 0 },
      { kind: 'link', key: 'c', state: 'error', message: 'no', sinceMs: 0, attempts: 1 },
    ],
    problems: {
      problems: () => [problem('CW1002', 'node/a', 'm')],
      reasons: () => [],
      times: new ProblemTimes(() => 1_700_000_000_000),
    },
    pools: () => [{ cidr: '10.244.1.0/24', total: '253', used: '3', coolingDown: '1', free: '249' }],
    endpoints: () => 3,
    leaksReleased: () => 2,
    nodes: () => 3,
    nodesWithAgent: () => 2,
    api: () => ({ phase: 'backoff', restarts: 4, inSync: true, lastEventAtMs: 1_700_000_000_000 }),
    remotePlans: () => new Map([['node-2', { ...noRemotePlan, tunnelEnds: [peer] }]]),
    nftables: {
      readTraffic: async (_family, _table, set) =>
        set.endsWith('4') ? [{ addr: peer, traffic: { packets: 7, bytes: 700 } }] : [],
    },
  })
  registerBgpMetrics(all.registry, {
    sessions: async () => [
      session,
      {
        ...session,
        name: 'tor',
        state: 'Idle',
        bfd: 'Down',
        faults: { updates: 2, prefixes: 6, last: 'treat as withdraw: ORIGIN: value 3', lastMs: 1_700_000_000_000 },
      },
    ],
    learned: () => 9,
    notInstalled: () => 3,
  })
  const view = new PolicyIndex()
  const sim = new SimulatedWay()
  sim.pass(10_000)
  registerProbeMetrics(all.registry, () => [{ way: sim.way, state: 'ok' }])
  registerPolicyStateMetrics(all.registry, {
    view,
    form: view.form,
    endedConnections: 4,
    keeper: { isLevel: true, applied: new Signal() },
  })
  registerDatapathMetrics(all.registry, { generation: () => undefined, pods: () => new Map() })
  const sources = sceneSources()
  const deps = { clock: systemClock, log: silent }
  const denials = new PolicyDenials({ view: () => sources.view, adopt: () => false, ...deps })
  const listen = (): never => assert.fail('nobody wants it')
  registerPolicyMetrics(all.registry, sources, new DenialListener({ denials, listen, ...deps }))
  return all
}

test('every metric has a conventional name, and its value has the unit of the name', async () => {
  using all = metrics()
  all.changesMade('route', 'add', 5, 1)
  all.answered('STATUS', 50, 1.5)
  all.nodesChanged(30)
  all.passEnded(4)
  const text = await all.registry.render()
  for (const line of [
    'causeway_reconcile_operations_total{kind="route",verb="add",result="ok"} 5',
    'causeway_reconcile_operations_total{kind="route",verb="add",result="error"} 1',
    'causeway_cni_requests_total{command="STATUS",code="50"} 1',
    'causeway_cni_request_duration_seconds_bucket{command="STATUS",le="0.001"} 0',
    'causeway_cni_request_duration_seconds_bucket{command="STATUS",le="0.002"} 1',
    'causeway_node_change_duration_seconds_sum 0.03',
    'causeway_reconcile_pass_duration_seconds_count 1',
    'causeway_objects{kind="route",state="done"} 2',
    'causeway_objects{kind="link",state="error"} 1',
    'causeway_problems{code="CW1002"} 1',
    'causeway_problem_since_timestamp_seconds{code="CW1002",object="node/a",about="node",readiness="ready with problems"} 1700000000',
    'causeway_addresses{cidr="10.244.1.0/24",family="ipv4",state="cooling"} 1',
    'causeway_nodes 3',
    'causeway_nodes_with_agent 2',
    'causeway_watch_up 0',
    'causeway_watch_restarts_total 4',
    'causeway_watch_last_event_timestamp_seconds 1700000000',
    'causeway_bgp_session_established{peer="node/node-2"} 1',
    'causeway_bgp_session_established{peer="tor"} 0',
    'causeway_bgp_session_since_timestamp_seconds{peer="tor"} 1700000000',
    'causeway_bgp_bfd_up{peer="tor"} 0',
    'causeway_bgp_prefixes_accepted{peer="node/node-2"} 4',
    'causeway_bgp_session_flaps_total{peer="node/node-2"} 1',
    'causeway_bgp_faulty_updates_total{peer="node/node-2"} 0',
    'causeway_bgp_faulty_updates_total{peer="tor"} 2',
    'causeway_bgp_prefixes_treated_as_withdrawn_total{peer="tor"} 6',
    'causeway_bgp_routes_learned 9',
    'causeway_policy_enforced 1',
    'causeway_policy_connections_ended_total 4',
    'causeway_bgp_routes_not_installed 3',
    'causeway_peer_receive_bytes_total{peer_node="node-2",address="172.30.1.12"} 700',
    'causeway_peer_transmit_packets_total{peer_node="node-2",address="172.30.1.12"} 7',
    'causeway_policy_rule_connections_total{policy="networkpolicy/db/only-api",direction="ingress",rule="0",action="accept"} 4',
    'causeway_policy_denied_packets_total{namespace="db",direction="ingress",mode="enforced"} 12',
    'causeway_policy_refused_frames_total{reason="not an address of the pod (IPv4)"} 2',
    'causeway_policy_denials_not_told_total 0',
  ]) {
    assert.ok(text.includes(`${line}\n`), `${line} is not in\n${text}`)
  }
  for (const { name, kind } of all.registry.catalogue) {
    assert.match(name, /^(causeway|process)_[a-z_]+$/)
    assert.equal(name.endsWith('_total'), kind === 'counter', name)
  }
})

test('docs/metrics.md lists all metrics with their meaning', () => {
  using all = metrics()
  const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8')
  const rows = all.registry.catalogue.map(({ name, kind, help }) => `| \`${name}\` | ${kind} | ${help} |`)
  assert.deepEqual(
    page.split('\n').filter((line) => line.startsWith('| `')),
    rows,
  )
})
