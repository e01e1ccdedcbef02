// What network policies need of the nftables client, against a real kernel and with the `nft` binary as the second opinion.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { KernelError } from '#/kernel/netlink.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { Addr } from '#/lib/addr.ts'
import { nftDelta } from '#/wire/nftables/compare-delta.ts'
import { differences, sameTable } from '#/wire/nftables/compare.ts'
import { isEmptyDelta, type NftDelta, type NftElements } from '#/wire/nftables/delta.ts'
import { renderDelta, renderTable } from '#/wire/nftables/render.ts'
import { type NftKeySet, type NftRule, type NftSet, type NftTable } from '#/wire/nftables/ruleset.ts'
import { bridgeTable, policyTable } from '#/wire/nftables/testing/policy-tables.ts'
import { TestNetns } from './namespace.ts'

let ns: TestNetns
let client: NftClient

beforeEach(() => {
  ns = new TestNetns()
  client = new NftClient(ns.netns)
})
afterEach(() => {
  client[Symbol.dispose]()
  ns[Symbol.dispose]()
})

function nft(script: string, where: TestNetns = ns): void {
  where.netns.run(() => execFileSync('nft', ['-f', '-'], { input: script, stdio: 'pipe' }))
}

/** What `nft` reads of a table, without what differs between any two tables. */
function listed({ family, name }: NftTable, where: TestNetns = ns): unknown {
  const json = where.netns.run(() => execFileSync('nft', ['-j', 'list', 'table', family, name], { encoding: 'utf8' }))
  return JSON.parse(json, (key, value: unknown) => (key === 'handle' || key === 'metainfo' ? undefined : value))
}

describe('a table of policies', () => {
  for (const table of [policyTable, bridgeTable]) {
    test(`${table.family}: is read back as what was asked for`, async () => {
      client.replaceTable(table)
      const actual = await client.readTable(table.family, table.name)
      assert.deepEqual(differences(table, actual), [])
      assert.ok(sameTable(table, actual))
      assert.ok(isEmptyDelta(nftDelta(table, actual)!))
    })

    test(`${table.family}: is what nft makes of its text`, () => {
      using other = new TestNetns()
      client.replaceTable(table)
      nft(renderTable(table), other)
      assert.deepEqual(listed(table), listed(table, other))
    })

    test(`${table.family}: is listed by nft in words that nft reads`, () => {
      client.replaceTable(table)
      const is = `${table.family} ${table.name}`
      const text = ns.sh(`nft list table ${is}`)
      for (const comment of text.matchAll(/comment "(.*)"/g)) assert.match(comment[1]!, /\[[0-9a-f]{8}\]$/)
      nft(`delete table ${is}\n${text}`)
      assert.equal(ns.sh(`nft list table ${is}`), text)
    })
  }
})

const is = { family: 'inet', name: 'causeway-test' } as const
const lo = Addr.parse('127.0.0.1')
const other = Addr.parse('127.0.0.2')
/** Packets to the addresses of a gate go to the chain of its name. */
const gate = (name: string, ...elements: Addr[]): NftSet => ({ name, type: 'ipv4_addr', interval: false, elements })
const toGate = (name: string): NftRule => ({
  comment: `gate ${name}`,
  match: [{ kind: 'addrSet', field: 'daddr', family: 4, set: name }],
  action: { kind: 'jump', chain: name },
})
const at = (name: string, addr: Addr): NftElements => ({
  kind: 'ranges',
  set: { name, interval: false },
  ranges: [{ first: addr, last: addr }],
})
const pairs: NftKeySet = { name: 'pairs', type: ['ipv4_addr', 'ipv4_addr'], elements: [[lo, lo]] }
const counting = (comment: string, verdict: 'accept' | 'drop' = 'accept'): NftRule => ({
  comment,
  match: [],
  action: { kind: verdict, counter: true },
})
const gated: NftTable = {
  ...is,
  sets: [gate('open', lo), gate('shut')],
  keySets: [pairs],
  chains: [
    { name: 'open', rules: [counting('open')] },
    { name: 'shut', rules: [counting('shut', 'drop')] },
    {
      name: 'input',
      hook: { type: 'filter', hook: 'input', priority: 0 },
      rules: [
        { comment: 'all', match: [], action: { kind: 'count' } },
        toGate('open'),
        toGate('shut'),
        counting('no gate', 'drop'),
      ],
    },
  ],
}

function pings(to = lo): boolean {
  return ns.netns.run(() => spawnSync('ping', ['-c1', '-W0.1', to.toString()]).status === 0)
}

async function counts(): Promise<Record<string, number>> {
  const counters = await client.readCounters(is.family, is.name)
  return Object.fromEntries(counters.map(({ chain, comment, packets }) => [`${chain}: ${comment}`, packets]))
}

