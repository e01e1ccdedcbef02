import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { CniProtocolError } from './error.ts'
import { type CniInterface, type CniResult, type CniRoute, decodeResult, encodeResult } from './result.ts'
import { cniVersions, isAtLeast } from './version.ts'

const addrOf = (family: 4 | 6): fc.Arbitrary<Addr> =>
  fc.bigInt({ min: 0n, max: (1n << (family === 4 ? 32n : 128n)) - 1n }).map((value) => new Addr(family, value))
const anyAddr = fc.oneof(addrOf(4), addrOf(6))
const lengthOf = (addr: Addr): fc.Arbitrary<number> => fc.integer({ min: 0, max: addr.bits })
const count = fc.integer({ min: 0, max: 9000 })
const word = fc.string({ minLength: 1 })
const some = { requiredKeys: [] as [] }

const anyInterface = fc
  .tuple(word, fc.record({ mac: word, sandbox: word, mtu: count, socketPath: word, pciID: word }, some))
  .map(([name, rest]): CniInterface => ({ name, ...rest }))
const anyRoute = fc
  .tuple(
    anyAddr.chain((addr) => lengthOf(addr).map((length) => new Prefix(addr, length))),
    fc.record({ gw: anyAddr, mtu: count, advmss: count, priority: count, table: count, scope: count }, some),
  )
  .map(([dst, rest]): CniRoute => ({ dst, ...rest }))
const anyDns = fc
  .tuple(word, fc.array(word), fc.array(word), fc.array(word))
  .map(([domain, nameservers, search, options]) => ({ domain, nameservers, search, options }))

function ipOf(interfaces: number): fc.Arbitrary<CniResult['ips'][number]> {
  const index = interfaces === 0 ? fc.constant({}) : fc.record({ interface: fc.nat(interfaces - 1) }, some)
  return fc
    .tuple(
      anyAddr.chain((address) => lengthOf(address).map((prefixLength) => ({ address, prefixLength }))),
      fc.record({ gateway: anyAddr }, some),
      index,
    )
    .map(([host, gateway, at]) => ({ ...host, ...gateway, ...at }))
}

const anyResult: fc.Arbitrary<CniResult> = fc
  .array(anyInterface, { maxLength: 4 })
  .chain((interfaces) =>
    fc
      .tuple(
        fc.array(ipOf(interfaces.length), { maxLength: 4 }),
        fc.array(anyRoute, { maxLength: 4 }),
        fc.option(anyDns, { nil: undefined }),
      )
      .map(([ips, routes, dns]) => ({ interfaces, ips, routes, ...(dns === undefined ? {} : { dns }) })),
  )

/** What of a result the older versions can say. */
function asOld(result: CniResult): CniResult {
  return {
    ...result,
    interfaces: result.interfaces.map(({ name, mac, sandbox }) => ({
      name,
      ...(mac === undefined ? {} : { mac }),
      ...(sandbox === undefined ? {} : { sandbox }),
    })),
    routes: result.routes.map(({ dst, gw }) => ({ dst, ...(gw === undefined ? {} : { gw }) })),
  }
}

/** Addresses keep their text once it was asked for; comparing the JSON is comparing the values. */
const flat = (result: CniResult): unknown => JSON.parse(JSON.stringify(result))

for (const version of cniVersions) {
  test(`a result in ${version} decodes to what was encoded`, () => {
    fc.assert(
      fc.property(anyResult, (result) => {
        const expected = isAtLeast(version, '1.1.0') ? result : asOld(result)
        assert.deepEqual(flat(decodeResult(JSON.parse(encodeResult(result, version)), version)), flat(expected))
      }),
    )
  })
}

const pod: CniResult = {
  interfaces: [
    { name: 'cw0a1b2c3d', mac: '0a:58:0a:f4:00:01', mtu: 1450 },
    { name: 'eth0', mac: '0a:58:0a:f4:00:05', mtu: 1450, sandbox: '/var/run/netns/cni-1' },
  ],
  ips: [
    { address: Addr.parse('10.244.0.5'), prefixLength: 24, gateway: Addr.parse('10.244.0.1'), interface: 1 },
    { address: Addr.parse('fd00:10:244::5'), prefixLength: 64, interface: 1 },
  ],
  routes: [{ dst: Prefix.parse('0.0.0.0/0'), gw: Addr.parse('10.244.0.1'), mtu: 1400, table: 254, scope: 0 }],
}

