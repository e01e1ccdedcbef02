import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { nextHopSelfRemedy } from '#/model/bgp.ts'
import { type PathAttributes } from '#/wire/bgp/values.ts'
import { explain, type DecisionOptions, select } from './decision.ts'
import { Path, type Received } from './path.ts'
import { peerConfig } from './testing/rib-rig.ts'

type Given = Omit<Partial<PathAttributes>, 'asPath'> & {
  readonly path?: readonly number[]
  readonly addr?: string
  readonly routerId?: string
  readonly isInternal?: boolean
  readonly nextHop?: string
  readonly isAllowed?: boolean
  /** The neighbour is a node. */
  readonly isNode?: boolean
}

let peers = 0

function path(given: Given = {}): Path {
  const {
    path: asns = [65_001],
    addr = '10.0.0.1',
    isInternal = false,
    isAllowed = false,
    isNode = false,
    ...more
  } = given
  const { routerId = '10.255.0.9', nextHop = addr, ...attributes } = more
  const name = `peer${++peers}`
  const remoteAddr = Addr.parse(addr)
  const received: Received = {
    source: { peer: name, isClient: false, staleBefore: 0 },
    neighbour: {
      config: { ...peerConfig(name), isNode },
      remoteAddr,
      localAddr: Addr.parse('10.0.0.99'),
      localAddrs: [],
      remoteAsn: 65_001,
      remoteRouterId: Addr.parse(routerId),
      isInternal,
      wire: { fourOctetAsn: true, families: [4], extendedNextHop: false, isInternal },
      remote: { families: [4], routeRefresh: true, enhancedRouteRefresh: true, extendedNextHop: [], unknown: [] },
    },
    attributes: { origin: 0, asPath: asns.length === 0 ? [] : [{ kind: 'sequence', asns }], ...attributes },
    nextHop: { addr: Addr.parse(nextHop) },
    epoch: 1,
    reach: undefined,
    decided: undefined,
  }
  const outcome = { isAccepted: true, hasPrefixes: isAllowed, isGrant: isAllowed, text: '', set: undefined }
  return new Path(received.attributes, { received, outcome })
}

const one: DecisionOptions = { maxPaths: 1, multipathRelax: false }

/** The better one has what `reason` says ahead, wherever it stands in the list. */
function beats(better: Path, other: Path, reason: string): void {
  for (const paths of [
    [better, other],
    [other, better],
  ]) {
    assert.equal(select(paths, one).best, better)
    const reasons = explain(paths, one)
    assert.equal(reasons.get(better), reason)
    assert.equal(reasons.get(other), `not as good: the best has ${reason}`)
  }
}

test('a next hop on no subnet of this node stands behind all that can be reached, and alone is better than none', () => {
  const links = [Prefix.parse('10.0.0.0/24'), Prefix.parse('fd00::/64')]
  const reach = { links, routed: [] }
  const near = path({ nextHop: '10.0.0.7', path: [65_001, 65_002], localPreference: 1 })
  const linkLocal = path({ nextHop: 'fe80::7', path: [65_001, 65_002, 65_003], localPreference: 1 })
  const far = path({ nextHop: '10.0.9.7', path: [], isInternal: true, localPreference: 500 })
  const farther = path({ nextHop: 'fd00:0:0:9::7', path: [], isInternal: true })
  const options = { maxPaths: 4, multipathRelax: true, reach }
  assert.deepEqual(select([far, near, linkLocal, farther], options), { best: near, multipath: [near] })
  const reasons = explain([far, near, farther], options)
  assert.equal(reasons.get(near), 'the only next hop that can be reached')
  assert.equal(
    reasons.get(far),
    `not as good: its next hop 10.0.9.7 is not reached: no route leads there; ${nextHopSelfRemedy}`,
  )
  assert.equal(select([far, farther], options).best, far)
  const routed = { ...options, reach: { links, routed: [Prefix.parse('10.0.0.0/16')] } }
  assert.equal(select([far, near], routed).best, far, 'a router some hops away')
  const ofNode = path({ nextHop: '10.0.9.7', path: [], isInternal: true, localPreference: 500, isNode: true })
  assert.equal(select([ofNode, near], routed).best, near, 'a node some hops away')
  assert.match(explain([ofNode, near], routed).get(ofNode)!, /its next hop 10\.0\.9\.7 is on no link of this node$/)
  const own = new Path({ origin: 0, asPath: [] })
  assert.equal(explain([far, own], options).get(own), 'own route')
  assert.equal(select([far, near], { ...options, reach: { links: [], routed: [] } }).best, far)
  const lastResort = path({ nextHop: '10.0.0.8', communities: [0xffff_0006] })
  assert.equal(select([lastResort, far], options).best, far, 'a last resort goes before nothing')
  assert.equal(
    explain([lastResort, far, near], options).get(lastResort),
    'not as good: the best has not long-lived stale (RFC 9494)',
  )
  // not known which there are
  assert.equal(select([far, near], one).best, far)
})

