import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { nlriOf } from '#/wire/bgp/index.ts'
import { martianOf } from './martians.ts'
import { acceptEverything, peerConfig, RibRig, speakerConfig } from './testing/rib-rig.ts'

const isMartian = (text: string): boolean => {
  const prefix = Prefix.parse(text)
  return martianOf(nlriOf(prefix), prefix.family) !== undefined
}

const words = (text: string): string[] => text.split(' ')

test('what no router may announce is known in both families, whole, in parts and as a host', () => {
  for (const text of words(
    '0.0.0.0/8 0.1.0.0/16 127.0.0.0/8 127.0.0.1/32 169.254.0.0/16 169.254.169.254/32 224.0.0.0/3 224.0.0.0/4 239.1.0.0/16 240.0.0.0/4 255.255.255.255/32 ::/128 ::1/128 ::10.0.0.0/104 ::ffff:0:0/96 ::ffff:10.0.0.0/104 fe80::/10 fe80::1/128 fec0::/10 ff00::/8 ff02::1/128',
  ))
    assert.ok(isMartian(text), text)
})

test('default routes, their halves, and what a host may have are not', () => {
  for (const text of words(
    '0.0.0.0/0 0.0.0.0/1 128.0.0.0/1 1.0.0.0/8 10.244.0.0/16 169.253.0.0/16 192.0.2.0/24 223.255.255.0/24 126.0.0.0/8 128.0.0.0/8 ::/0 8000::/1 64:ff9b::/96 2001:db8::/32 fd10:244::/48 fc00::/7',
  ))
    assert.equal(isMartian(text), false, text)
})

test('they are refused whatever the policy says, are told to nobody, and say why', () => {
  const asked = ['127.0.0.0/8', 'fe80::/64', '0.0.0.0/0', '10.1.0.0/24']
  const grant = {
    rules: [
      {
        match: { prefixes: asked.map((text) => ({ prefix: Prefix.parse(text) })) },
        action: 'accept' as const,
        isGrant: true,
      },
    ],
    otherwise: 'accept' as const,
  }
  const peers = [peerConfig('a', { importPolicy: grant }), peerConfig('b', { importPolicy: acceptEverything })]
  const rig = new RibRig(speakerConfig({ peers }))
  const a = rig.up('a', { asn: 65_001, addr: '10.0.0.2' })
  const b = rig.up('b', { asn: 65_002, addr: '10.0.0.3' })
  rig.announce(a, asked)
  rig.settle()
  assert.deepEqual([...rig.routes.keys()].toSorted(), ['0.0.0.0/0', '10.1.0.0/24'])
  assert.deepEqual(b.prefixes.toSorted(), ['0.0.0.0/0', '10.1.0.0/24'])
  const why = 'which no router may announce, whatever the import policy says'
  assert.deepEqual(rig.reasons({ prefix: '127.0.0.0/8' }), [`a: it is within 127.0.0.0/8, loopback addresses, ${why}`])
  assert.deepEqual(rig.reasons({ prefix: 'fe80::/64' }), [`a: it is within fe80::/10, link-local addresses, ${why}`])
})
