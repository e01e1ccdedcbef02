// The nftables client against a real kernel, with the `nft` binary as the second opinion: it loads our text, lists what we
// loaded, and plays the administrator who changes things by hand.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { text as readAll } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { NftClient } from '#/kernel/nftables.ts'
import { KernelError } from '#/kernel/netlink.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { NETLINK_NETFILTER, NotificationSocket } from '#/sys/netlink-socket.ts'
import { createNetns, type Netns, removeNetns } from '#/sys/netns.ts'
import { decodeMessages } from '#/wire/netlink/message.ts'
import { differences, nftChange, sameTable } from '#/wire/nftables/compare.ts'
import { NFNLGRP_NFTABLES, nftTableOf } from '#/wire/nftables/messages.ts'
import { renderTable } from '#/wire/nftables/render.ts'
import { type NftChain, type NftTable } from '#/wire/nftables/ruleset.ts'
import {
  door,
  everything,
  forward,
  leave,
  masquerade,
  netdev,
  postrouting,
  small,
} from '#/wire/nftables/testing/tables.ts'

const addr = (text: string): Addr => Addr.parse(text)

const names = { ours: `nft-ours-${process.pid}`, other: `nft-other-${process.pid}` }
let ns: Netns
let client: NftClient

beforeEach(() => {
  ns = createNetns(names.ours)
  client = new NftClient(ns)
})
afterEach(() => {
  client[Symbol.dispose]()
  ns[Symbol.dispose]()
  removeNetns(names.ours)
})

/** Runs `nft`, in our namespace or another; the child inherits that of the thread that starts it. */
function nft(script: string, netns: Netns = ns): string {
  return netns.run(() => execFileSync('nft', ['-f', '-'], { input: script, encoding: 'utf8', stdio: 'pipe' }))
}

function ip(...args: string[]): void {
  ns.run(() => execFileSync('ip', args, { stdio: 'pipe' }))
}

/** What `nft` reads of a table, without what differs between any two tables. */
function listed({ family, name }: NftTable, netns: Netns = ns): unknown {
  const json = netns.run(() => execFileSync('nft', ['-j', 'list', 'table', family, name], { encoding: 'utf8' }))
  return JSON.parse(json, (key, value: unknown) => (key === 'handle' || key === 'metainfo' ? undefined : value))
}

describe('a table of each family', () => {
  for (const table of [everything, netdev]) {
    test(`${table.family}: is read back as what was asked for`, async () => {
      client.replaceTable(table)
      assert.deepEqual(differences(table, await client.readTable(table.family, table.name)), [])
      client.replaceTable(table)
      assert.ok(sameTable(table, await client.readTable(table.family, table.name)), 'replacing it changes nothing')
    })

    test(`${table.family}: is what nft makes of its text`, () => {
      const other = createNetns(names.other)
      try {
        client.replaceTable(table)
        nft(renderTable(table), other)
        assert.deepEqual(listed(table), listed(table, other))
      } finally {
        other[Symbol.dispose]()
        removeNetns(names.other)
      }
    })
  }
})

function makeDoor(): void {
  ip('link', 'add', 'door0', 'up', 'type', 'veth', 'peer', 'name', 'door1')
  ip('link', 'set', 'door1', 'up')
}

/** The handle of the first rule whose line has `text`. */
function handleOf(text: string): string {
  const list = ns.run(() => execFileSync('nft', ['-a', 'list', 'table', 'inet', small.name], { encoding: 'utf8' }))
  return /handle (\d+)/.exec(list.split('\n').find((line) => line.includes(text)) ?? '')![1]!
}

