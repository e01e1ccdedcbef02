// The definitions of Causeway's kinds and the agent's readers judge alike: what the API server takes the readers can use, and what a reader
// cannot use is refused. docs/bgp-objects.md lists the exceptions.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { definitions } from '#/install/definitions/index.ts'
import { bgpConfigurationFrom, bgpNodeOf, bgpPeerOf, routingFrom } from '#/model/bgp-objects.ts'
import { type KubeObject } from '#/model/kubernetes.ts'
import { type Problem } from '#/model/problems.ts'
import { ApiError } from './api/api-error.ts'
import { parseJson } from './api/json.ts'
import { builtinDefinitions } from './api/kinds/builtin.ts'
import { definitionStrategy, resourcesOf } from './api/kinds/definition.ts'
import { type Resource } from './api/kinds/resource.ts'
import { kubeObject } from './api/objects.ts'
import { isSchema, type Schema } from './api/schema/schema.ts'
import { decode } from './api/verbs/decode.ts'

const stored = definitions.map((each) => kubeObject(parseJson(JSON.stringify(each))))
const resources = new Map(
  stored.flatMap((each) => resourcesOf(each, builtinDefinitions())).map((resource) => [resource.kind, resource]),
)

function resourceOf(kind: string): Resource {
  const resource = resources.get(kind)
  assert.ok(resource, kind)
  return resource
}

const readers: Readonly<Record<string, (object: KubeObject) => readonly Problem[]>> = {
  Routing: (object) => routingFrom([object]).problems,
  BGPConfiguration: (object) => bgpConfigurationFrom([object], 'causeway-system').problems,
  BGPPeer: (object) => bgpPeerOf(object, 'causeway-system').problems,
  BGPNode: (object) => bgpNodeOf(object).problems,
}

type Judged = { readonly refusals: readonly string[]; readonly problems: readonly Problem[] }

/** What the API server and the reader say of an object; the reader gets it as the server stores it where the server takes it. */
function judge(kind: string, spec: unknown, name = 'default'): Judged {
  const resource = resourceOf(kind)
  const given = parseJson(JSON.stringify({ metadata: { name }, spec }))
  const read = (object: unknown): readonly Problem[] => readers[kind]!(object as KubeObject)
  try {
    return { refusals: [], problems: read(decode(resource, given, 'Strict', [])) }
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error))
    const causes = error.details?.causes ?? []
    const told = causes.map(({ field, message }) => `${field}: ${message}`)
    return { refusals: told.length > 0 ? told : [error.message], problems: read(given) }
  }
}

const minimal: Readonly<Record<string, object>> = {
  Routing: {},
  BGPConfiguration: {},
  BGPPeer: { peerAddress: '192.0.2.1', peerASN: 65_001 },
  BGPNode: {},
}

function importing(match: object): object {
  return { ...minimal['BGPPeer'], importPolicy: { rules: [{ match }] } }
}

test('the definitions are valid, and so is the least of each kind', () => {
  for (const each of stored) assert.deepEqual(definitionStrategy.validate!(each), [], String(each.metadata.name))
  for (const [kind, spec] of Object.entries(minimal))
    assert.deepEqual(judge(kind, spec), { refusals: [], problems: [] }, kind)
})

