import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { attachmentKey } from './env.ts'
import { type CniRefusal, type CniRequest, parseCniRequest } from './request.ts'
import { cniVersions } from './version.ts'

type Changes = { readonly env?: Record<string, string>; readonly config?: Record<string, unknown> }

const attachmentEnv = {
  CNI_CONTAINERID: 'c0ffee',
  CNI_IFNAME: 'eth0',
  CNI_NETNS: '/var/run/netns/cni-1',
  CNI_PATH: '/opt/cni/bin',
  CNI_ARGS:
    'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c0ffee;K8S_POD_UID=u-1;X=y',
}
const prevResult = { cniVersion: '1.1.0', ips: [{ address: '10.244.0.5/24' }] }

function call(command: string, { env = {}, config = {} }: Changes = {}): CniRequest | CniRefusal {
  const all = { ...attachmentEnv, CNI_COMMAND: command, ...env }
  const json = { cniVersion: '1.1.0', name: 'podnet', type: 'causeway', ...config }
  return parseCniRequest(new Map(Object.entries(all)), new TextEncoder().encode(JSON.stringify(json)))
}

type Of<K extends CniRequest['kind']> = Extract<CniRequest, { kind: K }>

function request<K extends CniRequest['kind']>(kind: K, command: string, changes?: Changes): Of<K> {
  const isWanted = (parsed: CniRequest | CniRefusal): parsed is Of<K> => parsed.kind === kind
  const parsed = call(command, changes)
  assert.ok(isWanted(parsed), JSON.stringify(parsed))
  return parsed
}

function refusal(command: string, changes: Changes, code: number, message: RegExp): void {
  const parsed = call(command, changes)
  assert.ok(parsed.kind === 'error', `${command} was not refused: ${JSON.stringify(parsed)}`)
  assert.match(`${parsed.error.msg}: ${parsed.error.details}`, message)
  assert.equal(parsed.error.code, code)
}

test('ADD as containerd calls it', () => {
  const add = request('add', 'ADD', {
    env: { TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', BAGGAGE: 'a=b' },
    config: {
      mtu: 1400,
      runtimeConfig: {
        portMappings: [
          { HostPort: 8080, ContainerPort: 80, Protocol: 'TCP', HostIP: '' },
          { HostPort: 53, ContainerPort: 53, Protocol: 'udp', HostIP: '192.0.2.1' },
        ],
        bandwidth: { IngressRate: 1000, IngressBurst: 4294967295, EgressRate: 0, EgressBurst: 0 },
        mac: 'C2-11-22-33-44-55',
        dns: { Servers: ['10.96.0.10'], Searches: ['svc.cluster.local'], Options: ['ndots:5'] },
        'io.kubernetes.cri.pod-annotations': { 'example.com/a': 'b', ['__proto__']: 'c' },
      },
    },
  })
  assert.equal(attachmentKey(add), 'c0ffee:eth0')
  assert.equal(add.network, 'podnet')
  assert.equal(add.netns, '/var/run/netns/cni-1')
  assert.deepEqual(add.args, {
    podNamespace: 'default',
    podName: 'web-0',
    infraContainerId: 'c0ffee',
    podUid: 'u-1',
  })
  assert.equal(add.prevResult, undefined)
  assert.equal(add.trace?.baggage, 'a=b')
  const { portMappings, bandwidth, mac, dns, podAnnotations } = add.runtimeConfig
  assert.deepEqual(portMappings[0], { hostPort: 8080, containerPort: 80, protocol: 'tcp' })
  assert.equal(String(portMappings[1]?.hostIP), '192.0.2.1')
  assert.deepEqual(bandwidth, { ingressRate: 1000, ingressBurst: 4294967295, egressRate: 0, egressBurst: 0 })
  assert.equal(mac, 'c2:11:22:33:44:55')
  assert.deepEqual(dns?.searches, ['svc.cluster.local'])
  assert.equal(podAnnotations.get('example.com/a'), 'b')
})

test('names as the conventions write them, and as CRI-O sends them', () => {
  const { portMappings, bandwidth } = request('add', 'ADD', {
    config: {
      runtimeConfig: {
        portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '' }],
        bandwidth: { ingressRate: 1000, IngressRate: 1, ingressBurst: 2147483647 },
      },
    },
  }).runtimeConfig
  assert.deepEqual(portMappings, [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }])
  assert.deepEqual(bandwidth, { ingressRate: 1000, ingressBurst: 2147483647 })
})

