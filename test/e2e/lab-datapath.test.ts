// A lab with the eBPF datapath: chosen for all nodes, for some, by an annotation, and changed while packets flow.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type DatapathReport } from '#/api/schemas/datapath.ts'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { causeway, countPackets, eventually, must, run, TestLab, type UpReport } from './harness.ts'

function datapathsOf({ nodes }: UpReport): string[] {
  return nodes.map(({ name, datapath }) => `${name} ${datapath}`).toSorted()
}

function statusOf(lab: TestLab, node: string): AgentStatus {
  const { stdout } = run(causeway, ['status', '--lab', lab.name, '--node', node, '--json'])
  return (JSON.parse(stdout) as { value: AgentStatus }[])[0]!.value
}

/** What `causeway datapath` tells of each node. */
function reportsOf(lab: TestLab): DatapathReport[] {
  const answers = JSON.parse(must(causeway, 'datapath', '--lab', lab.name, '--json')) as { value: DatapathReport }[]
  return answers.map(({ value }) => value)
}

/** The programs of Causeway on a node's devices, as "DEVICE/HOOK". */
function attachedIn(lab: TestLab, node: string): string[] {
  return statusOf(lab, node).objects.flatMap(({ kind, key, state }) =>
    kind === 'attachment' && state === 'done' ? [key] : [],
  )
}

function bpffsOf(lab: TestLab): string {
  return `/run/causeway-lab/${lab.name}/bpf`
}

/** What an agent has pinned there. */
function pinnedOf(lab: TestLab, node: string): string[] {
  const folder = `${bpffsOf(lab)}/${node}`
  return existsSync(folder) ? readdirSync(folder) : []
}

test('a lab changes its datapath, whole or in part, and no packet is lost', async () => {
  const lab = new TestLab()
  {
    using _ = lab
    const onBoth = (): boolean => ['node-1', 'node-2'].every((node) => attachedIn(lab, node).length > 2)
    const wish = (datapath: string): string =>
      lab.kubectl('patch', 'routing', 'default', '--type', 'merge', '-p', JSON.stringify({ spec: { datapath } }))
    // a lab of bridges, whose object asks for programs later
    lab.up('--nodes', '2', '--pods', '1')
    wish('ebpf')
    await eventually('programs on both', onBoth)
    const first = lab.up('--datapath', 'ebpf')
    assert.deepEqual(datapathsOf(first), ['node-1 ebpf', 'node-2 ebpf'])
    assert.ok(attachedIn(lab, 'node-2').length > 2)
    // what the probes have sent is carried, but for the first packets of each connection
    for (const { programs } of reportsOf(lab)) {
      const [pod] = programs?.pods ?? []
      assert.ok(pod && pod.sent.tunnel.packets > 0 && pod.received.tunnel.packets > 0, JSON.stringify(programs?.pods))
      assert.ok(programs!.hooks.every(({ program, isCurrent }) => program !== undefined && isCurrent))
    }
    const nodes = must(causeway, 'datapath', 'maps', 'nodes', '--lab', lab.name, '--node', 'node-1')
    assert.match(nodes, /^10\.244\.1\.0\/24 +node-2 +tunnel over IPv4 /m)
    await eventually('the status of Routing', () =>
      lab.kubectl('get', 'routing', 'default', '-o', 'wide').includes(' ebpf '),
    )
    await eventually('the condition DatapathApplied', () => {
      const path = '{.status.conditions[?(@.type=="DatapathApplied")].message}'
      return lab.kubectl('get', 'routing', 'default', '-o', `jsonpath=${path}`) === 'ebpf on 2 nodes'
    })

    const [one, two] = first.pods as [UpReport['pods'][number], UpReport['pods'][number]]
    const pings = [...two.addrs].map((addr) =>
      countPackets(`cw-${lab.name}-pod-default-${one.name}`, addr, Number.POSITIVE_INFINITY, 0.01),
    )
    assert.deepEqual(datapathsOf(lab.up('--datapath', 'mixed')), ['node-1 ebpf', 'node-2 bridge'])
    assert.deepEqual([attachedIn(lab, 'node-2'), pinnedOf(lab, 'node-2')], [[], []])
    assert.ok(attachedIn(lab, 'node-1').length > 2)
    assert.deepEqual(datapathsOf(lab.up('--datapath', 'bridge')), ['node-1 bridge', 'node-2 bridge'])
    assert.deepEqual([attachedIn(lab, 'node-1'), pinnedOf(lab, 'node-1')], [[], []])
    assert.match(must(causeway, 'datapath', '--lab', lab.name), /^node-1: datapath bridge, as .* says; no programs$/m)
    for (const ping of pings) assert.equal((await ping.stop()).lost, 0)

    // one node alone, by hand; an agent that starts while the API is away goes on with it
    lab.kubectl('annotate', 'node', 'node-1', 'causeway.dev/datapath=ebpf')
    await eventually('programs on node-1', () => attachedIn(lab, 'node-1').length > 2)
    assert.deepEqual(statusOf(lab, 'node-1').datapath, {
      wanted: 'ebpf',
      wantedBy: 'annotation causeway.dev/datapath of the Node object',
      name: 'ebpf',
    })
    lab.kubectl('annotate', 'node', 'node-1', 'causeway.dev/datapath-')
    wish('ebpf')
    await eventually('programs on both', onBoth)
    lab.kill('api')
    lab.kill('agent-node-1')
    const agent = lab.startAgent('node-1')
    try {
      await eventually('the agent', () => statusOf(lab, 'node-1').datapath?.name === 'ebpf')
      const { wanted, wantedBy } = statusOf(lab, 'node-1').datapath!
      assert.deepEqual([wanted, wantedBy], ['ebpf', 'what held before the agent started'])
      assert.ok(attachedIn(lab, 'node-1').length > 2)
    } finally {
      agent.kill('SIGKILL')
    }
  }
  assert.ok(!readFileSync('/proc/self/mounts', 'utf8').includes(bpffsOf(lab)))
  assert.equal(must('sh', '-c', `ls -d ${bpffsOf(lab)} 2>/dev/null || true`), '')
})