test('an own route before all others', () => {
  beats(new Path({ origin: 0, asPath: [] }), path({ localPreference: 1000, path: [] }), 'own route')
})

test('long-lived stale routes last, whatever their preference', () => {
  beats(
    path({ localPreference: 1, path: [1, 2, 3] }),
    path({ localPreference: 500, communities: [0xffff_0006] }),
    'not long-lived stale (RFC 9494)',
  )
})

test('the higher local preference, 100 where there is none', () => {
  beats(path({ localPreference: 101, path: [1, 2] }), path(), 'higher local preference: 101 instead of 100')
  beats(path(), path({ localPreference: 99, path: [] }), 'higher local preference: 100 instead of 99')
})

test('the shorter AS path, a set being one', () => {
  beats(path({ path: [1, 2], origin: 2 }), path({ path: [1, 2, 3] }), 'shorter AS path: 2 instead of 3')
  const withSet = path()
  Object.assign(withSet.attributes, { asPath: [{ kind: 'set', asns: [1, 2, 3, 4] }], origin: 2 })
  beats(withSet, path({ path: [1, 2] }), 'shorter AS path: 1 instead of 2')
})

test('the lower origin', () => {
  beats(path({ origin: 0, med: 9 }), path({ origin: 1 }), 'better origin: igp instead of egp')
  beats(path({ origin: 1, isInternal: true }), path({ origin: 2 }), 'better origin: egp instead of incomplete')
})

test('the lower MED of the same AS, none being 0', () => {
  beats(path({ med: 5, isInternal: true }), path({ med: 6 }), 'lower MED from the same AS: 5 instead of 6')
  beats(path({ routerId: '10.255.0.10' }), path({ med: 1 }), 'lower MED from the same AS: 0 instead of 1')
})

test('MEDs of different ASes are not compared, and a third path does not change which of two is better', () => {
  const a = path({ path: [1], med: 50, routerId: '10.0.0.1' })
  const b = path({ path: [2], med: 10, routerId: '10.0.0.2' })
  beats(a, b, 'lower router id: 10.0.0.1 instead of 10.0.0.2')
  const c = path({ path: [1], med: 40, routerId: '10.0.0.3' })
  // c beats a by MED, b beats c by router id: there is no best by comparing in pairs
  for (const paths of [
    [a, b, c],
    [b, c, a],
    [c, a, b],
    [c, b, a],
  ]) {
    assert.equal(select(paths, one).best, b)
  }
})

test('external before internal', () => {
  beats(
    path({ routerId: '10.255.0.10' }),
    path({ isInternal: true, routerId: '10.255.0.1' }),
    'external preferred over internal',
  )
})

test('the lower router id, of the originator where it was reflected', () => {
  beats(path({ routerId: '9.0.0.0' }), path({ routerId: '10.0.0.0' }), 'lower router id: 9.0.0.0 instead of 10.0.0.0')
  beats(
    path({ isInternal: true, routerId: '10.0.0.9', originatorId: Addr.parse('10.0.0.1') }),
    path({ isInternal: true, routerId: '10.0.0.2' }),
    'lower router id: 10.0.0.1 instead of 10.0.0.2',
  )
})

test('the shorter cluster list', () => {
  const clusters = ['1.1.1.1', '2.2.2.2'].map(Addr.parse)
  beats(
    path({ isInternal: true, clusterList: clusters.slice(1), addr: '10.0.0.7' }),
    path({ isInternal: true, clusterList: clusters, addr: '10.0.0.6' }),
    'shorter cluster list: 1 instead of 2',
  )
})

