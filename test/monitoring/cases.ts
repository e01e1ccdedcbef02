// What alerts are played with: what operators are to be told of, and what looks like it and is not.
import { type Case } from './rules.ts'

const labels = (node: string): string => `job="causeway-agent", instance="${node}:9474", node="${node}"`
const up = (node: string): string => `up{${labels(node)}}`
const started = (node: string): string => `process_start_time_seconds{${labels(node)}}`

/** A metric of an agent. */
export function metric(name: string, node: string, more = ''): string {
  return `${name}{${labels(node)}${more === '' ? '' : `, ${more}`}}`
}

const agentNodes = (node: string): string => metric('causeway_nodes_with_agent', node)

export const alive = { [up('a')]: '1x400' }

const problemOf = (
  node: string,
  code: string,
  object: string,
  about: string,
  readiness = 'ready with problems',
): string =>
  metric(
    'causeway_problem_since_timestamp_seconds',
    node,
    `code="${code}", object="${object}", about="${about}", readiness="${readiness}"`,
  )
const way = 'peer_node="b", path="pod", family="ipv4", size="small"'
const stateOf = (node: string, state: string): string =>
  metric('causeway_probe_way', node, `peer_node="b", path="pod", family="ipv4", state="${state}"`)
const sent = metric('causeway_probe_sent_total', 'a', way)
const lost = metric('causeway_probe_lost_total', 'a', way)
const addressesOf = (family: string, cidr: string, state: string): string =>
  metric('causeway_addresses', 'a', `cidr="${cidr}", family="${family}", state="${state}"`)
const add = (code: number): string => metric('causeway_cni_requests_total', 'a', `command="ADD", code="${code}"`)
const session = (node: string, peer: string): string =>
  metric('causeway_bgp_session_established', node, `peer="${peer}"`)

