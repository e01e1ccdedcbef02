// The typed kernel clients against the real kernel, checked with iproute2 as an independent reader.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DirtySet } from '#/agent/network/dirty-set.ts'
import { isPort, NotificationReader } from '#/agent/network/notification-reader.ts'
import { addressAdd, addressDelete, listAddresses } from '#/kernel/addresses.ts'
import {
  bridgeAdd,
  bridgePortSet,
  findLink,
  linkDelete,
  linkSet,
  listLinks,
  vethAdd,
  vxlanAdd,
} from '#/kernel/links.ts'
import { listPermanentNeighbours, neighbourDelete, neighbourReplace } from '#/kernel/neighbours.ts'
import { KernelError, Netlink } from '#/kernel/netlink.ts'
import { watchKernel } from '#/kernel/notifications.ts'
import { listRoutes, routeAdd, routeDelete, routeReplace } from '#/kernel/routes.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { NotificationSocket } from '#/sys/netlink-socket.ts'
import { type Route } from '#/wire/netlink/route.ts'
import { TestNetns } from './namespace.ts'

function routeTo(dst: string, nextHop: Route['nextHops'][number], more: Partial<Route> = {}): Route {
  return {
    dst: Prefix.parse(dst),
    type: 'unicast',
    protocol: 67,
    table: 254,
    metric: 0,
    scope: 0,
    nextHops: [nextHop],
    ...more,
  }
}

test('links: bridge, VXLAN device, veth as a bridge port', () => {
  using host = new TestNetns()
  using pod = new TestNetns()
  using netlink = new Netlink(0, host.netns)
  netlink.execute(bridgeAdd('br9', '02:43:00:00:00:01'))
  netlink.execute(vxlanAdd('vx9', '02:43:00:00:00:02', 1450, 8472))
  const bridge = findLink(netlink, 'br9')!
  netlink.execute(
    vethAdd({
      name: 've9',
      mac: '02:43:00:00:00:09',
      bridgeIndex: bridge.index,
      peerName: 'eth0',
      peerMac: '0a:58:0a:f4:01:05',
      peerNetnsFd: pod.netns.fd,
      mtuBytes: 1400,
    }),
  )
  for (const operation of bridgePortSet('ve9', 'default/web', bridge)) netlink.execute(operation)
  const [vxlan] = host.ip<{ mtu: number; linkinfo: { info_data: Record<string, unknown> } }>('link show vx9')
  assert.equal(vxlan!.mtu, 1450)
  assert.equal(vxlan!.linkinfo.info_data['external'], true)
  assert.equal(vxlan!.linkinfo.info_data['port'], 8472)
  const [port] = host.ip<{ master: string; ifalias: string; linkinfo: { info_slave_data: { hairpin: boolean } } }>(
    'link show ve9',
  )
  assert.deepEqual([port!.master, port!.ifalias, port!.linkinfo.info_slave_data.hairpin], ['br9', 'default/web', true])
  const [eth0] = pod.ip<{ address: string; mtu: number }>('link show eth0')
  assert.deepEqual([eth0!.address, eth0!.mtu], ['0a:58:0a:f4:01:05', 1400])
  const seen = listLinks(netlink).find(({ name }) => name === 've9')
  assert.deepEqual(
    [seen?.kind, seen?.master, seen?.port?.isOpen, seen?.isUp, seen?.alias],
    ['veth', bridge.index, true, true, 'default/web'],
  )
  netlink.execute(linkSet('vx9', { mtuBytes: 1300, isUp: false }))
  assert.deepEqual([findLink(netlink, 'vx9')!.mtuBytes, findLink(netlink, 'vx9')!.isUp], [1300, false])
  netlink.execute(linkDelete('ve9'))
  assert.equal(findLink(netlink, 've9'), undefined)
})