describe('what is changed by hand', () => {
  const is = 'inet causeway-test'
  const cases: { name: string; change: () => string; lines: RegExp[]; kind: 'elements' | 'replace' }[] = [
    {
      name: 'a rule deleted',
      change: () => `delete rule ${is} postrouting handle ${handleOf('masquerade what')}`,
      lines: [/^rule missing in chain postrouting: masquerade what leaves the cluster \[[0-9a-f]{8}\]$/],
      kind: 'replace',
    },
    {
      name: 'a rule added without a comment',
      change: () => `add rule ${is} postrouting oifname "eth0" accept`,
      lines: [/^rule in chain postrouting is not ours: meta dreg=1 key=7; cmp .*; immediate /],
      kind: 'replace',
    },
    {
      name: 'our own rule added once more',
      change: () =>
        `add rule ${is} postrouting ip daddr @nodes4 return comment "${/comment "(leave.*)"/.exec(renderTable(small))![1]}"`,
      lines: [/^rule in chain postrouting is not ours: leave node addresses alone \[/],
      kind: 'replace',
    },
    {
      name: 'a rule with a mechanism that we do not use',
      change: () => `insert rule ${is} forward limit rate 10/second accept comment "mine"`,
      lines: [/^rule in chain forward is not ours: mine$/],
      kind: 'replace',
    },
    {
      name: 'rules in another order',
      change: () => {
        const rule = /(ip daddr @nodes4 .*)/.exec(renderTable(small))![1]!
        return `delete rule ${is} postrouting handle ${handleOf('leave node')}\nadd rule ${is} postrouting ${rule}`
      },
      lines: [/^rules of chain postrouting are out of order$/],
      kind: 'replace',
    },
    {
      name: 'a rule edited under its comment',
      change: () => {
        const rule = /(ip daddr @nodes4 .*)/.exec(renderTable(small))![1]!.replace('daddr', 'saddr')
        return `replace rule ${is} postrouting handle ${handleOf('leave node')} ${rule}`
      },
      lines: [/^rule edited in chain postrouting: leave node addresses alone \[/],
      kind: 'replace',
    },
    {
      name: 'a counter put into a rule',
      change: () => {
        const rule = /(ip daddr @nodes4 .*)/.exec(renderTable(small))![1]!.replace('return', 'counter return')
        return `replace rule ${is} postrouting handle ${handleOf('leave node')} ${rule}`
      },
      lines: [/^rule edited in chain postrouting: leave node/],
      kind: 'replace',
    },
    {
      name: 'an element deleted',
      change: () => `delete element ${is} nodes4 { 172.30.0.12 }`,
      lines: [/^set nodes4 lacks 172\.30\.0\.12$/],
      kind: 'elements',
    },
    {
      name: 'elements added',
      change: () => `add element ${is} nodes4 { 9.9.9.9 }\nadd element ${is} pods4 { 10.9.0.0/16, 1.1.1.1-1.1.1.6 }`,
      lines: [
        /^set pods4 has what is not ours: 1\.1\.1\.1-1\.1\.1\.6$/,
        /^set pods4 has what is not ours: 10\.9\.0\.0\/16$/,
        /^set nodes4 has what is not ours: 9\.9\.9\.9$/,
      ],
      kind: 'elements',
    },
    {
      name: 'a range put next to ours',
      change: () => `add element ${is} pods4 { 10.244.2.0/24 }`,
      lines: [/^set pods4 has what is not ours: 10\.244\.2\.0\/24$/],
      kind: 'elements',
    },
    {
      name: 'a set added',
      change: () => `add set ${is} theirs { type inet_service; }`,
      lines: [/^set theirs is not ours$/],
      kind: 'replace',
    },
    {
      name: 'a chain added',
      change: () => `add chain ${is} theirs`,
      lines: [/^chain theirs is not ours$/],
      kind: 'replace',
    },
    {
      name: 'a chain deleted',
      change: () => `delete chain ${is} forward`,
      lines: [/^chain forward missing$/],
      kind: 'replace',
    },
    {
      name: 'another policy',
      change: () => `chain ${is} forward { policy drop; }`,
      lines: [/^chain forward has policy drop, should be accept$/],
      kind: 'replace',
    },
    {
      name: 'another hook, priority and type',
      change: () =>
        `delete chain ${is} forward\nadd chain ${is} forward { type route hook output priority 7; policy accept; }`,
      lines: [
        /^chain forward has type route, should be filter$/,
        /^chain forward has hook 3, should be 2$/,
        /^chain forward has priority 7, should be -10$/,
      ],
      kind: 'replace',
    },
    {
      name: 'a chain without its hook',
      change: () => `delete chain ${is} forward\nadd chain ${is} forward`,
      lines: [/^chain forward has no hook$/],
      kind: 'replace',
    },
    {
      name: 'a dormant table',
      change: () => `add table ${is} { flags dormant; }`,
      lines: [/^table causeway-test has flags 1 /],
      kind: 'replace',
    },
    {
      name: 'all rules gone',
      change: () => `flush table ${is}`,
      lines: [/^rule missing .*leave/, /^rule missing .*masquerade/],
      kind: 'replace',
    },
    {
      name: 'the table gone',
      change: () => `delete table ${is}`,
      lines: [/^table inet causeway-test missing$/],
      kind: 'replace',
    },
  ]
  for (const { name, change, lines, kind } of cases) {
    test(`${name}: is seen and put right`, async () => {
      client.replaceTable(small)
      nft(change())
      const found = await client.readTable('inet', small.name)
      const told = differences(small, found)
      assert.equal(told.length, lines.length, told.join('\n'))
      for (const [index, line] of lines.entries()) assert.match(told[index]!, line)
      assert.ok(!sameTable(small, found))

      const todo = nftChange(small, found)
      assert.equal(todo.kind, kind)
      if (todo.kind === 'elements') client.updateSets(small, todo.sets)
      else client.replaceTable(small)
      assert.deepEqual(differences(small, await client.readTable('inet', small.name)), [])
    })
  }

  test('elements that expire, and one that matches all, are no ranges of ours', async () => {
    const table = { ...small, chains: [] }
    for (const set of [
      'pods4 { type ipv4_addr; flags interval,timeout; }',
      'nodes4 { type ipv4_addr; flags timeout; }',
    ]) {
      client.replaceTable(table)
      nft(`delete set ${is} ${set.split(' ')[0]}\nadd set ${is} ${set}`)
      assert.match(differences(table, await client.readTable('inet', table.name)).join('\n'), /has flags/)
    }
    client.replaceTable(table)
    // nft 1.0.6 crashes on adding the same element to a set that is there
    nft(`delete set ${is} pods4\nadd set ${is} pods4 { type ipv4_addr; flags interval; elements = { * } }`)
    const found = await client.readTable('inet', table.name)
    assert.deepEqual(differences(table, found), ['set pods4 has elements of a kind that is not ours'])
    assert.equal(nftChange(table, found).kind, 'replace')
  })

  test('another device for a netdev chain is seen', async () => {
    makeDoor()
    client.replaceTable(door)
    const elsewhere = { ...door.chains[0]!, hook: { ...door.chains[0]!.hook!, device: 'lo' } }
    const lines = differences({ ...door, chains: [elsewhere] }, await client.readTable('netdev', door.name))
    assert.deepEqual(lines, ['chain door has devices door0, should be lo'])
  })

  test('counting packets is no change', async () => {
    const counting: NftTable = {
      ...small,
      chains: [
        {
          name: 'output',
          hook: { type: 'filter', hook: 'output', priority: 0 },
          rules: [{ comment: 'count', match: [], action: { kind: 'drop', counter: true } }],
        },
      ],
    }
    client.replaceTable(counting)
    ip('link', 'set', 'lo', 'up')
    assert.throws(() => ns.run(() => execFileSync('ping', ['-c1', '-W0.1', '127.0.0.1'], { stdio: 'pipe' })))
    assert.match(JSON.stringify(listed(counting)), /"packets":[1-9]/)
    assert.deepEqual(differences(counting, await client.readTable('inet', counting.name)), [])
  })
})

test('a device that goes and comes back has its rules again once they are put right', async () => {
  const counting: NftTable = {
    ...door,
    chains: [{ ...door.chains[0]!, rules: [{ comment: 'count', match: [], action: { kind: 'drop', counter: true } }] }],
  }
  makeDoor()
  client.replaceTable(counting)
  ip('link', 'del', 'door0')
  // kernels before 6.16 take away the chain with its device; later ones keep it and bring it back by themselves
  const told = differences(counting, await client.readTable('netdev', door.name))
  assert.ok(told.length === 0 || told[0] === 'chain door missing', told.join())
  makeDoor()
  if (!sameTable(counting, await client.readTable('netdev', door.name))) client.replaceTable(counting)
  assert.deepEqual(differences(counting, await client.readTable('netdev', door.name)), [])
  ip('address', 'add', '192.0.2.1/24', 'dev', 'door1')
  assert.throws(() => ip('netns', 'exec', names.ours, 'ping', '-c1', '-W0.1', '192.0.2.2'))
  assert.match(JSON.stringify(listed(counting)), /"packets":[1-9]/)
})

test('no packet passes between the old table and the new one', async () => {
  const closed: NftTable = {
    ...small,
    chains: [
      {
        name: 'input',
        hook: { type: 'filter', hook: 'input', priority: 0 },
        rules: [{ comment: 'close', match: [], action: { kind: 'drop' } }],
      },
    ],
  }
  const ping = ['-c', '60', '-i', '0.002', '-W', '0.1', '-q', '127.0.0.1']
  ip('link', 'set', 'lo', 'up')
  client.replaceTable(closed)
  const child = ns.run(() => spawn('ping', ping, { stdio: ['ignore', 'pipe', 'inherit'] }))
  const output = readAll(child.stdout)
  let replaced = 0
  for (; child.exitCode === null; replaced++) {
    client.replaceTable(closed)
    await setImmediate()
  }
  assert.match(await output, /60 packets transmitted, 0 received/)
  assert.ok(replaced > 1)
  client.deleteTable('inet', closed.name)
  assert.match(
    ns.run(() => execFileSync('ping', ['-c', '5', '-i', '0.2', '-W', '5', '127.0.0.1'], { encoding: 'utf8' })),
    / 5 received/,
  )
})

test('tables of others stay as they are', async () => {
  nft('add table inet theirs; add chain inet theirs c; add table ip causeway-test')
  client.replaceTable(small)
  client.replaceTable(small)
  const theirs = [
    { family: 'inet', name: 'theirs' },
    { family: 'ip', name: 'causeway-test' },
  ]
  assert.deepEqual(client.listTables(), [...theirs, { family: 'inet', name: small.name }])
  client.deleteTable('inet', small.name)
  client.deleteTable('inet', small.name)
  assert.deepEqual(client.listTables(), theirs)
  assert.equal(await client.readTable('inet', small.name), undefined)
})

describe('a transaction that fails', () => {
  test('names the first object refused and leaves all as it was', async () => {
    client.replaceTable(small)
    const wrong: NftChain = { ...postrouting, hook: forward, rules: [leave, masquerade, masquerade] }
    for (let attempt = 0; attempt < 3; attempt++) {
      assert.throws(
        () => client.replaceTable({ ...small, chains: [wrong] }),
        (error) =>
          error instanceof KernelError &&
          error.code === 'EOPNOTSUPP' &&
          /^nft add rule inet causeway-test postrouting "masquerade what .*": EOPNOTSUPP/.test(error.message),
      )
      assert.deepEqual(differences(small, await client.readTable('inet', small.name)), [])
    }
    client.replaceTable(everything)
    assert.ok(sameTable(everything, await client.readTable('inet', small.name)), 'the socket is as good as before')
  })

  test('says so when many messages are refused', () => {
    const many = Array.from({ length: 500 }, () => masquerade)
    assert.throws(() => client.replaceTable({ ...small, chains: [{ ...postrouting, hook: forward, rules: many }] }), {
      code: 'EOPNOTSUPP',
    })
    assert.deepEqual(client.listTables(), [])
  })

  test('tells which set when elements are not there to delete', () => {
    client.replaceTable(small)
    const nodes = small.sets[2]!
    const absent = { first: addr('1.2.3.4'), last: addr('1.2.3.4') }
    assert.throws(() => client.updateSets(small, [{ set: nodes, missing: [], extra: [absent] }]), {
      message: /^nft delete element inet causeway-test nodes4: ENOENT/,
    })
    assert.throws(
      () => client.updateSets({ ...small, name: 'absent' }, [{ set: nodes, missing: [absent], extra: [] }]),
      {
        message: /^nft add element inet absent nodes4: ENOENT/,
      },
    )
  })
})

describe('sets', () => {
  const anyRange = fc.tuple(fc.nat({ max: 63 }), fc.integer({ min: 26, max: 32 })).map(([at, length]) => {
    return new Prefix(addr('255.255.255.192').plus(at), length)
  })

  test('any set becomes any other one by its differences', async () => {
    const table = (elements: readonly Prefix[]): NftTable => ({
      ...small,
      sets: [{ name: 'pods4', type: 'ipv4_addr', interval: true, elements }],
      chains: [],
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(anyRange, { maxLength: 12 }), { minLength: 2, maxLength: 4 }),
        async (states) => {
          client.replaceTable(table(states[0]!))
          for (const state of states.slice(1)) {
            const change = nftChange(table(state), await client.readTable('inet', small.name))
            assert.notEqual(change.kind, 'replace')
            if (change.kind === 'elements') client.updateSets(table(state), change.sets)
            assert.deepEqual(differences(table(state), await client.readTable('inet', small.name)), [])
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('thousands of elements are written, read, and changed by their differences', async () => {
    const nodes = Array.from({ length: 3000 }, (_, index) => addr('172.16.0.0').plus(index * 7))
    const pods = Array.from({ length: 2000 }, (_, index) => new Prefix(addr('10.0.0.0').plus(index * 512), 24))
    const table = (first: number): NftTable => ({
      ...small,
      sets: [
        { name: 'nodes4', type: 'ipv4_addr', interval: false, elements: nodes.slice(first) },
        { name: 'pods4', type: 'ipv4_addr', interval: true, elements: pods.slice(first) },
      ],
    })
    client.replaceTable(table(0))
    assert.deepEqual(differences(table(0), await client.readTable('inet', small.name)), [])
    const change = nftChange(table(1000), await client.readTable('inet', small.name))
    assert.equal(change.kind, 'elements')
    if (change.kind === 'elements') client.updateSets(table(1000), change.sets)
    assert.deepEqual(differences(table(1000), await client.readTable('inet', small.name)), [])
    assert.equal(
      differences(table(0), await client.readTable('inet', small.name)).length,
      18,
      'eight lines and the rest, twice',
    )
  })
})

test('a table read while somebody changes another one is whole', async () => {
  client.replaceTable(everything)
  using second = new NftClient(ns)
  for (let round = 0; round < 20; round++) {
    second.replaceTable({ ...small, name: 'other' })
    assert.deepEqual(differences(everything, await client.readTable('inet', everything.name)), [])
  }
})

test('a notification tells which table was changed', async () => {
  using socket = ns.run(() => new NotificationSocket(NETLINK_NETFILTER, [NFNLGRP_NFTABLES]))
  client.replaceTable(small)
  const seen = new Set<string>()
  let isCommitted = false
  while (!isCommitted) {
    const bytes = await socket.receive()
    assert.ok(bytes instanceof Uint8Array)
    for (const message of decodeMessages(bytes)) {
      const table = nftTableOf(message)
      if (table === undefined) isCommitted = true
      else seen.add(`${table.family} ${table.name}`)
    }
  }
  assert.deepEqual([...seen], ['inet causeway-test'])
})