describe('a change of a part', () => {
  beforeEach(() => {
    ns.sh('ip link set lo up')
    client.replaceTable(gated)
  })

  test('moves an address to another chain, and counters go on counting', async () => {
    assert.ok(pings())
    assert.ok(!pings(other), 'it has no gate')
    // an echo and its reply
    assert.deepEqual(await counts(), { 'open: open': 2, 'shut: shut': 0, 'input: all': 3, 'input: no gate': 1 })
    client.change(is, {
      deleteElements: [at('open', lo)],
      addElements: [at('shut', lo), at('open', other)],
    })
    assert.ok(!pings())
    assert.deepEqual(await counts(), { 'open: open': 2, 'shut: shut': 1, 'input: all': 4, 'input: no gate': 1 })
  })

  test('sets the rules of one chain, and the counters of others go on counting', async () => {
    assert.ok(pings())
    client.change(is, { setRules: new Map([['open', [counting('closed now', 'drop')]]]) })
    assert.ok(!pings())
    assert.deepEqual(await counts(), { 'open: closed now': 1, 'shut: shut': 0, 'input: all': 3, 'input: no gate': 0 })
  })

  test('adds chains and sets that refer to one another, and takes them away again', async () => {
    const to = (chain: string): NftRule => ({ comment: `to ${chain}`, match: [], action: { kind: 'jump', chain } })
    const more: NftTable = {
      ...gated,
      keySets: [pairs, { name: 'bound', type: ['ifname', 'ipv4_addr'], elements: [['lo', lo]] }],
      sets: [...gated.sets, gate('first', other), gate('second', lo)],
      chains: [
        { name: 'first', rules: [to('second'), to('third')] },
        { name: 'second', rules: [to('third')] },
        {
          name: 'third',
          rules: [
            {
              comment: 'bound',
              match: [
                { kind: 'l4proto', protocol: 'tcp' },
                {
                  kind: 'ports',
                  field: 'dport',
                  ranges: [
                    { first: 1, last: 5 },
                    { first: 9, last: 9 },
                  ],
                },
                { kind: 'keySet', family: 4, fields: ['iifname', 'saddr'], set: 'bound' },
              ],
              action: { kind: 'return' },
            },
          ],
        },
        ...gated.chains.slice(0, 2),
        {
          ...gated.chains[2]!,
          rules: [...gated.chains[2]!.rules, toGate('first'), toGate('second')],
        },
      ],
    }
    assert.ok(pings())
    for (const wanted of [more, gated, more]) {
      const delta = await client.findDelta(wanted)
      assert.ok(delta)
      assert.equal(delta.setRules?.size, 1, 'only the base chain has other rules')
      client.change(is, delta)
      assert.deepEqual(differences(wanted, await client.readTable('inet', is.name)), [])
      assert.ok(isEmptyDelta((await client.findDelta(wanted))!))
    }
    assert.equal((await counts())['open: open'], 2)
    // the same as commands of nft
    for (const wanted of [gated, more]) {
      nft(renderDelta(is, (await client.findDelta(wanted))!))
      assert.deepEqual(differences(wanted, await client.readTable('inet', is.name)), [])
    }
  })

  test('takes out a map to verdicts, as tables of earlier releases had', async () => {
    nft(`add map inet ${is.name} gates { type ipv4_addr : verdict; elements = { 127.0.0.3 : jump shut } }
      add rule inet ${is.name} input ip daddr vmap @gates`)
    const delta = (await client.findDelta(gated))!
    assert.deepEqual(delta.deleteSets, ['gates'])
    assert.deepEqual([...delta.setRules!.keys()], ['input'])
    client.change(is, delta)
    assert.deepEqual(differences(gated, await client.readTable('inet', is.name)), [])
  })

  test('of thousands of elements and rules is made in turns, and found in them', async () => {
    const addrs = Array.from({ length: 3000 }, (_, index) => Addr.parse('10.0.0.0').plus(index * 7))
    const many: NftTable = {
      ...gated,
      sets: [gate('open', lo, ...addrs), gate('shut')],
      keySets: [
        pairs,
        {
          name: 'many',
          type: ['ipv4_addr', 'inet_proto', 'inet_service'],
          elements: addrs.map((each) => [each, 17, 53]),
        },
      ],
      chains: [
        ...gated.chains,
        ...addrs
          .slice(0, 300)
          .map((each, index) => ({ name: `pod-${index}`, rules: [counting(`to ${each}`), counting('rest')] })),
      ],
    }
    assert.ok(pings())
    for (const wanted of [many, gated]) {
      let turns = 0
      const others = setInterval(() => turns++, 1)
      await client.changeInTurns(is, (await client.findDelta(wanted))!)
      assert.ok(isEmptyDelta((await client.findDelta(wanted))!))
      clearInterval(others)
      assert.ok(turns > 5, `${turns}`)
    }
    assert.deepEqual(await counts(), { 'open: open': 2, 'shut: shut': 0, 'input: all': 2, 'input: no gate': 0 })
  })

  test('makes a table that is absent, at once or in turns', async () => {
    for (const make of [
      async (delta: NftDelta) => client.change(is, delta),
      (delta: NftDelta) => client.changeInTurns(is, delta),
    ]) {
      client.deleteTable('inet', is.name)
      await make((await client.findDelta(policyTable))!)
      assert.deepEqual(differences(policyTable, await client.readTable('inet', is.name)), [])
    }
  })

  test('is refused whole, with the name of what is refused', async () => {
    const cases: [NftDelta, RegExp][] = [
      [
        { deleteElements: [{ kind: 'keys', set: pairs, keys: [[lo, other]] }] },
        /^nft delete element inet causeway-test pairs \{ 127\.0\.0\.1 \. 127\.0\.0\.2 \}: ENOENT/,
      ],
      [{ addElements: [at('absent', other)] }, /^nft add element inet causeway-test absent: ENOENT/],
      [{ deleteChains: ['open'] }, /^nft delete chain inet causeway-test open: EBUSY/],
      [{ deleteSets: ['open'] }, /^nft delete set inet causeway-test open: EBUSY/],
      [{ setRules: new Map([['absent', []]]) }, /^nft flush chain inet causeway-test absent: ENOENT/],
    ]
    const before = await client.readTable('inet', is.name)
    for (const [delta, message] of cases) {
      const kept = { addChains: [{ name: 'new', rules: [] }] }
      assert.throws(
        () => client.change(is, { ...kept, ...delta }),
        (error) => error instanceof KernelError && message.test(error.message),
      )
      assert.deepEqual(await client.readTable('inet', is.name), before)
    }
  })
})
