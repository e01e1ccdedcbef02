import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bgpConfigurationFrom, bgpPeerOf, routingFrom } from '#/model/bgp-objects.ts'
import { type KubeObject } from '#/model/kubernetes.ts'
import { bgpObjects, nodeAnnotations, routingObject } from './cluster-objects.ts'
import { rackedLab } from './routers/testing.ts'
import { type LabSpec } from './spec.ts'

const namespace = 'causeway-system'

function objectsOf(spec: LabSpec, kind: string): KubeObject[] {
  return [routingObject(spec), ...bgpObjects(spec)].filter((each) => each.kind === kind)
}

test("agents read the spec's settings from the objects, without a problem", () => {
  const spec = rackedLab({ routing: 'auto' }, { count: 2, tors: 2, nodeAsns: 'rack', bfd: true })
  assert.deepEqual(routingFrom(objectsOf(spec, 'Routing')), { mode: 'auto', datapath: 'bridge', problems: [] })
  const { configuration, problems } = bgpConfigurationFrom(objectsOf(spec, 'BGPConfiguration'), namespace)
  assert.deepEqual(problems, [])
  assert.equal(configuration!.nodeMesh, 'None')
  assert.deepEqual(
    configuration!.localAsns.map(({ asn }) => asn),
    [64_513, 64_514],
  )
  const peers = objectsOf(spec, 'BGPPeer').map((each) => bgpPeerOf(each, namespace))
  assert.deepEqual(
    peers.map(({ peer, problems: found }) => [peer!.name, String(peer!.addr), peer!.asn, peer!.bfd.isEnabled, found]),
    [
      ['rack-1', '172.30.1.1', 65_001, true, []],
      ['rack-1b', '172.30.1.2', 65_001, true, []],
      ['rack-2', '172.30.2.1', 65_002, true, []],
      ['rack-2b', '172.30.2.2', 65_002, true, []],
    ],
  )
})

test('IPv6 alone peers over IPv6; without racks there are no neighbours but the mesh', () => {
  const [peer] = objectsOf(rackedLab({ families: 'ipv6' }, {}), 'BGPPeer')
  assert.equal(bgpPeerOf(peer!, namespace).peer!.addr?.family, 6)
  const { racks: _racks, ...flat } = rackedLab({ routing: 'native' }, { count: 1 })
  assert.deepEqual(objectsOf(flat, 'BGPPeer'), [])
  const { configuration } = bgpConfigurationFrom(objectsOf(flat, 'BGPConfiguration'), namespace)
  assert.equal(configuration!.nodeMesh, 'Auto')
})

test('the datapath of most nodes is told by the object, that of the others by an annotation', () => {
  const told = (datapath: LabSpec['datapath']): unknown => {
    const spec = rackedLab({ nodes: 3, datapath }, { count: 1 })
    return [routingFrom(objectsOf(spec, 'Routing')).datapath, ...nodeAnnotations(spec).values()]
  }
  assert.deepEqual(told('bridge'), ['bridge', {}, {}, {}])
  assert.deepEqual(told('ebpf'), ['ebpf', {}, {}, {}])
  assert.deepEqual(told('mixed'), ['ebpf', {}, { 'causeway.dev/datapath': 'bridge' }, {}])
})