test('1.1.0 has all fields', () => {
  assert.deepEqual(JSON.parse(encodeResult(pod, '1.1.0')), {
    cniVersion: '1.1.0',
    interfaces: [
      { name: 'cw0a1b2c3d', mac: '0a:58:0a:f4:00:01', mtu: 1450 },
      { name: 'eth0', mac: '0a:58:0a:f4:00:05', mtu: 1450, sandbox: '/var/run/netns/cni-1' },
    ],
    ips: [
      { address: '10.244.0.5/24', gateway: '10.244.0.1', interface: 1 },
      { address: 'fd00:10:244::5/64', interface: 1 },
    ],
    routes: [{ dst: '0.0.0.0/0', gw: '10.244.0.1', mtu: 1400, table: 254, scope: 0 }],
  })
})

test('1.0.0 has neither ips[].version nor the new fields', () => {
  const { ips, interfaces, routes } = JSON.parse(encodeResult(pod, '1.0.0'))
  assert.deepEqual(ips[1], { address: 'fd00:10:244::5/64', interface: 1 })
  assert.deepEqual(interfaces[0], { name: 'cw0a1b2c3d', mac: '0a:58:0a:f4:00:01' })
  assert.deepEqual(routes, [{ dst: '0.0.0.0/0', gw: '10.244.0.1' }])
})

test('0.4.0 has ips[].version and none of the new fields', () => {
  assert.deepEqual(JSON.parse(encodeResult(pod, '0.4.0')), {
    cniVersion: '0.4.0',
    interfaces: [
      { name: 'cw0a1b2c3d', mac: '0a:58:0a:f4:00:01' },
      { name: 'eth0', mac: '0a:58:0a:f4:00:05', sandbox: '/var/run/netns/cni-1' },
    ],
    ips: [
      { version: '4', address: '10.244.0.5/24', gateway: '10.244.0.1', interface: 1 },
      { version: '6', address: 'fd00:10:244::5/64', interface: 1 },
    ],
    routes: [{ dst: '0.0.0.0/0', gw: '10.244.0.1' }],
  })
})

test('a result of the bridge plugin as libcni caches it (0.3.1) is read', () => {
  const json = {
    cniVersion: '0.3.1',
    interfaces: [
      { name: 'cni0', mac: 'aa:bb:cc:00:00:01' },
      { name: 'eth0', sandbox: '/proc/7/ns/net' },
    ],
    ips: [{ version: '4', interface: 1, address: '10.1.0.5/16', gateway: '10.1.0.1' }],
    routes: [{ dst: '10.1.2.3/16', gw: null }],
    dns: {},
  }
  assert.deepEqual(flat(decodeResult(json, '1.1.0')), {
    interfaces: json.interfaces,
    ips: [{ address: '10.1.0.5', prefixLength: 16, gateway: '10.1.0.1', interface: 1 }],
    routes: [{ dst: '10.1.0.0/16' }],
  })
})

const malformed: [string, unknown, RegExp][] = [
  ['no object', [], /invalid result: expected an object, found \[\]/],
  ['an address without length', { ips: [{ address: '10.0.0.1' }] }, /invalid result\.ips\[0\]\.address/],
  ['a length that does not fit', { ips: [{ address: '10.0.0.1/33' }] }, /invalid result\.ips\[0\]\.address/],
  ['an interface that is not there', { ips: [{ address: '10.0.0.1/8', interface: 0 }] }, /interface 0 of 0/],
  ['a route to nowhere', { routes: [{}] }, /invalid result\.routes\[0\]\.dst: .*found nothing/],
  ['a negative mtu', { interfaces: [{ name: 'a', mtu: -1 }] }, /invalid result\.interfaces\[0\]\.mtu/],
]
for (const [what, json, message] of malformed) {
  test(`a result with ${what} is refused with its path`, () => {
    assert.throws(() => decodeResult(json, '1.1.0'), { name: 'CniProtocolError', message })
  })
}

test('any JSON gives a result or a CniProtocolError', () => {
  const keys = fc.constantFrom(
    'interfaces',
    'ips',
    'routes',
    'dns',
    'address',
    'dst',
    'gw',
    'name',
    'cniVersion',
    'mtu',
  )
  const leaf = fc.oneof(fc.constantFrom('1.1.0', '10.0.0.1/24', 'fd00::1', 'eth0', null, -1), fc.string(), fc.double())
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(keys, tie('tree'), { maxKeys: 5 }),
    ),
  }))
  fc.assert(
    fc.property(tree, fc.constantFrom(...cniVersions), (json, version) => {
      try {
        decodeResult(json, version)
      } catch (error) {
        assert.ok(error instanceof CniProtocolError, String(error))
      }
    }),
    { numRuns: 1000 },
  )
})
