// What protects a session: TCP MD5 (RFC 2385), TTL security (RFC 5082) and limits of prefixes (RFC 4486), with real kernels and
// real peers.
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { NftClient } from '#/kernel/nftables.ts'
import { Addr } from '#/lib/addr.ts'
import { nodeTable } from '#/plan/filter.ts'
import { Causeway } from './bgp/causeway.ts'
import { bestRoute, established, foreignKinds, noRoute, routerOf } from './bgp/daemons.ts'
import { eventually } from './bgp/eventually.ts'
import { type Host, Lan } from './bgp/lan.ts'
import { RawHost } from './bgp/raw-peer.ts'

const families = [4] as const

/** One of the kernel's counters of TCP: /proc/net/netstat. */
function tcpCounter(host: Host, name: string): number {
  return Number(new RegExp(`^${name}\\s+(\\d+)`, 'm').exec(host.ns.sh('nstat -asz'))?.[1])
}

/** What an agent's table has for neighbours at these addresses; the returned function takes it away. */
function guard({ ns }: Host, addrs: readonly string[]): () => void {
  const guards = addrs.map((addr) => ({
    peer: addr,
    addr: Addr.parse(addr),
    minTtl: 255,
    ownPort: 179,
    itsPort: 179,
  }))
  const table = nodeTable({ podCIDRs: [], clusterCIDRs: [], podDevices: [], guards })
  using nftables = ns.netns.run(() => new NftClient())
  nftables.replaceTable(table)
  return () => void ns.sh('nft delete table inet causeway')
}

const guardRules = ({ ns }: Host): string => ns.sh('nft list chain inet causeway bgp-in')