test('addresses, neighbours and routes come back as they were made', async () => {
  using host = new TestNetns()
  using netlink = new Netlink(0, host.netns)
  netlink.execute(vxlanAdd('vx9', '02:43:00:00:00:02', 1450, 8472))
  const device = findLink(netlink, 'vx9')!
  netlink.execute(addressAdd(device, Addr.parse('10.1.0.1'), 24))
  netlink.execute(addressAdd(device, Addr.parse('fd01::1'), 64))
  assert.deepEqual(
    listAddresses(netlink).flatMap(({ addr, prefixLength }) => (addr.isLinkLocal ? [] : [`${addr}/${prefixLength}`])),
    ['10.1.0.1/24', 'fd01::1/64'],
  )
  const gateway = Addr.parse('169.254.42.1')
  netlink.execute(neighbourReplace(device, gateway, '02:43:57:ff:ff:ff'))
  assert.match(host.sh('ip neigh show dev vx9'), /169\.254\.42\.1 lladdr 02:43:57:ff:ff:ff PERMANENT/)
  assert.equal((await listPermanentNeighbours(netlink)).length, 1)
  const encap = { vni: 7, src: Addr.parse('10.1.0.1'), dst: Addr.parse('10.1.0.9') }
  const route = routeTo('10.2.0.0/24', { oif: device.index, gateway, onlink: true }, { mtuBytes: 1400, encap })
  netlink.execute(routeAdd(route, () => 'vx9'))
  assert.match(
    host.sh('ip route show 10.2.0.0/24'),
    /encap ip id 7 src 10\.1\.0\.1 dst 10\.1\.0\.9 ttl 64 .*via 169\.254\.42\.1 dev vx9 proto 67 onlink mtu 1400/,
  )
  const ours = listRoutes(netlink).filter(({ protocol }) => protocol === 67)
  assert.deepEqual(ours, [route])
  netlink.execute(routeReplace({ ...route, mtuBytes: 1300 }, () => 'vx9'))
  assert.equal(listRoutes(netlink).find(({ protocol }) => protocol === 67)?.mtuBytes, 1300)
  netlink.execute(routeDelete({ ...route, mtuBytes: 1300 }, () => 'vx9'))
  netlink.execute(neighbourDelete(device, gateway))
  netlink.execute(addressDelete(device, Addr.parse('10.1.0.1'), 24))
  assert.equal(
    host.sh('ip route show proto 67; ip neigh show nud permanent; ip -4 addr show dev vx9 | grep inet || true'),
    '',
  )
})

test("another's route to the same prefix survives the deletion of ours", () => {
  using host = new TestNetns()
  using netlink = new Netlink(0, host.netns)
  host.sh('ip link set lo up; ip route add 10.2.0.0/24 dev lo proto static metric 5')
  const lo = findLink(netlink, 'lo')!
  const route = routeTo('10.2.0.0/24', { oif: lo.index })
  netlink.execute(routeAdd(route, () => 'lo'))
  netlink.execute(routeDelete(route, () => 'lo'))
  assert.match(host.sh('ip route show 10.2.0.0/24'), /proto static/)
})

test("errors carry the command, the errno and the kernel's own words", () => {
  using host = new TestNetns()
  using netlink = new Netlink(0, host.netns)
  host.sh('ip link set lo up')
  const lo = findLink(netlink, 'lo')!
  const bad = routeAdd(routeTo('10.2.0.0/24', { oif: lo.index, gateway: Addr.parse('192.0.2.1') }), () => 'lo')
  assert.throws(
    () => netlink.execute(bad),
    (error: unknown) => {
      assert.ok(error instanceof KernelError)
      assert.equal(error.code, 'ENETUNREACH')
      assert.equal(
        error.message,
        'ip route add 10.2.0.0/24 via 192.0.2.1 dev lo proto 67: ENETUNREACH: Nexthop has invalid gateway',
      )
      return true
    },
  )
  assert.throws(() => netlink.execute(linkDelete('nope')), { code: 'ENODEV' })
  const good = routeAdd(routeTo('10.3.0.0/24', { oif: lo.index }), () => 'lo')
  const [first, second, third] = netlink.executeAll([bad, good, good])
  assert.equal(first?.code, 'ENETUNREACH')
  assert.equal(second, undefined)
  assert.equal(third?.code, 'EEXIST')
  // of a batch only the last success is told, wherever others fail
  const missing = { ...neighbourDelete(lo, Addr.parse('10.9.9.9')), mayFail: true as const }
  const known = netlink.executeAll([good, missing, bad, missing])
  assert.deepEqual(
    known.map((error) => error?.code),
    ['EEXIST', undefined, 'ENETUNREACH', undefined],
  )
  assert.deepEqual(netlink.executeAll([]), [])
  assert.throws(() => netlink.execute(linkDelete('nope')), { code: 'ENODEV' }, 'no answer is left over')
})

