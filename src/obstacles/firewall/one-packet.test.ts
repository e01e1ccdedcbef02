import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { type NeededPassage } from '#/model/network.ts'
import { type Expression, expression } from '#/wire/nftables/expressions.ts'
import { foreignRule, type ForeignRule } from '#/wire/nftables/foreign-rule.ts'
import { type ElementAttrs } from '#/wire/nftables/messages.ts'
import { type BaseChain } from './inspect.ts'
import { follow, translations } from './one-packet.ts'
import { type PacketClass } from './packet.ts'
import { type Passage } from './passages.ts'

const needed: NeededPassage = {
  podDevices: ['cw-br0'],
  podCIDRs: [],
  clusterCIDRs: [Prefix.parse('10.244.0.0/16')],
  isNative: false,
  underlayDevices: [],
}
const packet: PacketClass = {
  family: 4,
  iif: { kind: 'named', name: 'cw-br0', index: 7 },
  oif: { kind: 'named', name: 'eth0', index: 2 },
  src: [Prefix.parse('10.244.0.2/32')],
  dst: [Prefix.parse('10.96.0.10/32')],
  protocol: 'tcp',
  dport: 80,
  sport: 40_000,
  ctState: 'new',
  isLocal: false,
}
const passage = (layer: Passage['layer'], about: PacketClass = packet): Passage => ({
  purpose: 'pods',
  what: 'this packet',
  packet: about,
  hooks: ['forward'],
  layer,
})

const rule = (...source: readonly Expression[]): ForeignRule => foreignRule(1n, undefined, source)
const verdict = (code: number, to?: string): Expression =>
  expression('immediate', { dreg: 0, data: { verdict: { code, ...(to !== undefined && { chain: to }) } } })
const drop = verdict(0)
const goto = (to: string): Expression => verdict(-4 >>> 0, to)
const payload = (dreg: number, base: number, offset: number, len: number): Expression =>
  expression('payload', { dreg, base, offset, len })
const equals = (sreg: number, ...bytes: readonly number[]): Expression =>
  expression('cmp', { sreg, op: 0, data: { value: Uint8Array.from(bytes) } })

type Parts = {
  readonly isNat?: boolean
  readonly priority?: number
  readonly table?: string
  readonly sets?: Readonly<Record<string, readonly ElementAttrs[]>>
}

function chain(rules: Readonly<Record<string, readonly ForeignRule[]>>, parts: Parts = {}): BaseChain {
  const { isNat = false, priority = 0, table = 'fw', sets = {} } = parts
  return {
    tool: 'nft',
    family: 'ip',
    table,
    chain: 'base',
    hook: 'forward',
    priority,
    isNat,
    dropsByPolicy: false,
    rulesOf: async (name) => rules[name],
    readSet: async (name) => sets[name],
  }
}

const dropped = async (chains: readonly BaseChain[], about?: PacketClass): Promise<string | undefined> =>
  (await follow(chains, passage('ip', about), needed)).blockade?.problem.object

test('one packet meets rules for its ports, its device by number, and its type of ICMP', async () => {
  const ofSourcePort = chain({ base: [rule(payload(1, 2, 0, 2), equals(1, 0x9c, 0x40), drop)] })
  assert.equal(await dropped([ofSourcePort]), 'chain/ip fw base')
  assert.equal(await dropped([ofSourcePort], { ...packet, sport: 40_001 }), undefined)
  const ofDevice = chain({ base: [rule(expression('meta', { dreg: 1, key: 4 }), equals(1, 7, 0, 0, 0), drop)] })
  assert.equal(await dropped([ofDevice]), 'chain/ip fw base')
  assert.equal(await dropped([ofDevice], { ...packet, iif: { kind: 'named', name: 'x', index: 8 } }), undefined)
  const ofEcho = chain({ base: [rule(payload(1, 2, 0, 1), equals(1, 8), drop)] })
  const { dport: _, sport: __, ...rest } = packet
  assert.equal(await dropped([ofEcho], { ...rest, protocol: 'icmp', icmpType: 8 }), 'chain/ip fw base')
  assert.equal(await dropped([ofEcho], { ...rest, protocol: 'icmp', icmpType: 0 }), undefined)
})

