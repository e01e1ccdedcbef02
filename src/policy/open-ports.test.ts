import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type PolicyPod } from './cluster.ts'
import { evaluate, viewOf } from './evaluate.ts'
import { openPorts } from './open-ports.ts'
import { portProtocols, type PortProtocol } from './policy.ts'
import { readNetworkPolicy } from './read-network-policy.ts'
import { ruleText } from './rule-text.ts'

const src = Addr.parse('10.244.1.5')
const dst = Addr.parse('10.244.2.7')

function pod(name: string, addr: Addr): PolicyPod {
  const namedPorts = [{ name: 'web', protocol: 'TCP', port: 8443 }] as const
  const made = { namespace: 'x', name, uid: name, node: 'n', labels: { app: name }, addrs: [addr], namedPorts }
  return { ...made, isHostNetwork: false, hasEnded: false }
}

function policy(name: string, spec: Record<string, unknown>) {
  const reading = readNetworkPolicy({ metadata: { namespace: 'x', name }, spec } as never)
  return reading.policy!
}

const ingress = policy('in', {
  podSelector: { matchLabels: { app: 'b' } },
  ingress: [
    { ports: [{ port: 80 }, { port: 8000, endPort: 8100 }, { port: 'web' }, { protocol: 'UDP', port: 65_535 }] },
    { from: [{ podSelector: { matchLabels: { app: 'c' } } }] },
  ],
})
const egress = policy('out', {
  podSelector: { matchLabels: { app: 'a' } },
  policyTypes: ['Egress'],
  egress: [{ ports: [{ port: 1, endPort: 8050 }, { port: 8443 }, { protocol: 'UDP' }] }],
})

test('the ports that both directions allow, as ranges', () => {
  const pods = [pod('a', src), pod('b', dst)]
  const view = viewOf({
    pods: new Map(pods.map((each) => [`x/${each.name}`, each])),
    namespaces: new Map([['x', { name: 'x', labels: {}, isAudited: false }]]),
    policies: new Map([ingress, egress].map((each) => [each.key, each])),
    nodes: new Map(),
  })
  const found = openPorts(view, src, dst)
  assert.deepEqual(found, [
    {
      protocol: 'TCP',
      isAllowed: true,
      ranges: [
        { first: 80, last: 80 },
        { first: 8000, last: 8050 },
        { first: 8443, last: 8443 },
      ],
    },
    { protocol: 'UDP', isAllowed: true, ranges: [{ first: 65_535, last: 65_535 }] },
    { protocol: 'SCTP', isAllowed: false, ranges: [] },
    { protocol: 'ICMP', isAllowed: false },
  ])
  for (const { protocol, ranges = [] } of found.slice(0, 3))
    for (let port = 0; port <= 65_535; port++) {
      const isOpen = ranges.some(({ first, last }) => first <= port && port <= last)
      const packet = { src, dst, protocol: portProtocols[protocol as PortProtocol], port }
      assert.equal(evaluate(view, packet).isDropped, !isOpen, `${protocol} ${port}`)
    }
})

test('without policies everything is one range', () => {
  const view = viewOf({ pods: new Map(), namespaces: new Map(), policies: new Map(), nodes: new Map() })
  const six = Addr.parse('fd00::1')
  assert.deepEqual(
    openPorts(view, six, six).map(({ protocol, ranges, isAllowed }) => [protocol, isAllowed, ranges?.length]),
    [
      ['TCP', true, 1],
      ['UDP', true, 1],
      ['SCTP', true, 1],
      ['ICMPv6', true, undefined],
    ],
  )
})

test('rules in words', () => {
  const rules = ingress.rules.ingress!.map(ruleText)
  assert.deepEqual(rules, [
    'any peer; TCP 80, TCP 8000-8100, port web (TCP), UDP 65535',
    'pods app=c in namespace x; any port',
  ])
})
