import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PageTrace } from '#/trace/page/input.ts'
import { receivingLayers, sendingLayers } from './layers.ts'
import { traceTicket, wrongTicket } from './ticket.ts'

const foundMs = Date.UTC(2026, 10, 30, 2, 14, 5)
const doctor = { state: 'done', atMs: foundMs, reportMs: foundMs } as const
const where = { source: 'lab default', version: '0.1.0', askedMs: foundMs + 3_600_000, doctor }

test('a finding as a ticket reads alone', () => {
  const wrong = {
    code: 'CW7002',
    object: 'node/node-2',
    objects: ['node/node-2'],
    message: 'a rule drops packets of the tunnel',
    how: 'the rules of nftables',
    remedy: 'let them pass before it',
    nodes: ['node-2'],
    consequences: ['node-1 tells CW1306 node/node-2: nothing comes'],
    others: [],
    by: 'doctor',
  } as const
  assert.equal(
    wrongTicket(wrong, where),
    [
      'CW7002 node/node-2: a rule drops packets of the tunnel',
      '',
      'Known from: the rules of nftables',
      'Told by: node-2',
      'Remedy: let them pass before it',
      '',
      'What follows from it:',
      '- node-1 tells CW1306 node/node-2: nothing comes',
      '',
      'lab default, causeway 0.1.0, 2026-11-30 02:14:05 UTC',
    ].join('\n'),
  )
})

test('a trace as a ticket has its verdict, its remedy and its places in order', () => {
  const trace: PageTrace = {
    probe: {
      protocol: 'tcp',
      port: 80,
      from: { addr: '10.0.0.1', pod: 'default/a', node: 'node-1' },
      to: { addr: '9.9.9.9' },
    },
    sent: { sentAtMs: Date.UTC(2026, 10, 30, 2, 14, 5) },
    predictions: { there: [], back: [] },
    there: [{ node: 'node-1', device: 'eth0', pod: 'default/a', place: 'transmit', isExpected: true }],
    back: [],
    blind: [],
    notes: [],
    verdict: { outcome: 'lost', text: 'it was lost', code: 'CW7002', remedy: 'mend it' },
  }
  assert.equal(
    traceTicket(trace, where),
    [
      'Lost: default/a (10.0.0.1 on node-1) → 9.9.9.9, TCP port 80',
      '',
      'it was lost',
      'Code: CW7002',
      'Remedy: mend it',
      '',
      'The probe:',
      '- node-1, pod default/a, eth0: out, not seen',
      '',
      'lab default, causeway 0.1.0, 2026-11-30 02:14:05 UTC',
    ].join('\n'),
  )
})

test('the layers of a way are those of its verdict: a tunnel is added once and taken off once', () => {
  const tunnel = { src: '172.30.1.1', dst: 'fd00::2', gateway: '10.244.1.0' }
  const verdict = { podCIDR: '10.244.1.0/24', node: 'b', way: 'vxlan', reason: '', tunnel } as const
  const names = (layers: ReturnType<typeof sendingLayers>): string[] =>
    layers.map(({ headers }) => headers.map(({ name }) => name).join(' '))
  const [plain, tunnelled] = ['Ethernet IPv4 data', 'Ethernet IPv6 UDP VXLAN Ethernet IPv4 data']
  assert.deepEqual(names(sendingLayers(verdict, 'bridge')), [plain, plain, plain, tunnelled])
  assert.deepEqual(names(receivingLayers(verdict, 'bridge')), [tunnelled, plain, plain, plain])
  const native = {
    podCIDR: 'fd01::/64',
    node: 'b',
    way: 'native',
    reason: '',
    nextHops: [
      { device: 'eth0', gateway: 'fe80::1' },
      { device: 'eth1', gateway: 'fe80::2' },
    ],
  } as const
  const sending = sendingLayers(native, 'ebpf')
  assert.deepEqual(
    names(sending),
    Array.from({ length: 3 }, () => 'Ethernet IPv6 data'),
  )
  assert.deepEqual(
    sending.map(({ device }) => device),
    ['eth0', undefined, 'eth0, eth1'],
  )
})
