// The agent's side of the eBPF datapath, with the real programs and real packets between pods of one node.
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { clean } from '#/agent/clean/clean.ts'
import { bpfObjectPath } from '#/kernel/bpf/object-file.ts'
import { silent } from '#/lib/log.ts'
import { problemText } from '#/model/problems.ts'
import { EbpfNode, Flow } from './ebpf-node.ts'
import { dropInvalid, invalidPackets } from './invalid-packets.ts'

/** Long enough for a hundred answers. */
const flowMs = 300

test('pods have programs and entries when their ADD is answered, connections are carried, and a DEL leaves nothing', async () => {
  await using node = new EbpfNode()
  await node.settle()
  assert.equal(node.generations.length, 1)
  assert.deepEqual(node.links, ['cw-vxlan-ingress', 'u-ingress'])
  const [one, two] = [node.add('one'), node.add('two')]
  assert.deepEqual(node.entries('cw_pods4').toSorted(), ['0af40102', '0af40103'])
  assert.equal(node.entries('cw_pods6').length, 2)
  assert.equal(node.entries('cw_ports').length, 2)
  assert.deepEqual([node.programsAt('one'), node.programsAt('two')], ['all', 'all'])
  for (const addr of ['10.244.1.3', 'fd10:244:0:1::3']) {
    await using flow = await Flow.start(one, two, addr, 7000)
    await sleep(flowMs)
    await flow.end()
  }
  assert.ok(node.packets('one', 'from_pod_local') > 100)
  assert.ok(node.packets('one', 'to_pod_local') > 100)
  // a pass finds everything as it should be
  await node.pass(false)
  assert.deepEqual(await node.agent.keeper.preview(), [])
  node.delete('one')
  assert.deepEqual(node.entries('cw_pods4'), ['0af40103'])
  assert.equal(node.entries('cw_ports').length, 1)
  // a pod that gets the slot of a former one begins to count at zero
  node.add('three')
  assert.equal(node.packets('three', 'from_pod_local'), 0)
})

test('nodes are entries by themselves: one that comes or changes costs no other', async () => {
  await using node = new EbpfNode()
  await node.settle()
  // prefix length and address: three pod CIDRs, three addresses of nodes
  assert.deepEqual(node.entries('cw_nodes4').toSorted(), [
    '180000000af40100',
    '180000000af40200',
    '180000000af40300',
    '20000000ac1e0101',
    '20000000ac1e0102',
    '20000000ac1e0103',
  ])
  assert.equal(node.entries('cw_ends').length, 3)
  node.addNode(4)
  node.addNode(3, ['10.244.33.0/24'])
  await node.pass(false)
  const after = node.entries('cw_nodes4')
  for (const key of ['180000000af40400', '20000000ac1e0104', '180000000af42100']) assert.ok(after.includes(key), key)
  assert.ok(!after.includes('180000000af40300'))
  assert.deepEqual(await node.agent.keeper.preview(), [])
  // two nodes with one address, of which the owner goes
  node.addNode(5, ['10.244.5.0/24'], ['172.30.1.2'])
  await node.pass(false)
  assert.deepEqual(await node.agent.keeper.preview(), [])
  node.removeNode(2)
  await node.pass(false)
  assert.ok(node.entries('cw_nodes4').includes('20000000ac1e0102'))
  assert.deepEqual(await node.agent.keeper.preview(), [])
})

test('the datapath changes under a running connection, there and back', async () => {
  await using node = new EbpfNode()
  node.wanted = 'bridge'
  await node.settle()
  assert.deepEqual([node.generations, node.links], [[], []])
  const [one, two] = [node.add('one'), node.add('two')]
  dropInvalid(node.host)
  await using flow = await Flow.start(one, two, '10.244.1.3', 7000)
  await using idle = await Flow.start(one, two, 'fd10:244:0:1::3', 7001, { periodMs: 60_000 })
  for (const round of [1, 2]) {
    node.wanted = 'ebpf'
    await node.settle()
    assert.equal(node.agent.store.countOf('ebpf'), 2, `round ${round}`)
    assert.deepEqual([node.programsAt('one'), node.programsAt('two')], ['all', 'all'])
    await sleep(flowMs)
    assert.ok(node.packets('one', 'from_pod_local') > 50, `round ${round}`)
    node.wanted = 'bridge'
    await node.settle()
    assert.equal(node.agent.store.countOf('bridge'), 2)
    assert.deepEqual([node.generations, node.links, node.programsAt('one')], [[], [], 'none'])
    await sleep(flowMs)
  }
  const { answers, slowestMs } = await flow.end()
  assert.ok(answers > 200 && slowestMs < 1000, `${answers} answers, the slowest after ${slowestMs} ms`)
  await idle.end()
  assert.equal(invalidPackets(node.host), 0)
})

