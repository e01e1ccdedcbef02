import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { flannelAnnotations, flannelAnnotationsFor, flannelEndOf } from './flannel.ts'

const prefix = 'flannel.alpha.coreos.com'
const node = (annotations: Record<string, string>) => ({ metadata: { name: 'a', annotations } })

test("flannel's annotations are read as it writes them", () => {
  const found = flannelEndOf(
    node({
      [`${prefix}/backend-type`]: 'vxlan',
      [`${prefix}/backend-data`]: '{"VNI":1,"VtepMAC":"9E:00:00:00:00:03"}',
      [`${prefix}/backend-v6-data`]: 'null',
      [`${prefix}/public-ip`]: '172.30.1.3',
    }),
  )
  assert.deepEqual(found?.end.vtepMacs, { 4: '9e:00:00:00:00:03' })
  assert.deepEqual(found.end.publicAddrs.map(String), ['172.30.1.3'])
  assert.deepEqual(found.problems, [])
})

test('nodes of other backends, or of none, have no tunnel end; malformed annotations are problems', () => {
  assert.equal(flannelEndOf(node({})), undefined)
  assert.equal(flannelEndOf(node({ [`${prefix}/backend-type`]: 'host-gw' })), undefined)
  const broken = flannelEndOf(
    node({
      [`${prefix}/backend-type`]: 'vxlan',
      [`${prefix}/backend-data`]: '{"VtepMAC":"9e:00:00:00:00:03"}',
      [`${prefix}/backend-v6-data`]: '{"VtepMAC":7}',
      [`${prefix}/public-ip`]: 'fd00::1',
    }),
  )
  assert.equal(broken?.problems.length, 2)
})

test('published annotations are read back as they were written', () => {
  const mac = '02:43:00:00:00:01'
  const addrs = [Addr.parse('172.30.1.1'), Addr.parse('fd30::1')]
  const annotations = flannelAnnotationsFor({ vni: 1, mac, addrs })
  assert.deepEqual(flannelEndOf(node(annotations))?.end, { vtepMacs: { 4: mac, 6: mac }, publicAddrs: addrs })
  assert.ok(Object.keys(annotations).every((name) => flannelAnnotations.includes(name)))
  assert.ok(!(`${prefix}/public-ipv6` in flannelAnnotationsFor({ vni: 1, mac, addrs: addrs.slice(0, 1) })))
})

test('any annotations give a tunnel end with valid values, or none', () => {
  const value = fc.oneof(
    fc.string(),
    fc.json(),
    fc.constantFrom('vxlan', '10.0.0.1', '{"VtepMAC":"02:00:00:00:00:01"}'),
  )
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...flannelAnnotations), value), (annotations) => {
      const found = flannelEndOf(node(annotations))
      for (const mac of Object.values(found?.end.vtepMacs ?? {})) assert.match(mac, /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/)
    }),
  )
})
