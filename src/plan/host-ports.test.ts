import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type PortMapping } from '#/wire/cni/index.ts'
import { renderTable } from '#/wire/nftables/render.ts'
import { hostPortTable, type HostPortWish, needsLoopback, shareHostPorts } from './host-ports.ts'

const cidrs = [Prefix.parse('10.244.1.0/24'), Prefix.parse('fd10::/64')]

function wish(pod: string, createdMs: number, ...portMappings: readonly PortMapping[]): HostPortWish {
  const host = BigInt(createdMs)
  const addrs = cidrs.map((cidr) => ({ addr: cidr.at(host), cidr }))
  return { hostDevice: `cwv-${pod}`, pod, createdMs, addrs, portMappings }
}

function mapping(hostPort: number, hostIP?: string, protocol: PortMapping['protocol'] = 'tcp'): PortMapping {
  return { hostPort, containerPort: 80, protocol, ...(hostIP !== undefined && { hostIP: Addr.parse(hostIP) }) }
}

/** "pod: port at address" of all that is granted. */
function granted(...wishes: readonly HostPortWish[]): string[] {
  return [...shareHostPorts(wishes).granted].flatMap(([device, ports]) =>
    ports.map(
      ({ protocol, port, hostAddr, to }) => `${device.slice(4)}: ${port}/${protocol} at ${hostAddr ?? 'any'} to ${to}`,
    ),
  )
}

test('a mapping is for both families, unless it names an address', () => {
  assert.deepEqual(granted(wish('web', 5, mapping(8080))), [
    'web: 8080/tcp at any to 10.244.1.5',
    'web: 8080/tcp at any to fd10::5',
  ])
  assert.deepEqual(granted(wish('web', 5, mapping(1, '192.0.2.1'), mapping(2, 'fd00::1'), mapping(3, '0.0.0.0'))), [
    'web: 1/tcp at 192.0.2.1 to 10.244.1.5',
    'web: 2/tcp at fd00::1 to fd10::5',
    'web: 3/tcp at any to 10.244.1.5',
  ])
})

test('the pod that asked first has a port; another protocol, address or family is another port', () => {
  const late = wish('late', 9, mapping(53), mapping(53, undefined, 'udp'))
  const shares = shareHostPorts([late, wish('early', 5, mapping(53))])
  assert.deepEqual(shares.refused, [{ port: '53/tcp', pod: 'late', holder: 'early' }])
  assert.deepEqual([...shares.granted.keys()], ['cwv-early', 'cwv-late'])
  const one = wish('one', 5, mapping(53, '192.0.2.1'))
  assert.deepEqual(shareHostPorts([one, wish('two', 6, mapping(53, '192.0.2.2'))]).refused, [])
  assert.deepEqual(shareHostPorts([one, wish('two', 6, mapping(53, '::'))]).refused, [])
  assert.equal(shareHostPorts([one, wish('two', 6, mapping(53, '0.0.0.0'))]).refused.length, 1)
  assert.equal(shareHostPorts([one, wish('two', 6, mapping(53))]).refused.length, 1)
})

test('of two sandboxes of one pod the newer has its ports, and nobody else gets them', () => {
  const older = { ...wish('web', 5, mapping(53)), hostDevice: 'cwv-older' }
  const newer = { ...wish('web', 9, mapping(53)), hostDevice: 'cwv-newer' }
  const { granted: shares, refused } = shareHostPorts([older, newer, wish('other', 7, mapping(53))])
  assert.deepEqual([...shares.keys()], ['cwv-newer'])
  assert.deepEqual(refused, [{ port: '53/tcp', pod: 'other', holder: 'web' }])
})

test('the table is the same whatever the order, and there is none without host ports', () => {
  const ports = [
    ...shareHostPorts([wish('a', 5, mapping(8080), mapping(8080, undefined, 'sctp'))]).granted.values(),
  ].flat()
  const table = hostPortTable(ports, cidrs)!
  assert.deepEqual(hostPortTable(ports.toReversed(), cidrs), table)
  const text = renderTable(table)
  assert.match(
    text,
    /meta nfproto ipv4 meta l4proto tcp th dport 8080 fib daddr type local dnat ip to 10\.244\.1\.5:80 /,
  )
  assert.match(text, /meta l4proto sctp th dport 8080 fib daddr type local dnat ip6 to \[fd10::5\]:80 /)
  assert.match(
    text,
    /ip saddr 127\.0\.0\.0\/8 ip daddr 10\.244\.1\.5\/32 ct status dnat .* ct original proto-dst 8080 masquerade /,
  )
  assert.equal(hostPortTable([], cidrs), undefined)
})

test('loopback is let out only for a port that a loopback address can have', () => {
  const needs = (...mappings: readonly PortMapping[]): boolean =>
    needsLoopback([...shareHostPorts([wish('a', 5, ...mappings)]).granted.values()].flat())
  assert.equal(needs(mapping(1)), true)
  assert.equal(needs(mapping(1, '127.0.0.1')), true)
  assert.equal(needs(mapping(1, '192.0.2.1'), mapping(2, '::')), false)
})
