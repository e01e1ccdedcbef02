// The objects of the group causeway.dev as a user meets them: the definitions and every example of docs/bgp-objects.md with the real
// kubectl against the lab's API server (Debian's, and another one when CAUSEWAY_KUBECTL names it).
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { parseAllDocuments, stringify } from 'yaml'
import { definitions } from '#/install/definitions/index.ts'
import { writeKubeconfig } from '#/lab/api/kubeconfig.ts'
import { TestServer } from '#/lab/api/testing.ts'
import { bgpConfigurationFrom, bgpNodeOf, bgpPeerOf, routingFrom } from '#/model/bgp-objects.ts'
import { fieldsOf, isKubeObject, type KubeObject } from '#/model/kubernetes.ts'
import { type Run } from './harness.ts'

const page = readFileSync(new URL('../../docs/bgp-objects.md', import.meta.url), 'utf8')
/** Every YAML block of the page. */
const examples = [...page.matchAll(/^```yaml\n(.*?)^```/gms)].map((match) => match[1]!)

/** What our readers find wrong with an object. */
function problemsOf(object: KubeObject): unknown {
  switch (object.kind) {
    case 'Routing':
      return routingFrom([object]).problems
    case 'BGPConfiguration':
      return bgpConfigurationFrom([object], 'causeway-system').problems
    case 'BGPPeer':
      return bgpPeerOf(object, 'causeway-system').problems
    case 'BGPNode':
      return bgpNodeOf(object).problems
    default:
      return []
  }
}

