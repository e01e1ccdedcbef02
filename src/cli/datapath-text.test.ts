import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DatapathReport, type HookReport, type ProgramsReport } from '#/api/schemas/datapath.ts'
import { bytesText, renderDatapath, renderMaps, shareText } from './datapath-text.ts'
import { clockText, packetLine } from './datapath-watch.ts'

const nowMs = Date.UTC(2026, 0, 1, 12)
const none = { packets: 0, bytes: 0 }
const wanted = { datapath: 'ebpf', by: 'spec.datapath of Routing default' } as const

function hook(device: string, pod?: string): HookReport {
  return {
    device,
    hook: 'ingress',
    program: pod === undefined ? 'cw_from_underlay' : 'cw_from_pod',
    mechanism: 'tcx',
    isCurrent: true,
    before: [],
    after: [],
    ...(pod !== undefined && { pod }),
  }
}

function programs(changes: Partial<ProgramsReport> = {}): ProgramsReport {
  return {
    generation: '1a2b3c4d-5e6f7a8b',
    folder: '/sys/fs/bpf/causeway',
    state: { isDraining: false, isWatching: false, keepsConnections: true },
    programs: [
      { name: 'cw_from_pod', id: 31, tag: 'aabb', instructions: 2000, loadedMs: nowMs - 600_000 },
      { name: 'cw_from_underlay', id: 33, tag: 'ccdd', instructions: 1500, loadedMs: nowMs - 600_000 },
    ],
    hooks: [
      hook('cwv1', 'default/a'),
      hook('cwv2', 'default/b'),
      { ...hook('eth0'), before: ['cil_from_netdev (tcx)'] },
    ],
    maps: [{ name: 'cw_pods4', type: 'hash', purpose: 'pods', entries: 2, maxEntries: 4096, memoryBytes: 460_000 }],
    pods: [
      {
        pod: 'default/a',
        device: 'cwv1',
        sent: {
          local: none,
          native: { packets: 997, bytes: 1_496_000 },
          tunnel: none,
          stack: { packets: 3, bytes: 180 },
        },
        received: { local: none, native: none, tunnel: none, stack: { packets: 2, bytes: 120 } },
        lately: { seconds: 60, sent: { carried: 0, stack: 12 }, received: { carried: 0, stack: 0 } },
      },
    ],
    drops: [],
    ...changes,
  }
}

function shown(report: Partial<DatapathReport>): string {
  return renderDatapath({ node: 'node-1', datapath: 'ebpf', wanted, ...report }, Infinity, nowMs)
}

test('drops by policies name what denied, the most packets first, and not all of many', () => {
  const rule = (number: number) => ({
    rule: `networkpolicy/shop/db ingress, none of its rules ${number}`,
    packets: 9 - number,
    bytes: 60,
  })
  const drop = {
    pod: 'shop/web',
    device: 'cwv1',
    hook: 'from_pod',
    reason: 'policy',
    text: 'no network policy allows it',
    remedy: 'allow it',
    packets: 30,
    bytes: 300,
    rules: [1, 2, 3, 4, 5].map(rule),
  }
  const line = shown({ programs: programs({ drops: [drop] }) })
    .split('\n')
    .at(-1)!
  assert.match(
    line,
    /no network policy allows it: .*none of its rules 1 \(8\); .*rules 3 \(6\) and 2 more; remedy: allow it$/,
  )
})

test('a bridge node is one line, with why it has no programs where they are wanted', () => {
  const asWanted = shown({ datapath: 'bridge', wanted: { datapath: 'bridge', by: 'CAUSEWAY_DATAPATH' } })
  assert.equal(asWanted, 'node-1: datapath bridge, as CAUSEWAY_DATAPATH says; no programs')
  assert.equal(
    shown({ datapath: 'bridge', why: 'no BTF' }),
    'node-1: datapath bridge, ebpf is wanted by spec.datapath of Routing default; no BTF; no programs',
  )
})

