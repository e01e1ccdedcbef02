// `causeway test connectivity` of a lab: healthy, broken, interrupted, killed. Nothing of it is ever left.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { causeway, eventually, must, run, type Run, TestLab } from './harness.ts'

type Packet = {
  readonly state: string
  readonly family: number
  readonly protocol: string
  readonly code?: string
  readonly text: string
}
type Scenario = {
  readonly name: string
  readonly state: string
  readonly text: string
  readonly packets: readonly Packet[]
  readonly faults: readonly { readonly subject: string; readonly text: string; readonly code?: string }[]
}
type Json = { readonly summary: string; readonly nodes: readonly string[]; readonly scenarios: readonly Scenario[] }

const namespace = 'causeway-test'

function connectivity(lab: TestLab, ...args: readonly string[]): Run {
  return run(causeway, ['test', 'connectivity', '--lab', lab.name, ...args])
}

function jsonOf({ stdout, stderr }: Run): Json {
  assert.notEqual(stdout, '', stderr)
  return JSON.parse(stdout) as Json
}

function scenario({ scenarios }: Json, name: string): Scenario {
  return scenarios.find((each) => each.name === name)!
}

/** Neither objects nor namespaces of the kernel. */
function assertNothingLeft(lab: TestLab): void {
  assert.doesNotMatch(lab.kubectl('get', 'namespaces'), new RegExp(namespace))
  assert.doesNotMatch(lab.kubectl('get', 'pods,services,networkpolicies', '-A'), new RegExp(namespace))
  assert.doesNotMatch(must('ip', 'netns', 'list'), new RegExp(`cw-${lab.name}-pod-${namespace}`))
}

/** Starts a test, and waits until some of its pods run. */
async function startTest(lab: TestLab): Promise<ChildProcess> {
  const child = spawn(causeway, ['test', 'connectivity', '--lab', lab.name], { stdio: ['ignore', 'pipe', 'pipe'] })
  await eventually('pods of the test', () => lab.kubectl('get', 'pods', '-n', namespace).includes('Running'))
  return child
}

