import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Importer } from './import.ts'
import { peerConfig, RibRig, speakerConfig } from './testing/rib-rig.ts'

test('work on one peer’s routes that fails is for that peer’s session to end; others’ routes are decided on', (context) => {
  const peers = [peerConfig('b'), peerConfig('c')]
  const rig = new RibRig(speakerConfig({ peers }))
  const b = rig.up('b')
  const c = rig.up('c', { asn: 65_002, addr: '10.0.0.3' })
  rig.announce(b, ['10.1.0.0/16'])
  rig.announce(c, ['10.2.0.0/16'])
  rig.settle()
  const pathOf = Importer.prototype.pathOf
  context.mock.method(Importer.prototype, 'pathOf', function (this: Importer, ...args: Parameters<typeof pathOf>) {
    if (args[0].source.peer === 'b') throw new Error('injected')
    return pathOf.apply(this, args)
  })
  // another policy: all that was received is decided on anew
  const set = { localPreference: 7 }
  const importPolicy = { rules: [{ match: {}, action: 'accept', set }], otherwise: 'reject' } as const
  rig.configure({ peers: peers.map((peer) => ({ ...peer, importPolicy })) })
  rig.settle()
  assert.deepEqual([b.failures.map(String), c.failures], [['Error: injected'], []])
  assert.equal(rig.paths({ peer: 'c' })[0]?.localPreference, 7)
  rig.down(b)
  rig.settle()
  assert.deepEqual([...rig.routes.keys()], ['10.2.0.0/16'])
})
