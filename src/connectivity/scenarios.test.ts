import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scenarios } from './scenarios.ts'
import { testSite } from './testing.ts'
import { type Probe, type ScenarioName, type Site } from './types.ts'
import { sampleOf, waysBetween } from './ways.ts'

function planOf(name: ScenarioName, site: Site) {
  return scenarios.find((each) => each.name === name)!.plan!(site)
}

function probesOf(name: ScenarioName, site: Site): readonly Probe[] {
  const plan = planOf(name, site)
  assert.ok('probes' in plan, `${name} is skipped`)
  return plan.probes
}

function whyNot(name: ScenarioName, site: Site): string {
  const plan = planOf(name, site)
  assert.ok('skip' in plan, `${name} is not skipped`)
  return plan.skip
}

const short = (text: string): string => text.replace('causeway-test/', '')
const line = ({ from, to, target, family, protocol, port }: Probe): string =>
  `${short(from.name)} ${target ?? short(to.name)} ${family} ${protocol}${port === undefined ? '' : ` ${port}`}`

test('pods of two nodes send to each other, in both families, TCP and UDP', () => {
  assert.deepEqual(probesOf('pod-to-pod', testSite(2)).map(line), [
    'client-1 server-2 4 tcp 8080',
    'client-1 server-2 4 udp 8080',
    'client-1 server-2 6 tcp 8080',
    'client-1 server-2 6 udp 8080',
    'client-2 server-1 4 tcp 8080',
    'client-2 server-1 4 udp 8080',
    'client-2 server-1 6 tcp 8080',
    'client-2 server-1 6 udp 8080',
  ])
  assert.ok(probesOf('mtu', testSite(2)).every(({ isOfFullSize, protocol }) => isOfFullSize && protocol === 'icmp'))
})

test('the number of packets grows with nodes, not with their pairs, and each node sends and receives', () => {
  const probes = probesOf('pod-to-pod', testSite(100))
  assert.equal(probes.length, 100 * 2 * 4)
  assert.equal(new Set(probes.map(({ from }) => from.node)).size, 100)
  assert.equal(new Set(probes.map(({ to }) => to.node)).size, 100)
  assert.ok(probes.every(({ from, to }) => from.node !== to.node))
})

test('one node alone: what needs two is skipped, the rest is tested', () => {
  const site = testSite(1)
  for (const name of ['pod-to-pod', 'mtu', 'host-to-host'] as const) assert.match(whyNot(name, site), /two nodes/)
  assert.equal(probesOf('same-node', site).length, 4)
  assert.deepEqual(
    probesOf('policy-deny', site).map(({ from, to }) => `${short(from.name)} ${short(to.name)}`),
    [...Array.from({ length: 2 }, () => 'server-1 walled-1'), ...Array.from({ length: 2 }, () => 'walled-1 server-1')],
  )
})

test('only families that both ends have are tried', () => {
  const site = testSite(2)
  const [first, ...others] = site.pods
  const mixed = { ...site, pods: [{ ...first!, addrs: ['10.244.0.2'] }, ...others] }
  const families = (from: string): number[] =>
    probesOf('pod-to-pod', mixed)
      .filter((each) => short(each.from.name) === from)
      .map(({ family }) => family)
  assert.deepEqual(families('client-1'), [4, 4])
  assert.deepEqual(families('client-2'), [4, 4, 6, 6])
})

test('nodes are named by the address of the family', () => {
  assert.deepEqual(
    probesOf('pod-to-host', testSite(2))
      .filter(({ from }) => from.node === 'node-1')
      .map(line),
    [
      'client-1 172.30.1.11 4 icmp',
      'client-1 fd30::11 6 icmp',
      'client-1 172.30.1.12 4 icmp',
      'client-1 fd30::12 6 icmp',
    ],
  )
})

const service = { name: 'causeway-test/connectivity', addrs: ['10.96.0.7'], port: 80, nodePort: 30_001 }