test('a set of several fields is looked up with all of them', async () => {
  const key = [10, 96, 0, 10, 6, 0, 0, 0, 0, 80, 0, 0]
  const lookup = rule(
    payload(1, 1, 16, 4),
    expression('meta', { dreg: 9, key: 16 }),
    payload(10, 2, 2, 2),
    expression('lookup', { set: 'bad', sreg: 1 }),
    drop,
  )
  const withSet = (bytes: readonly number[]): BaseChain =>
    chain({ base: [lookup] }, { sets: { bad: [{ key: { value: Uint8Array.from(bytes) } }] } })
  assert.equal(await dropped([withSet(key)]), 'chain/ip fw base')
  assert.equal(await dropped([withSet([...key.slice(0, 9), 81, 0, 0])]), undefined)
  // a range of several fields is not followed
  const { unsure, blockade } = await follow(
    [
      chain(
        { base: [lookup] },
        { sets: { bad: [{ key: { value: Uint8Array.from(key) }, keyEnd: { value: Uint8Array.from(key) } }] } },
      ),
    ],
    passage('ip'),
    needed,
  )
  assert.equal(blockade, undefined)
  assert.match(unsure.join(), /^ip fw base \(rule 1 of chain base: /)
})

test('chains are entered by their priority, and the first that drops is told; one of ours as ours', async () => {
  const late = chain({ base: [rule(drop)] }, { table: 'late', priority: 10 })
  const early = chain({ base: [rule(drop)] }, { table: 'early', priority: -10 })
  assert.equal(await dropped([late, early]), 'chain/ip early base')
  const { refusal, blockade } = await follow(
    [chain({ base: [rule(drop)] }, { table: 'causeway' })],
    passage('ip'),
    needed,
  )
  assert.equal(blockade, undefined)
  assert.match(refusal ?? '', /^Causeway's own table ip causeway drops it/)
})

test('ends among which chance decides are all found, in the map that leads to them', async () => {
  const dnat = (last: number): ForeignRule =>
    rule(
      expression('immediate', { dreg: 1, data: { value: Uint8Array.of(10, 244, 0, last) } }),
      expression('immediate', { dreg: 2, data: { value: Uint8Array.of(31, 144) } }),
      expression('nat', { type: 1, family: 2, regAddrMin: 1, regProtoMin: 2 }),
    )
  const element = (number: number, to: string): ElementAttrs => ({
    key: { value: new Uint8Array(Uint32Array.of(number).buffer) },
    data: { verdict: { code: -4 >>> 0, chain: to } },
  })
  const rules = {
    base: [rule(payload(1, 1, 16, 4), equals(1, 10, 96, 0, 10), goto('service'))],
    service: [
      rule({ name: 'numgen', data: new Uint8Array() }, expression('lookup', { set: 'ends', sreg: 1, dreg: 0 })),
    ],
    a: [dnat(2)],
    b: [dnat(3)],
  }
  const nat = chain(rules, { isNat: true, sets: { ends: [element(0, 'a'), element(1, 'b')] } })
  const found = await translations([nat], passage('nat'), async () => {})
  assert.deepEqual(
    found?.found.map((each) => [each.kind, String(each.addr), 'port' in each ? each.port : '', each.isSure]),
    [
      ['destination', '10.244.0.2', 8080, false],
      ['destination', '10.244.0.3', 8080, false],
    ],
  )
  assert.equal(
    await translations([nat], passage('nat', { ...packet, dst: [Prefix.parse('10.96.0.11/32')] }), async () => {}),
    undefined,
  )
})
