import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  bgpConfigurationFrom,
  bgpNodeOf,
  type BgpPeer,
  bgpPeerOf,
  routingFrom,
  withoutConfiguration,
} from './bgp-objects.ts'
import { wholeBfd, wholeGracefulRestart, wholeTimers } from './bgp-sections.ts'
import { type KubeObject } from './kubernetes.ts'
import { type Problem } from './problems.ts'

const namespace = 'causeway-system'
const object = (name: string, spec: unknown): KubeObject => ({ metadata: { name }, spec }) as KubeObject
const words = (problems: readonly Problem[]): string[] => problems.map((each) => `${each.object}: ${each.message}`)

function configurationOf(spec: unknown) {
  const { configuration, problems } = bgpConfigurationFrom([object('default', spec)], namespace)
  assert.ok(configuration)
  return { configuration, problems: words(problems) }
}

function peerOf(spec: object): { peer: BgpPeer | undefined; problems: string[] } {
  const { peer, problems } = bgpPeerOf(object('tor', spec), namespace)
  return { peer, problems: words(problems) }
}

test('an empty configuration is the default one; none is none', () => {
  for (const spec of [{}, undefined, null])
    assert.deepEqual(configurationOf(spec), {
      configuration: { ...withoutConfiguration, nodeMesh: 'Auto' },
      problems: [],
    })
  assert.deepEqual(bgpConfigurationFrom([], namespace), { problems: [] })
  const { configuration } = configurationOf({})
  assert.equal(configuration.asn, 64_512)
  assert.deepEqual(wholeTimers(configuration.timers), {
    holdTimeSeconds: 90,
    keepaliveSeconds: 30,
    connectRetrySeconds: 5,
  })
  assert.deepEqual(wholeGracefulRestart(configuration.gracefulRestart), {
    restartTimeSeconds: 120,
    stalePathTimeSeconds: 360,
  })
  assert.equal(wholeBfd(configuration.bfd), undefined)
})

test('what a configuration says is taken', () => {
  const { configuration, problems } = configurationOf({
    asn: 4_200_000_000,
    listenPort: 0,
    nodeMesh: 'None',
    reflectors: { nodeSelector: { matchLabels: { rr: '' } }, count: 2, above: 10, topologyKey: 'rack' },
    localASNs: [{ nodeSelector: { matchLabels: { rack: '1' } }, asn: 65_001 }],
    timers: { holdTimeSeconds: 9 },
    gracefulRestart: { enabled: false },
    bfd: { enabled: true, intervalMs: 100 },
    maxPaths: 2,
    multipathRelax: false,
    communities: ['65000:1', '65000:1:2', 'no-export'],
    meshPasswordSecretRef: { name: 's' },
  })
  assert.deepEqual(problems, [])
  assert.equal(configuration.listenPort, undefined)
  assert.deepEqual(configuration.meshPassword, { namespace, name: 's', key: 'password' })
  assert.deepEqual(wholeTimers(configuration.timers), {
    holdTimeSeconds: 9,
    keepaliveSeconds: 3,
    connectRetrySeconds: 5,
  })
  assert.equal(wholeGracefulRestart(configuration.gracefulRestart), undefined)
  assert.deepEqual(wholeBfd(configuration.bfd), { intervalMs: 100, detectMultiplier: 3 })
  assert.deepEqual(configuration.communities, ['65000:1', '65000:1:2', 'no-export'])
})

test('what cannot be used is told with object and field, and the default is taken', () => {
  const { configuration, problems } = configurationOf({
    asn: '64512',
    listenPort: 70_000,
    nodeMesh: 'full',
    reflectors: { nodeSelector: 'rr', count: 0 },
    localASNs: [{ asn: 65_535, nodeSelector: {} }, { asn: 65_001 }],
    timers: { holdTimeSeconds: 2, keepaliveSeconds: 0 },
    bfd: 'on',
    communities: ['65000:70000', 'internet', 7],
  })
  assert.deepEqual(problems, [
    'bgpconfiguration/default: spec.listenPort: 70000: expected a whole number from 0 to 65535',
    'bgpconfiguration/default: spec.asn: "64512": expected a whole number from 1 to 4294967294',
    'bgpconfiguration/default: spec.nodeMesh: "full": expected one of Full, None, Auto',
    'bgpconfiguration/default: spec.reflectors.nodeSelector: is no selector: expected matchLabels or matchExpressions',
    'bgpconfiguration/default: spec.reflectors.count: 0: expected a whole number from 1 to 16',
    "bgpconfiguration/default: spec.localASNs[0].asn: 65535 is reserved and no AS's number",
    'bgpconfiguration/default: spec.localASNs[1].nodeSelector: is missing',
    'bgpconfiguration/default: spec.timers.holdTimeSeconds: 2: expected 0 or at least 3',
    'bgpconfiguration/default: spec.timers.keepaliveSeconds: 0: expected a whole number from 1 to 21845',
    'bgpconfiguration/default: spec.bfd: is no mapping',
    'bgpconfiguration/default: spec.communities[0]: "65000:70000": expected 65000:1, 65000:1:2 or one of no-export, no-advertise, no-export-subconfed, no-peer, blackhole, graceful-shutdown',
    'bgpconfiguration/default: spec.communities[1]: "internet": expected 65000:1, 65000:1:2 or one of no-export, no-advertise, no-export-subconfed, no-peer, blackhole, graceful-shutdown',
    'bgpconfiguration/default: spec.communities[2]: 7: expected a text',
  ])
  assert.equal(configuration.asn, 64_512)
  assert.equal(configuration.listenPort, 179)
  assert.deepEqual(configuration.communities, [])
})

