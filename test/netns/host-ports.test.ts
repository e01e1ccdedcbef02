// Host ports of pods, with real packets: who reaches them from where, and what a port does when its pod goes.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { HostPortFlows } from '#/agent/pods/host-port-flows.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { serveEcho } from '#/lab/probe/echo.ts'
import { silent } from '#/lib/log.ts'
import { hostPortTableName } from '#/model/names.ts'
import { emptyNetwork, type HostPort } from '#/model/network.ts'
import { nodeTable } from '#/plan/filter.ts'
import { hostPortTable, needsLoopback, shareHostPorts } from '#/plan/host-ports.ts'
import { TableDriver } from '#/reconcile/table-driver.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { TestNetns } from './namespace.ts'
import { podNetwork, PodNode } from './pod-node.ts'
import { tcpClient } from './tcp-client.ts'

/** A node whose tables are those of its pods, and a machine outside. */
class Crossroads implements Disposable {
  readonly node = new PodNode()
  readonly outside = new TestNetns()
  readonly #nft = new NftClient(this.node.host.netns)
  readonly flows = new HostPortFlows({
    netlink: this.node.netlink,
    open: () => new Netlink(NETLINK_NETFILTER, this.node.host.netns),
    log: { ...silent, warn: (message, fields) => assert.fail(`${message} ${JSON.stringify(fields)}`) },
  })

  constructor() {
    // a link-local address that is still tentative resolves nobody; the agent sets the same for its bridge
    const noDad = 'sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0'
    this.outside.sh(noDad)
    this.node.host.sh(`${noDad}; ip link set cw-br0 down; sysctl -qw net.ipv6.conf.cw-br0.accept_dad=0
      ip link set cw-br0 up; ip addr replace fd10:244:0:1::1/64 dev cw-br0 nodad
      ip link add up0 type veth peer name eth0 netns ${this.outside.name}
      ip addr add 172.30.9.1/24 dev up0; ip addr add fd30::1/64 dev up0 nodad; ip link set up0 up; ip link set lo up
      sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`)
    this.outside.sh(`ip addr add 172.30.9.2/24 dev eth0; ip addr add fd30::2/64 dev eth0 nodad; ip link set eth0 up`)
  }

  /** As a pass of the agent. */
  async settle(): Promise<readonly HostPort[]> {
    const { podCIDRs } = podNetwork
    const ports = [...shareHostPorts(this.node.store.list()).granted.values()].flat()
    const table = hostPortTable(ports, podCIDRs)
    if (table) this.#nft.replaceTable(table)
    else this.#nft.deleteTable('inet', hostPortTableName)
    this.#nft.replaceTable(nodeTable({ podCIDRs, clusterCIDRs: podCIDRs, podDevices: ['cw-br0'] }))
    if (needsLoopback(ports)) this.node.host.sh('sysctl -qw net.ipv4.conf.cw-br0.route_localnet=1')
    await this.flows.settle(ports)
    return ports
  }

