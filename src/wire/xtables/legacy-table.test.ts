import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WireError } from '#/lib/bytes.ts'
import { decodeLegacyInfo, decodeLegacyTable } from './legacy-table.ts'

/** struct ipt_entry with its target: the standard one with a verdict, or one with a name and the text of its structure. */
function entry(target: number | { readonly name: string; readonly text: string }): Uint8Array {
  const bytes = new Uint8Array(112 + 40 + (typeof target === 'number' ? 0 : 24))
  const view = new DataView(bytes.buffer)
  view.setUint16(88, 112, true)
  view.setUint16(90, bytes.length, true)
  view.setUint16(112, bytes.length - 112, true)
  if (typeof target === 'number') view.setInt32(144, target, true)
  else {
    bytes.set(new TextEncoder().encode(target.name), 114)
    bytes.set(new TextEncoder().encode(target.text), 144)
  }
  return bytes
}

const sizeOf = (entries: readonly Uint8Array[]): number => entries.reduce((sum, { length }) => sum + length, 0)

/** A table with the FORWARD chain (one jump, policy DROP) and a chain of its own. */
function table(): { bytes: Uint8Array; info: ReturnType<typeof decodeLegacyInfo> } {
  const named = entry({ name: 'ERROR', text: 'MINE' })
  const jumpTo = 2 * entry(0).length + named.length
  const entries = [entry(jumpTo), entry(-1), named, entry(-1), entry(-5), entry({ name: 'ERROR', text: 'ERROR' })]
  const bytes = new Uint8Array(Buffer.concat(entries))
  return { bytes, info: { hooks: [{ number: 2, start: 0, policyAt: entries[0]!.length }], sizeBytes: sizeOf(entries) } }
}

const verdict = (code: number, chain?: string) => ({
  name: 'immediate',
  attrs: { dreg: 0, data: { verdict: { code, ...(chain !== undefined && { chain }) } } },
})

test('chains, their policies and their jumps', () => {
  const { bytes, info } = table()
  assert.deepEqual(
    decodeLegacyTable(bytes, 4, info).map(({ name, hook, rules }) => [
      name,
      hook,
      rules.map((rule) => rule.expressions),
    ]),
    [
      ['FORWARD', { number: 2, dropsByPolicy: true }, [[verdict(-3, 'MINE')]]],
      ['MINE', undefined, [[verdict(0)]]],
    ],
  )
})

test('damaged tables are refused with a WireError, or read as something', () => {
  const { bytes, info } = table()
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255))), fc.nat(bytes.length), (damage, length) => {
      const damaged = bytes.slice(0, length)
      for (const [at, value] of damage) if (at < length) damaged[at] = value
      for (const family of [4, 6] as const)
        try {
          decodeLegacyTable(damaged, family, info)
        } catch (error) {
          assert.ok(error instanceof WireError, String(error))
        }
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (answer) => {
      try {
        decodeLegacyInfo(answer)
      } catch (error) {
        assert.ok(error instanceof WireError, String(error))
      }
    }),
  )
})
