// Denials with real packets: the rules of the policy tables log them, the listener reads them, the evaluator names pods and policies.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DenialListener } from '#/agent/report/policy-listener.ts'
import { PolicyDenials } from '#/agent/report/policy-denials.ts'
import { systemClock } from '#/cluster/clock.ts'
import { listenToGroup } from '#/kernel/nflog.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { Addr, families } from '#/lib/addr.ts'
import { type Fields, type Logger, silent } from '#/lib/log.ts'
import { policyLogGroup } from '#/model/names.ts'
import { tcp } from '#/plan/policy/testing/form.ts'
import { type PolicyPod, type PolicyView } from '#/policy/cluster.ts'
import { viewOf } from '#/policy/evaluate.ts'
import { readNetworkPolicy } from '#/policy/read-network-policy.ts'
import { podInKernel } from '#/reconcile/policy/pod-in-kernel.ts'
import { etherTypes, ethernet, ipv4, ipv6, join, protocols, tcpFlags } from './ebpf/frames.ts'
import { addrOf, bridgeMac, TableNode, type TestPod } from './policy/table-node.ts'

/** Pods a (2), b (3) and c (4) of namespace x: a may be reached by b at TCP 80, and by nobody else. */
function view(isAudited: boolean): PolicyView {
  const pods = ['a', 'b', 'c'].map((name, index): [string, PolicyPod] => {
    const addrs = families.map((family) => Addr.parse(addrOf(family, index + 2)))
    const made = { namespace: 'x', name, uid: name, node: 'n', labels: { app: name }, addrs, namedPorts: [] }
    return [`x/${name}`, { ...made, isHostNetwork: false, hasEnded: false }]
  })
  const spec = {
    podSelector: { matchLabels: { app: 'a' } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'b' } } }], ports: [{ port: 80 }] }],
  }
  const metadata = { namespace: 'x', name: 'p1' }
  const { policy } = readNetworkPolicy({ metadata, spec } as Parameters<typeof readNetworkPolicy>[0])
  return viewOf({
    pods: new Map(pods),
    namespaces: new Map([['x', { name: 'x', labels: {}, isAudited }]]),
    policies: new Map([[policy!.key, policy!]]),
    nodes: new Map([['other', [Addr.parse(addrOf(4, 9, true)), Addr.parse(addrOf(6, 9, true))]]]),
  })
}

class Scene implements Disposable {
  readonly #stack = new DisposableStack()
  readonly lines: string[] = []
  readonly node = this.#stack.use(new TableNode())
  readonly denials: PolicyDenials
  readonly listener: DenialListener
  readonly a: TestPod
  readonly b: TestPod
  readonly c: TestPod

  constructor({ isAudited = false }: { readonly isAudited?: boolean } = {}) {
    const { node } = this
    node.form
      .pods('b', addrOf(4, 3), addrOf(6, 3))
      .policy('p1', 'NetworkPolicy', 'ingress', { peers: ['b'], ports: tcp(80) })
      .class('c1', 'ingress', ['p1'], isAudited)
    this.a = node.add(2, { ingress: 'c1' })
    this.b = node.add(3)
    this.c = node.add(4)
    const log: Logger = {
      ...silent,
      info: (message: string, fields: Fields = {}) => void this.lines.push(`${message} ${JSON.stringify(fields)}`),
    }
    const cluster = view(isAudited)
    const deps = { clock: systemClock, log }
    this.denials = this.#stack.use(new PolicyDenials({ view: () => cluster, adopt: () => false, ...deps }))
    this.listener = this.#stack.use(
      new DenialListener({
        denials: this.denials,
        listen: (onPacket, onError) => listenToGroup(policyLogGroup, onPacket, onError, node.host.netns),
        ...deps,
      }),
    )
  }

  async start(): Promise<void> {
    await this.node.settle()
    this.listener.want(true)
    assert.equal(this.listener.why, undefined)
  }

  /** The denials as texts, once so many are there. */
  async told(count: number): Promise<string[]> {
    for (let waitedMs = 0; waitedMs < 3000 && this.denials.recent.length < count; waitedMs += 10) await sleep(10)
    return this.denials.recent
      .map(({ from, to, protocol, port, by, direction, isAudited, packets }) =>
        [from, to, protocol, port ?? '-', by, direction, isAudited ? 'audited' : 'denied', packets].join(' '),
      )
      .sort()
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }
}

test('what is denied is told with the names of pods, node and policy, in both families', async () => {
  using scene = new Scene()
  await scene.start()
  const { node, a, b, c } = scene
  for (const family of families) {
    assert.equal(await node.arrives({ family, from: b, to: a }), true)
    assert.equal(await node.arrives({ family, from: c, to: a }), false)
    assert.equal(await node.arrives({ family, from: b, to: a, protocol: protocols.udp, port: 53 }), false)
    assert.equal(await node.arrives({ family, from: node.other, to: a, protocol: protocols.sctp }), false)
  }
  const by = 'networkpolicy/x/p1 ingress denied 1'
  const each = [`node/other x/a SCTP 80 ${by}`, `x/b x/a UDP 53 ${by}`, `x/c x/a TCP 80 ${by}`]
  assert.deepEqual(
    await scene.told(6),
    each.flatMap((line) => [line, line]),
    'one of each family',
  )
  assert.match(
    scene.lines[0]!,
    /^policy denied x\/c → x\/a TCP 80: networkpolicy\/x\/p1 \(ingress\) \{"src":"10\.244\.1\.4","dst":"10\.244\.1\.2","packets":1\}$/,
  )
  assert.equal(scene.lines.length, 6)
})