test('a dump is whole although the table changes meanwhile', async () => {
  using host = new TestNetns()
  using netlink = new Netlink(0, host.netns)
  host.sh('ip link set lo up')
  const lo = findLink(netlink, 'lo')!
  const fixed = Array.from({ length: 3000 }, (_, index) => `10.${100 + (index >> 8)}.${index & 255}.0/24`)
  const results = await netlink.executeMany(fixed.map((dst) => routeAdd(routeTo(dst, { oif: lo.index }), () => 'lo')))
  assert.ok(results.every((error) => error === undefined))
  const churn = host.netns.run(() =>
    spawn('sh', ['-c', 'while :; do ip route add 10.9.0.0/24 dev lo; ip route del 10.9.0.0/24; done'], {
      stdio: 'ignore',
    }),
  )
  try {
    for (let round = 0; round < 40; round++) {
      const found = new Set(listRoutes(netlink).map(({ dst }) => String(dst)))
      assert.equal(fixed.filter((dst) => !found.has(dst)).length, 0)
      await sleep(1)
    }
  } finally {
    churn.kill('SIGKILL')
  }
})

test('a long batch gives the event loop its turns', async () => {
  using host = new TestNetns()
  using netlink = new Netlink(0, host.netns)
  host.sh('ip link set lo up')
  const lo = findLink(netlink, 'lo')!
  let turns = 0
  const timer = setInterval(() => turns++, 0)
  await netlink.executeMany(
    Array.from({ length: 2000 }, (_, index) =>
      routeAdd(routeTo(`10.${index >> 8}.${index & 255}.0/24`, { oif: lo.index }), () => 'lo'),
    ),
  )
  clearInterval(timer)
  assert.ok(turns >= 5, `${turns} turns`)
})

test('a notification socket tells, and wakes when it is closed', async () => {
  using host = new TestNetns()
  host.sh('ip link set lo up')
  const socket = host.netns.run(() => new NotificationSocket(0, [7]))
  host.sh('ip route add 10.2.0.0/24 dev lo')
  assert.ok((await socket.receive()) instanceof Uint8Array)
  const waiting = (async () => {
    for (;;) if ((await socket.receive()) === undefined) return
  })()
  await sleep(100)
  socket[Symbol.dispose]()
  await waiting
})

test('a notification socket that was told more than it holds says so, and goes on', async () => {
  using host = new TestNetns()
  host.sh('ip link set lo up')
  using socket = host.netns.run(() => new NotificationSocket(0, [7]))
  using netlink = new Netlink(0, host.netns)
  const routes = Array.from({ length: 30_000 }, (_, index) =>
    routeTo(`10.${index >> 8}.${index & 255}.0/24`, { oif: 1 }),
  )
  // in one turn of the event loop, so that nobody reads meanwhile
  netlink.execute(...routes.map((route) => routeAdd(route, () => 'lo')))
  assert.equal(await socket.receive(), 'overflow')
  assert.ok((await socket.receive()) instanceof Uint8Array)
})