test('the lower peer address, as a number', () => {
  beats(path({ addr: '10.0.0.9' }), path({ addr: '10.0.0.10' }), 'lower peer address: 10.0.0.9 instead of 10.0.0.10')
  beats(path({ addr: '10.0.0.9' }), path({ addr: '::1' }), 'lower peer address: 10.0.0.9 instead of ::1')
})

test('the name when even the addresses are the same', () => {
  const [first, second] = [path({ addr: 'fe80::1' }), path({ addr: 'fe80::1' })]
  const [a, b] = [first.source!.peer, second.source!.peer]
  const [better, other] = a < b ? [first, second] : [second, first]
  const names = [better.source!.peer, other.source!.peer]
  beats(better, other, `peer name first in order: ${names[0]} before ${names[1]}`)
})

test('the only path', () => {
  const only = path()
  assert.equal(explain([only], one).get(only), 'the only path')
})

test('as many equal paths as are asked for, of the same AS path', () => {
  const paths = ['10.0.0.4', '10.0.0.3', '10.0.0.2', '10.0.0.1'].map((addr) => path({ addr }))
  const [fourth, third, second, first] = paths
  assert.deepEqual(select(paths, { maxPaths: 3, multipathRelax: false }).multipath, [first, second, third])
  assert.deepEqual(select(paths, { maxPaths: 8, multipathRelax: false }).multipath, [first, second, third, fourth])
  assert.deepEqual(select(paths, one).multipath, [first])
  const reasons = explain(paths, { maxPaths: 2, multipathRelax: false })
  assert.equal(reasons.get(second!), 'as good as the best (multipath)')
  assert.equal(reasons.get(third!), 'not as good: the best has lower peer address: 10.0.0.1 instead of 10.0.0.3')
})

test('different AS paths are equal only when relaxed, and of one length', () => {
  const [best, same, other, longer] = [
    path({ addr: '10.0.0.1', path: [1, 9] }),
    path({ addr: '10.0.0.2', path: [1, 9] }),
    path({ addr: '10.0.0.3', path: [2, 9] }),
    path({ addr: '10.0.0.4', path: [1, 9, 9] }),
  ]
  const paths = [best, same, other, longer]
  assert.deepEqual(select(paths, { maxPaths: 4, multipathRelax: false }).multipath, [best, same])
  assert.deepEqual(select(paths, { maxPaths: 4, multipathRelax: true }).multipath, [best, same, other])
})

test('an internal path is not used beside an external one', () => {
  const paths = [path({ addr: '10.0.0.2' }), path({ addr: '10.0.0.1', isInternal: true })]
  assert.deepEqual(select(paths, { maxPaths: 4, multipathRelax: true }).multipath, [paths[0]])
})

test('what two reflectors say of one next hop is one path', () => {
  const paths = ['10.0.0.1', '10.0.0.2'].map((addr) => path({ addr, isInternal: true, nextHop: '10.0.0.50' }))
  assert.deepEqual(select(paths, { maxPaths: 4, multipathRelax: false }).multipath, [paths[0]])
})

test('one that is taken by chance is not used beside one that is allowed', () => {
  const paths = [path({ addr: '10.0.0.1', isAllowed: true }), path({ addr: '10.0.0.2' })]
  assert.deepEqual(select(paths, { maxPaths: 4, multipathRelax: false }).multipath, [paths[0]])
})

test('the choice does not depend on the order of paths, and every one has a reason', () => {
  const given = fc.record({
    origin: fc.constantFrom<0 | 1 | 2>(0, 1),
    path: fc.array(fc.constantFrom(1, 2), { maxLength: 2 }),
    med: fc.constantFrom(0, 1, 2),
    localPreference: fc.constantFrom(100, 101),
    isInternal: fc.boolean(),
    addr: fc.integer({ min: 1, max: 4 }).map((last) => `10.0.0.${last}`),
    routerId: fc.integer({ min: 1, max: 3 }).map((last) => `10.255.0.${last}`),
  })
  const options = fc.record({ maxPaths: fc.integer({ min: 1, max: 4 }), multipathRelax: fc.boolean() })
  fc.assert(
    fc.property(
      fc.array(given, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 0, max: 8 }),
      options,
      (all, turn, how) => {
        const paths = all.map(path)
        const turned = [...paths.slice(turn), ...paths.slice(0, turn)].toReversed()
        assert.deepEqual(select(turned, how), select(paths, how))
        const reasons = explain(paths, how)
        assert.equal(reasons.size, paths.length)
      },
    ),
  )
})