describe('requested addresses', () => {
  const texts = (changes: Changes): string[] =>
    request('add', 'ADD', changes).requestedIps.map(
      ({ address, prefixLength }) => `${address}${prefixLength === undefined ? '' : `/${prefixLength}`}`,
    )
  const env = { CNI_ARGS: 'IP=10.0.0.1' }
  const args = { cni: { ips: ['10.0.0.2/24', 'fd00::2'] } }
  const runtimeConfig = { ips: ['10.0.0.3'] }

  test('CNI_ARGS counts when nothing else is said', () => assert.deepEqual(texts({ env }), ['10.0.0.1']))
  test('args.cni.ips beats CNI_ARGS', () =>
    assert.deepEqual(texts({ env, config: { args } }), ['10.0.0.2/24', 'fd00::2']))
  test('runtimeConfig.ips beats both', () =>
    assert.deepEqual(texts({ env, config: { args, runtimeConfig } }), ['10.0.0.3']))
})

describe('what is required', () => {
  for (const name of ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_NETNS']) {
    for (const command of ['ADD', 'CHECK']) {
      test(`${command} without ${name}`, () => {
        const message = new RegExp(`^invalid ${name}: missing`)
        refusal(command, { env: { [name]: '' }, config: { prevResult } }, 4, message)
      })
    }
  }
  test('DEL without attachment', () => refusal('DEL', { env: { CNI_CONTAINERID: '' } }, 4, /CNI_CONTAINERID: missing/))
  test('DEL without namespace', () => {
    assert.equal(request('del', 'DEL', { env: { CNI_NETNS: '' } }).netns, undefined)
  })
  test('STATUS and GC without attachment', () => {
    const env = { CNI_CONTAINERID: '', CNI_IFNAME: '', CNI_NETNS: '', CNI_ARGS: '', CNI_PATH: '' }
    request('status', 'STATUS', { env })
    request('gc', 'GC', { env })
  })
  test('CHECK without prevResult', () => refusal('CHECK', {}, 7, /prevResult missing/))
  test('no command', () => refusal('', {}, 4, /CNI_COMMAND: missing/))
  test('unknown command', () => refusal('add', {}, 4, /CNI_COMMAND: "add" is none of ADD, DEL/))
})