test('an agent that is killed leaves all at work; the next one loads nothing and finds nothing to do', async () => {
  await using node = new EbpfNode()
  await node.settle()
  const [one, two] = [node.add('one'), node.add('two')]
  await node.settle()
  const before = node.agent.ebpf.current!.program('cw_from_pod').info.id
  await using flow = await Flow.start(one, two, '10.244.1.3', 7000)
  await sleep(flowMs)
  const counted = node.packets('one', 'from_pod_local')
  await node.restart()
  await node.pass()
  assert.equal(node.agent.ebpf.current!.program('cw_from_pod').info.id, before)
  assert.deepEqual(await node.agent.keeper.preview(), [])
  assert.ok(node.packets('one', 'from_pod_local') >= counted)
  await flow.end()
})

test('another object file is loaded beside, and replaces the programs in one step under a running connection', async () => {
  await using node = new EbpfNode()
  await node.settle()
  const [one, two] = [node.add('one'), node.add('two')]
  await node.settle()
  const [former] = node.generations
  await using flow = await Flow.start(one, two, '10.244.1.3', 7000)
  await sleep(flowMs)
  const counted = node.packets('one', 'from_pod_local')
  node.objectPath = join(node.folder, 'datapath.bpf.o')
  // what follows the last section belongs to no program
  writeFileSync(node.objectPath, Buffer.concat([readFileSync(bpfObjectPath()), Buffer.from('another build')]))
  await node.restart()
  await node.pass()
  assert.equal(node.generations.length, 1)
  assert.notEqual(node.generations[0], former)
  assert.deepEqual(await node.agent.keeper.preview(), [])
  await sleep(flowMs)
  // its layouts are the same, so the maps are too, with the counters
  assert.ok(node.packets('one', 'from_pod_local') > counted)
  const { slowestMs } = await flow.end()
  assert.ok(slowestMs < 1000, `${slowestMs} ms`)
})

test('what an agent left half done is done by the next: a load, pins that somebody removed, a link', async () => {
  await using node = new EbpfNode()
  await node.settle()
  node.add('one')
  await node.settle()
  const [generation] = node.generations
  rmSync(join(node.bpfFolder, generation!, 'programs', 'cw_from_pod'))
  rmSync(join(node.bpfFolder, 'links', 'u-ingress'))
  node.host.sh(`tc filter del dev ${node.deviceOf('one')} ingress`)
  assert.equal(node.programsAt('one'), 'some')
  await node.restart()
  await node.settle()
  assert.deepEqual(node.generations, [generation])
  assert.deepEqual([node.links.length, node.programsAt('one')], [2, 'all'])
  assert.deepEqual(await node.agent.keeper.preview(), [])
})

test('a program that is at work where none should be is detached, and the others carry connections as before', async () => {
  await using node = new EbpfNode()
  await node.settle()
  const [one, two] = [node.add('one'), node.add('two')]
  await node.settle()
  dropInvalid(node.host)
  await using flow = await Flow.start(one, two, '10.244.1.3', 7000)
  await sleep(flowMs)
  // the device was one of the underlay before
  node.attach('u1', 'cw_from_underlay')
  assert.deepEqual(node.links, ['cw-vxlan-ingress', 'u-ingress', 'u1-ingress'])
  await node.settle()
  assert.deepEqual(node.links, ['cw-vxlan-ingress', 'u-ingress'])
  const carried = node.packets('one', 'from_pod_local')
  await sleep(flowMs)
  assert.ok(node.packets('one', 'from_pod_local') > carried)
  await flow.end()
  assert.equal(invalidPackets(node.host), 0)
})