test('Services: cluster IPs from pods and nodes, and ports of nodes; those who may have the packet watch', () => {
  const site = testSite(5, { service, hairpin: { ...service, addrs: ['10.96.0.8'] } })
  const probes = probesOf('service', site)
  assert.equal(probes.length, 10)
  assert.equal(line(probes[0]!), 'client-1 10.96.0.7 4 tcp 80')
  assert.deepEqual(probes[0]!.via, ['node-1', 'node-2', 'node-3'])
  assert.deepEqual(probesOf('hairpin', site).map(line), ['client-1 10.96.0.8 4 tcp 80'])
  const ports = probesOf('node-port', site)
  // a pod to its own node and to the next one, a node to the next one, in both families
  assert.equal(ports.length, 5 * 3 * 2)
  assert.equal(line(ports[0]!), 'client-1 172.30.1.11 4 tcp 30001')
})

test('DNS is asked by TCP and UDP; the nodes of its pods watch when there is no answer', () => {
  const dns = { name: 'kube-system/kube-dns', addrs: ['10.96.0.10'], port: 53, udpPort: 53, backendNodes: ['node-2'] }
  const probes = probesOf('dns', testSite(2, { dns }))
  assert.deepEqual(probes.map(line), [
    'client-1 10.96.0.10 4 tcp 53',
    'client-1 10.96.0.10 4 udp 53',
    'client-2 10.96.0.10 4 tcp 53',
    'client-2 10.96.0.10 4 udp 53',
  ])
  assert.ok(probes.every(({ via, viaWhenLost }) => via === undefined && viaWhenLost?.[0] === 'node-2'))
  const { port: _, ...withoutTcp } = dns
  assert.equal(probesOf('dns', testSite(2, { dns: withoutTcp })).length, 2)
  assert.match(whyNot('dns', testSite(2, { dns: { whyUnread: 'the API refuses it' } })), /the API refuses it/)
})

test('what there is not is skipped, with the reason', () => {
  const bare = testSite(2, { service: { ...service, addrs: [], nodePort: 0 } })
  assert.match(whyNot('service', bare), /Service causeway-test\/connectivity has no cluster IP/)
  assert.match(whyNot('hairpin', bare), /could not be made/)
  assert.match(whyNot('node-port', testSite(2)), /no node port/)
  assert.match(whyNot('kubernetes', bare), /no Service default\/kubernetes/)
  assert.match(whyNot('dns', bare), /no Service kube-system\/kube-dns/)
  assert.match(whyNot('outside', bare), /--outside/)
  assert.match(whyNot('policy-deny', testSite(2, { observed: ['node-1'] })), /another one's/)
  assert.match(whyNot('pod-to-pod', { ...bare, pods: [] }), /ready/)
})

test('policies: clients may, servers may not, to and from the pods of both nodes', () => {
  const site = testSite(3)
  const pairs = (name: 'policy-allow' | 'policy-deny'): string[] => [
    ...new Set(probesOf(name, site).map(({ from, to }) => `${short(from.name)} ${short(to.name)}`)),
  ]
  assert.deepEqual(pairs('policy-allow'), [
    'client-1 walled-1',
    'walled-1 client-1',
    'client-3 walled-1',
    'walled-1 client-3',
    'client-2 walled-2',
    'walled-2 client-2',
    'client-1 walled-2',
    'walled-2 client-1',
  ])
  assert.ok(probesOf('policy-deny', site).every(({ expects }) => expects === 'denial'))
})

test('a sample is spread over all nodes in the order of their names', () => {
  const names = Array.from({ length: 20 }, (_, index) => `node-${20 - index}`)
  assert.deepEqual(sampleOf(names, 4), ['node-1', 'node-6', 'node-11', 'node-16'])
  assert.deepEqual(sampleOf(['node-10', 'node-9'], 5), ['node-9', 'node-10'])
  assert.equal(waysBetween([1, 2, 3, 4]).length, 12)
  assert.deepEqual(waysBetween([1]), [])
})