test('what is audited comes through, and is told as what would be denied', async () => {
  using scene = new Scene({ isAudited: true })
  await scene.start()
  const { node, a, c } = scene
  assert.equal(await node.arrives({ family: 4, from: c, to: a, port: 22 }), true)
  assert.deepEqual(await scene.told(1), ['x/c x/a TCP 22 networkpolicy/x/p1 ingress audited 1'])
  assert.match(scene.lines[0]!, /^policy would deny x\/c → x\/a TCP 22: /)
})

test('a flood is counted whole and told in part, and packets of no sense are no harm', async () => {
  using scene = new Scene()
  await scene.start()
  const { node, a, c } = scene
  for (let port = 1; port <= 2000; port++) node.send({ family: 4, from: c, to: a, port }, 'x')
  const send = (type: number, packet: Uint8Array): void =>
    c.port.send(ethernet({ to: bridgeMac, from: c.port.mac }, type, packet))
  const four = { src: addrOf(4, 4), dst: addrOf(4, 2) }
  const six = { src: addrOf(6, 4), dst: addrOf(6, 2) }
  // so that the limit of what is told does not keep these back
  await sleep(1100)
  for (const protocol of [protocols.tcp, protocols.udp, 0, 47, 255]) {
    send(etherTypes.ipv4, ipv4({ ...four, protocol }, Uint8Array.of(1)))
    send(etherTypes.ipv4, ipv4({ ...four, protocol, options: new Uint8Array(40).fill(1) }, new Uint8Array()))
    send(etherTypes.ipv6, ipv6({ ...six, protocol }, Uint8Array.of(6)))
    send(
      etherTypes.ipv6,
      ipv6(
        { ...six, protocol, extensions: [[60, (next) => Uint8Array.of(next, 255, 0, 0, 0, 0, 0, 0)]] },
        join(new Uint8Array(3)),
      ),
    )
  }
  await sleep(1100)
  node.send({ family: 6, from: c, to: a, port: 7777, flags: tcpFlags.syn }, 'x')
  for (let waitedMs = 0; waitedMs < 3000 && !scene.denials.recent.some(({ port }) => port === 7777); waitedMs += 10)
    await sleep(10)
  assert.ok(
    scene.denials.recent.some(({ port }) => port === 7777),
    'it listens on',
  )
  const told = scene.denials.recent.reduce((sum, { packets }) => sum + packets, 0)
  assert.ok(told >= 40 && told < 200, `${told} packets are told`)
  assert.ok(scene.lines.length <= 60, `${scene.lines.length} lines`)
  const { denied } = await node.tables.readCounters(node.form)
  assert.ok(denied[0]!.packets >= 2001, `${denied[0]!.packets} packets are counted`)
})

test('what the kernel has of a pod is read from it: elements, chains, and whether the table is at its hooks', async () => {
  using scene = new Scene()
  await scene.node.settle()
  const { node } = scene
  using client = new NftClient(node.host.netns)
  const [four, six] = [Addr.parse(addrOf(4, 2)), Addr.parse(addrOf(6, 2))]
  const told = async (): Promise<string[]> => {
    const { obstacle, addrs } = await podInKernel(client, [four, six])
    const lines = addrs.map(({ direction, addr, chain, isChainThere }) =>
      [direction, addr.family, chain ?? 'none', isChainThere ? 'rules' : 'no rules'].join(' '),
    )
    return obstacle === undefined ? lines : [obstacle, ...lines]
  }
  const free = ['egress 4 none no rules', 'egress 6 none no rules']
  const whole = ['ingress 4 in-c1 rules', 'ingress 6 in-c1 rules', ...free]
  assert.deepEqual(await told(), whole)
  node.nft(`delete element inet causeway-policy in4-c1 '{ ${four} }'`)
  node.nft('flush chain inet causeway-policy in-c1')
  assert.deepEqual(await told(), ['ingress 4 none no rules', 'ingress 6 in-c1 no rules', ...free])
  await node.settle()
  assert.deepEqual(await told(), whole)
  node.nft('flush chain inet causeway-policy ingress4')
  assert.deepEqual(await told(), ['ingress 4 none no rules', 'ingress 6 in-c1 rules', ...free])
  await node.settle()
  node.nft('flush chain inet causeway-policy egress')
  assert.equal((await told())[0], 'table inet causeway-policy has no rule in chain egress that leads to egress4')
  await node.settle()
  node.nft("'add table inet causeway-policy { flags dormant; }'")
  assert.equal((await told())[0], 'table inet causeway-policy is dormant')
  node.nft('delete table inet causeway-policy')
  const nothing = [
    'there is no table inet causeway-policy',
    'ingress 4 none no rules',
    'ingress 6 none no rules',
    ...free,
  ]
  assert.deepEqual(await told(), nothing)
})
