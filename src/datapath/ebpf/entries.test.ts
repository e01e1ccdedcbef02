import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { ownerNumber } from '#/model/bpf.ts'
import { configStruct, nodeStruct, podFlags, podStruct, portStruct, ways } from '#/wire/bpf/maps.ts'
import { configEntry, endEntry, type Entry, hexOf, nodeEntry, podEntries } from './entries.ts'

const keyOf = ({ map, key }: Entry): string => `${map} ${hexOf(key)}`

test('a pod is an entry for each of its addresses and one for its host device', () => {
  const entries = podEntries(
    {
      device: 'cwv1',
      pod: 'default/web',
      addrs: ['10.244.1.2', 'fd10:244::2'].map(Addr.parse),
      mac: '0a:58:0a:f4:01:02',
      isBridged: true,
      isLimited: true,
    },
    { index: 258, slot: 3, mtuBytes: 65_536 },
  )
  assert.deepEqual(entries.map(keyOf), [
    'cw_pods4 0af40102',
    'cw_pods6 fd100244000000000000000000000002',
    'cw_ports 02010000',
  ])
  const flags = podFlags.bridged | podFlags.limited
  const mac = Uint8Array.of(0x0a, 0x58, 0x0a, 0xf4, 1, 2)
  // the MTU of some devices is greater than the field
  assert.deepEqual(podStruct.decode(entries[0]!.value), { device: 258, slot: 3, mtu: 65_535, flags, mac })
  assert.deepEqual(portStruct.decode(entries[2]!.value), { slot: 3, flags, mac })
  assert.equal(entries[0]!.about(), '10.244.1.2 is pod default/web')
})

test('a node is known by the same number in all maps, and tunnel ends of both families have one form', () => {
  const tunnel = nodeEntry({
    prefix: Prefix.parse('fd10:244:0:2::/64'),
    owner: 'node-2',
    way: 'tunnel4',
    src: Addr.parse('172.30.1.11'),
    dst: Addr.parse('172.30.1.12'),
    mtuBytes: 1450,
    vtepMac: '02:43:57:ff:ff:ff',
  })
  assert.equal(keyOf(tunnel), 'cw_nodes6 40000000fd100244000000020000000000000000')
  const { owner, way, mtu, tunnel_dst } = nodeStruct.decode(tunnel.value)
  assert.deepEqual([owner, way, mtu], [ownerNumber('node-2'), ways.tunnel4, 1450])
  const end = endEntry({ addr: Addr.parse('172.30.1.12'), owner: 'node-2' })
  assert.equal(hexOf(end.key), hexOf(tunnel_dst))
  assert.equal(hexOf(end.value), hexOf(tunnel.value.subarray(0, 8)))
  const native = nodeEntry({ prefix: Prefix.parse('10.244.3.0/24'), owner: 'node-3', way: 'native', devices: ['eth0'] })
  assert.equal(keyOf(native), 'cw_nodes4 180000000af40300')
  assert.notEqual(nodeStruct.decode(native.value).owner, owner)
  assert.equal(native.about(), "10.244.3.0/24 is node-3's, native")
})

test('settings have the devices as the kernel numbers them, and none where there is none', () => {
  const tunnel = { vni: 7, port: 8472 }
  const times = { tcpTimeoutS: 1, udpTimeoutS: 2, jiffiesHz: 250 }
  const bridge = { index: 3, mac: '02:43:00:00:00:01' }
  const config = configStruct.decode(configEntry({ flags: 0, bridge, tunnel, ...times }).value)
  assert.deepEqual([config.bridge_device, config.tunnel_device, config.vxlan_port, config.vni], [3, 0, 8472, 7])
  assert.equal(hexOf(config.bridge_mac), '024300000001')
  assert.equal(hexOf(config.tunnel_mac), '000000000000')
})
