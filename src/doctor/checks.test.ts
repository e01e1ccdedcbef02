// The checks of what kernels have: what they find, and what they leave alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type NodeFacts } from '#/api/schemas/facts.ts'
import { clockSigns } from './clocks.ts'
import { diagnose } from './diagnose.ts'
import { leftoversIn, withLeftovers } from './leftovers.ts'
import { neighbourSigns } from './neighbours.ts'
import { podSigns } from './pods.ts'
import { programSigns } from './programs.ts'
import { settingSigns } from './settings.ts'
import {
  clusterOf,
  dropAt,
  factsOf,
  linkOf,
  macOf,
  namespaceOf,
  packetOf,
  routeOf,
  told,
  wholePacket,
  withFacts,
} from './testing/answers.ts'
import { type NodeAnswers, type Sign } from './types.ts'

const idsOf = (signs: readonly Sign[]): string[] =>
  signs.map(({ code, object, nodes }) => `${code} ${object} ${nodes.join(' ')}`)

/** A cluster of two nodes; `facts` are what node-1 has otherwise. */
function pair(facts: Partial<NodeFacts>, own: Partial<NodeFacts['namespaces'][number]> = {}): NodeAnswers[] {
  return withFacts(clusterOf(2), (node) => (node === 'node-1' ? factsOf(node, own, facts) : factsOf(node)))
}

test('a pod needs a route to pods of other nodes, by whatever prefix, and the MTU of its other end', () => {
  const podWith = (routes: readonly string[], mtuBytes = 1500): NodeAnswers[] => {
    const inside = namespaceOf({
      pod: 'default/web-1-1',
      links: [linkOf('eth0', '0a:58:00:00:00:01', mtuBytes)],
      routes: routes.map((dst) => routeOf(dst, '10.244.0.1')),
    })
    const host = namespaceOf({ links: [linkOf('cwv1')] })
    return pair({ namespaces: [host, inside] })
  }
  assert.deepEqual(idsOf(podSigns(podWith(['0.0.0.0/0']))), [])
  assert.deepEqual(idsOf(podSigns(podWith(['10.244.0.0/16']))), [])
  assert.deepEqual(idsOf(podSigns(podWith(['10.244.0.0/24', '192.168.0.0/16']))), ['CW3114 pod/default/web-1-1 node-1'])
  assert.match(podSigns(podWith([]))[0]!.remedy, /ip route add default via 10\.244\.0\.1 dev eth0$/)
  assert.deepEqual(idsOf(podSigns(podWith(['0.0.0.0/0'], 1350))), ['CW3115 pod/default/web-1-1 node-1'])
  // a namespace that could not be read says nothing
  const unread = pair({ namespaces: [namespaceOf(), namespaceOf({ pod: 'default/web-1-1', error: 'gone' })] })
  assert.deepEqual(podSigns(unread), [])
})

test('a neighbour entry with a MAC that the node has not counts only where packets are lost', () => {
  const entry = { device: 'eth0', addr: '172.30.1.12', mac: '02:00:5e:00:53:01', state: 'permanent' }
  const wrong = pair({}, { neighbours: [entry] })
  assert.deepEqual(idsOf(neighbourSigns(wrong)), ['CW8105 neighbour/172.30.1.12 node-1'])
  assert.deepEqual(neighbourSigns(pair({}, { neighbours: [{ ...entry, mac: macOf('node-2') }] })), [])
  assert.deepEqual(
    neighbourSigns(pair({}, { neighbours: [{ device: 'eth0', addr: '172.30.1.12', state: 'failed' }] })),
    [],
  )
  const codesOf = (packets: Parameters<typeof diagnose>[1]) => diagnose(wrong, packets).findings.map(({ code }) => code)
  assert.deepEqual(codesOf([wholePacket('node-1', 'node-2')]), [])
  assert.deepEqual(codesOf([packetOf('node-1', 'node-2')]), ['CW8105'])
  assert.deepEqual(codesOf([packetOf('node-2', 'node-1')]), ['CW8105'])
  // a router's, which no node has: the next hop of a route, set by hand
  const router = { device: 'eth0', addr: '172.30.1.1', mac: '02:00:5e:00:53:01', state: 'permanent' }
  assert.deepEqual(
    idsOf(neighbourSigns(pair({}, { neighbours: [router], routes: [routeOf('0.0.0.0/0', '172.30.1.1')] }))),
    ['CW8105 neighbour/172.30.1.1 node-1'],
  )
  assert.deepEqual(neighbourSigns(pair({}, { neighbours: [router] })), [])
})

