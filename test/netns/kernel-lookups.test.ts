// What the kernel answers about one packet's way, about neighbours in each state, and about forwarding databases.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { findFdb, listFdb } from '#/kernel/fdb.ts'
import { findLink, type Link } from '#/kernel/links.ts'
import { findNeighbour, listNeighbours, neighbourUse } from '#/kernel/neighbours.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { lookUpWay } from '#/kernel/route-lookup.ts'
import { type WayAnswer } from '#/wire/netlink/route-lookup.ts'
import { Addr } from '#/lib/addr.ts'
import { neighbourState } from '#/wire/netlink/neigh.ts'
import { TestNetns } from './namespace.ts'

class Place implements Disposable {
  readonly #stack = new DisposableStack()
  readonly ns = this.#stack.use(new TestNetns())
  readonly other = this.#stack.use(new TestNetns())
  readonly netlink: Netlink

  constructor() {
    this.ns.sh(`ip link set lo up; sysctl -qw net.ipv4.ip_forward=1; ip link add br0 type bridge; ip link set br0 up
      ip link add v0 master br0 up type veth peer name v1 netns ${this.other.name}
      ip addr add 10.9.0.1/24 dev br0; ip addr add fd09::1/64 dev br0 nodad`)
    this.other.sh('ip link set v1 up; ip addr add 10.9.0.2/24 dev v1')
    this.netlink = this.#stack.use(new Netlink(0, this.ns.netns))
  }

  device(name: string): Link {
    return findLink(this.netlink, name)!
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }
}

function told(answer: WayAnswer): string {
  if (answer.kind === 'refused') return answer.code
  const { route, chosen } = answer
  const [hop] = chosen?.nextHops ?? []
  return [route?.dst, chosen?.type, hop?.gateway, chosen?.preferredSource, chosen?.mtuBytes].filter(Boolean).join(' ')
}

test('the way of a packet has the route that matches, one next hop of several, the source and the MTU', () => {
  using place = new Place()
  const { ns, netlink } = place
  ns.sh(`ip route add 10.10.0.0/16 mtu 1400 nexthop via 10.9.0.2 nexthop via 10.9.0.3
    ip route add blackhole 10.11.0.0/16; ip route add prohibit 10.12.0.0/16
    ip route add 10.13.0.0/16 via 10.9.0.2 src 10.9.0.1; ip -6 route add fd10::/16 via fd09::2 mtu 1300`)
  const iif = place.device('br0')
  const ask = (dst: string, more: Partial<Parameters<typeof lookUpWay>[1]> = {}): string =>
    told(lookUpWay(netlink, { dst: Addr.parse(dst), ...more }))
  assert.match(ask('10.10.1.1'), /^10\.10\.0\.0\/16 unicast 10\.9\.0\.[23] 10\.9\.0\.1 1400$/)
  // with ports and protocol, as one that comes by a device
  const coming = { src: Addr.parse('10.9.0.9'), iif, ipProtocol: 6, sourcePort: 4000, destinationPort: 80 }
  assert.match(ask('10.10.1.1', coming), /^10\.10\.0\.0\/16 unicast 10\.9\.0\.[23] 1400$/)
  assert.equal(ask('10.9.0.1'), '10.9.0.1/32 local 10.9.0.1')
  assert.equal(ask('10.13.1.1'), '10.13.0.0/16 unicast 10.9.0.2 10.9.0.1')
  assert.equal(ask('fd10::1', { ipProtocol: 58 }), 'fd10::/16 unicast fd09::2 fd09::1 1300')
  assert.deepEqual(
    ['10.11.0.1', '10.12.0.1', '8.8.8.8', 'fd99::1'].map((dst) => ask(dst)),
    ['EINVAL', 'EACCES', 'ENETUNREACH', 'ENETUNREACH'],
  )
})

test('neighbours are told in every state, and the kernel asks for one when it is told to', async () => {
  using place = new Place()
  const { ns, netlink } = place
  const device = place.device('br0')
  ns.sh('ip neigh add 10.9.0.7 lladdr 02:00:00:00:00:07 dev br0 nud permanent')
  const [there, absent, set] = ['10.9.0.2', '10.9.0.3', '10.9.0.7'].map((text) => Addr.parse(text))
  assert.equal(findNeighbour(netlink, device, there!), undefined)
  netlink.execute(neighbourUse(device, there!), neighbourUse(device, absent!))
  const stateOf = (addr: Addr): string => neighbourState(findNeighbour(netlink, device, addr)?.state ?? 0)
  for (let attempt = 0; attempt < 100 && stateOf(there!) !== 'reachable'; attempt++) await sleep(10)
  assert.deepEqual([there!, absent!, set!].map(stateOf), ['reachable', 'incomplete', 'permanent'])
  const all = await listNeighbours(netlink)
  const ofDevice = all.filter(
    ({ index, addr }) => index === device.index && addr.family === 4 && addr.value >> 24n === 10n,
  )
  assert.deepEqual(ofDevice.map(({ addr }) => String(addr)).sort(), ['10.9.0.2', '10.9.0.3', '10.9.0.7'])
})

test('forwarding databases tell the port or the tunnel end of a MAC', async () => {
  using place = new Place()
  const { ns, netlink } = place
  const [bridge, port] = [place.device('br0'), place.device('v0')]
  ns.sh(`bridge fdb add 02:00:00:00:00:01 dev v0 master static
    ip link add vx type vxlan id 7 dstport 4789 local 10.9.0.1; ip link set vx up
    bridge fdb add 02:00:00:00:00:02 dev vx dst 10.9.0.2`)
  assert.deepEqual(findFdb(netlink, bridge, '02:00:00:00:00:01'), {
    mac: '02:00:00:00:00:01',
    index: port.index,
    master: bridge.index,
    origin: 'static',
  })
  assert.equal(findFdb(netlink, bridge, '02:00:00:00:00:09'), undefined)
  assert.equal(findFdb(netlink, bridge, port.mac)?.origin, 'own')
  const all = await listFdb(netlink)
  const tunnelled = all.find(({ mac }) => mac === '02:00:00:00:00:02')
  assert.deepEqual([tunnelled?.index, String(tunnelled?.dst)], [place.device('vx').index, '10.9.0.2'])
  assert.ok(all.some(({ mac, master }) => mac === '02:00:00:00:00:01' && master === bridge.index))
})