  /** The tables that a pass would delete which finds no pod with host ports. */
  async unwanted(arePodsKnown: boolean): Promise<string[]> {
    const { podCIDRs } = podNetwork
    const tables = [nodeTable({ podCIDRs, clusterCIDRs: podCIDRs, podDevices: ['cw-br0'] })]
    const driver = new TableDriver(this.#nft, () => arePodsKnown)
    const { leftovers } = await driver.compare({ ...emptyNetwork, tables }, { isComplete: true })
    return leftovers.map(({ key }) => key)
  }

  [Symbol.dispose](): void {
    this.#nft[Symbol.dispose]()
    this.outside[Symbol.dispose]()
    this.node[Symbol.dispose]()
  }
}

const mapped = (...portMappings: object[]) => ({ config: { runtimeConfig: { portMappings } } })
const tcp = { hostPort: 8080, containerPort: 80, protocol: 'tcp' }

/** Who answers, and whom it takes for the client; '' when nobody does within half a second. */
async function ask(from: TestNetns, addr: string, port = 8080): Promise<{ pod: string; source: string }> {
  const answer = await from.shAsync(tcpClient(addr, port, 'echo probe >&3 && head -n 1 <&3'))
  return answer === '' ? { pod: '', source: '' } : (JSON.parse(answer) as { pod: string; source: string })
}

const nodeAddrs = ['172.30.9.1', 'fd30::1', '10.244.1.1', 'fd10:244:0:1::1']

test('a host port is reached from outside, from the node, from other pods and from its own, at each address of the node', async () => {
  using crossroads = new Crossroads()
  using web = new TestNetns()
  using neighbour = new TestNetns()
  const { node, outside } = crossroads
  node.add('web', web.path, mapped(tcp, { ...tcp, hostPort: 8081, hostIP: '172.30.9.1' }))
  node.add('neighbour', neighbour.path)
  await crossroads.settle()
  await using _echo = await serveEcho(web.netns, 'web', 80)
  for (const from of [outside, node.host, neighbour, web]) {
    const addrs = from === outside ? nodeAddrs.slice(0, 2) : nodeAddrs
    for (const addr of from === node.host ? [...addrs, '127.0.0.1'] : addrs)
      assert.equal((await ask(from, addr)).pod, 'web', `${from.name} to ${addr}`)
  }
  assert.equal((await ask(outside, '172.30.9.1')).source, '172.30.9.2', 'the pod sees who asks')
  assert.equal((await ask(outside, 'fd30::1')).source, 'fd30::2')
  assert.equal((await ask(outside, '172.30.9.1', 8081)).pod, 'web')
  assert.equal((await ask(node.host, '10.244.1.1', 8081)).pod, '', 'a port of one address is not one of another')
  assert.deepEqual(await crossroads.unwanted(true), [`inet ${hostPortTableName}`])
  assert.deepEqual(await crossroads.unwanted(false), [], 'while it is not known which pods there are')
  node.call('DEL', 'web', web.path)
  assert.deepEqual(await crossroads.settle(), [])
  assert.doesNotMatch(node.host.sh('nft list tables'), new RegExp(hostPortTableName))
})

test('what listens on a loopback address of the node stays out of reach of pods, though host ports let loopback out', async () => {
  using crossroads = new Crossroads()
  using pod = new TestNetns()
  const { node } = crossroads
  node.add('pod', pod.path, mapped(tcp))
  await crossroads.settle()
  await using _secret = await serveEcho(node.host.netns, 'secret', 9999)
  pod.sh(`ip addr flush dev lo; sysctl -qw net.ipv4.conf.eth0.route_localnet=1; ip route add 127.0.0.1 via 10.244.1.1`)
  assert.equal((await ask(pod, '127.0.0.1', 9999)).pod, '')
  assert.match(node.host.sh('nft list chain inet causeway pods-in'), /127\.0\.0\.0\/8 counter packets [1-9]/)
})

test('a port at an address that is not of this node takes nothing from the machine that has it', async () => {
  using crossroads = new Crossroads()
  using pod = new TestNetns()
  using neighbour = new TestNetns()
  const { node, outside } = crossroads
  outside.sh('ip route add 10.244.1.0/24 via 172.30.9.1; ip route add fd10:244:0:1::/64 via fd30::1')
  node.add('pod', pod.path, mapped({ ...tcp, hostIP: '172.30.9.2' }, { ...tcp, hostIP: 'fd30::2' }))
  node.add('neighbour', neighbour.path)
  await crossroads.settle()
  await using _pod = await serveEcho(pod.netns, 'pod', 80)
  await using _outside = await serveEcho(outside.netns, 'outside', 8080)
  for (const from of [node.host, neighbour])
    for (const addr of ['172.30.9.2', 'fd30::2']) assert.equal((await ask(from, addr)).pod, 'outside', addr)
})

test('a port at 127.0.0.1 is for the node alone, and ::1 stays the own one of the node', async () => {
  using crossroads = new Crossroads()
  using pod = new TestNetns()
  const { node, outside } = crossroads
  node.add('pod', pod.path, mapped(tcp, { ...tcp, hostPort: 8081, hostIP: '127.0.0.1' }))
  await crossroads.settle()
  await using _pod = await serveEcho(pod.netns, 'pod', 80)
  await using _own = await serveEcho(node.host.netns, 'own', 8080)
  assert.equal((await ask(node.host, '127.0.0.1', 8081)).pod, 'pod')
  assert.equal((await ask(node.host, '::1')).pod, 'own')
  outside.sh(`ip addr flush dev lo; sysctl -qw net.ipv4.conf.eth0.route_localnet=1
    ip route add 127.0.0.1 via 172.30.9.1 src 172.30.9.2`)
  assert.equal((await ask(outside, '127.0.0.1', 8081)).pod, '')
})

test("pods reach what another's rule leads to a loopback address of the node", async () => {
  using crossroads = new Crossroads()
  using pod = new TestNetns()
  const { node } = crossroads
  node.add('pod', pod.path)
  node.host.sh(`sysctl -qw net.ipv4.conf.all.route_localnet=1; nft add table ip other
    nft 'add chain ip other pre { type nat hook prerouting priority dstnat; }'
    nft add rule ip other pre ip daddr 169.254.169.254 tcp dport 80 dnat to 127.0.0.1:9999`)
  await crossroads.settle()
  await using _metadata = await serveEcho(node.host.netns, 'metadata', 9999)
  assert.equal((await ask(pod, '169.254.169.254', 80)).pod, 'metadata')
})

test('of two pods that ask for one port the first has it, and the second gets it when the first goes', async () => {
  using crossroads = new Crossroads()
  using first = new TestNetns()
  using second = new TestNetns()
  const { node, outside } = crossroads
  node.add('first', first.path, mapped(tcp))
  node.add('second', second.path, mapped(tcp, { ...tcp, hostPort: 8081 }))
  await crossroads.settle()
  await using _first = await serveEcho(first.netns, 'first', 80)
  await using _second = await serveEcho(second.netns, 'second', 80)
  assert.equal((await ask(outside, '172.30.9.1')).pod, 'first')
  assert.equal((await ask(outside, 'fd30::1', 8081)).pod, 'second')
  node.call('DEL', 'first', first.path)
  await crossroads.settle()
  assert.equal((await ask(outside, '172.30.9.1')).pod, 'second')
})

/** A program of Node's in a namespace, which says line by line what it gets. */
class Udp implements Disposable {
  readonly #child: ChildProcess
  readonly #heard: string[] = []