test('another machine with the address of a node is one finding, however many nodes have asked for it', () => {
  const learned = (node: string, mac: string, state = 'stale') =>
    factsOf(node, {
      neighbours: ['node-1', 'node-2', 'node-3', 'node-4']
        .filter((other) => other !== node)
        .map((other) => ({
          device: 'eth0',
          addr: `172.30.1.1${other.slice(-1)}`,
          mac: other === 'node-1' ? mac : macOf(other),
          state: other === 'node-1' ? state : 'reachable',
        })),
    })
  const packets = [packetOf('node-2', 'node-1'), packetOf('node-3', 'node-1'), wholePacket('node-2', 'node-3')]
  const found = (state: string) =>
    diagnose(
      withFacts(clusterOf(4), (node) => learned(node, '02:00:5e:00:53:01', node === 'node-2' ? 'reachable' : state)),
      packets,
    ).findings.map(({ code, objects, nodes }) => `${code} ${objects.join(' ')} ${nodes.join(' ')}`)
  assert.deepEqual(found('stale'), ['CW8105 neighbour/172.30.1.11 node-2 node-3'])
  // set by hand at each node, each is its own
  assert.equal(found('permanent').length, 2)
})

test('a network that answers for all nodes with one MAC is no fault; a single strange one among right ones may be', () => {
  const learned = (macs: Readonly<Record<string, string>>) =>
    withFacts(clusterOf(3), (node) =>
      factsOf(node, {
        neighbours:
          node === 'node-1'
            ? Object.entries(macs).map(([addr, mac]) => ({ device: 'eth0', addr, mac, state: 'reachable' }))
            : [],
      }),
    )
  const virtual = '42:01:0a:00:00:01'
  assert.deepEqual(neighbourSigns(learned({ '172.30.1.12': virtual, '172.30.1.13': virtual })), [])
  assert.deepEqual(idsOf(neighbourSigns(learned({ '172.30.1.12': virtual, '172.30.1.13': macOf('node-3') }))), [
    'CW8105 neighbour/172.30.1.12 node-1',
  ])
})

test('two machines with one address have no MAC that is the right one', () => {
  const twins = withFacts(clusterOf(3), (node) => {
    const address = { device: 'eth0', addr: node === 'node-1' ? '172.30.1.11' : '172.30.1.99', prefixLength: 24 }
    const entry = { device: 'eth0', addr: '172.30.1.99', mac: macOf('node-2'), state: 'reachable' }
    return factsOf(node, { addresses: [address], neighbours: node === 'node-1' ? [entry] : [] })
  })
  assert.deepEqual(neighbourSigns(twins), [])
})

test('a frame for another MAC that comes to a pod blames the own node of the pod, whichever way it went', () => {
  const drop = {
    node: 'node-2',
    place: 'drop',
    device: 'eth0',
    pod: 'default/web-2-1',
    role: 'probe',
    timeMs: 1,
    lengthBytes: 1,
    skb: '',
    bytes: '',
    startsAt: 'link',
    drop: { reason: 'OTHERHOST', function: 'ip_rcv_core' },
  } as const
  const packets = [
    packetOf('node-1', 'node-2', { direction: 'there', drop }),
    packetOf('node-2', 'node-3', { outcome: 'answer-lost', direction: 'back', drop: { ...drop, role: 'answer' } }),
  ]
  assert.deepEqual(
    diagnose(clusterOf(3), packets).findings.map(({ code, object, nodes }) => [code, object, nodes]),
    [['CW8105', 'node/node-2', ['node-2']]],
  )
})