test('programs with where they are, the share that is carried, and what was dropped', () => {
  const drops = [
    {
      pod: 'default/a',
      device: 'cwv1',
      hook: 'from_pod',
      reason: 'source_address',
      text: 'the source is no address of the pod',
      remedy: 'look in the pod',
      packets: 5,
      bytes: 300,
      lastMs: nowMs - 4000,
    },
  ]
  assert.equal(
    shown({ programs: programs({ drops }) }),
    `node-1: datapath ebpf, as spec.datapath of Routing default says
generation 1a2b3c4d-5e6f7a8b in /sys/fs/bpf/causeway

PROGRAM           ID  TAG   INSTRUCTIONS  LOADED  ATTACHED AT
cw_from_pod       31  aabb  2000          10m     ingress of 2 pods' devices (tcx)
cw_from_underlay  33  ccdd  1500          10m     ingress of eth0 (tcx), beside cil_from_netdev (tcx) before

carried past the stack: 99 % of 1000 packets that pods sent, lately 0 % of 12; 0 % of 2 packets that pods received, lately -
POD        PACKETS   LOCAL  NATIVE        TUNNEL  BY THE STACK  CARRIED  LATELY
default/a  sent      -      997 (1.5 MB)  -       3 (180 B)     99 %     0 % of 12
default/a  received  -      -             -       2 (120 B)     0 %      -

DROPPED OF  BY        PACKETS    LAST    WHY
default/a   from_pod  5 (300 B)  4s ago  the source is no address of the pod; remedy: look in the pod`,
  )
})

test('what tables hide is told: programs that are not attached, draining, full maps, and that nothing is carried', () => {
  const stack = { packets: 5000, bytes: 1 }
  const idle = { local: none, native: none, tunnel: none, stack }
  const text = shown({
    programs: programs({
      state: { isDraining: true, isWatching: true, keepsConnections: true },
      hooks: [{ device: 'cwv1', hook: 'egress', isCurrent: false, before: [], after: [] }],
      maps: [{ name: 'cw_ends', type: 'hash', purpose: 'ends', entries: 4, maxEntries: 4 }],
      pods: [{ pod: 'default/a', device: 'cwv1', sent: idle, received: idle }],
    }),
  })
  for (const line of [
    /^! draining: every packet goes to the stack/m,
    /^! no program at egress of cwv1: /m,
    /^! cw_ends is full: it holds 4 entries/m,
    /^! no packet was carried, though 10000 went by the stack/m,
    /, packets are watched$/m,
    /^cw_from_pod .* nowhere$/m,
  ])
    assert.match(text, line)
})

test('maps with how full they are; a bridge node has none', () => {
  assert.match(
    renderMaps({ node: 'n', datapath: 'ebpf', wanted, programs: programs() }, Infinity),
    /^cw_pods4 {2}hash {2}2 {8}4096 {2}460 kB {2}pods$/m,
  )
  assert.match(renderMaps({ node: 'n', datapath: 'bridge', wanted }, Infinity), /no programs$/)
})

test('a share is 0 % or 100 % only when it is exactly that', () => {
  assert.equal(shareText({ carried: 0, stack: 0 }), '-')
  assert.equal(shareText({ carried: 0, stack: 9 }), '0 %')
  assert.equal(shareText({ carried: 1, stack: 100_000 }), '1 %')
  assert.equal(shareText({ carried: 100_000, stack: 1 }), '99 %')
  assert.equal(shareText({ carried: 7, stack: 0 }), '100 %')
})

test('bytes have three digits and a unit', () => {
  for (const [bytes, text] of [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1 kB'],
    [123_456, '123 kB'],
    [1_496_000, '1.5 MB'],
    [5e15, '5 PB'],
  ] as const)
    assert.equal(bytesText(bytes), text)
})

test('a watched packet is one line', () => {
  const timeMs = new Date(2026, 0, 1, 8, 5, 9).getTime() + 0.25
  assert.equal(clockText(timeMs), '08:05:09.000250')
  const packet = {
    timeMs,
    hook: 'from_pod',
    device: 'cwv1',
    pod: 'default/a',
    verdict: 'dropped',
    reason: 'source_mac',
    text: "the source MAC is not the pod's",
    lengthBytes: 60,
    packet: 'UDP 10.0.0.1:1 > 10.0.0.2:2, hops 64',
    bytes: '00',
  }
  assert.equal(
    packetLine('node-1', packet),
    "08:05:09.000250 node-1 from_pod cwv1 (default/a): dropped, the source MAC is not the pod's: UDP 10.0.0.1:1 > 10.0.0.2:2, hops 64, 60 bytes",
  )
})