suite('protection', { concurrency: 2 }, () => {
  for (const kind of foreignKinds) {
    test(`${kind}: no session under another password, one under the same`, async () => {
      using lan = new Lan()
      const [home, host] = [lan.host(), lan.host()]
      await using other = routerOf(kind, host, {
        asn: 65_001,
        neighbours: [{ name: 'us', addr: home.addr4, asn: 65_000, families, password: 'right' }],
      })
      const withPassword = (password: string) => ({
        asn: 65_000,
        neighbours: [{ name: kind, addr: host.addr4, asn: 65_001, families, password }],
      })
      await using ours = new Causeway(home, withPassword('wrong'))
      await Promise.all([ours.start(), other.start()])
      await eventually(
        'segments refused by the other kernel',
        () => tcpCounter(host, 'TcpExtTCPMD5Failure'),
        (refused) => refused > 0,
      )
      assert.notEqual((await ours.neighbours())[0]!.state, 'Established')
      await ours.configure(withPassword('right'))
      await established(ours, other)
      await established(other, ours)
    })

    test(`${kind}: TTL security, whoever of the two connects`, async () => {
      using lan = new Lan()
      const [home, host] = [lan.host(), lan.host()]
      const ourSide = (mode: 'active' | 'passive') => ({
        asn: 65_000,
        neighbours: [{ name: kind, addr: host.addr4, asn: 65_001, families, ttlSecurityHops: 1, mode }],
      })
      await using other = routerOf(kind, host, {
        asn: 65_001,
        neighbours: [{ name: 'us', addr: home.addr4, asn: 65_000, families, ttlSecurityHops: 1 }],
      })
      await using ours = new Causeway(home, ourSide('active'))
      guard(home, [host.addr4])
      await Promise.all([ours.start(), other.start()])
      await established(ours, other)
      if (kind === 'gobgp') return // connects too seldom to be waited for
      await ours.configure(ourSide('passive'))
      await established(ours, other)
    })

    test(`${kind} goes over our limit: told so, its routes gone, back when it has fewer`, async () => {
      using lan = new Lan()
      const [home, host] = [lan.host(), lan.host()]
      const prefixes = Array.from({ length: 6 }, (_, index) => `10.244.${index}.0/24`)
      await using other = routerOf(kind, host, {
        asn: 65_001,
        neighbours: [{ name: 'us', addr: home.addr4, asn: 65_000, families }],
        originated: prefixes.slice(0, 5).map((prefix) => ({ prefix })),
      })
      await using ours = new Causeway(home, {
        asn: 65_000,
        neighbours: [{ name: kind, addr: host.addr4, asn: 65_001, families, maxPrefixes: 5 }],
      })
      await Promise.all([ours.start(), other.start()])
      await bestRoute(ours, prefixes[4]!, undefined, other)
      await other.announce({ prefix: prefixes[5]! })
      const [down] = await eventually(
        'the session ended',
        () => ours.neighbours(),
        ([neighbour]) => neighbour!.state === 'Idle',
      )
      assert.match(down!.lastError, /6 prefixes where at most 5 are allowed/)
      assert.deepEqual(await ours.routes(4), [])
      await other.withdraw(prefixes[5]!)
      await ours.reset(kind, 'hard')
      await bestRoute(ours, prefixes[4]!, undefined, other)
    })

    test(`we go over ${kind}'s limit: our status says what it said`, async () => {
      using lan = new Lan()
      const [home, host] = [lan.host(), lan.host()]
      await using other = routerOf(kind, host, {
        asn: 65_001,
        neighbours: [{ name: 'us', addr: home.addr4, asn: 65_000, families, maxPrefixes: 3 }],
      })
      await using ours = new Causeway(home, {
        asn: 65_000,
        neighbours: [{ name: kind, addr: host.addr4, asn: 65_001, families }],
        originated: Array.from({ length: 8 }, (_, index) => ({ prefix: `10.244.${index}.0/24` })),
      })
      await Promise.all([ours.start(), other.start()])
      const [down] = await eventually(
        'the reason of the other side',
        () => ours.neighbours(),
        ([neighbour]) => /prefix|Cease/i.test(neighbour!.lastError),
        { explain: () => other.logTail() },
      )
      assert.notEqual(down!.state, 'Established')
      await noRoute(other, '10.244.0.0/24')
    })
  }

  test('TTL security: who is further away gets no connection', async () => {
    using lan = new Lan()
    const [home, host] = [lan.host(), lan.host()]
    const near = (ttlSecurityHops: number | undefined) => ({
      asn: 65_000,
      neighbours: [
        {
          name: 'far',
          addr: host.addr4,
          asn: 65_001,
          families,
          mode: 'passive' as const,
          ...(ttlSecurityHops !== undefined && { ttlSecurityHops }),
        },
      ],
    })
    await using ours = new Causeway(home, near(1))
    await using raw = await RawHost.start(host)
    await ours.start()
    // its packets have the kernel's TTL of 64, as if they came from 191 hops away
    const refused = raw.connect(home.addr4).then(
      async (peer) => peer.closed.then(() => 'closed'),
      () => 'closed',
    )
    await Promise.race([
      refused,
      eventually(
        'packets dropped',
        () => tcpCounter(home, 'TcpExtTCPMinTTLDrop'),
        (dropped) => dropped > 0,
      ),
    ])
    assert.notEqual((await ours.neighbours())[0]!.state, 'Established')
    // the kernel still shook hands, and took what came with that; our own table does neither
    const unguard = guard(home, [host.addr4, host.addr6])
    const before = tcpCounter(home, 'TcpPassiveOpens')
    assert.ok(before > 0, 'that it does is why the table is there')
    for (const addr of [home.addr4, home.addr6]) raw.connect(addr).catch(() => {})
    await eventually(
      'packets of both families dropped by our table',
      () => [...guardRules(home).matchAll(/dport 179 .*counter packets [1-9]/g)],
      (dropping) => dropping.length === 2,
    )
    assert.equal(tcpCounter(home, 'TcpPassiveOpens'), before)
    unguard()
    await ours.configure(near(undefined))
    await raw.session(home.addr4, { asn: 65_001, routerId: host.addr4 })
    await established(ours)
  })
})