describe('malformed values', () => {
  const env: [string, string, RegExp][] = [
    ['CNI_CONTAINERID', '../x', /CNI_CONTAINERID: "\.\.\/x"/],
    ['CNI_CONTAINERID', '-x', /CNI_CONTAINERID/],
    ['CNI_CONTAINERID', 'x\n', /CNI_CONTAINERID/],
    ['CNI_IFNAME', 'abcdefghijklmnop', /longer than 15 bytes/],
    ['CNI_IFNAME', 'äääääääääää', /longer than 15 bytes/],
    ['CNI_IFNAME', '..', /no interface name/],
    ['CNI_IFNAME', 'a/b', /holds a slash/],
    ['CNI_IFNAME', 'a:b', /holds a slash/],
    ['CNI_IFNAME', 'a b', /holds a slash/],
    ['CNI_NETNS', 'run/netns/x', /CNI_NETNS: "run\/netns\/x" is no absolute path/],
    ['CNI_NETNS', `/${'x'.repeat(4095)}`, /no absolute path/],
    ['CNI_ARGS', 'IgnoreUnknown=1;novalue', /"novalue" is no KEY=VALUE/],
    ['CNI_ARGS', 'A=b', /unknown key "A"/],
  ]
  for (const [name, value, message] of env) {
    test(`${name}=${value.slice(0, 20)}`, () => refusal('ADD', { env: { [name]: value } }, 4, message))
  }
  const config: [string, Record<string, unknown>, RegExp][] = [
    ['no name', { name: '' }, /invalid network name/],
    ['a name with a slash', { name: 'a/b' }, /invalid network name: "a\/b"/],
    ['no type', { type: undefined }, /invalid plugin type/],
    ['a list as runtimeConfig', { runtimeConfig: [] }, /invalid runtimeConfig: expected an object/],
    ['port 0', { runtimeConfig: { portMappings: [{ hostPort: 0, containerPort: 1 }] } }, /portMappings\[0\]\.hostPort/],
    [
      'protocol icmp',
      { runtimeConfig: { portMappings: [{ hostPort: 1, containerPort: 1, protocol: 'icmp' }] } },
      /"icmp"/,
    ],
    ['no MAC', { runtimeConfig: { mac: '02:00' } }, /runtimeConfig\.mac/],
    ['no address', { args: { cni: { ips: ['10.0.0.256'] } } }, /args\.cni\.ips\[0\]/],
    ['no annotation text', { runtimeConfig: { 'io.kubernetes.cri.pod-annotations': { a: 1 } } }, /annotation a/],
    ['a broken prevResult', { prevResult: { ips: [{}] } }, /prevResult\.ips\[0\]\.address/],
  ]
  for (const [what, change, message] of config) {
    test(what, () => refusal('ADD', { config: change }, 7, message))
    if (what.includes('name') || what.includes('type')) continue
    test(`${what} does not stop a DEL`, () => void request('del', 'DEL', { config: change }))
  }
  test('an IP argument that is none', () => refusal('ADD', { env: { CNI_ARGS: 'IP=x' } }, 7, /CNI_ARGS IP/))
  test('CNI_ARGS that cannot be read do not stop a DEL', () => {
    assert.deepEqual(request('del', 'DEL', { env: { CNI_ARGS: 'x' } }).args, {})
  })
  test('a traceparent that is none is ignored', () => {
    assert.equal(request('add', 'ADD', { env: { TRACEPARENT: 'x' } }).trace, undefined)
  })
})

describe('versions', () => {
  const allowed = { ADD: '0.3.1', DEL: '0.3.1', CHECK: '0.4.0', STATUS: '1.1.0', GC: '1.1.0' }
  for (const [command, first] of Object.entries(allowed)) {
    for (const cniVersion of cniVersions) {
      test(`${command} in ${cniVersion}`, () => {
        const config = { cniVersion, prevResult: { ...prevResult, cniVersion } }
        if (cniVersion >= first) assert.notEqual(call(command, { config }).kind, 'error')
        else refusal(command, { config }, 1, new RegExp(`config version does not allow ${command}`))
      })
    }
  }
  for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0', '1.2.0', '', 1, undefined]) {
    test(`cniVersion ${JSON.stringify(cniVersion)} is refused`, () => {
      refusal('ADD', { config: { cniVersion } }, 1, /incompatible CNI versions: .*supported are 0\.3\.1/)
    })
  }
  test('a refusal is written in the version of the request', () => {
    const parsed = call('ADD', { config: { cniVersion: '0.4.0', name: '' } })
    assert.ok(parsed.kind === 'error')
    assert.equal(parsed.cniVersion, '0.4.0')
  })
  test('VERSION needs nothing', () => {
    const env = new Map([['CNI_COMMAND', 'VERSION']])
    assert.deepEqual(parseCniRequest(env, new Uint8Array()), { kind: 'version', cniVersion: '1.1.0' })
    const stdin = new TextEncoder().encode('{"cniVersion":"1.0.0"}')
    assert.deepEqual(parseCniRequest(env, stdin), { kind: 'version', cniVersion: '1.0.0' })
  })
})

