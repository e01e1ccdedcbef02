// What network policies need of the nftables client, against a real kernel and with the `nft` binary as the second opinion.
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { KernelError } from '#/kernel/netlink.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { Addr } from '#/lib/addr.ts'
import { nftDelta } from '#/wire/nftables/compare-delta.ts'
import { differences, sameTable } from '#/wire/nftables/compare.ts'
import { isEmptyDelta, type NftDelta } from '#/wire/nftables/delta.ts'
import { renderDelta, renderTable } from '#/wire/nftables/render.ts'
import {
  type NftKeySet,
  type NftMap,
  type NftMapElement,
  type NftRule,
  type NftTable,
} from '#/wire/nftables/ruleset.ts'
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
const gates: NftMap = {
  name: 'gates',
  type: ['ipv4_addr'],
  elements: [{ key: [lo], verdict: { kind: 'jump', chain: 'open' } }],
}
const pairs: NftKeySet = { name: 'pairs', type: ['ipv4_addr', 'ipv4_addr'], elements: [[lo, lo]] }
const counting = (comment: string, verdict: 'accept' | 'drop' = 'accept'): NftRule => ({
  comment,
  match: [],
  action: { kind: verdict, counter: true },
})
/** Packets to an address of ours go to the chain of its gate. */
const gated: NftTable = {
  ...is,
  sets: [],
  keySets: [pairs],
  maps: [gates],
  chains: [
    { name: 'open', rules: [counting('open')] },
    { name: 'shut', rules: [counting('shut', 'drop')] },
    {
      name: 'input',
      hook: { type: 'filter', hook: 'input', priority: 0 },
      rules: [
        { comment: 'all', match: [], action: { kind: 'count' } },
        { comment: 'gates', match: [], action: { kind: 'vmap', family: 4, fields: ['daddr'], map: 'gates' } },
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

const element = (key: Addr, chain: string): NftMapElement => ({ key: [key], verdict: { kind: 'jump', chain } })

describe('a change of a part', () => {
  beforeEach(() => {
    ns.sh('ip link set lo up')
    client.replaceTable(gated)
  })

  test('moves an address to another chain, and counters go on counting', async () => {
    assert.ok(pings())
    assert.ok(!pings(other), 'it is in no map')
    // an echo and its reply
    assert.deepEqual(await counts(), { 'open: open': 2, 'shut: shut': 0, 'input: all': 3, 'input: no gate': 1 })
    client.change(is, {
      deleteElements: [{ kind: 'map', map: gates, elements: [element(lo, 'open')] }],
      addElements: [{ kind: 'map', map: gates, elements: [element(lo, 'shut'), element(other, 'open')] }],
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

  test('adds chains, sets and maps that refer to one another, and takes them away again', async () => {
    const to = (chain: string): NftRule => ({ comment: `to ${chain}`, match: [], action: { kind: 'jump', chain } })
    const more: NftTable = {
      ...gated,
      keySets: [pairs, { name: 'bound', type: ['ifname', 'ipv4_addr'], elements: [['lo', lo]] }],
      maps: [
        { ...gates, elements: [...gates.elements, element(other, 'first')] },
        { name: 'second-gates', type: ['ipv4_addr'], elements: [element(lo, 'second')] },
      ],
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
          rules: [
            ...gated.chains[2]!.rules,
            {
              comment: 'more gates',
              match: [],
              action: { kind: 'vmap', family: 4, fields: ['daddr'], map: 'second-gates' },
            },
          ],
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

  test('of thousands of elements and rules is made in turns, and found in them', async () => {
    const addrs = Array.from({ length: 3000 }, (_, index) => Addr.parse('10.0.0.0').plus(index * 7))
    const many: NftTable = {
      ...gated,
      sets: [{ name: 'local', type: 'ipv4_addr', interval: false, elements: addrs }],
      keySets: [
        pairs,
        {
          name: 'many',
          type: ['ipv4_addr', 'inet_proto', 'inet_service'],
          elements: addrs.map((each) => [each, 17, 53]),
        },
      ],
      maps: [{ ...gates, elements: [...gates.elements, ...addrs.map((each) => element(each, 'open'))] }],
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
      [
        { addElements: [{ kind: 'map', map: gates, elements: [element(other, 'absent')] }] },
        /^nft add element inet causeway-test gates \{ 127\.0\.0\.2 \}: ENOENT/,
      ],
      [
        { addElements: [{ kind: 'map', map: gates, elements: [element(lo, 'shut')] }] },
        /^nft add element inet causeway-test gates \{ 127\.0\.0\.1 \}: E(EXIST|BUSY)/,
      ],
      [{ deleteChains: ['open'] }, /^nft delete chain inet causeway-test open: EBUSY/],
      [{ deleteSets: ['gates'] }, /^nft delete set inet causeway-test gates: EBUSY/],
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

  test('no packet passes while an address is moved from one closed chain to another', async () => {
    const closed: NftTable = {
      ...gated,
      maps: [{ ...gates, elements: [element(lo, 'shut')] }],
      chains: [...gated.chains, { name: 'also-shut', rules: [counting('also shut', 'drop')] }].map((chain) =>
        chain.name === 'input' ? { ...chain, rules: [...chain.rules.slice(0, 2), counting('passed')] } : chain,
      ),
    }
    client.replaceTable(closed)
    const ping = ['-c', '100', '-i', '0.002', '-W', '0.1', '-q', '127.0.0.1']
    const child = ns.netns.run(() => spawn('ping', ping, { stdio: 'ignore' }))
    let moved = 0
    for (; child.exitCode === null; moved++) {
      const [from, to] = moved % 2 === 0 ? (['shut', 'also-shut'] as const) : (['also-shut', 'shut'] as const)
      client.change(is, {
        deleteElements: [{ kind: 'map', map: gates, elements: [element(lo, from)] }],
        addElements: [{ kind: 'map', map: gates, elements: [element(lo, to)] }],
      })
      await setImmediate()
    }
    const counted = await counts()
    assert.ok(moved > 100)
    assert.equal(counted['input: passed'], 0)
    assert.ok(counted['shut: shut']! > 0 && counted['also-shut: also shut']! > 0)
  })
})
