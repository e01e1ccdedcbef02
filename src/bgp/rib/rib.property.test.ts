// Whatever neighbours do and in whatever order, and however slow they are: when all is quiet everybody knows what a computation from
// scratch says.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type PeerConfig, type RoutePolicy } from '#/model/bgp.ts'
import { type PathAttributes } from '#/wire/bgp/values.ts'
import { type SessionEnd } from '../contract.ts'
import { NaiveRib } from './testing/naive-rib.ts'
import { acceptEverything, peerConfig, RibRig, speakerConfig, type TestSession } from './testing/rib-rig.ts'

const prefixes = ['10.1.0.0/16', '10.1.1.0/24', '10.2.0.0/16', '0.0.0.0/0', '2001:db8:1::/48', '2001:db8:2::/64']
const nodePrefix = '10.9.0.0/24'

const peers = {
  e1: { asn: 65_001, addr: '10.0.0.11' },
  e2: { asn: 65_001, addr: '10.0.0.12' },
  e3: { asn: 65_002, addr: '10.0.0.13' },
  i1: { asn: 65_000, addr: '10.0.0.21' },
  i2: { asn: 65_000, addr: '10.0.0.22' },
  i3: { asn: 65_000, addr: '10.0.0.23' },
} as const
type Name = keyof typeof peers
const names = Object.keys(peers) as Name[]

const policies: readonly (RoutePolicy | undefined)[] = [
  undefined,
  acceptEverything,
  { rules: [], otherwise: 'reject' },
  { rules: [{ match: { communities: ['65000:1'] }, action: 'reject' }], otherwise: 'accept' },
  {
    rules: [
      {
        match: { prefixes: [{ prefix: Prefix.parse('10.1.0.0/16'), maxLength: 24 }] },
        action: 'accept',
        isGrant: true,
      },
      {
        match: {},
        action: 'accept',
        set: { localPreference: 90, med: 7, addCommunities: ['65000:3'], prependTimes: 1 },
      },
    ],
    otherwise: 'reject',
  },
]

type Change = Partial<
  Pick<PeerConfig, 'importPolicy' | 'exportPolicy' | 'isReflectorClient' | 'nextHopSelf' | 'allowOwnAsn'>
>

type Action =
  | { kind: 'up'; peer: Name; kept: readonly Family[]; credit: number }
  | { kind: 'down'; peer: Name; end: SessionEnd }
  | { kind: 'announce'; peer: Name; prefixes: readonly string[]; attributes: PathAttributes; hop: number }
  | { kind: 'withdraw'; peer: Name; prefixes: readonly string[] }
  | { kind: 'endOfRib' | 'request' | 'begin' | 'end'; peer: Name; family: Family }
  | { kind: 'sweep'; peer: Name; family: Family; toLongLived: boolean }
  | { kind: 'drain'; peer: Name; credit: number }
  | { kind: 'peer'; peer: Name; change: Change }
  | { kind: 'speaker'; maxPaths: number; multipathRelax: boolean; originated: readonly string[]; community: boolean }
  | { kind: 'turn' }

const name = fc.constantFrom(...names)
const family = fc.constantFrom<Family>(4, 6)
const some = fc.subarray(prefixes, { minLength: 1 })
const credit = fc.constantFrom(1, 2, 3, Infinity)
const restartFamilies = fc.constantFrom<readonly Family[]>([4, 6], [4, 6], [4], [])
const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined })

const attributes: fc.Arbitrary<PathAttributes> = fc
  .record({
    origin: fc.constantFrom<0 | 1>(0, 1),
    asns: fc.array(fc.constantFrom(65_001, 65_002, 65_003, 65_000), { maxLength: 2 }),
    med: maybe(fc.constantFrom(0, 5)),
    localPreference: maybe(fc.constantFrom(100, 200)),
    communities: fc.subarray([0xfde8_0001, 0xffff_0007, 0xffff_ff01, 0xffff_ff02]),
    originator: maybe(fc.constantFrom('10.0.0.30', '10.255.0.1')),
    clusters: fc.subarray(['10.0.0.31', '10.0.0.32']),
  })
  .map(({ origin, asns, med, localPreference, communities, originator, clusters }) => ({
    origin,
    asPath: asns.length === 0 ? [] : [{ kind: 'sequence', asns }],
    ...(med !== undefined && { med }),
    ...(localPreference !== undefined && { localPreference }),
    ...(communities.length > 0 && { communities }),
    ...(originator !== undefined && { originatorId: Addr.parse(originator) }),
    ...(clusters.length > 0 && { clusterList: clusters.map(Addr.parse) }),
  }))

/** As the codec leaves what comes from an external neighbour, and with its AS in front. */
function fromPeer(peer: Name, given: PathAttributes): PathAttributes {
  const { asn } = peers[peer]
  if (asn === 65_000) return given
  const { localPreference: _, originatorId: __, clusterList: ___, asPath, ...kept } = given
  return { ...kept, asPath: [{ kind: 'sequence', asns: [asn, ...asPath.flatMap(({ asns }) => asns)] }] }
}

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('up'), peer: name, kept: restartFamilies, credit }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('down'),
      peer: name,
      end: fc.oneof(
        fc.constant<SessionEnd>({ kind: 'gone' }),
        fc.record({ kind: fc.constant('restarting'), families: restartFamilies }),
      ),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('announce'),
      peer: name,
      prefixes: some,
      attributes,
      hop: fc.constantFrom(1, 2),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('withdraw'), peer: name, prefixes: some }) },
  fc.record({ kind: fc.constantFrom('endOfRib', 'request', 'begin', 'end'), peer: name, family }),
  fc.record({ kind: fc.constant('sweep'), peer: name, family, toLongLived: fc.boolean() }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('drain'), peer: name, credit }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('peer'),
      peer: name,
      change: fc.oneof(
        fc.record({ importPolicy: fc.constantFrom(...policies) }),
        fc.record({ exportPolicy: fc.constantFrom(...policies) }),
        fc.record({ isReflectorClient: fc.boolean() }),
        fc.record({ nextHopSelf: fc.boolean() }),
        fc.record({ allowOwnAsn: fc.constantFrom(0, 1) }),
      ),
    }),
  },
  fc.record({
    kind: fc.constant('speaker'),
    maxPaths: fc.constantFrom(1, 2, 4),
    multipathRelax: fc.boolean(),
    originated: fc.subarray([nodePrefix, '10.2.0.0/16', '2001:db8:1::/48']),
    community: fc.boolean(),
  }),
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('turn') }) },
) as fc.Arbitrary<Action>

/** Both RIBs are told the same. */
class Pair {
  readonly rig: RibRig
  readonly naive: NaiveRib
  readonly sessions = new Map<Name, TestSession>()

  constructor() {
    const config = speakerConfig({
      peers: names.map((peer) => peerConfig(peer, { isReflectorClient: peer === 'i1' })),
      originated: [{ prefix: Prefix.parse(nodePrefix) }],
    })
    this.rig = new RibRig(config)
    this.naive = new NaiveRib(config)
  }

  do(one: Action): void {
    const { rig, naive } = this
    if (one.kind === 'turn') return rig.turn()
    if (one.kind === 'speaker') {
      const originated = one.originated.map((text) => ({
        prefix: Prefix.parse(text),
        ...(one.community && { communities: ['65000:1'] }),
      }))
      rig.configure({ maxPaths: one.maxPaths, multipathRelax: one.multipathRelax, originated })
      naive.config = rig.config
      return undefined
    }
    const session = this.sessions.get(one.peer)
    if (one.kind === 'up') return session === undefined ? this.#up(one.peer, one.kept, one.credit) : undefined
    if (one.kind === 'sweep') {
      rig.rib.sweepStale(one.peer, one.family, { toLongLived: one.toLongLived })
      return naive.sweepStale(one.peer, one.family, one.toLongLived)
    }
    if (one.kind === 'peer') {
      rig.configure({
        peers: rig.config.peers.map((peer) =>
          peer.name === one.peer ? { ...peer, ...(one.change as PeerConfig) } : peer,
        ),
      })
      naive.config = rig.config
      return undefined
    }
    return session && this.#inSession(session, one)
  }