test('what cannot be is refused in words, at the field', () => {
  const peer = minimal['BGPPeer']
  const wrong: readonly [kind: string, spec: object, refusal: RegExp][] = [
    ['BGPPeer', { peerASN: 1 }, /^spec: .*expected peerAddress, or device/],
    ['BGPPeer', { ...peer, peerAddress: 'tor.example' }, /^spec\.peerAddress: .*expected an IP address such as 192/],
    ['BGPPeer', { ...peer, peerAddress: '10.0.0.1/24' }, /^spec\.peerAddress: .*without a length/],
    ['BGPPeer', { ...peer, peerAddress: '010.0.0.1' }, /^spec\.peerAddress: /],
    ['BGPPeer', { ...peer, peerAddress: 'fe80::1%eth0', device: 'eth0' }, /^spec\.peerAddress: /],
    ['BGPPeer', { ...peer, peerAddress: '224.0.0.5' }, /^spec\.peerAddress: .*multicast/],
    ['BGPPeer', { ...peer, peerAddress: 'ff02::5' }, /^spec\.peerAddress: .*multicast/],
    ['BGPPeer', { ...peer, peerAddress: '::1' }, /^spec\.peerAddress: .*loopback/],
    ['BGPPeer', { ...peer, peerAddress: '255.255.255.255' }, /^spec\.peerAddress: .*broadcast/],
    ['BGPPeer', { ...peer, peerAddress: 'fe80::1' }, /^spec\.peerAddress: .*set device/],
    ['BGPPeer', { ...peer, device: 'eth0:1' }, /^spec\.device: .*no name of a device/],
    ['BGPPeer', { ...peer, device: '..' }, /^spec\.device: .*no name of a device/],
    ['BGPPeer', { ...peer, peerASN: 'internal' }, /^spec\.peerASN: .*or "external"/],
    ['BGPPeer', { ...peer, peerASN: 0 }, /^spec\.peerASN: .*expected a number from 1/],
    ['BGPPeer', { ...peer, peerASN: 23_456 }, /^spec\.peerASN: .*reserved 23456/],
    ['BGPPeer', { ...peer, localASN: 65_535 }, /^spec\.localASN: .*reserved/],
    ['BGPPeer', { ...peer, ttlSecurityHops: 1, multihopTTL: 2 }, /^spec: .*exclude each other/],
    ['BGPPeer', { ...peer, reflectorClient: true, peerASN: 'external' }, /^spec\.reflectorClient: .*own AS/],
    ['BGPPeer', { ...peer, reflectorClient: true, localASN: 65_002 }, /^spec\.reflectorClient: .*own AS/],
    ['BGPPeer', { ...peer, nodeSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } }, /at least one value/],
    ['BGPPeer', importing({ prefixes: [{ cidr: '10.1.2.3/16' }] }), /prefixes\[0\]\.cidr: .*beyond its length/],
    ['BGPPeer', importing({ prefixes: [{ cidr: '10.0.0.0' }] }), /prefixes\[0\]\.cidr: .*expected a CIDR/],
    ['BGPPeer', importing({ prefixes: [{ cidr: '10.0.0.0/33' }] }), /prefixes\[0\]\.cidr: .*expected a CIDR/],
    ['BGPPeer', importing({ prefixes: [{ cidr: '10.0.0.0/8', maxLength: 33 }] }), /prefixes\[0\]\.maxLength: .*32/],
    ['BGPPeer', importing({ prefixes: [{ cidr: '10.0.0.0/8', maxLength: 7 }] }), /prefixes\[0\]\.maxLength: /],
    ['BGPPeer', importing({ prefixes: [{ cidr: 'fd00::/8', minLength: 16 }] }), /no prefix matches/],
    ['BGPPeer', importing({ communities: ['65536:1'] }), /communities\[0\]: .*up to 65535/],
    ['BGPPeer', importing({ communities: ['no-exports'] }), /communities\[0\]: .*no-export/],
    ['BGPPeer', importing({ communities: ['1:2:4294967296'] }), /communities\[0\]: /],
    ['BGPConfiguration', { asn: 23_456 }, /^spec\.asn: .*reserved/],
    ['BGPConfiguration', { timers: { holdTimeSeconds: 2 } }, /holdTimeSeconds: .*at least 3 seconds/],
    ['BGPNode', { routerID: '0.0.0.0' }, /^spec\.routerID: .*router id/],
    ['BGPNode', { routerID: '192.0.2.256' }, /^spec\.routerID: .*router id/],
    ['BGPNode', { routerID: 'fd00::1' }, /^spec\.routerID: .*router id/],
  ]
  for (const [kind, spec, refusal] of wrong) {
    const { refusals } = judge(kind, spec)
    assert.equal(refusals.length, 1, JSON.stringify([spec, refusals]))
    assert.match(refusals.join(), refusal)
  }
  for (const kind of ['Routing', 'BGPConfiguration'])
    assert.match(judge(kind, {}, 'other').refusals.join(), /its name is "default"/)
})

test('what may be is taken', () => {
  const fine: readonly [kind: string, spec: object][] = [
    ['BGPPeer', { device: 'eth0.100', peerASN: 'external' }],
    ['BGPPeer', { peerAddress: 'fe80::1', device: 'eth0', peerASN: 4_294_967_294 }],
    ['BGPPeer', { peerAddress: '169.254.1.1', peerASN: 1, reflectorClient: true, localASN: 1 }],
    ['BGPPeer', importing({ prefixes: [{ cidr: '::/0', minLength: 16, maxLength: 128 }, { cidr: '0.0.0.0/0' }] })],
    ['BGPPeer', importing({ communities: ['65535:65535', '0:0', '4294967295:0:4294967295', 'blackhole'] })],
    ['BGPConfiguration', { timers: { holdTimeSeconds: 0 }, localASNs: [{ nodeSelector: {}, asn: 4_200_000_000 }] }],
    ['BGPNode', { routerID: '255.255.255.255' }],
  ]
  for (const [kind, spec] of fine)
    assert.deepEqual(judge(kind, spec), { refusals: [], problems: [] }, JSON.stringify(spec))
})

/** What the server refuses though a reader could use it: more than anybody needs, what is meant otherwise, another spelling. */
const stricter =
  /unknown field|rules were not checked|Too many|Too long|should have at least|should have at most|own AS \(RFC 4456\)|Exists and DoesNotExist have none|expected a CIDR/

