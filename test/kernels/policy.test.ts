// Network policy with real packets, whatever of the kernel's modules sees frames of the bridge beside the policy tables. On Debian's kernels
// br_netfilter and the connection tracking of bridges are modules, and what is loaded once stays: the tests are in this order.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { Addr, families } from '#/lib/addr.ts'
import { must } from '../e2e/harness.ts'
import { type TestNetns } from '../netns/namespace.ts'
import { AttackNode } from '../netns/policy/attack-node.ts'
import { connects } from '../netns/policy/connects.ts'
import { addrOf, TableNode, type TestPod } from '../netns/policy/table-node.ts'
import { type Scenario } from '../policy/model.ts'
import { playAll } from '../policy/play.ts'
import { changes } from '../policy/scenarios/changes.ts'
import { scenarios } from '../policy/scenarios/index.ts'
import { isolation } from '../policy/scenarios/isolation.ts'
import { TruthNode } from '../policy/truth-node.ts'

/** Somebody else's rules in the node. */
type Surroundings = (node: TestNetns) => void

const brNetfilter =
  (value: 0 | 1): Surroundings =>
  (node) => {
    for (const name of ['iptables', 'ip6tables', 'arptables'])
      node.sh(`sysctl -qw net.bridge.bridge-nf-call-${name}=${value}`)
  }

/** A rule of the bridge family that asks for a connection's state has the bridge track connections, for all tables. */
const tracked: Surroundings = (node) =>
  node.sh(`nft -f - <<'RULES'
    table bridge tracked { chain forward { type filter hook forward priority 0; ct state invalid counter
    }
    }
RULES`)

const isModuleThere = (): boolean => existsSync('/proc/sys/net/bridge/bridge-nf-call-iptables')

/** What tables need beside `nfnetlink_log`. */
const tableModules = ['nf_tables', 'nft_ct', 'nf_conntrack', 'nft_limit', 'nft_log', 'nft_meta_bridge']
const loader = '/proc/sys/kernel/modprobe'

test('a kernel without nfnetlink_log enforces policies, and tells of denials as soon as it has it', async () => {
  using node = new TableNode()
  node.form
    .pods('b', addrOf(4, 3), addrOf(6, 3))
    .policy('p1', 'NetworkPolicy', 'ingress', { peers: ['b'] })
    .class('c1', 'ingress', ['p1'])
  const a = node.add(2, { ingress: 'c1' })
  const [b, c] = [node.add(3), node.add(4)]
  for (const module of tableModules) must('modprobe', module)
  if (existsSync('/sys/module/nfnetlink_log')) must('modprobe', '-r', 'nfnetlink_log')
  const before = readFileSync(loader, 'utf8')
  writeFileSync(loader, '/bin/false')
  try {
    await node.settle()
  } finally {
    writeFileSync(loader, before)
  }
  assert.match(node.tables.untold ?? '', /"tell of it .*ENOENT/)
  const ways = async (): Promise<boolean[]> => [
    await node.arrives({ family: 4, from: b, to: a }),
    await node.arrives({ family: 6, from: c, to: a }),
  ]
  assert.deepEqual(await ways(), [true, false])
  await node.settle()
  assert.equal(node.tables.untold, undefined)
  assert.match(node.nft('list table inet causeway-policy'), /log prefix/)
  assert.deepEqual(await ways(), [true, false])
})

test('tables and programs, without br_netfilter', async (t) => {
  assert.ok(!isModuleThere(), 'it is there already')
  await using truth = await TruthNode.create('ebpf')
  await playAll(t, truth, scenarios)
})

/** Each with and without: what frames of the bridge meet. */
const surroundings: Readonly<Record<string, Surroundings>> = {
  'no br_netfilter': () => assert.ok(!isModuleThere(), 'it is there already'),
  'no br_netfilter, connections of the bridge tracked': tracked,
  'br_netfilter off': (node) => {
    must('modprobe', 'br_netfilter')
    brNetfilter(0)(node)
  },
  'br_netfilter on': brNetfilter(1),
  'br_netfilter off, connections of the bridge tracked'(node) {
    brNetfilter(0)(node)
    tracked(node)
  },
  'br_netfilter on, connections of the bridge tracked'(node) {
    brNetfilter(1)(node)
    tracked(node)
  },
}

for (const [name, surround] of Object.entries(surroundings))
  test(`no frame of a pod gets past policies: ${name}`, async () => {
    using node = await AttackNode.create()
    surround(node.host)
    const { sent, arrived } = await node.sweep()
    assert.deepEqual([...arrived].slice(0, 20), [], `${arrived.size} of ${sent}`)
    assert.ok(await node.friendArrives())
  })

// what the bridge does is the same for all rules: some of each kind are enough where it does more
const plays = {
  'br_netfilter on': scenarios,
  'br_netfilter off, connections of the bridge tracked': [...isolation, ...changes],
} as const satisfies Partial<Record<keyof typeof surroundings, readonly Scenario[]>>

for (const [name, scenes] of Object.entries(plays))
  test(`tables, bridge: ${name}`, async (t) => {
    await using truth = await TruthNode.create('bridge')
    surroundings[name]!(truth.node.host)
    await playAll(t, truth, scenes)
  })

const services = { 4: '10.96.0.1', 6: '[fd10:96::1]' } as const

/** What kube-proxy does in mode ipvs: its Services' addresses are the node's own, and IPVS leads to the pod. Each pod has a port. */
function serve(node: AttackNode, pods: Readonly<Record<number, TestPod>>): void {
  node.host.sh(`sysctl -qw net.ipv4.vs.conntrack=1
    ip link add kube-ipvs0 type dummy
    ip addr add 10.96.0.1/32 dev kube-ipvs0; ip addr add fd10:96::1/128 dev kube-ipvs0 nodad`)
  for (const family of families)
    for (const [port, { number }] of Object.entries(pods)) {
      const backend = family === 4 ? addrOf(4, number) : `[${addrOf(6, number)}]`
      node.host.sh(`ipvsadm -A -t ${services[family]}:${port} -s rr
        ipvsadm -a -t ${services[family]}:${port} -r ${backend}:80 -m`)
    }
}

test('IPVS leads nobody past policies', async () => {
  for (const module of ['ip_vs', 'ip_vs_rr', 'dummy']) must('modprobe', module)
  using node = await AttackNode.create()
  const { attacker, friend, silent, victim } = node
  serve(node, { 8080: victim, 8081: friend })
  await node.settle()
  for (const family of families) {
    const dst = Addr.parse(services[family].replaceAll(/[[\]]/g, ''))
    const call = (from: TestPod, to: TestPod, port: number, isExpected: boolean) =>
      connects(from.netns, to.netns, { dst, port, listenPort: 80, isExpected })
    assert.equal(await call(friend, victim, 8080, true), true, `a friend, IPv${family}`)
    assert.equal(await call(attacker, victim, 8080, false), false, `anybody, IPv${family}`)
    assert.equal(await call(node.other, victim, 8080, false), false, `another node, IPv${family}`)
    assert.equal(await call(attacker, friend, 8081, true), true, `to anybody, IPv${family}`)
    assert.equal(await call(silent, friend, 8081, false), false, `from who may not send, IPv${family}`)
  }
  node.host.sh('ipvsadm -C')
  await node.settle()
  assert.doesNotMatch(node.nft('list table inet causeway-policy'), /egress-ipvs/)
})