test('a change of the datapath that a kill interrupts is finished in the direction that the node wants', async () => {
  await using node = new EbpfNode()
  node.wanted = 'bridge'
  await node.settle()
  const [one, two] = [node.add('one'), node.add('two')]
  dropInvalid(node.host)
  await using flow = await Flow.start(one, two, '10.244.1.3', 7000)
  // attached, but the rows still name the bridge, and the programs give pods' packets to it
  node.wanted = 'ebpf'
  await node.pass()
  await node.restart()
  await node.settle()
  assert.equal(node.agent.store.countOf('ebpf'), 2)
  await sleep(flowMs)
  assert.ok(node.packets('one', 'from_pod_local') > 50)
  // on the way back, killed when all goes to the stack already, and wanted again
  node.drain()
  await sleep(flowMs)
  await node.restart()
  await node.settle()
  const carried = node.packets('one', 'from_pod_local')
  await sleep(flowMs)
  assert.ok(node.packets('one', 'from_pod_local') > carried)
  // and on the way back once more, with half of it detached
  node.drain()
  rmSync(join(node.bpfFolder, 'links', `${node.deviceOf('one')}-ingress`))
  await node.restart()
  node.wanted = 'bridge'
  await node.settle()
  assert.deepEqual([node.programsAt('one'), node.programsAt('two'), node.generations], ['none', 'none', []])
  assert.equal(node.agent.store.countOf('bridge'), 2)
  await flow.end()
  assert.equal(invalidPackets(node.host), 0)
})

test("a MAC that a later plugin gives a pod's interface is taken for its own, also by the next agent", async () => {
  await using node = new EbpfNode()
  await node.settle()
  const [one, two] = [node.add('one'), node.add('two')]
  await node.settle()
  one.sh('ip link set eth0 address 0a:58:00:00:00:77')
  assert.throws(() => one.sh('ping -c1 -W1 10.244.1.3'))
  await node.pass(false)
  // the pod asks for the address again up to a second after it got no answer
  one.sh('ping -c1 -W3 10.244.1.3')
  await node.restart()
  await node.settle()
  one.sh('ping -c1 -W3 10.244.1.3')
  await using flow = await Flow.start(one, two, '10.244.1.3', 7000)
  await sleep(flowMs)
  assert.ok(node.packets('two', 'to_pod_local') > 50)
  await flow.end()
})

test('packets pass the bucket that a later plugin gives the host end of a pod', async () => {
  await using node = new EbpfNode()
  await node.settle()
  const [one, two] = [node.add('one'), node.add('two')]
  await node.settle()
  const device = node.deviceOf('two')
  node.host.sh(`tc qdisc add dev ${device} root tbf rate 100mbit burst 100000 latency 25ms`)
  await node.pass(false)
  await node.pass()
  await using flow = await Flow.start(one, two, '10.244.1.3', 7000)
  await sleep(flowMs)
  assert.ok(node.packets('two', 'to_pod_local') > 50)
  const [, held] = /Sent \d+ bytes (\d+) pkt/.exec(node.host.sh(`tc -s qdisc show dev ${device} root`))!
  assert.ok(Number(held) > 50, `${held} packets`)
  assert.deepEqual(await node.agent.keeper.preview(), [])
  await flow.end()
})

test('clean removes programs, maps and links', async () => {
  await using node = new EbpfNode()
  await node.settle()
  node.add('one')
  await node.settle()
  const dry = await clean({ dryRun: true, bpfDir: node.bpfFolder }, silent)
  assert.ok(dry.changes.some(({ kind }) => kind === 'attachment'))
  assert.equal(node.programsAt('one'), 'all')
  const { failed } = await clean({ dryRun: false, bpfDir: node.bpfFolder }, silent)
  assert.equal(failed, 0)
  assert.equal(node.host.sh(`ls ${join(node.bpfFolder, '..')}`).trim(), 'maps.debug\nprogs.debug')
})

test('a node that lacks what the programs need says so, and pods get the bridge', async () => {
  await using node = new EbpfNode()
  const saysWhy = async (why: RegExp): Promise<void> => {
    await node.restart()
    await node.settle()
    assert.match(
      node.agent.pods.problems.map(problemText).join('\n'),
      new RegExp(`CW3201 datapath/ebpf: CAUSEWAY_DATAPATH asks for .* stay with the bridge: ${why.source}`),
    )
  }
  node.host.sh('sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0')
  await saysWhy(/the sysctl net\/netfilter\/nf_conntrack_tcp_loose is 0/)
  node.host.sh('sysctl -qw net.netfilter.nf_conntrack_tcp_loose=1')
  node.chain = ['tuning', 'bandwidth']
  await saysWhy(/CAUSEWAY_CNI_CHAIN has the plugin bandwidth/)
  node.chain = ['tuning']
  node.objectPath = join(node.folder, 'missing.o')
  await saysWhy(/the object file .*missing\.o is missing/)
  assert.equal(node.agent.pods.datapathState?.name, 'bridge')
  node.add('one')
  assert.equal(node.agent.store.countOf('bridge'), 1)
})