/** Values that fields of these names can have. */
const fitting: Readonly<Record<string, readonly unknown[]>> = {
  peerAddress: ['192.0.2.1', 'fd00::1', 'fe80::1', '169.254.0.1', '2001:db8:0:0:0:0:0:1', '223.255.255.255'],
  device: ['eth0', 'a.b-c_d', 'eth1.4094', '15-characters-x', '~'],
  routerID: ['192.0.2.1', '0.0.0.1', '255.255.255.255'],
  cidr: ['10.0.0.0/8', '0.0.0.0/0', 'fd00::/8', '::/0', '192.0.2.1/32', '2001:db8::1/128'],
  minLength: [8, 24, 32],
  maxLength: [16, 32, 64],
  peerASN: [1, 65_001, 4_294_967_294, 'external'],
  communities: ['0:0', '65535:65535', '1:2:3', '4294967295:4294967295:4294967295', 'no-export'],
}
for (const field of ['addCommunities', 'removeCommunities']) Object.assign(fitting, { [field]: fitting['communities'] })

/** Texts that are almost something: an address, a CIDR, a community, a name. */
const odd = `
  240.0.0.1 255.255.255.255 0.0.0.1 ::2 . .. eth0:1 é 16-characters-xx external Accept 0.0.0.0 127.0.0.1 ::1 :: 01.2.3.4 1.2.3 1.2.3.4.5 1.2.3.256 224.0.0.1 ff02::1
  fe80::1%eth0 ::ffff:10.0.0.1 1::2::3 fd00::g [fd00::1] 10.0.0.1:179 1:2:3:4:5:6:7:: 10.0.0.1/8 10.0.0.0/33 10.0.0.0/08 10.0.0.0/ /8
  fd00::1/64 fd00::/129 ::ffff:0:0/96 10/8 65536:0 0:65536 01:1 1: :1 1:2:3:4 4294967296:1:1 1:1:4294967296 1:2:3: no-exports`
  .split(/[ \n]+/)
  .concat(' ', '\u00a0', 'eth0 ', ' 10.0.0.1', 'x'.repeat(400))

function texts(field: string, schema: Schema): fc.Arbitrary<unknown> {
  const good = schema.enum ?? fitting[field] ?? ['a', 'zone', 'x.y/z']
  return fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom<unknown>(...good) },
    { weight: 1, arbitrary: fc.constantFrom<unknown>(...odd) },
    { weight: 1, arbitrary: fc.stringMatching(/^[0-9a-f:./]{1,12}$/) },
  )
}

function numbers(field: string, schema: Schema): fc.Arbitrary<unknown> {
  const { minimum = 0, maximum = 2 ** 32 } = schema
  const good = fitting[field] ?? [minimum, maximum, Math.min(maximum, minimum + 3), Math.max(minimum, maximum - 3)]
  return fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom<unknown>(...good) },
    { weight: 1, arbitrary: fc.constantFrom<unknown>(minimum - 1, maximum + 1, 0, 1, 2, 0.5, 23_456, 65_535) },
  )
}

/** Values of a schema, most of which fit: a new field is covered without a change here. */
function valuesOf(schema: Schema, field = ''): fc.Arbitrary<unknown> {
  const { type, properties, items, additionalProperties, required = [] } = schema
  const bad = { weight: 1, arbitrary: fc.constantFrom<unknown>(true, 7, 'text', {}, [], [[]], { a: null }) }
  const mostly = (arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> => fc.oneof({ weight: 60, arbitrary }, bad)
  if (schema['x-kubernetes-int-or-string'] === true)
    return mostly(fc.oneof(numbers(field, schema), texts(field, schema)))
  if (type === 'string') return mostly(texts(field, schema))
  if (type === 'integer') return mostly(numbers(field, schema))
  if (type === 'boolean') return mostly(fc.boolean())
  if (type === 'array') return mostly(fc.array(valuesOf(items!, field), { maxLength: 3 }))
  if (isSchema(additionalProperties))
    return mostly(fc.dictionary(fc.constantFrom('a', 'zone'), valuesOf(additionalProperties, field), { maxKeys: 2 }))
  const members = Object.entries(properties ?? {}).map(([key, member]): [string, fc.Arbitrary<unknown>] => [
    key,
    fc.oneof(
      { weight: required.includes(key) ? 30 : 2, arbitrary: valuesOf(member, key) },
      { weight: 3, arbitrary: fc.constant(undefined) },
    ),
  ])
  return mostly(fc.record(Object.fromEntries(members)))
}

for (const [kind, resource] of resources)
  test(`${kind}: the API server takes exactly what the agent can use`, () => {
    const spec = valuesOf(resource.schema.property('spec')!.schema)
    let taken = 0
    fc.assert(
      fc.property(spec, (value) => {
        const { refusals, problems } = judge(kind, value)
        if (refusals.length === 0) {
          taken++
          assert.deepEqual(problems, [], 'it is taken and cannot be used')
        } else if (problems.length === 0)
          assert.ok(
            refusals.every((each) => stricter.test(each)),
            `it is refused and could be used: ${refusals.join('; ')}`,
          )
      }),
      { numRuns: 400 },
    )
    assert.ok(taken > 20, `only ${taken} of 400 were taken: the test says little`)
  })