test('programs of others and offloads count only where a trace blames them', () => {
  const foreign = { device: 'eth0', hook: 'egress', id: 7, name: 'old_filter', isOurs: false } as const
  const link = { ...linkOf('eth0'), offloads: { 'tx-checksumming': true } }
  const answers = pair({ programs: [foreign, { ...foreign, isOurs: true }] }, { links: [link] })
  assert.deepEqual(idsOf(programSigns(answers)), ['CW6101 program/eth0 egress node-1', 'CW8103 device/eth0 node-1'])
  // what takes one out takes out no other
  const [ofTc] = programSigns(answers)
  assert.match(ofTc!.remedy, /tc filter del dev eth0 egress pref PREF/)
  const [ofXdp] = programSigns(pair({ programs: [{ ...foreign, hook: 'xdp' }] }, {}))
  assert.match(ofXdp!.remedy, /ip link set dev eth0 xdp off; ip link set dev eth0 xdpgeneric off/)
  const drop = (reason: string, node: string) => ({ direction: 'there', drop: dropAt({ node }, reason) }) as const
  const idsWith = (reason: string, node: string) =>
    diagnose(answers, [packetOf('node-1', 'node-2', drop(reason, node))]).findings.map(
      ({ code, object }) => `${code} ${object}`,
    )
  assert.deepEqual(
    diagnose(answers, [packetOf('node-1', 'node-2')]).findings.map(({ code }) => code),
    ['CW6102'],
  )
  assert.deepEqual(idsWith('TC_EGRESS', 'node-1'), ['CW6101 program/eth0 egress'])
  assert.deepEqual(idsWith('TC_EGRESS', 'node-2'), ['CW6101 node/node-2'])
  // what agents tell of the way follows from it as well
  const broken = answers.map((each) =>
    each.node === 'node-1' ? { ...each, status: { ...each.status!, problems: [told('CW1306', 'node/node-2')] } } : each,
  )
  assert.deepEqual(
    diagnose(broken, [packetOf('node-1', 'node-2', drop('TC_EGRESS', 'node-1'))]).findings.map(({ code }) => code),
    ['CW6101'],
  )
  // the table of the node that dropped it, whichever end that is
  assert.deepEqual(idsWith('NEIGH_CREATEFAIL', 'node-2'), ['CW8107 node/node-2'])
  // the sender has computed what the receiver finds wrong
  assert.deepEqual(idsWith('TCP_CSUM', 'node-2'), ['CW8103 device/eth0'])
})

test('a clock counts as wrong beyond two seconds and what the request leaves open', () => {
  const clocks = (...aheadMs: readonly number[]): string[] =>
    clockSigns(
      withFacts(clusterOf(aheadMs.length), (node) => {
        const at = Number(node.slice(-1)) - 1
        return { ...factsOf(node), nowMs: 1_000_000 + aheadMs[at]! }
      }).map((each) => ({ ...each, askedMs: 999_900, answeredMs: 1_000_400 })),
    ).map(({ object, message }) => `${object} ${message}`)
  assert.deepEqual(clocks(0, 0, 0), [])
  assert.deepEqual(clocks(0, 2_000, -2_000), [])
  assert.deepEqual(clocks(0, 10_000, 0), ['node/node-2 its clock is at least 9.6 s ahead of those of most others'])
  assert.deepEqual(clocks(0, 0, -600_000), ['node/node-3 its clock is at least 10 min behind those of most others'])
  // the asker's own clock is wrong, and those of all nodes agree
  assert.deepEqual(clocks(9e6, 9e6, 9e6), [])
  assert.deepEqual(clocks(60_000), [])
})

test('settings that all must share are compared, whatever the order of their lists', () => {
  const withSettings = (...all: readonly Readonly<Record<string, string>>[]) =>
    settingSigns(
      withFacts(clusterOf(all.length), (node) => ({ ...factsOf(node), settings: all[Number(node.slice(-1)) - 1]! })),
    ).map(({ object, message }) => `${object} ${message}`)
  const lists = ['10.244.0.0/16,fd10::/48', 'fd10::/48, 10.244.0.0/16']
  assert.deepEqual(withSettings(...lists.map((value) => ({ CAUSEWAY_CLUSTER_CIDRS: value }))), [])
  assert.deepEqual(
    withSettings({ CAUSEWAY_VXLAN_PORT: '8472' }, { CAUSEWAY_VXLAN_PORT: '4789' }, { CAUSEWAY_VXLAN_PORT: '8472' }),
    ['setting/CAUSEWAY_VXLAN_PORT node-2 has 4789, and the other 2 8472'],
  )
  assert.deepEqual(withSettings({ CAUSEWAY_NODE_NAME: 'a' }, { CAUSEWAY_NODE_NAME: 'b' }), [])
})