export const cases: readonly Case[] = [
  {
    name: 'an agent that is away',
    series: { ...alive, [up('b')]: '1x10 0x30' },
    fires: [
      [5, {}],
      [9, {}],
      [11, { CausewayAgentDown: 1 }],
    ],
  },
  {
    name: 'rolling upgrade: each agent is away for a minute',
    series: { ...alive, [up('b')]: '1x10 0x1 1x60', [started('b')]: '100x10 stale 400x60' },
    fires: [
      [7, {}],
      [12, {}],
    ],
  },
  {
    name: 'a node that is removed: its target is gone',
    series: { ...alive, [up('b')]: '1x10 0x4 stale _x60' },
    fires: [
      [8, {}],
      [20, {}],
    ],
  },
  {
    name: 'all agents are away',
    series: { [up('a')]: '0x60' },
    fires: [
      [9, { CausewayAgentDown: 1 }],
      [12, { CausewayAgentDown: 1, CausewayNoAgentSeen: 1 }],
    ],
  },
  {
    name: 'no target at all, as with a wrong selector',
    series: { 'up{job="other"}': '1x60' },
    fires: [
      [9, {}],
      [12, { CausewayNoAgentSeen: 1 }],
    ],
  },
  {
    name: 'the job as prometheus-operator names it without jobLabel',
    series: { 'up{job="causeway-system/causeway-agent", instance="1.2.3.4:9474"}': '0x60', ...alive },
    fires: [[6, { CausewayAgentDown: 1 }]],
  },
  {
    name: 'an agent that answers three scrapes of four, at 30 s and at 1 min, is told with its problems, which are stale meanwhile',
    series: {
      [up('a')]: '1 1 1 0 '.repeat(20),
      [problemOf('a', 'CW1306', 'node/b', 'kernel')]: '1700000000x2 stale '.repeat(20),
      [problemOf('a', 'CW7001', 'nft/drop', 'kernel', 'not ready')]: '1700000000x2 stale '.repeat(20),
      [problemOf('a', 'CW1105', 'node/c', 'node')]: '1700000000x2 stale '.repeat(20),
      [problemOf('a', 'CW3008', 'cni/x', 'kernel')]: '1700000000x2 stale '.repeat(20),
      [up('b')]: '1 _ 1 _ 1 _ 0 _ '.repeat(10),
      [problemOf('b', 'CW1306', 'node/a', 'kernel')]: '1700000000 _ 1700000000 _ 1700000000 _ stale _ '.repeat(10),
    },
    fires: [
      [1.5, {}],
      [12, { CausewayAgentDown: 1, CausewayNodeUnreachable: 2, CausewayNodeNotReady: 1, CausewayPacketsLost: 1 }],
      ...[20, 20.5, 21, 21.5, 22, 23, 23.5, 24].map(
        (minute) =>
          [
            minute,
            {
              CausewayAgentDown: 2,
              CausewayNodeUnreachable: 2,
              CausewayNodeNotReady: 1,
              CausewayPacketsLost: 1,
              CausewayProblem: 1,
            },
          ] as const,
      ),
    ],
  },
  {
    name: 'other values of an agent that answers three scrapes of four',
    series: {
      ...alive,
      [up('b')]: '1 1 1 0 '.repeat(20),
      [metric('causeway_watch_up', 'b')]: '0 0 0 stale '.repeat(20),
      [metric('causeway_policy_enforced', 'b')]: '0 0 0 stale '.repeat(20),
      [session('b', 'tor-1')]: '0 0 0 stale '.repeat(20),
      [session('b', 'tor-2')]: '1 1 1 stale '.repeat(20),
      [metric('causeway_bgp_session_flaps_total', 'b', 'peer="tor-1"')]: '1 2 3 stale 4 5 6 stale '.repeat(10),
      [sent.replaceAll('"a', '"b')]: '0 30 60 stale 120 150 180 stale 240 270 300 stale 360 390 420 stale '.repeat(5),
      [stateOf('b', 'lossy')]: '1 1 1 stale '.repeat(20),
      [lost.replaceAll('"a', '"b')]: '0 9 18 stale 36 45 54 stale 72 81 90 stale 108 117 126 stale '.repeat(5),
      [addressesOf('ipv4', '10.1.0.0/24', 'used').replaceAll('"a', '"b')]: '250 250 250 stale '.repeat(20),
      [addressesOf('ipv4', '10.1.0.0/24', 'free').replaceAll('"a', '"b')]: '2 2 2 stale '.repeat(20),
      [up('c')]: '1 1 1 0 '.repeat(20),
      [session('c', 'tor-1')]: '0 0 0 stale '.repeat(20),
      [session('c', 'tor-2')]: '0 0 0 stale '.repeat(20),
    },
    fires: [
      [
        25.5,
        {
          CausewayAgentDown: 2,
          CausewayAgentWithoutApi: 1,
          CausewayPoliciesNotEnforced: 1,
          CausewayBgpSessionDown: 1,
          CausewayBgpNoSession: 1,
          CausewayBgpSessionFlaps: 1,
          CausewayLossyWay: 1,
          CausewayAddressesRunningOut: 1,
        },
      ],
    ],
  },
  {
    name: 'scrapes that fail once, for four minutes and by restarts; problems that are mended before',
    series: {
      ...alive,
      [up('b')]: '1x20 0x7 1x60',
      [problemOf('b', 'CW1306', 'node/a', 'kernel')]: '_x16 1700000000x2 stale _x60',
      [problemOf('b', 'CW7001', 'nft/drop', 'kernel', 'not ready')]: '1700000000x8 stale _x20',
      [metric('causeway_watch_up', 'b')]: '1x20 stale _x6 1x60',
      [up('c')]: '1 1 1 0 '.repeat(20),
      [started('c')]: [100, 200, 300, 400, 500].map((at) => `${at}x2 stale `.repeat(4)).join(''),
      [up('d')]: '1x10 0 1x30 0 1x60',
      // a node that is shut down and starts again
      [up('e')]: '1x20 0x7 1x60',
      [problemOf('e', 'CW1306', 'node/a', 'kernel')]: '_x20 1700000000 stale _x60',
      [problemOf('e', 'CW7001', 'nft/drop', 'kernel', 'not ready')]: '_x20 1700000000 stale _x60',
    },
    fires: [5, 9, 10, 11, 12, 13, 14, 16, 18, 20].map((minute) => [minute, {}] as const),
  },
  {
    name: 'an agent whose pod is gone while its Node object is there; one whose view is old knows a node too many',
    series: {
      [up('a')]: '1x80',
      [up('b')]: '1x80',
      [up('c')]: '1x10 stale _x80',
      [agentNodes('a')]: '3x80',
      [agentNodes('b')]: '3x80',
      [agentNodes('c')]: '3x10 stale _x80',
    },
    fires: [
      [14, {}],
      [16, { CausewayAgentMissing: 1 }],
      [30, { CausewayAgentMissing: 1 }],
    ],
  },
  {
    name: 'a node that is removed with its agent; another agent does not hear of it',
    series: {
      [up('a')]: '1x80',
      [up('b')]: '1x80',
      [up('c')]: '1x80',
      [up('d')]: '1x10 stale _x80',
      [agentNodes('a')]: '4x12 3x70',
      [agentNodes('b')]: '4x12 3x70',
      [agentNodes('c')]: '4x80',
      [agentNodes('d')]: '4x10 stale _x80',
    },
    fires: [16, 30].map((minute) => [minute, {}] as const),
  },
  {
    name: 'agents that are away have targets all the same',
    series: { ...alive, [up('b')]: '0x60', [up('c')]: '0x60', [agentNodes('a')]: '3x60' },
    fires: [[20, { CausewayAgentDown: 2 }]],
  },
  {
    name: 'an agent that is started again and again',
    series: { ...alive, [started('a')]: '100x10 200x10 300x10 400x10 500x10 600x10' },
    fires: [
      [20, {}],
      [29, { CausewayAgentRestarts: 1 }],
    ],
  },
  {
    name: 'an upgrade and its roll-back',
    series: { ...alive, [started('a')]: '100x10 200x10 300x30' },
    fires: [[15, {}]],
  },
  {
    name: 'an agent without the API; a watch that is begun anew is none',
    series: {
      ...alive,
      [metric('causeway_watch_up', 'a')]: '1x10 0x60',
      [metric('causeway_watch_up', 'b')]: '1x10 0x2 1x5 0x2 1x60',
    },
    fires: [
      [14, {}],
      [16, { CausewayAgentWithoutApi: 1 }],
    ],
  },
  {
    name: 'one problem of the cluster that all nodes tell is one alert',
    series: {
      ...alive,
      [problemOf('a', 'CW4002', 'bgppeer/tor', 'cluster object')]: '1700000000x60',
      [problemOf('b', 'CW4002', 'bgppeer/tor', 'cluster object')]: '1700000000x60',
      [problemOf('a', 'CW1105', 'node/c', 'node')]: '1700000000x60',
      [problemOf('b', 'CW1105', 'node/c', 'node')]: '1700000000x60',
    },
    fires: [
      [4, {}],
      [6, { CausewayPacketsLost: 1 }],
      [16, { CausewayPacketsLost: 1, CausewayProblem: 1 }],
    ],
  },
  {
    name: 'a node that died: others tell it until its kubelet counts as away',
    series: { ...alive, [problemOf('a', 'CW1306', 'node/b', 'kernel')]: '_x4 1700000000x2 stale _x40' },
    fires: [
      [3, {}],
      [10, {}],
    ],
  },
  {
    name: 'a way that breaks, told by both ends; the agent of one is started anew and knows nothing for a moment',
    series: {
      ...alive,
      [problemOf('a', 'CW1306', 'node/b', 'kernel')]: '_x4 1700000000x40',
      [problemOf('b', 'CW1306', 'node/a', 'kernel')]: '_x4 1700000000x10 stale 1700000900x30',
    },
    fires: [
      [3, {}],
      [5, { CausewayNodeUnreachable: 2 }],
      [9, { CausewayNodeUnreachable: 1 }],
      [12, { CausewayNodeUnreachable: 2 }],
    ],
  },
  {
    name: 'a way that loses one packet in ten',
    series: { ...alive, [sent]: '0+30x80', [lost]: '0+3x80', [stateOf('a', 'lossy')]: '1x80' },
    fires: [
      [10, {}],
      [12, { CausewayLossyWay: 1 }],
    ],
  },
  {
    name: 'a firewall that limits echo requests alone: connections are answered, so the way is ok',
    series: {
      ...alive,
      [sent]: '0+30x80',
      [lost]: '0+3x80',
      [stateOf('a', 'ok')]: '1x80',
      [stateOf('a', 'lossy').replace('"b"', '"c"')]: '1x80',
    },
    fires: [20, 30].map((minute) => [minute, {}] as const),
  },
  {
    name: 'a link that is down every other half minute',
    series: {
      ...alive,
      [sent]: '0+30x80',
      [stateOf('a', 'ok')]: '1 stale '.repeat(20),
      [stateOf('a', 'broken')]: '_ 1 stale _ '.repeat(10),
      [lost]:
        '0 30 30 60 60 90 90 120 120 150 150 180 180 210 210 240 240 270 270 300 300 330 330 360 360 390 390 420 420',
    },
    fires: [[12, { CausewayLossyWay: 1 }]],
  },
  {
    name: 'one break of three minutes, of four, of twenty: told as a break while it lasts, and as no loss afterwards',
    series: {
      ...alive,
      ...Object.fromEntries(
        ['b', 'c', 'd'].map((peer) => [stateOf('a', 'broken').replace('"b"', `"${peer}"`), '_x10 1x40 stale']),
      ),
      [sent]: '0+30x200',
      [lost]: '0x10 0+30x6 180x80',
      [sent.replace('"b"', '"c"')]: '0+30x200',
      [lost.replace('"b"', '"c"')]: '0x10 0+30x8 240x80',
      [sent.replace('"b"', '"d"')]: '0+30x200',
      [lost.replace('"b"', '"d"')]: '0x10 0+30x40 1200x80',
    },
    fires: [8, 10, 12, 14, 16, 20, 26, 28, 30, 34, 40].map((minute) => [minute, {}] as const),
  },
  {
    name: 'counters that begin anew with the agent, and a partner that is gone in the midst of loss',
    series: {
      ...alive,
      [stateOf('a', 'lossy')]: '1x80',
      [stateOf('a', 'lossy').replace('"b"', '"c"')]: '1x20 stale _x60',
      [sent]: '0+30x20 0+30x60',
      [lost]: '20x20 0x60',
      [sent.replace('"b"', '"c"')]: '0+30x20 stale _x60',
      [lost.replace('"b"', '"c"')]: '0x4 10+10x15 stale _x60',
    },
    fires: [9, 11, 13, 14, 15, 20].map((minute) => [minute, {}] as const),
  },
  {
    name: 'addresses: a full CIDR beside one with room is none; of IPv6 there are always more',
    series: {
      ...alive,
      [addressesOf('ipv4', '10.0.0.0/26', 'used')]: '60x100',
      [addressesOf('ipv4', '10.0.0.0/26', 'free')]: '0x100',
      [addressesOf('ipv4', '10.1.0.0/24', 'used')]: '20x100',
      [addressesOf('ipv4', '10.1.0.0/24', 'free')]: '233x100',
      [addressesOf('ipv6', 'fd00::/64', 'used')]: '80x100',
      [addressesOf('ipv6', 'fd00::/64', 'free')]: '18446744073709551000x100',
    },
    fires: [[40, {}]],
  },
  {
    name: 'addresses run out, and are used up only when pods ask for more',
    series: {
      ...alive,
      [addressesOf('ipv4', '10.1.0.0/24', 'used')]: '250x40 253x100',
      [addressesOf('ipv4', '10.1.0.0/24', 'cooling')]: '1x40 0x100',
      [addressesOf('ipv4', '10.1.0.0/24', 'free')]: '2x40 0x100',
      [add(0)]: '1000x140',
      [add(11)]: '_x60 1+1x80',
    },
    fires: [
      [10, {}],
      [16, { CausewayAddressesRunningOut: 1 }],
      [29, { CausewayAddressesRunningOut: 1 }],
      [35, { CausewayAddressesRunningOut: 1, CausewayAddressesUsedUp: 1 }],
    ],
  },
  {
    name: 'a session with a router is down on one node, and another node lost all of its two',
    series: {
      ...alive,
      [session('a', 'tor-1')]: '1x10 0x60',
      [session('a', 'tor-2')]: '1x80',
      [session('b', 'tor-1')]: '1x10 0x60',
      [session('b', 'tor-2')]: '1x10 0x60',
    },
    fires: [
      [9, {}],
      [11, { CausewayBgpSessionDown: 1, CausewayBgpNoSession: 1 }],
    ],
  },
  {
    name: 'a node of the mesh is switched off: one alert, whoever misses it',
    series: {
      ...alive,
      ...Object.fromEntries(
        ['a', 'b', 'c'].flatMap((node) => [
          [session(node, 'node/d'), '1x10 0x60'],
          [session(node, 'node/e'), '1x80'],
        ]),
      ),
    },
    fires: [[11, { CausewayBgpSessionDown: 1 }]],
  },
  {
    name: 'an agent that is upgraded: its neighbours have their sessions back within a minute, and the counters begin anew',
    series: {
      ...alive,
      [session('a', 'node/b')]: '1x10 0x1 1x60',
      [metric('causeway_bgp_session_flaps_total', 'a', 'peer="node/b"')]: '7x10 8x20 0x60',
    },
    fires: [
      [6, {}],
      [20, {}],
    ],
  },
  {
    name: 'a session that comes and goes',
    series: {
      ...alive,
      [session('a', 'tor-1')]: '1 0 1 1 1 0 1 1 1 0 1 1 1 0 1 1 1 0 1 1 1 0 1 1 1 0 1 1 1 0 1 1 1 0 1 1',
      [metric('causeway_bgp_session_flaps_total', 'a', 'peer="tor-1"')]: '0x3 1x3 2x3 3x3 4x3 5x3 6x3 7x3 8x3',
    },
    fires: [[16, { CausewayBgpSessionFlaps: 1 }]],
  },
  {
    name: 'policies that are not enforced; one that is being written is none',
    series: {
      ...alive,
      [metric('causeway_policy_enforced', 'a')]: '1x10 0x60',
      [metric('causeway_policy_enforced', 'b')]: '1x10 0 1x4 0 1x60',
    },
    fires: [
      [9, {}],
      [11, { CausewayPoliciesNotEnforced: 1 }],
    ],
  },
]
