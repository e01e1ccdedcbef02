// The chains of a class and of its policies, as text of nft.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderTable } from '#/wire/nftables/render.ts'
import { inetTable } from './inet-table.ts'
import { tcp, TestForm } from './testing/form.ts'

/** The rules of the chains whose names begin so, without hashes. */
function rulesOf(form: TestForm, start: string): string[] {
  const text = renderTable(inetTable(form)).replaceAll(/ \[[0-9a-f]{8}\]"/g, '"')
  const chains = text.matchAll(/^\tchain (\S+) \{\n((?:\t\t.*\n)*)/gm)
  return [...chains]
    .filter(([, name]) => name!.startsWith(start))
    .flatMap(([, name, rules]) =>
      rules!
        .split('\n')
        .filter(Boolean)
        .map((rule) => `${name}: ${rule.trim()}`),
    )
}

const log = (prefix: string): string =>
  `limit rate 20/second burst 40 packets log prefix "${prefix}" group 17240 snaplen 128 comment "tell of it"`

test('a class of NetworkPolicies asks each of them, and denies what none allows', () => {
  const form = new TestForm()
    .pods('a', '10.244.1.5')
    .policy('p1', 'NetworkPolicy', 'ingress', { peers: ['a'] })
    .policy('p2', 'NetworkPolicy', 'ingress')
    .class('c1', 'ingress', ['p1', 'p2'])
  assert.deepEqual(rulesOf(form, 'in-'), [
    'in-c1: jump np-p1 comment "rules of networkpolicy/x/p1"',
    'in-c1: jump np-p2 comment "rules of networkpolicy/x/p2"',
    'in-c1: ip saddr . ip daddr @itself4 counter accept comment "the pod itself, by way of a Service (IPv4)"',
    'in-c1: ip6 saddr . ip6 daddr @itself6 counter accept comment "the pod itself, by way of a Service (IPv6)"',
    `in-c1: ${log('causeway ingress c1 denied')}`,
    'in-c1: counter drop comment "denied: no rule of a NetworkPolicy allows it"',
  ])
  assert.deepEqual(rulesOf(form, 'np-'), [
    'np-p1: ip saddr @peers4-a counter accept comment "networkpolicy/x/p1 ingress 0"',
    'np-p1: ip6 saddr @peers6-a counter accept comment "networkpolicy/x/p1 ingress 0"',
  ])
})

test('tiers come one after the other; what passes goes on with the next, and at the end is allowed', () => {
  const form = new TestForm()
    .blocks('b', '10.0.0.0/8')
    .policy('a1', 'Admin', 'egress', { action: 'pass', peers: ['b'] }, { action: 'deny' })
    .policy('b1', 'Baseline', 'egress', { action: 'pass', peers: ['b'] }, { action: 'accept', ports: tcp(53) })
    .class('c1', 'egress', ['a1', 'b1'])
  assert.deepEqual(rulesOf(form, 'out-'), [
    'out-c1: ip daddr @blocks4-b counter goto out-c1-baseline comment "clusternetworkpolicy/a1 egress 0"',
    'out-c1: counter goto out-c1-deny-a1-1 comment "clusternetworkpolicy/a1 egress 1"',
    'out-c1: counter goto out-c1-baseline comment "the next tier decides"',
    `out-c1-deny-a1-1: ${log('causeway egress c1 denied clusternetworkpolicy/a1 egress 1')}`,
    'out-c1-deny-a1-1: counter drop comment "denied: clusternetworkpolicy/a1 egress 1"',
    'out-c1-baseline: ip daddr @blocks4-b counter accept comment "clusternetworkpolicy/b1 egress 0"',
    'out-c1-baseline: meta l4proto 6 th dport 53 counter accept comment "clusternetworkpolicy/b1 egress 1"',
    'out-c1-baseline: counter accept comment "no policy decides"',
  ])
})

test('what would be denied to an audited pod is counted, told, and let through', () => {
  const form = new TestForm()
    .policy('a1', 'Admin', 'ingress', { action: 'deny' })
    .policy('p1', 'NetworkPolicy', 'ingress')
    .class('c1', 'ingress', ['a1', 'p1'], true)
  assert.deepEqual(
    rulesOf(form, 'in-').filter((rule) => /log|audited/.test(rule)),
    [
      `in-c1-deny-a1-0: ${log('causeway ingress c1 audited clusternetworkpolicy/a1 ingress 0')}`,
      'in-c1-deny-a1-0: counter accept comment "audited: clusternetworkpolicy/a1 ingress 0"',
      `in-c1-np: ${log('causeway ingress c1 audited')}`,
      'in-c1-np: counter accept comment "audited: no rule of a NetworkPolicy allows it"',
    ],
  )
})

test('all ports of a rule are one look-up for each protocol, whole protocols are one together, names are looked up with the address', () => {
  const ranges = [
    ...tcp(...Array.from({ length: 1000 }, (_, index) => 2 * index + 1)).ranges,
    { protocol: 'UDP', first: 0, last: 65_535 },
    { protocol: 'SCTP', first: 0, last: 65_535 },
  ] as const
  const form = new TestForm()
    .ports('web', ['10.244.1.2', 'TCP', 8080])
    .policy('p1', 'NetworkPolicy', 'egress', { ports: { ranges, names: ['web'] } })
    .class('c1', 'egress', ['p1'])
  const rules = rulesOf(form, 'np-').map((rule) => rule.replace(/\{ 1, 3, 5, [^}]* \}/, '{ … }'))
  assert.deepEqual(rules, [
    'np-p1: meta l4proto { 17, 132 } counter accept comment "networkpolicy/x/p1 egress 0"',
    'np-p1: meta l4proto 6 th dport { … } counter accept comment "networkpolicy/x/p1 egress 0"',
    'np-p1: ip daddr . meta l4proto . th dport @ports4-web counter accept comment "networkpolicy/x/p1 egress 0"',
    'np-p1: ip6 daddr . meta l4proto . th dport @ports6-web counter accept comment "networkpolicy/x/p1 egress 0"',
  ])
})

test('in a family in which no pod has an address there are no sets of pods, and no rules with them', () => {
  const form = new TestForm()
    .pods('a', '10.244.1.5')
    .blocks('b', 'fd00::/8', '192.0.2.0/24')
    .ports('web', ['10.244.1.2', 'TCP', 8080])
    .policy('p1', 'NetworkPolicy', 'egress', { peers: ['a', 'b'] }, { ports: { names: ['web'] } })
    .class('c1', 'egress', ['p1'])
    .local('cwv1', ['10.244.1.2'], { egress: 'c1' })
  form.families.delete(6)
  assert.deepEqual(rulesOf(form, 'np-'), [
    'np-p1: ip daddr @peers4-a counter accept comment "networkpolicy/x/p1 egress 0"',
    'np-p1: ip daddr @blocks4-b counter accept comment "networkpolicy/x/p1 egress 0"',
    'np-p1: ip6 daddr @blocks6-b counter accept comment "networkpolicy/x/p1 egress 0"',
    'np-p1: ip daddr . meta l4proto . th dport @ports4-web counter accept comment "networkpolicy/x/p1 egress 1"',
  ])
  const { sets, keySets = [] } = inetTable(form)
  assert.deepEqual(
    [...sets, ...keySets].map(({ name }) => name).filter((name) => /^(peers|ports)/.test(name)),
    ['peers4-a', 'ports4-web'],
  )
})

test('a rule for nobody has no rule in the kernel, one for everybody has one for both families', () => {
  const form = new TestForm().policy('p1', 'NetworkPolicy', 'ingress', { peers: [] }, {}).class('c1', 'ingress', ['p1'])
  assert.deepEqual(rulesOf(form, 'np-'), ['np-p1: counter accept comment "networkpolicy/x/p1 ingress 1"'])
})