test('watchKernel tells of what others change; of that, what concerns us makes something dirty', async () => {
  using host = new TestNetns()
  // without IPv6: the end of duplicate address detection is an event at a time of its own
  host.sh('sysctl -qw net.ipv6.conf.default.disable_ipv6=1; ip link set lo up')
  host.sh('ip link add cw-vxlan type vxlan external dstport 8472; ip link set cw-vxlan up')
  using netlink = new Netlink(0, host.netns)
  const dirt = new DirtySet()
  const heard = new Set<string>()
  const reader = new NotificationReader(dirt, {
    wantsRoute: (prefix) => prefix === '10.3.0.0/24',
    mayDivert: ({ dst }) => String(dst) === '10.5.0.0/24',
    mayLeadToNodes: (prefix) => String(prefix) === '10.6.0.0/24',
    leadsOver: (device) => device === 'u0',
    notePolicyTable() {},
  })
  reader.learn(listLinks(netlink))
  using _watch = host.netns.run(() =>
    watchKernel(
      new Set([netlink.portId]),
      (notification) => {
        reader.read(notification)
        if (notification.kind === 'route') heard.add(String(notification.route.dst))
      },
      (error) => assert.fail(String(error)),
      isPort,
    ),
  )
  let told = 0
  /** All that the kernel has told of before this is heard: news of one socket come in order, and such a route is none of ours. */
  const hearAll = async (): Promise<void> => {
    const prefix = `10.255.0.${++told}/32`
    host.sh(`ip route add ${prefix} dev lo proto static`)
    for (let turn = 0; turn < 600 && !heard.has(prefix); turn++) await sleep(10)
    assert.ok(heard.has(prefix))
  }
  const marks = async (act: () => void, wanted: string): Promise<string> => {
    await hearAll()
    dirt.take()
    act()
    await hearAll()
    const scopes = new Set<string>()
    const kinds = new Set<string>()
    const text = (): string => {
      const taken = dirt.take()
      if (taken.ways && !taken.underlay) scopes.add('ways')
      if (taken.underlay) scopes.add(taken.everything ? 'everything' : 'underlay')
      for (const kind of taken.kinds) kinds.add(kind)
      return [...scopes, ...[...kinds].toSorted()].join(' ')
    }
    // nftables has a socket of its own
    for (let turn = 0; turn < 100 && text() !== wanted; turn++) await sleep(100)
    return text()
  }
  const cases: [command: string, dirty: string][] = [
    ['ip route add 10.2.0.0/24 dev lo proto 67', 'route'],
    ['ip route del 10.2.0.0/24', 'route'],
    ['ip route add 10.3.0.0/24 dev lo proto static', 'route'],
    ['ip route add 10.4.0.0/24 dev lo proto static', ''],
    ['ip route add 10.5.0.0/24 dev lo proto static table 52', 'ways'],
    ['ip route add 10.6.0.0/24 dev lo proto static', 'underlay'],
    ['ip route add 10.6.0.0/24 dev lo proto static table 53', 'underlay'],
    ['ip rule add pref 5270 lookup 52', 'underlay'],
    ['ip -6 rule add pref 5270 lookup 52', 'underlay'],
    ['ip neigh add 169.254.42.1 lladdr 02:43:57:ff:ff:ff dev cw-vxlan nud permanent', 'neighbour'],
    ['ip neigh flush nud permanent dev cw-vxlan', 'neighbour'],
    ['ip neigh add 10.9.0.7 lladdr 02:00:00:00:00:07 dev lo nud permanent', ''],
    ['ip link set cw-vxlan mtu 1300', 'everything'],
    ['ip addr add 10.9.0.1/24 dev lo', 'underlay address'],
    // with the last address of a device its routes go
    ['ip addr add 169.254.42.2/32 dev cw-vxlan', 'underlay address route sysctl'],
    ['ip addr del 169.254.42.2/32 dev cw-vxlan', 'underlay address route sysctl'],
    ['ip link add cwv0123456789a type veth peer name far', 'underlay link port sysctl'],
    [
      'tc qdisc add dev cwv0123456789a root handle 1: tbf rate 1mbit burst 50000 latency 25ms',
      'attachment pod-map port',
    ],
    ['tc qdisc del dev cwv0123456789a root', 'attachment pod-map port'],
    ['tc qdisc add dev cwv0123456789a clsact', 'attachment pod-map port'],
    // the programs that were there are gone too
    ['tc qdisc del dev cwv0123456789a clsact', 'everything'],
    ['tc qdisc add dev far root tbf rate 1mbit burst 50000 latency 25ms; tc qdisc del dev far root', ''],
    ['ip link set cwv0123456789a name other0', 'underlay link port sysctl'],
    // the kernel tells nothing of the routes that go with these
    ['ip link add u0 up type veth peer name u1', 'underlay link route sysctl'],
    ['ip link set u0 down; ip link set u0 up', 'underlay link route'],
    ['ip addr add 10.8.0.1/24 dev u0', 'underlay address route'],
    ['ip addr flush dev u0', 'underlay address route'],
    ['sysctl -qw net.ipv4.ip_forward=1', 'underlay sysctl'],
    ['nft add table inet causeway', 'table'],
    ['nft add table inet other', 'forward'],
    ['ip link set cw-vxlan down', 'everything'],
    ['ip link set cw-vxlan name foo', 'everything sysctl'],
  ]
  for (const [command, dirty] of cases) assert.equal(await marks(() => host.sh(command), dirty), dirty, command)
  const route = routeTo('10.2.0.0/24', { oif: 1 })
  assert.equal(await marks(() => netlink.execute(routeAdd(route, String)), ''), '', 'our own changes are no news')
})

test('Netns.run comes home also when the work throws', () => {
  using host = new TestNetns()
  assert.throws(() =>
    host.netns.run(() => {
      throw new Error('inside')
    }),
  )
  using netlink = new Netlink()
  assert.equal(findLink(netlink, 'vx9'), undefined)
})