function suiteFor(binary: string): void {
  let server: TestServer
  let env: NodeJS.ProcessEnv

  async function kubectl(args: string, input = ''): Promise<Run> {
    const child = spawn(binary, args.split(' '), { env, stdio: ['pipe', 'pipe', 'pipe'] })
    const output = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      child[name].on('data', (chunk: Buffer) => (output[name] += chunk.toString()))
    child.stdin.end(input)
    const [status] = (await once(child, 'close')) as [number | null]
    return { status, ...output }
  }

  async function ok(args: string, input = ''): Promise<string> {
    const { status, stdout, stderr } = await kubectl(args, input)
    assert.equal(status, 0, `kubectl ${args}: ${stderr}\n${input}`)
    return stdout.trim()
  }

  async function refused(object: object): Promise<string> {
    const { status, stderr } = await kubectl('apply -f -', JSON.stringify(object))
    assert.equal(status, 1, JSON.stringify(object))
    return stderr
  }

  const peer = (spec: object) => ({
    apiVersion: 'causeway.dev/v1alpha1',
    kind: 'BGPPeer',
    metadata: { name: 'p' },
    spec,
  })
  const configuration = (spec?: object) => ({
    apiVersion: 'causeway.dev/v1alpha1',
    kind: 'BGPConfiguration',
    metadata: { name: 'default' },
    ...(spec && { spec }),
  })

  before(async () => {
    server = await TestServer.start()
    const home = join(server.directory, 'home')
    mkdirSync(home)
    const access = { server: server.url, ca: server.certificates.ca, token: server.token, name: 'lab' }
    writeKubeconfig(join(home, 'kubeconfig'), access)
    env = { PATH: process.env['PATH'], HOME: home, KUBECONFIG: join(home, 'kubeconfig') }
    await ok('apply --validate=true -f -', definitions.map((each) => stringify(each)).join('---\n'))
    await ok('create namespace causeway-system')
    for (const { metadata } of definitions)
      await ok(`wait --for condition=established crd/${metadata.name} --timeout=20s`)
  })
  after(() => server[Symbol.asyncDispose]())

  test('every example of the documentation is taken as it stands, and says what it seems to say', async () => {
    assert.ok(examples.length >= 8, 'the page has examples')
    for (const example of examples) {
      await ok('apply --validate=true -f -', example)
      // as the API gives them back, so that its defaults are read too
      const list: unknown = JSON.parse(await ok('get -o json -f -', example))
      const objects = fieldsOf(list)['items'] ?? [list]
      for (const object of objects as unknown[]) {
        assert.ok(isKubeObject(object))
        assert.deepEqual(problemsOf(object), [], example)
      }
      const wanted = parseAllDocuments(example).map((document) => fieldsOf(document.toJS()))
      assert.equal(wanted.length, (objects as unknown[]).length)
      await ok('delete -f -', example)
    }
  })

  test('defaults stand in the objects, and columns show what matters', async () => {
    await ok('apply -f -', JSON.stringify(configuration()))
    const { spec } = JSON.parse(await ok('get bgpconf default -o json')) as { spec: unknown }
    assert.deepEqual(spec, {
      asn: 64_512,
      listenPort: 179,
      nodeMesh: 'Auto',
      reflectors: { count: 3, above: 100, topologyKey: 'topology.kubernetes.io/zone' },
      timers: { holdTimeSeconds: 90, connectRetrySeconds: 5 },
      gracefulRestart: { enabled: true, restartTimeSeconds: 120, stalePathTimeSeconds: 360 },
      bfd: { enabled: false, intervalMs: 300, detectMultiplier: 3 },
      maxPaths: 8,
      multipathRelax: true,
    })
    assert.match(await ok('get bgpconf'), /^NAME +ASN +MESH +ACCEPTED +AGE\ndefault +64512 +Auto +\d+s$/)
    await ok('apply -f -', JSON.stringify(peer({ peerAddress: '192.0.2.1', peerASN: 65_001 })))
    await ok(
      'apply -f -',
      JSON.stringify({ ...peer({ device: 'eth1', peerASN: 'external' }), metadata: { name: 'q' } }),
    )
    const peers = JSON.parse(await ok('get bgpp p -o json')) as { spec: unknown }
    assert.deepEqual(peers.spec, {
      peerAddress: '192.0.2.1',
      peerASN: 65_001,
      peerPort: 179,
      mode: 'both',
      maxPrefixes: { count: 100_000, warningPercent: 75, restartSeconds: 300 },
      reflectorClient: false,
      nextHopSelf: false,
      allowOwnASN: 0,
    })
    assert.match(
      await ok('get bgppeers'),
      /^NAME +ADDRESS +DEVICE +ASN +UP +NODES +ACCEPTED +AGE\np +192.0.2.1 +65001 +\d+s\nq +eth1 +external +\d+s$/,
    )
    await ok('delete bgpp p q')
    await ok('delete bgpconf default')
  })

  test('what cannot be is refused in the words of the API', async () => {
    const address = { peerAddress: '192.0.2.1' }
    const wrong: [object, RegExp][] = [
      [peer({ peerAddress: '192.0.2.1' }), /spec\.peerASN: Required value|missing required field "peerASN"/],
      [peer({ peerASN: 65_001 }), /spec: .*expected peerAddress, or device/],
      [peer({ ...address, peerASN: 'internal' }), /spec\.peerASN: .*or "external"/],
      [peer({ ...address, peerASN: 0 }), /spec\.peerASN: .*expected a number from 1/],
      [peer({ peerAddress: 'tor.example', peerASN: 1 }), /spec\.peerAddress: .*expected an IP address such as 192/],
      [peer({ ...address, peerASN: 1, mode: 'Both' }), /spec\.mode: Unsupported value: "Both"/],
      [peer({ ...address, peerASN: 1, ttlSecurityHops: 1, multihopTTL: 2 }), /spec: .*exclude each other/],
      [
        peer({ ...address, peerASN: 1, passwordSecretRef: {} }),
        /passwordSecretRef\.name: Required|missing required field "name"/,
      ],
      [peer({ ...address, peerASN: 1, families: [] }), /spec\.families in body should have at least 1 items/],
      [peer({ ...address, peerASN: 1, pasword: 'x' }), /unknown field "(spec\.)?pasword"/],
      [configuration({ asn: 23_456 }), /spec\.asn: .*reserved/],
      [configuration({ timers: { holdTimeSeconds: 2 } }), /holdTimeSeconds: .*at least 3 seconds/],
      [configuration({ communities: ['no-exports'] }), /spec\.communities\[0\]: .*expected 65000:1/],
      [{ ...configuration(), metadata: { name: 'other' } }, /its name is "default"/],
      [configuration({ nodeMesh: 'full' }), /spec\.nodeMesh: Unsupported value: "full"/],
    ]
    for (const [object, words] of wrong) assert.match(await refused(object), words)
  })

  test('the status is written beside the spec, and explain knows every field', async () => {
    const node = { apiVersion: 'causeway.dev/v1alpha1', kind: 'BGPNode', metadata: { name: 'n1' } }
    await ok('apply -f -', JSON.stringify(node))
    const status = {
      role: 'mesh',
      asn: 64_512,
      routerID: '192.0.2.1',
      established: 2,
      configured: 3,
      routes: { installed: 7 },
    }
    const { code, text } = await server.call('/apis/causeway.dev/v1alpha1/bgpnodes/n1/status', {
      method: 'PATCH',
      type: 'application/merge-patch+json',
      body: { status },
    })
    assert.equal(code, 200, text)
    assert.match(
      await ok('get bgpn'),
      /^NAME +ASN +ROUTER-ID +ROLE +UP +SESSIONS +ROUTES +AGE\nn1 +64512 +192.0.2.1 +mesh +2 +3 +7 +\d+s$/,
    )
    await ok('delete bgpn n1')
    assert.match(await ok('explain bgppeer.spec.ttlSecurityHops'), /RFC 5082/)
    assert.match(await ok('explain bgpconfiguration.spec.reflectors.count'), /How many are chosen/)
  })
}

const binaries = [
  '/usr/bin/kubectl',
  ...(process.env['CAUSEWAY_KUBECTL'] === undefined ? [] : [process.env['CAUSEWAY_KUBECTL']]),
]
for (const binary of binaries) suite(binary, () => suiteFor(binary))
