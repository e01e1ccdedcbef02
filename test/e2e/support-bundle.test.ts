// A support bundle of a lab: what its nodes would do with packets is said from the file as the kernels say it themselves, healthy and broken. The file has no
// secret, and one that is damaged is refused.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import { askAgent } from '#/api/client.ts'
import { type TracePrediction, type TracePredictRequest } from '#/api/schemas/trace-predict.ts'
import { socketTransport } from '#/api/socket-transport.ts'
import { bundleAgents } from '#/cli/bundle/agents.ts'
import { causeway, must, run, TestLab, type UpReport } from './harness.ts'

const secrets = ['planted-in-environment', 'planted-in-secret']

/** What of a prediction the moment decides: how fresh the kernel's knowledge of a neighbour is. */
const timeless = (told: TracePrediction): unknown => ({
  ...told,
  steps: told.steps.map((step) => ({
    ...step,
    text: step.text.replace(/\((stale|reachable|delay|probe)\)/, '(known)'),
  })),
})

suite('support bundle', { timeout: 240_000 }, () => {
  const lab = new TestLab()
  const folder = mkdtempSync(join(tmpdir(), 'causeway-bundle-'))
  let pods: UpReport['pods'] = []
  before(() => {
    process.env['PLANTED_TOKEN'] = secrets[0]
    pods = lab.up('--nodes', '3', '--pods', '4', '--datapath', 'mixed').pods
  })
  after(() => {
    lab[Symbol.dispose]()
    rmSync(folder, { recursive: true })
  })
  let count = 0
  const podOn = (node: string, index = 0) => pods.filter((each) => each.node === node)[index]!

  function bundle(...args: readonly string[]): string {
    const path = join(folder, `${++count}.json.gz`)
    must(causeway, 'support-bundle', path, '--lab', lab.name, ...args)
    return path
  }

  /** Each packet is asked about at the agent and at the bundle; in both cases the answers must be alike. */
  async function compare(packets: readonly (readonly [node: string, wish: TracePredictRequest])[], what: string) {
    const live: TracePrediction[] = []
    for (const [node, wish] of packets) {
      const transport = socketTransport(`/run/causeway-lab/${lab.name}/nodes/${node}/run/agent.sock`)
      const outcome = await askAgent(transport, 'tracePredict', wish)
      assert.ok(outcome.kind === 'answer', JSON.stringify(outcome))
      live.push(outcome.value)
    }
    const { agents } = await bundleAgents(bundle())
    for (const [index, [node, wish]] of packets.entries()) {
      const outcome = await askAgent(agents.find((each) => each.node === node)!.transport, 'tracePredict', wish)
      assert.ok(outcome.kind === 'answer', JSON.stringify(outcome))
      assert.deepEqual(timeless(outcome.value), timeless(live[index]!), `${what}: ${node} ${JSON.stringify(wish)}`)
    }
    return live
  }

  const packets = (): (readonly [string, TracePredictRequest])[] => {
    const [near, beside, far] = [podOn('node-1'), podOn('node-1', 1), podOn('node-2')]
    const tcp = { protocol: 'tcp', port: '8080', sourcePort: '40000' } as const
    return ([0, 1] as const).flatMap((family) => {
      const [a, b, c] = [near, beside, far].map(({ addrs }) => addrs[family]!) as [string, string, string]
      return [
        ['node-1', { src: a, dst: c, protocol: 'icmp' }],
        ['node-1', { src: a, dst: c, ...tcp }],
        [
          'node-1',
          { src: a, dst: c, protocol: 'udp', port: '53', sourcePort: '4000', sizeBytes: '1451', mayFragment: 'no' },
        ],
        ['node-1', { src: a, dst: b, ...tcp }],
        ['node-1', { src: a, dst: family === 0 ? '192.0.2.7' : '2001:db8::7', ...tcp }],
        ['node-2', { src: a, dst: c, ...tcp, from: 'underlay' }],
        ['node-2', { src: c, dst: a, protocol: 'icmp', answer: 'yes' }],
        ['node-1', { src: c, dst: a, protocol: 'icmp', answer: 'yes', from: 'underlay' }],
      ] as const
    })
  }

  test('packets of a healthy lab are foretold as the kernels say', async () => {
    const live = await compare(packets(), 'healthy')
    const steps = live.flatMap((each) => each.steps)
    assert.ok(new Set(steps.map(({ kind }) => kind)).size >= 7)
    assert.ok(steps.length > 100)
    const file = bundle()
    const traced = (...args: readonly string[]) => run(causeway, ['trace', ...args, '--bundle', file])
    const { status, stdout } = traced(podOn('node-1').name, podOn('node-2').name)
    assert.equal(status, 0, stdout)
    assert.match(stdout, /\nit would arrive and be answered: nothing that node-1 and node-2 told is in its way\n$/)
    assert.equal(traced(podOn('node-1').name, `${podOn('node-3').name}:8080`, '--family', '6').status, 0)
    assert.equal(traced('node-1', podOn('node-2').name).status, 0)
    const unknown = traced('web-x', podOn('node-2').name)
    assert.equal(unknown.status, 2)
    assert.match(unknown.stderr, /"web-x" is no pod, node or address of this bundle/)
  })

  test('what is broken is foretold where the kernels say it', async () => {
    const far = podOn('node-2')
    const faults = [
      ['node-1', `ip route add blackhole ${far.addrs[0]}`, `ip route del blackhole ${far.addrs[0]}`, 'CW1302'],
      ['node-1', `ip route add ${far.addrs[0]} dev eth0`, `ip route del ${far.addrs[0]} dev eth0`, 'CW1302'],
      [
        'node-1',
        'ip rule add pref 99 to 10.244.0.0/16 lookup 99; ip route add unreachable default table 99',
        'ip rule del pref 99; ip route flush table 99',
        'CW1301',
      ],
      [
        'node-2',
        `nft 'table inet others { set s { type ipv4_addr; elements = { ${far.addrs[0]} }; }; chain f { type filter hook forward priority 5; ip daddr @s tcp dport 8080 drop; }; }'`,
        'nft delete table inet others',
        'CW7001',
      ],
      [
        'node-2',
        'iptables-legacy -I INPUT -p udp --dport 8472 -j DROP',
        'iptables-legacy -D INPUT -p udp --dport 8472 -j DROP',
        'CW7002',
      ],
      ['node-2', 'ip link set cw-br0 mtu 1000', 'ip link set cw-br0 mtu 1500', undefined],
    ] as const
    for (const [node, make, unmake, code] of faults) {
      lab.mustInside(node, 'sh', '-ec', make)
      try {
        const live = await compare(packets(), make)
        const codes = live.flatMap(({ steps }) => steps.flatMap((step) => (step.isObstacle ? [step.code] : [])))
        if (code !== undefined) assert.ok(codes.includes(code), `${make}: ${codes.join(' ')}`)
      } finally {
        lab.mustInside(node, 'sh', '-ec', unmake)
      }
    }
    lab.mustInside('node-1', 'sh', '-ec', faults[0][1])
    let file = bundle()
    const doctor = () => run(causeway, ['doctor', '--bundle', file, '--json'])
    // the agent tells it when it has asked its kernel the next time
    for (let tries = 0; !doctor().stdout.includes('"CW1302"') && tries < 50; tries++) {
      await sleep(200)
      file = bundle()
    }
    lab.mustInside('node-1', 'sh', '-ec', faults[0][2])
    assert.match(doctor().stdout, /"code": "CW1302",\s+"object": "route\/10\.244/)
    assert.equal(doctor().status, 1)
    const { status, stdout } = run(causeway, ['trace', podOn('node-1').name, far.name, '--bundle', file])
    assert.equal(status, 1)
    assert.match(stdout, /WOULD END: it would end on node-1, cw-br0: .*blackhole .*\[CW1302\]\nremedy: /)
  })

  test('an address that no pod has is foretold to end on the node whose pod CIDR it is of', () => {
    const file = bundle()
    for (const family of [0, 1] as const) {
      const addr = podOn('node-2').addrs[family]!.replace(/[^.:]+$/, '200')
      const { status, stdout } = run(causeway, ['trace', podOn('node-1').name, addr, '--bundle', file])
      assert.equal(status, 1, stdout)
      const end = `WOULD END: it would end on node-2, cw-br0: no pod of node-2 has ${addr}: its agent knows of none, and `
      assert.ok(stdout.replaceAll(/\s+/g, ' ').includes(end), stdout)
    }
  })

  test('the file is for its owner alone, and has no secret', async () => {
    lab.kubectl('-n', 'default', 'create', 'secret', 'generic', 'tor', `--from-literal=password=${secrets[1]}`)
    const objects = [
      { kind: 'BGPConfiguration', metadata: { name: 'default' }, spec: { asn: 65_000, nodeMesh: 'None' } },
      {
        kind: 'BGPPeer',
        metadata: { name: 'tor' },
        spec: {
          peerAddress: '172.30.1.77',
          peerASN: 65_001,
          passwordSecretRef: { name: 'tor', namespace: 'default' },
        },
      },
    ]
    const file = join(folder, 'objects')
    writeFileSync(
      file,
      objects.map((each) => JSON.stringify({ apiVersion: 'causeway.dev/v1alpha1', ...each })).join('\n---\n'),
    )
    lab.kubectl('apply', '-f', file)
    const peers = (): string => lab.askAgent('node-1', '/v1/bgp/peers')
    while (!peers().includes('172.30.1.77')) await sleep(100)
    const path = bundle()
    assert.ok(gunzipSync(readFileSync(path)).toString().includes('172.30.1.77'))
    assert.equal(statSync(path).mode & 0o777, 0o600)
    const text = gunzipSync(readFileSync(path)).toString()
    for (const secret of secrets) assert.ok(!text.includes(secret), secret)
    assert.ok(!text.includes('BEGIN'), 'a key')
    assert.equal(run(causeway, ['support-bundle', path, '--lab', lab.name]).status, 2)
  })

  test('facts that cannot be are refused in words', () => {
    const lines = gunzipSync(readFileSync(bundle())).toString()
    const path = join(folder, 'wrong')
    writeFileSync(path, gzipSync(lines.replaceAll('"dst":"10.244', '"dst":"10.999')))
    const { status, stdout } = run(causeway, ['trace', podOn('node-1').name, podOn('node-2').name, '--bundle', path])
    assert.match(stdout.replaceAll(/\s+/g, ' '), /NOT KNOWN: .*cannot be: "10\.999\S+" is no prefix/)
    assert.equal(status, 3)
  })

  test('a silent node is noted, and a packet to it is not known', () => {
    lab.kill('agent-node-3')
    const path = join(folder, 'silent.json.gz')
    const made = run(causeway, ['support-bundle', path, '--lab', lab.name, '--json'])
    const told = JSON.parse(made.stdout) as { silences: { node: string }[] }
    assert.equal(made.status, 1)
    assert.deepEqual(
      told.silences.map(({ node }) => node),
      ['node-3'],
    )
    const { status } = run(causeway, ['trace', podOn('node-1').name, 'node-3', '--bundle', path])
    assert.equal(status, 3)
  })
})