describe('GC lists', () => {
  const valid = [{ containerID: 'a', ifname: 'eth0' }]
  const listOf = (config: Record<string, unknown>): unknown => request('gc', 'GC', { config }).validAttachments

  test('no list is not an empty list', () => {
    assert.equal(listOf({}), undefined)
    assert.equal(listOf({ 'cni.dev/valid-attachments': null, 'cni.dev/attachments': null }), undefined)
    assert.deepEqual(listOf({ 'cni.dev/valid-attachments': [] }), [])
  })
  test('both names are read, the final one first', () => {
    const expected = [{ containerId: 'a', ifName: 'eth0' }]
    assert.deepEqual(listOf({ 'cni.dev/valid-attachments': valid, 'cni.dev/attachments': [] }), expected)
    assert.deepEqual(listOf({ 'cni.dev/attachments': valid }), expected)
  })
  test('a malformed entry spoils the list', () => {
    const broken = { 'cni.dev/valid-attachments': [...valid, { containerID: 'b' }] }
    refusal('GC', { config: broken }, 7, /valid-attachments\[1\]\.ifname/)
    const traversal = { 'cni.dev/valid-attachments': [{ containerID: '../b', ifname: 'eth0' }] }
    refusal('GC', { config: traversal }, 7, /valid-attachments\[0\]: containerId/)
  })
})

describe('standard input', () => {
  const stdin: [string, Uint8Array, RegExp][] = [
    ['nothing', new Uint8Array(), /standard input is empty/],
    ['half a configuration', new TextEncoder().encode('{"cniVersion":"1.1.0"'), /JSON/],
    ['no UTF-8', Uint8Array.of(0x22, 0xff, 0x22), /encoded data was not valid/],
    ['very deep JSON', new TextEncoder().encode('['.repeat(1 << 20)), /./],
  ]
  for (const [what, bytes, message] of stdin) {
    test(`${what} is refused`, () => {
      const parsed = parseCniRequest(new Map(Object.entries({ ...attachmentEnv, CNI_COMMAND: 'ADD' })), bytes)
      assert.ok(parsed.kind === 'error')
      assert.equal(parsed.error.code, 6)
      assert.match(parsed.error.details, message)
    })
  }
})

test('nothing from outside makes the parser throw', () => {
  const command = fc.constantFrom('ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION', '')
  const name = fc.constantFrom('CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_NETNS', 'CNI_ARGS', 'TRACEPARENT')
  const value = fc.oneof(fc.string(), fc.constantFrom('eth0', 'a1', '/run/x', 'IP=1.2.3.4/x', 'IgnoreUnknown=1;A=b'))
  const keys =
    'cniVersion name type runtimeConfig args cni ips prevResult portMappings mac dns bandwidth containerID ifname ' +
    'cni.dev/valid-attachments io.kubernetes.cri.pod-annotations'
  const key = fc.constantFrom(...keys.split(' '))
  const leaf = fc.oneof(fc.constantFrom('1.1.0', '0.4.0', 'podnet', '10.0.0.1/24', null), fc.string(), fc.double())
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(key, tie('tree'), { maxKeys: 5 }),
    ),
  }))
  const base = { cniVersion: '1.1.0', name: 'podnet', type: 'causeway' }
  const stdin = fc.oneof(
    fc.uint8Array(),
    tree.map((json) => new TextEncoder().encode(JSON.stringify(json))),
    fc
      .dictionary(key, tree, { maxKeys: 6 })
      .map((json) => new TextEncoder().encode(JSON.stringify({ ...json, ...base }))),
  )
  fc.assert(
    fc.property(command, fc.dictionary(name, value), stdin, (CNI_COMMAND, env, bytes) => {
      const all = { ...attachmentEnv, ...env, CNI_COMMAND }
      assert.ok('kind' in parseCniRequest(new Map(Object.entries(all)), bytes))
    }),
    { numRuns: 3000 },
  )
})