  #up(peer: Name, kept: readonly Family[], sessionCredit: number): void {
    const families = kept.map((one) => ({ family: one, keptForwarding: true }))
    const session = this.rig.up(peer, {
      ...peers[peer],
      localAddrs: ['10.0.0.1', '2001:db8::1'],
      remote: { gracefulRestart: { isRestarting: true, onNotification: true, restartTimeSeconds: 60, families } },
    })
    session.credit = sessionCredit
    this.sessions.set(peer, session)
    this.naive.up(session.neighbour)
  }

  #inSession(session: TestSession, one: Exclude<Action, { kind: 'turn' | 'speaker' | 'up' | 'sweep' | 'peer' }>): void {
    const { rig, naive } = this
    const { neighbour } = session
    switch (one.kind) {
      case 'down': {
        rig.down(session, one.end)
        naive.down(neighbour, one.end)
        this.sessions.delete(one.peer)
        break
      }
      case 'announce': {
        const given = fromPeer(one.peer, one.attributes)
        for (const each of [4, 6] as const) {
          const announced = one.prefixes.filter((prefix) => Prefix.parse(prefix).family === each)
          const hop = each === 4 ? `10.0.1.${one.hop}` : `2001:db8::${one.hop}1`
          rig.announce(session, announced, { nextHop: hop, path: given.asPath.flatMap(({ asns }) => asns), ...given })
          naive.announce(neighbour, announced, given, { addr: Addr.parse(hop) })
        }
        break
      }
      case 'withdraw': {
        rig.withdraw(session, one.prefixes)
        naive.withdraw(one.peer, one.prefixes)
        break
      }
      case 'endOfRib': {
        rig.endOfRib(session, one.family)
        naive.sweepStale(one.peer, one.family, false)
        break
      }
      case 'drain': {
        session.drain(one.credit)
        break
      }
      default: {
        this.#refresh(session, one.kind, one.family)
      }
    }
  }

  /** A neighbour ends only what it began. */
  #refresh(session: TestSession, kind: 'request' | 'begin' | 'end', of: Family): void {
    this.rig.refresh(session, kind, of)
    const peer = session.neighbour.config.name
    if (kind === 'begin') this.naive.beginRefresh(peer, of)
    else if (kind === 'end') this.naive.endRefresh(peer, of)
  }

  check(): void {
    const { rig, naive } = this
    for (const session of this.sessions.values()) session.drain()
    rig.settle()
    for (const [peer, session] of this.sessions) {
      const believed = new Map([...session.beliefs[4], ...session.beliefs[6]])
      assert.deepEqual(believed, new Map(naive.beliefs(peer)), `what ${peer} believes`)
      assert.equal(rig.rib.counts(peer).advertised, believed.size, `the count of what ${peer} is told`)
      assert.equal(rig.advertised({ peer: peer }).length, believed.size)
      for (const one of [4, 6]) {
        assert.equal(
          session.events.filter((event) => event === `end-of-rib ${one}`).length,
          1,
          `${peer} End-of-RIB ${one}`,
        )
      }
    }
    assert.deepEqual(new Map(rig.routes), new Map(naive.routes()))
  }
}

test('everybody knows what a computation from scratch says', () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 1, maxLength: 80, size: 'max' }), fc.boolean(), (actions, isHurried) => {
      const pair = new Pair()
      // each look at the clock takes a while, so that work is done in the smallest portions
      if (isHurried) pair.rig.msPerLook = 2
      for (const one of actions) pair.do(one)
      pair.check()
    }),
    { numRuns: 600 },
  )
})