test('what other networks left is a note, once for each of them; what is in the way is named in its finding', () => {
  const facts = (node: string): NodeFacts =>
    factsOf(
      node,
      { links: [linkOf('eth0'), linkOf('cni0'), linkOf('flannel.1'), linkOf('kube-ipvs0')] },
      { conflists: [{ file: '10-flannel.conflist', plugins: ['flannel', 'portmap'], isOurs: false }] },
    )
  const answers = withFacts(clusterOf(2), facts)
  const { findings, notes } = withLeftovers([], leftoversIn(answers))
  assert.deepEqual(findings, [])
  assert.deepEqual(notes, [
    {
      nodes: ['node-1', 'node-2'],
      text: 'node-1, node-2: flannel was here, or is: device cni0, flannel.1; CNI configuration 10-flannel.conflist; none of it is in the way of packets',
    },
  ])
  const inTheWay = diagnose(
    withFacts(
      clusterOf(2, [['node-1', told('CW1302', 'device/cni0', "another's route: 10.244.1.0/24 dev cni0")]]),
      facts,
    ),
    [],
  )
  assert.match(inTheWay.findings[0]!.message, /dev cni0; it is what flannel left: device cni0, flannel\.1;/)
  assert.deepEqual(
    inTheWay.notes.map(({ nodes }) => nodes),
    [['node-2']],
  )
  assert.deepEqual(leftoversIn(withFacts(clusterOf(2))), [])
})

test('an observer of a network does not call it a leftover', () => {
  const answers = withFacts(clusterOf(1), (node) =>
    factsOf(node, { links: [linkOf('cni0'), linkOf('cali0123456789a')] }),
  )
  const observed = answers.map((each) => ({
    ...each,
    status: {
      ...each.status!,
      observes: { network: 'flannel', backend: 'vxlan', vni: 1, port: 8472, podDevice: 'cni0' } as const,
    },
  }))
  assert.deepEqual(
    leftoversIn(observed).map(({ network }) => network),
    ['Calico'],
  )
})

test('where kernels do not say why they drop, counts of wrong checksums that grow tell it', () => {
  const counted =
    (tcp: number) =>
    (node: string): NodeFacts =>
      factsOf(node, { checksumErrors: { tcp: node === 'node-2' ? tcp : 5, udp: 0 } })
  const before = withFacts(clusterOf(2), counted(1))
  const after = (tcp: number) => before.map((each) => ({ ...each, factsAfter: counted(tcp)(each.node) }))
  const tcp = { ...packetOf('node-1', 'node-2'), protocol: 'tcp' } as const
  const found = (answers: readonly NodeAnswers[], packets: Parameters<typeof diagnose>[1]) =>
    diagnose(answers, packets).findings.map(({ code, object }) => `${code} ${object}`)
  assert.deepEqual(found(after(3), [tcp, wholePacket('node-1', 'node-2')]), ['CW8103 node/node-1'])
  assert.deepEqual(found(after(1), [tcp, wholePacket('node-1', 'node-2')]), ['CW6102 way/node-1 to node-2'])
  assert.deepEqual(found(after(3), [tcp, packetOf('node-1', 'node-2')]), ['CW6102 way/node-1 to node-2'])
})

test('what an agent of an earlier release does not answer is one note, and of several such agents too', () => {
  const silences = [
    { what: 'facts of its kernel', why: 'it answers 404: no such request' },
    { what: 'ipam check', why: 'it answers 404: no such request' },
  ]
  const old = clusterOf(3).map((each) => (each.node === 'node-1' ? each : { ...each, silences }))
  const texts = diagnose(old, []).notes.map(({ nodes, text }) => `${nodes.join(' ')}: ${text}`)
  assert.deepEqual(texts, [
    'node-2 node-3: 2 nodes (node-2, node-3) did not answer everything: facts of its kernel: it answers 404: no such request; ipam check: it answers 404: no such request',
  ])
})