  constructor(place: TestNetns, script: string) {
    const prelude = `const socket = require('node:dgram').createSocket('udp6');`
    this.#child = place.netns.run(() => spawn(process.execPath, ['-e', prelude + script]))
    this.#child.stderr!.on('data', (chunk) => this.#heard.push(String(chunk)))
    this.#child.stdout!.on('data', (chunk) => this.#heard.push(...String(chunk).trim().split('\n')))
  }

  static async server(place: TestNetns, name: string): Promise<Udp> {
    const server = new Udp(
      place,
      `socket.on('message', (_, { port, address }) => socket.send('${name}', port, address)); socket.bind(53, () => console.log('up'))`,
    )
    await server.hears('up')
    return server
  }

  /** Sends again and again from one port. */
  static client(place: TestNetns, addr: string): Udp {
    return new Udp(
      place,
      `socket.on('message', (text) => console.log(String(text)))
       socket.bind(4000, () => setInterval(() => socket.send('?', 5353, '${addr}'), 10))`,
    )
  }

  /** Resolves when it says this from now on. */
  async hears(line: string): Promise<void> {
    this.#heard.length = 0
    const signal = AbortSignal.timeout(5000)
    while (!this.#heard.includes(line)) await once(this.#child.stdout!, 'data', { signal })
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL')
  }
}

describe('a client of UDP that goes on sending', () => {
  for (const addr of ['::ffff:172.30.9.1', 'fd30::1'])
    test(`reaches the pod that has the port now, at ${addr}`, async () => {
      using crossroads = new Crossroads()
      using former = new TestNetns()
      using later = new TestNetns()
      const { node, outside } = crossroads
      const dns = mapped({ hostPort: 5353, containerPort: 53, protocol: 'udp' })
      // it sends before there is any pod, to a port of the node on which nobody listens
      using client = Udp.client(outside, addr)
      using _former = await Udp.server(former, 'former')
      node.add('former', former.path, dns)
      await crossroads.settle()
      await client.hears('former')
      using _later = await Udp.server(later, 'later')
      node.call('DEL', 'former', former.path)
      node.add('later', later.path, dns)
      await crossroads.settle()
      await client.hears('later')
    })
})