test('only the object named default counts', () => {
  const { configuration, problems } = bgpConfigurationFrom(
    [object('other', { asn: 1 }), object('default', { asn: 2 })],
    namespace,
  )
  assert.equal(configuration?.asn, 2)
  assert.deepEqual(words(problems), [
    'bgpconfiguration/other: it is not looked at: the one that counts is named "default"',
  ])
  assert.deepEqual(routingFrom([object('default', { mode: 'auto' })]), { mode: 'auto', problems: [] })
  assert.deepEqual(routingFrom([object('default', { datapath: 'ebpf' })]), { datapath: 'ebpf', problems: [] })
  assert.deepEqual(words(routingFrom([object('default', { datapath: 'fast' })]).problems), [
    'routing/default: spec.datapath: "fast": expected one of bridge, ebpf',
  ])
  assert.deepEqual(words(routingFrom([object('default', { mode: 'ipip' })]).problems), [
    'routing/default: spec.mode: "ipip": expected one of vxlan, native, auto',
  ])
})

test('a peer is read with its defaults', () => {
  const { peer, problems } = peerOf({ peerAddress: '192.0.2.1', peerASN: 65_001 })
  assert.deepEqual(problems, [])
  assert.deepEqual(JSON.parse(JSON.stringify(peer)), {
    name: 'tor',
    addr: '192.0.2.1',
    asn: 65_001,
    port: 179,
    mode: 'both',
    timers: {},
    gracefulRestart: {},
    bfd: {},
    maxPrefixes: { count: 100_000, warningPercent: 75, restartSeconds: 300 },
    isReflectorClient: false,
    nextHopSelf: false,
    allowOwnAsn: 0,
  })
  assert.equal(peerOf({ device: 'eth1', peerASN: 'external' }).peer?.asn, 'external')
})

