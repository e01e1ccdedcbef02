// Who wants to know when all that has come so far is decided on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { peerConfig, RibRig, speakerConfig } from './testing/rib-rig.ts'

const prefixes = Array.from({ length: 1_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`)

test('all routes that came before are told before, however many turns that takes', () => {
  const rig = new RibRig(speakerConfig({ peers: [peerConfig('tor')] }))
  // a phase is over as soon as somebody looks
  rig.msPerLook = 10
  const tor = rig.up('tor')
  rig.announce(tor, prefixes)
  rig.endOfRib(tor, 4)
  const known: number[] = []
  rig.rib.whenDecided(() => known.push(rig.routes.size))
  rig.turn()
  assert.deepEqual(known, [], 'one turn is not enough')
  rig.settle()
  assert.deepEqual(known, [prefixes.length])
})

test('what comes later is not waited for; where nothing is to be decided it is told on the next turn', () => {
  const rig = new RibRig(speakerConfig({ peers: [peerConfig('tor')] }))
  rig.settle()
  let calls = 0
  rig.rib.whenDecided(() => calls++)
  assert.equal(calls, 0)
  rig.msPerLook = 10
  rig.announce(rig.up('tor'), prefixes)
  rig.turn()
  assert.equal(calls, 1)
  rig.settle()
  assert.equal(calls, 1)
})