test('the connectivity test of a lab: passes, names causes, and leaves nothing', async (t) => {
  using lab = new TestLab()
  lab.up('--nodes', '2', '--pods', '1')
  const folder = mkdtempSync(join(tmpdir(), 'causeway-connectivity-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const junit = join(folder, 'junit.xml')
  const nft = (node: string, text: string): string => must('ip', 'netns', 'exec', `cw-${lab.name}-${node}`, 'nft', text)

  await t.test('a healthy lab passes, in both families; what a lab has not is skipped with the reason', () => {
    const result = connectivity(lab, '--json', '--junit', junit)
    const told = jsonOf(result)
    assert.equal(result.status, 0, result.stdout + result.stderr)
    assert.deepEqual(told.nodes, ['node-1', 'node-2'])
    assert.deepEqual(
      told.scenarios.map(({ name, state }) => `${name} ${state}`),
      [
        'agents passed',
        'pods-start passed',
        'pod-to-pod passed',
        'same-node passed',
        'mtu passed',
        'pod-to-host passed',
        'host-to-pod passed',
        'host-to-host passed',
        'service skipped',
        'hairpin skipped',
        'node-port skipped',
        'kubernetes skipped',
        'dns skipped',
        'outside passed',
        'policy-allow passed',
        'policy-deny passed',
        'doctor passed',
      ],
    )
    for (const { name, state, packets } of told.scenarios.filter((each) => each.packets.length > 0)) {
      assert.deepEqual(new Set(packets.map(({ family }) => family)), new Set([4, 6]), name)
      assert.ok(
        packets.every((each) => each.state === 'passed'),
        `${name} ${state}`,
      )
    }
    assert.match(scenario(told, 'mtu').packets[0]!.text, /^1450 bytes: /)
    assert.match(scenario(told, 'policy-deny').packets[0]!.text, /policy/)
    const xml = readFileSync(junit, 'utf8')
    assert.equal(xml.match(/<testsuite /g)?.length, told.scenarios.length)
    assert.doesNotMatch(xml, /<failure/)
    assertNothingLeft(lab)
  })

  await t.test('with a fault it fails, with the code and remedy of doctor', () => {
    must(causeway, 'lab', 'break', 'forward-drop-nft', '--name', lab.name)
    const result = connectivity(lab, '--only', 'pod-to-pod', '--json', '--junit', junit)
    must(causeway, 'lab', 'mend', 'forward-drop-nft', '--name', lab.name)
    const told = jsonOf(result)
    assert.equal(result.status, 1, result.stdout)
    const bad = scenario(told, 'pod-to-pod').packets.filter(({ state }) => state !== 'passed')
    assert.ok(bad.length > 0)
    assert.deepEqual([...new Set(bad.map(({ code }) => code))], ['CW7001'])
    assert.deepEqual(
      scenario(told, 'doctor').faults.map(({ code }) => code),
      ['CW7001'],
    )
    assert.match(readFileSync(junit, 'utf8'), /<failure type="CW7001"/)
    assertNothingLeft(lab)
  })

  await t.test('a full disk for JUnit leaves one document of JSON, and another exit status', () => {
    const result = connectivity(lab, '--json', '--only', 'same-node', '--nodes', '1', '--junit', '/dev/full')
    assert.equal(scenario(jsonOf(result), 'same-node').state, 'passed')
    assert.equal(result.status, 3)
    assert.match(result.stderr, /the file of --junit cannot be written: ENOSPC/)
  })

  await t.test('a firewall that drops UDP alone is found by pods', () => {
    nft(
      'node-2',
      'add table inet host-firewall; add chain inet host-firewall forward { type filter hook forward priority 0; }; add rule inet host-firewall forward meta l4proto udp drop',
    )
    const result = connectivity(lab, '--only', 'pod-to-pod,mtu', '--json')
    nft('node-2', 'delete table inet host-firewall')
    const told = jsonOf(result)
    assert.equal(result.status, 1, result.stdout)
    assert.equal(scenario(told, 'mtu').state, 'passed')
    const bad = scenario(told, 'pod-to-pod').packets.filter(({ state }) => state !== 'passed')
    assert.deepEqual([...new Set(bad.map(({ protocol, code }) => `${protocol} ${code}`))], ['udp CW7001'])
  })

  await t.test(
    'DNS by UDP: a server that does not answer has had it; none where its datagrams are dropped',
    async () => {
      const pod = lab.kubectl('get', 'pods', '-o', 'jsonpath={.items[?(@.spec.nodeName=="node-2")].metadata.name}')
      const addr = lab.kubectl('get', 'pod', pod, '-o', 'jsonpath={.status.podIP}')
      const service = {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'kube-dns', namespace: 'kube-system' },
        spec: { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'], ports: [{ protocol: 'UDP', port: 53 }] },
      }
      const file = join(folder, 'service.json')
      writeFileSync(file, JSON.stringify(service))
      lab.kubectl('create', '--validate=false', '-f', file)
      for (const node of ['node-1', 'node-2'])
        nft(
          node,
          `add table ip proxy; add chain ip proxy services { type nat hook prerouting priority dstnat; }; add rule ip proxy services ip daddr 10.96.0.10 udp dport 53 dnat to ${addr}:53`,
        )
      const sink = `require('dgram').createSocket('udp4').bind(53, () => console.log('listening'))`
      const server = spawn('ip', ['netns', 'exec', `cw-${lab.name}-pod-default-${pod}`, process.execPath, '-e', sink])
      t.after(() => server.kill())
      await once(server.stdout, 'data')
      const healthy = connectivity(lab, '--only', 'dns', '--json')
      assert.equal(healthy.status, 0, healthy.stdout)
      assert.match(
        scenario(jsonOf(healthy), 'dns').text,
        /^2 of 2 packets arrived and were answered, 2 of them were taken by a process/,
      )
      nft(
        'node-2',
        'add chain ip proxy forward { type filter hook forward priority 0; }; add rule ip proxy forward udp dport 53 drop',
      )
      const broken = connectivity(lab, '--only', 'dns', '--json')
      assert.equal(broken.status, 1, broken.stdout)
      const [across, ...others] = scenario(jsonOf(broken), 'dns').packets
      assert.deepEqual([across?.state, across?.code], ['failed', 'CW7001'])
      // on the node itself the rule sees it only where the bridge hands it frames
      assert.equal(others.length, 1)
      for (const node of ['node-1', 'node-2']) nft(node, 'delete table ip proxy')
      lab.kubectl('delete', 'service', '-n', 'kube-system', 'kube-dns')
      assertNothingLeft(lab)
    },
  )

  await t.test('Ctrl-C ends it and leaves nothing; meanwhile no other one begins', async () => {
    const child = await startTest(lab)
    const second = connectivity(lab)
    assert.equal(second.status, 3)
    assert.match(second.stderr, /namespace\/causeway-test: a connectivity test of process \d+ on .* runs/)
    child.kill('SIGINT')
    const [status] = (await once(child, 'exit')) as [number]
    assert.equal(status, 130)
    assertNothingLeft(lab)
  })

  await t.test('so does a terminal that is closed', async () => {
    const child = await startTest(lab)
    child.kill('SIGHUP')
    const [status] = (await once(child, 'exit')) as [number]
    assert.equal(status, 129)
    assertNothingLeft(lab)
  })

  await t.test('what one that was killed has left, the next one removes', async () => {
    const child = await startTest(lab)
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.match(lab.kubectl('get', 'namespaces'), new RegExp(namespace))
    const { status, stdout, stderr } = connectivity(lab, '--only', 'same-node', '--nodes', '1')
    assert.equal(status, 0, stdout + stderr)
    assert.match(stderr, /namespace\/causeway-test was left by an earlier test/)
    assert.match(stdout, /^causeway test connectivity: 1 node, IPv4 and IPv6\n\n/)
    assert.match(stdout, /^ok {4}same-node +4 of 4 packets arrived and were answered, [\d.]+ s$/m)
    assertNothingLeft(lab)
  })

  await t.test('a namespace of somebody else is left alone', () => {
    lab.kubectl('create', 'namespace', namespace)
    for (const args of [[], ['--clean']]) {
      const { status, stderr } = connectivity(lab, ...args)
      assert.equal(status, 3)
      assert.match(stderr, /namespace\/causeway-test is there and is not of this command.*--namespace NAME/)
    }
    assert.match(lab.kubectl('get', 'namespaces'), new RegExp(`${namespace} +Active`))
    const { status } = connectivity(lab, '--only', 'same-node', '--nodes', '1', '--namespace', 'other')
    assert.equal(status, 0)
    lab.kubectl('delete', 'namespace', namespace)
    assert.equal(connectivity(lab, '--clean').status, 0)
    assertNothingLeft(lab)
  })

  await t.test('where an agent is gone its pods do not start, which is told; the rest is tested', () => {
    lab.kill('agent-node-2')
    // the plugin waits 10 s for an agent before it fails
    const result = connectivity(lab, '--json', '--only', 'same-node', '--timeout', '13')
    const told = jsonOf(result)
    assert.equal(result.status, 1, result.stdout)
    assert.match(scenario(told, 'agents').text, /^1 of 2 agents answer$/)
    const [pod] = scenario(told, 'pods-start').faults
    assert.match(`${pod?.subject}: ${pod?.text}`, /^pod causeway-test\/client-2 on node-2: FailedCreatePodSandBox: /)
    assert.equal(scenario(told, 'same-node').state, 'passed')
    assert.deepEqual(
      scenario(told, 'doctor').faults.map(({ code }) => code),
      ['CW6001'],
    )
    assertNothingLeft(lab)
  })
})