test('a peer that says not with whom is none', () => {
  const cases: [object, RegExp][] = [
    [{ peerASN: 1 }, /peerAddress: is missing/],
    [{ peerAddress: '192.0.2.1' }, /peerASN: is missing/],
    [{ peerAddress: '192.0.2.1', peerASN: 'internal' }, /peerASN: "internal": expected a whole number/],
    [{ peerAddress: 'tor', peerASN: 1 }, /peerAddress: "tor" is no IP address/],
    // a device must not stand in for an address that is mistyped
    [{ peerAddress: 'tor', device: 'eth0', peerASN: 1 }, /peerAddress: "tor" is no IP address/],
    [{ peerAddress: 'fe80::1', peerASN: 1 }, /device: is missing: fe80::1 is a link-local address/],
    [{ peerAddress: '224.0.0.5', peerASN: 1 }, /224\.0\.0\.5 cannot be a neighbour's/],
    [{ peerAddress: '255.255.255.255', peerASN: 1 }, /255\.255\.255\.255 cannot be a neighbour's/],
    [{ peerAddress: '0.1.2.3', peerASN: 1 }, /0\.1\.2\.3 cannot be a neighbour's/],
    [{ peerAddress: '::ffff:10.0.0.1', peerASN: 1 }, /cannot be a neighbour's/],
    [{ device: 'no/device', peerASN: 1 }, /device: "no\/device" is no name of a device/],
  ]
  for (const [spec, problem] of cases) {
    const { peer, problems } = peerOf(spec)
    assert.equal(peer, undefined, JSON.stringify(spec))
    assert.match(problems.join('\n'), problem)
    // it has no default: a problem that says so would mislead
    const codes = bgpPeerOf(object('tor', spec), namespace).problems.map(({ code }) => code)
    assert.deepEqual(new Set(codes), new Set(['CW4005']))
  }
})

test('a policy, a password or a guard that cannot be used blocks the peer rather than lets more through', () => {
  const good = { peerAddress: '192.0.2.1', peerASN: 1 }
  const cases: [object, RegExp][] = [
    [{ exportPolicy: { rules: [{ action: 'Deny' }] } }, /exportPolicy\.rules\[0\]\.action: "Deny"/],
    [
      { importPolicy: { rules: [{ match: { prefixes: [{ cidr: '10.0.0.1/8' }] } }] } },
      /prefixes\[0\]\.cidr: .*host bits set/,
    ],
    [{ importPolicy: { rules: [{ match: { prefixes: [{}] } }] } }, /prefixes\[0\]\.cidr: is missing/],
    [{ importPolicy: { rules: [{ match: { prefixes: [{ cidr: '10.0.0.0/8', maxLength: 33 }] } }] } }, /maxLength: 33/],
    [{ importPolicy: { rules: [{ match: { communities: ['x'] } }] } }, /communities\[0\]: "x"/],
    [{ passwordSecretRef: { key: 'k' } }, /passwordSecretRef\.name: is missing/],
    [{ ttlSecurityHops: 0 }, /ttlSecurityHops: 0/],
    [{ ttlSecurityHops: 1, multihopTTL: 2 }, /multihopTTL: it cannot be together/],
    [{ families: ['ipv4'] }, /families\[0\]: "ipv4": expected IPv4 or IPv6/],
  ]
  for (const [spec, problem] of cases) {
    const { peer, problems } = peerOf({ ...good, ...spec })
    assert.match(peer?.blockedBecause ?? '', problem)
    assert.match(problems.join('\n'), problem)
  }
  const { peer } = peerOf({ ...good, timers: { holdTimeSeconds: 1 } })
  assert.equal(peer?.blockedBecause, undefined, 'a bad timer is no reason to be down')
})

test('a policy is read as it is written', () => {
  const { peer } = peerOf({
    peerAddress: '192.0.2.1',
    peerASN: 1,
    importPolicy: {
      rules: [
        {
          name: 'a',
          action: 'Reject',
          match: { prefixes: [{ cidr: '10.0.0.0/8', minLength: 9, maxLength: 24 }], firstASN: 1 },
        },
        {
          match: { cidrSet: 'ClusterCIDRs', communities: ['1:2'] },
          set: { localPreference: 0, addCommunities: ['no-export'] },
        },
      ],
      otherwise: 'Accept',
    },
  })
  assert.deepEqual(JSON.parse(JSON.stringify(peer?.importPolicy)), {
    rules: [
      {
        name: 'a',
        match: { prefixes: [{ prefix: '10.0.0.0/8', minLength: 9, maxLength: 24 }], firstAsn: 1 },
        action: 'reject',
      },
      {
        cidrSet: 'ClusterCIDRs',
        match: { communities: ['1:2'] },
        action: 'accept',
        set: { localPreference: 0, addCommunities: ['no-export'] },
      },
    ],
    otherwise: 'accept',
  })
})

test('a node says what is special about it', () => {
  const { node, problems } = bgpNodeOf(object('n', { asn: 65_001, routerID: '0.0.0.0', drained: true }))
  assert.deepEqual(node, { asn: 65_001, isDrained: true })
  assert.match(words(problems).join(), /bgpnode\/n: spec\.routerID: 0\.0\.0\.0 is no router id/)
})

/** Specs that have our fields, with anything in them. */
const fields = [
  'asn listenPort nodeMesh reflectors localASNs timers gracefulRestart bfd maxPaths multipathRelax communities meshMaxPrefixes meshPasswordSecretRef',
  'nodeSelector peerAddress device peerPort peerASN localASN families mode passwordSecretRef ttlSecurityHops multihopTTL maxPrefixes',
  'importPolicy exportPolicy routerID drained rules match prefixes cidr minLength otherwise name key matchLabels matchExpressions',
].flatMap((line) => line.split(' '))
const { anything } = fc.letrec((tie) => ({
  anything: fc.oneof(
    { maxDepth: 4 },
    fc.jsonValue({ maxDepth: 1 }),
    fc.constantFrom('10.0.0.0/8', '192.0.2.1', 'fe80::1', 'external', 'Accept', '65000:1', 'IPv4', 65_001, 0, -1, 1.5),
    fc.array(tie('anything'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...fields), tie('anything'), { maxKeys: 8 }),
  ),
}))

test('no object makes a reader throw, and what is read is within its bounds', () => {
  const spec = fc.dictionary(fc.constantFrom(...fields), anything, { maxKeys: 12 })
  fc.assert(
    fc.property(fc.oneof(spec, anything), (value) => {
      const given = object('default', value)
      const { configuration } = bgpConfigurationFrom([given], namespace)
      assert.ok(configuration)
      assert.ok(configuration.asn >= 1 && configuration.asn < 2 ** 32)
      const { holdTimeSeconds, keepaliveSeconds } = wholeTimers(configuration.timers)
      assert.ok(holdTimeSeconds === 0 || (holdTimeSeconds >= 3 && keepaliveSeconds >= 1))
      assert.ok(keepaliveSeconds * 3 <= holdTimeSeconds)
      routingFrom([given])
      bgpNodeOf(given)
      const { peer, problems } = bgpPeerOf(given, namespace)
      if (peer) assert.ok(peer.addr !== undefined || peer.device !== undefined)
      else assert.ok(problems.length > 0, 'nothing is left out without a word')
    }),
    { numRuns: 500 },
  )
})
