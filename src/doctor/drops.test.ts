// What the kernel says of packets that it dropped, as causes: where nobody else knows why.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diagnose } from './diagnose.ts'
import { podSigns } from './pods.ts'
import {
  clusterOf,
  dropAt,
  factsOf,
  linkOf,
  namespaceOf,
  packetOf,
  routeOf,
  told,
  type Told,
  withFacts,
} from './testing/answers.ts'
import { type NodeFacts } from '#/api/schemas/facts.ts'
import { type FollowedPacket } from './types.ts'

type Place = { readonly node: string; readonly device: string; readonly pod?: string }

/** What the kernel dropped there, with the remedy that its trace tells. */
const dropped = (at: Place, reason: string, name: string, remedy: string) => ({
  remedy,
  drop: dropAt(at, reason, name),
})

const findingsOf = (problems: Told, packets: readonly FollowedPacket[]) =>
  diagnose(clusterOf(3, problems), packets).findings.map(({ code, object, remedy, consequences }) => ({
    name: `${code} ${object}`,
    remedy,
    count: consequences.length,
  }))

const namesOf = (problems: Told, packets: readonly FollowedPacket[]) =>
  findingsOf(problems, packets).map(({ name }) => name)

test('a rule that drops large packets alone is the cause of what agents say of sizes', () => {
  const rule = dropped({ node: 'node-2', device: 'eth0' }, 'NETFILTER_DROP', 'nft_do_chain', 'look for the rule')
  const text = 'a rule of a firewall dropped it; a small packet is answered, one of 1450 bytes is not'
  const problems: Told = [
    ['node-1', told('CW8101', 'node/node-2', 'packets of 1450 bytes are lost')],
    ['node-2', told('CW8101', 'node/node-1', 'packets of 1450 bytes are lost')],
  ]
  const findings = findingsOf(problems, [packetOf('node-1', 'node-2', { ...rule, text })])
  assert.deepEqual(
    findings.map(({ name, remedy }) => [name, remedy]),
    [['CW7001 node/node-2', 'look for the rule']],
  )
})

test('that some firewall dropped a packet makes no second cause beside what the agent of that node tells', () => {
  const rule = dropped({ node: 'node-2', device: 'eth0' }, 'NETFILTER_DROP', 'nft_do_chain', 'look for the rule')
  const input = told('CW7002', 'chain/inet fw input', "table inet fw drops the tunnel's packets")
  const lost = [packetOf('node-1', 'node-2', rule)]
  assert.deepEqual(namesOf([['node-2', input]], lost), ['CW7002 chain/inet fw input'])
  assert.deepEqual(namesOf([['node-3', input]], lost), ['CW7002 chain/inet fw input', 'CW7001 node/node-2'])
})

test('where the kernel has dropped them, what mends that is the remedy of a way that agents call broken', () => {
  const queue = dropped({ node: 'node-1', device: 'cw-vxlan' }, 'QDISC_DROP', '__dev_queue_xmit', 'tc -s qdisc show')
  const silent: Told = [['node-2', told('CW1306', 'node/node-1')]]
  const findings = findingsOf(silent, [packetOf('node-1', 'node-2', queue)])
  assert.deepEqual(
    findings.map(({ name, remedy }) => [name, remedy]),
    [['CW1306 node/node-1', 'on node-1: tc -s qdisc show']],
  )
})

test('packets that the kernel dropped at one place for one reason are one finding', () => {
  const ttl = dropped({ node: 'node-2', device: 'cw-vxlan' }, 'IP_INHDR', 'ip_forward', 'look')
  const other = dropped({ node: 'node-3', device: 'cw-vxlan' }, 'IP_INHDR', 'ip_forward', 'look')
  assert.deepEqual(namesOf([], [packetOf('node-1', 'node-2', ttl), packetOf('node-2', 'node-3', ttl)]), [
    'CW6102 way/node-1 to node-2',
  ])
  assert.equal(namesOf([], [packetOf('node-1', 'node-2', ttl), packetOf('node-2', 'node-3', other)]).length, 2)
  // a node that answers nobody's question for its MAC is one finding, wherever packets waited for that
  const silent = (node: string) => dropped({ node, device: 'eth0' }, 'NEIGH_FAILED', 'neigh_invalidate', 'look')
  const waited = [packetOf('node-1', 'node-3', silent('node-1')), packetOf('node-2', 'node-3', silent('node-2'))]
  assert.equal(namesOf([], waited).length, 1)
})

test('an XDP program of any device is a program of others, though the kernel gives no reason', () => {
  const xdp = dropped({ node: 'node-2', device: 'eth0' }, 'NOT_SPECIFIED', 'do_xdp_generic', 'bpftool net')
  assert.deepEqual(namesOf([], [packetOf('node-1', 'node-2', xdp)]), ['CW6101 node/node-2'])
})

