import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AttributeCache } from './attribute-cache.ts'
import { plainSettings } from './testing/messages.ts'

/** ORIGIN, an empty AS_PATH and MULTI_EXIT_DISC. */
function octetsOf(med: number): string {
  const bytes = Buffer.from('40010100400200800404 00000000'.replace(' ', ''), 'hex')
  bytes.writeUInt32BE(med, bytes.length - 4)
  return bytes.toString('latin1')
}

test('what was read lately is not read again', () => {
  const cache = new AttributeCache()
  const first = cache.decode(octetsOf(1), plainSettings)
  assert.equal(first.attributes?.med, 1)
  assert.equal(cache.decode(octetsOf(1), plainSettings), first)
  assert.notEqual(cache.decode(octetsOf(2), plainSettings), first)
})

test('what is used is kept, what is not is forgotten, so that no neighbour fills the memory', () => {
  const cache = new AttributeCache()
  const [used, unused] = [cache.decode(octetsOf(0), plainSettings), cache.decode(octetsOf(1), plainSettings)]
  for (let med = 2; med < 3000; med++) {
    cache.decode(octetsOf(med), plainSettings)
    if (med % 100 === 0) assert.equal(cache.decode(octetsOf(0), plainSettings), used)
  }
  const again = cache.decode(octetsOf(1), plainSettings)
  assert.notEqual(again, unused)
  assert.deepEqual(again, unused)
})

test('long blocks are read each time', () => {
  const cache = new AttributeCache()
  const long = `${octetsOf(0)}${Buffer.from('d0300200', 'hex').toString('latin1')}${'x'.repeat(512)}`
  const first = cache.decode(long, plainSettings)
  assert.equal(first.attributes?.unknown?.[0]?.value.length, 512)
  assert.notEqual(cache.decode(long, plainSettings), first)
})
