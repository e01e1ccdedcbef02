// Told maps are looked up as the kernel looks them up, or not at all.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ProgramMapsFacts } from '#/api/schemas/facts.ts'
import { Addr } from '#/lib/addr.ts'
import { layoutHash } from '#/wire/bpf/layout-hash.ts'
import { addr4Struct, nodeStruct, podStruct, prefix4Struct, ways } from '#/wire/bpf/maps.ts'
import { FactsError } from './parsed.ts'
import { lookUpsIn } from './program-maps.ts'

const addrBytes = (text: string): Uint8Array => Addr.parse(text).toBytes()
const prefix = (text: string, length: number): Uint8Array => prefix4Struct.encode({ length, addr: addrBytes(text) })
const node = (owner: bigint): string =>
  nodeStruct
    .encode({
      owner,
      tunnel_src: new Uint8Array(16),
      tunnel_dst: new Uint8Array(16),
      mtu: 1450,
      way: ways.native,
      flags: 0,
      vtep_mac: new Uint8Array(6),
    })
    .toHex()
const pod = podStruct.encode({ device: 7, slot: 1, mtu: 0, flags: 0, mac: new Uint8Array(6) }).toHex()
const podKey = addr4Struct.encode({ addr: addrBytes('10.0.0.2') })

const told = (more: Partial<ProgramMapsFacts> = {}): ProgramMapsFacts => ({
  layout: layoutHash(),
  denials: {},
  maps: [
    { map: 'cw_pods4', entries: [`${podKey.toHex()} ${pod}`] },
    {
      map: 'cw_nodes4',
      entries: [
        [prefix('10.0.0.0', 8), 1n],
        [prefix('10.1.0.0', 16), 2n],
        [prefix('10.1.128.0', 17), 3n],
        [prefix('10.1.128.9', 32), 4n],
      ].map(([key, owner]) => `${(key as Uint8Array).toHex()} ${node(owner as bigint)}`),
    },
  ],
  ...more,
})

test('a hash has an entry or not, and of prefixes the longest one counts', () => {
  const lookUp = lookUpsIn(told()).lookUp!
  assert.equal(lookUp('cw_pods4', podKey)?.toHex(), pod)
  assert.equal(lookUp('cw_pods4', addrBytes('10.0.0.3')), undefined)
  const ownerOf = (text: string, length = 32): bigint | undefined => {
    const found = lookUp('cw_nodes4', prefix(text, length))
    return found && nodeStruct.decode(found).owner
  }
  assert.deepEqual(
    ['11.0.0.1', '10.9.0.1', '10.1.127.255', '10.1.128.8', '10.1.128.9'].map((text) => ownerOf(text)),
    [undefined, 1n, 2n, 3n, 4n],
  )
  // none that is longer than what is asked for
  assert.equal(ownerOf('10.1.128.9', 16), 2n)
})

test('what is not whole, or of another layout, answers nothing; what cannot be is refused', () => {
  assert.deepEqual(lookUpsIn(undefined), {})
  assert.deepEqual(lookUpsIn(told({ layout: '00000000' })), {})
  assert.deepEqual(lookUpsIn(told({ maps: [{ map: 'cw_pods4', entries: [], isCut: true }] })), {})
  const cut = lookUpsIn(told({ maps: [...told().maps, { map: 'cw_peers4', entries: [], isCut: true }] }))
  assert.deepEqual([typeof cut.lookUp, cut.denialText], ['function', undefined])
  for (const entry of ['', 'x', podKey.toHex(), `${podKey.toHex()} ${pod}00`, `${podKey.toHex()} ${pod.slice(1)}g`])
    assert.throws(
      () => lookUpsIn(told({ maps: [{ map: 'cw_pods4', entries: [entry] }] })).lookUp!('cw_pods4', podKey),
      FactsError,
    )
  assert.throws(() => lookUpsIn(told({ maps: [] })).lookUp!('cw_pods4', podKey), FactsError)
})