test('what a pod drops in its own namespace is no firewall of its node, and what it lacks in one family hides nothing of the other', () => {
  const at = { node: 'node-2', device: 'eth0', pod: 'default/web-2-1' }
  const own = packetOf('node-1', 'node-2', dropped(at, 'NETFILTER_DROP', 'nft_do_chain', 'look at it there'))
  assert.deepEqual(namesOf([], [own]), ['CW6102 way/node-1 to node-2'])
  const gone = told('CW3106', 'pod/default/web-2-1', 'fd10:244:0:1::2 is not on its eth0: somebody removed it')
  assert.deepEqual(namesOf([['node-2', gone]], [own]), ['CW3106 pod/default/web-2-1', 'CW6102 way/node-1 to node-2'])
  assert.deepEqual(namesOf([['node-2', gone]], [{ ...own, family: 6 }]), ['CW3106 pod/default/web-2-1'])
})

test('a pod without the route that keeps its packets small is the cause of large ones that are refused, with what makes it again', () => {
  const narrow = { ...routeOf('10.244.0.0/16', '10.244.0.1'), mtuBytes: 1450 }
  const podOf = (name: string, routes: readonly ReturnType<typeof routeOf>[]) =>
    namespaceOf({ pod: `default/${name}`, links: [linkOf('eth0')], routes: [...routes] })
  const clusterWith = (routes: readonly ReturnType<typeof routeOf>[]) =>
    withFacts(clusterOf(2), (node) => {
      if (node !== 'node-1') return factsOf(node)
      const pods = [podOf('web-1-1', routes), podOf('web-1-2', [narrow, routeOf('0.0.0.0/0', '10.244.0.1')])]
      return factsOf(node, {}, { namespaces: [namespaceOf(), ...pods] })
    })
  const make = 'ip route replace 10.244.0.0/16 via 10.244.0.1 dev eth0 mtu 1450'
  const wide = clusterWith([routeOf('0.0.0.0/0', '10.244.0.1')])
  assert.deepEqual(diagnose(wide, []).findings, [], 'TCP heeds what it is told')
  const text =
    '10.244.0.1 refuses the probe: fragmentation needed; a small packet is answered, one of 1500 bytes is not'
  const [finding, ...more] = diagnose(wide, [packetOf('node-1', 'node-2', { outcome: 'refused', text })]).findings
  assert.deepEqual(more, [])
  assert.equal(finding!.code, 'CW3114')
  assert.ok(finding!.remedy.endsWith(make), finding!.remedy)
  const [none] = podSigns(clusterWith([]))
  assert.ok(none!.remedy.includes(`ip route add default via 10.244.0.1 dev eth0; ${make}`), none!.remedy)
  assert.deepEqual(podSigns(clusterWith([narrow])), [])
})

test('a way that is too narrow in both directions is one finding, though only one end sees its packets dropped', () => {
  const large = 'lost; a small packet is answered, one of 1450 bytes is not'
  const remedy = 'give the other end of eth0 the same MTU'
  const here = (family: 4 | 6) => ({
    ...packetOf('node-1', 'node-2', {
      text: large,
      ...dropped({ node: 'node-1', device: 'eth0' }, 'NOT_SPECIFIED', '__dev_forward_skb2', remedy),
    }),
    family,
  })
  const there = packetOf('node-2', 'node-1', { text: large })
  assert.deepEqual(
    diagnose(clusterOf(2), [here(4), here(6), there]).findings.map(({ code, lost }) => `${code} ${lost.length}`),
    ['CW8101 3'],
  )
})

test('what a program of Causeway drops is not laid at the door of others', () => {
  const rule = dropped({ node: 'node-2', device: 'cw-vxlan' }, 'TC_INGRESS', '__netif_receive_skb_core', 'look at tc')
  const own = { device: 'cw-vxlan', hook: 'ingress', isOurs: true } as const
  const codesWith = (programs: NodeFacts['programs']): string[] => {
    const answers = withFacts(clusterOf(2, []), (node) => factsOf(node, {}, { programs }))
    return diagnose(answers, [packetOf('node-1', 'node-2', rule)]).findings.map(({ code }) => code)
  }
  assert.deepEqual(codesWith([own]), ['CW6102'])
  assert.deepEqual(codesWith([own, { ...own, isOurs: false }]), ['CW6101'])
  assert.deepEqual(codesWith([]), ['CW6101'])
})

test('a packet that is meant to arrive, and that a policy denies, follows from what makes it another', () => {
  const text = 'ingress of default/web-2-1 is denied'
  const rule = dropped({ node: 'node-2', device: 'eth0' }, 'NETFILTER_DROP', 'nft_do_chain', 'allow it')
  const denied = packetOf('node-1', 'node-2', { ...rule, text, kind: 'policy' })
  const nat: Told = [['node-1', told('CW7005', 'chain/inet host-nat postrouting')]]
  const { findings, notes } = diagnose(clusterOf(2, nat), [denied])
  assert.deepEqual([findings[0]!.lost, notes.length], [[], 1])
  const meant = diagnose(clusterOf(2, nat), [{ ...denied, isMeant: true }])
  assert.deepEqual(
    meant.findings.map(({ code, lost }) => [code, lost.length]),
    [['CW7005', 1]],
  )
})
