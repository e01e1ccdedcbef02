// What is told of the eBPF datapath, against real programs and maps: packets are put through a program by BPF_PROG_TEST_RUN, and the report,
// metrics, problems and the stream of watched packets have to say what became of them.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { followAgent } from '#/api/client.ts'
import { type WatchLine } from '#/api/schemas/datapath.ts'
import { socketTransport } from '#/api/socket-transport.ts'
import { datapathHandlers } from '#/agent/report/datapath-api.ts'
import { registerDatapathMetrics } from '#/agent/report/datapath-metrics.ts'
import { datapathReportOf } from '#/agent/report/datapath-report.ts'
import { DatapathView } from '#/agent/report/datapath-view.ts'
import { AgentApi } from '#/agent/report/http-api.ts'
import { podEntries } from '#/datapath/ebpf/entries.ts'
import { EbpfState, mapTable, readAttached } from '#/datapath/programs.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { findLink } from '#/kernel/links.ts'
import { Addr } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { Registry } from '#/lib/metrics.ts'
import { type Problem } from '#/model/problems.ts'
import { configFlags, configStruct, indexStruct, pairStruct, watchStruct } from '#/wire/bpf/maps.ts'
import { TestNetns } from './namespace.ts'

const host = new TestNetns()
const netlink = new Netlink(0, host.netns)
const folder = mkdtempSync(join(tmpdir(), 'causeway-visible-'))
const ebpf = new EbpfState({ folder: join(folder, 'causeway') })
const pod = '10.244.1.5'
const podMac = '02:43:57:00:00:05'
const far = '192.0.2.7'
let device = { index: 0, name: 'cwvisible' }

const view = new DatapathView({
  nodeName: 'node-1',
  netlink,
  ebpf,
  state: () => ({ name: 'ebpf' }),
  wanted: () => ({ value: 'ebpf', by: 'node' }),
  endpoints: () => [{ hostDevice: device.name, pod: 'default/a' }],
  nodeNames: () => ['node-2'],
  onChange: () => {},
  onDoubt: () => {},
  log: silent,
})

before(async () => {
  execFileSync('mount', ['-t', 'bpf', 'bpf', folder])
  // without IPv6 the other end sends nothing by itself
  host.sh(`sysctl -qw net.ipv6.conf.default.disable_ipv6=1; ip link add ${device.name} type veth peer name other
    ip link set ${device.name} up; ip link set other up`)
  device = findLink(netlink, device.name)!
  await ebpf.prepare()
  assert.equal(ebpf.refusal, undefined)
  const config = { flags: 0, bridge_device: device.index, tunnel_device: 0, vni: 1, tcp_timeout_s: 1, udp_timeout_s: 1 }
  const macs = { bridge_mac: new Uint8Array(6), tunnel_mac: new Uint8Array(6) }
  ebpf
    .current!.map('cw_config')
    .set(
      indexStruct.encode({ index: 0 }),
      configStruct.encode({ ...config, ...macs, vxlan_port: 8472, jiffies_hz: 1000 }),
    )
  const addrs = [Addr.parse(pod)]
  const about = { device: device.name, pod: 'default/a', mac: podMac, isBridged: false, isLimited: false }
  for (const { map, key, value } of podEntries({ ...about, addrs }, { index: device.index, slot: 3, mtuBytes: 1500 }))
    ebpf.current!.map(map).set(key, value)
  ebpf.plugged.set(device.name, { index: device.index, addrs })
})

after(() => {
  view[Symbol.dispose]()
  ebpf[Symbol.dispose]()
  netlink[Symbol.dispose]()
  host[Symbol.dispose]()
  execFileSync('umount', [folder])
  rmSync(folder, { recursive: true })
})

/** A UDP datagram of 46 bytes as the pod sends it. */
function frame(source: string): Uint8Array {
  const mac = Uint8Array.fromHex(podMac.replaceAll(':', ''))
  const ip = [
    0x45,
    0,
    0,
    32,
    0,
    0,
    0x40,
    0,
    64,
    17,
    0,
    0,
    ...Addr.parse(source).toBytes(),
    ...Addr.parse(far).toBytes(),
  ]
  return Uint8Array.of(0, 0, 0, 0, 0, 0, ...mac, 8, 0, ...ip, 0x9c, 0x40, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4)
}

/** struct __sk_buff, and where it has the index of the device. */
const skbBytes = 192
const skbDevice = 40

/** Runs the program on a packet that comes in by the pod's device; returns its verdict for the kernel. */
function sendFromPod(source: string, repeat = 1): number {
  const ctx = new Uint8Array(skbBytes)
  new DataView(ctx.buffer).setUint32(skbDevice, device.index, true)
  return host.netns.run(() => ebpf.current!.program('cw_from_pod').testRun({ data: frame(source), ctx, repeat }).retval)
}

const TC_ACT_UNSPEC = -1
const TC_ACT_SHOT = 2

test('counters, drops, maps and programs are told with the names of pods, and who is at a hook', async () => {
  assert.equal(sendFromPod(pod), TC_ACT_UNSPEC)
  assert.equal(sendFromPod('10.244.1.6'), TC_ACT_SHOT)
  const report = await datapathReportOf(view)
  const { programs } = report
  assert.deepEqual(
    programs?.pods.map(({ pod: name, sent }) => [name, sent.stack, sent.local.packets]),
    [['default/a', { packets: 1, bytes: 46 }, 0]],
  )
  assert.deepEqual(
    programs.drops.map((drop) => [drop.pod, drop.hook, drop.reason, drop.packets]),
    [['default/a', 'from_pod', 'source_address', 1]],
  )
  assert.equal(programs.programs.length, 4)
  assert.ok(programs.programs.every(({ tag, instructions }) => /^[0-9a-f]{16}$/.test(tag) && instructions > 0))
  const maps = new Map(programs.maps.map((map) => [map.name, map]))
  assert.equal(maps.get('cw_pods4')?.entries, 1)
  assert.equal(maps.get('cw_traffic')?.entries, 1)
  assert.ok(maps.get('cw_pods4')!.memoryBytes! > 0)
  const { rows } = await mapTable(ebpf.current!, 'cw_pods4', view.names())
  assert.deepEqual(rows, [[pod, 'default/a', device.name, podMac, '3', '1500', '-']])

  const program = ebpf.current!.program('cw_from_pod')
  host.netns.run(() => ebpf.hooks.attachNew(netlink, device, [{ hook: 'ingress', program, name: 'cw_from_pod' }]))
  // somebody else's filter at the same hook, with any program
  const other = join(ebpf.folder, ebpf.current!.name, 'programs', 'cw_to_pod')
  host.sh(`tc filter add dev ${device.name} ingress bpf da pinned ${other}`)
  const hooks = await host.netns.run(() => readAttached(ebpf, ebpf.current!, netlink))
  const found = hooks.find(({ hook }) => hook === 'ingress')
  assert.equal(found?.program, 'cw_from_pod')
  assert.equal(found.isCurrent, true)
  assert.deepEqual(found.before, [])
  assert.match(found.after.join(), /^cw_to_pod.* \(clsact\)$/)
  assert.equal(hooks.find(({ hook }) => hook === 'egress')?.program, undefined, 'a hook that lacks its program is told')
})

test('metrics have the counters of each pod and the drops by reason', async () => {
  const registry = new Registry()
  registerDatapathMetrics(registry, { generation: () => view.generation, pods: () => view.podsByDevice() })
  const text = await registry.render()
  for (const line of [
    'causeway_datapath_packets_total{pod="a",namespace="default",direction="from_pod",way="stack"} 1',
    'causeway_datapath_bytes_total{pod="a",namespace="default",direction="from_pod",way="stack"} 46',
    'causeway_datapath_drops_total{pod="a",namespace="default",direction="from_pod",reason="source_address"} 1',
    'causeway_datapath_map_entries{map="cw_pods4"} 1',
    'causeway_datapath_map_max_entries{map="cw_pods4"} 4096',
  ])
    assert.ok(text.includes(`${line}\n`), `${line} is not in\n${text}`)
})

test('a pod that begins to send under a foreign name is a problem, with the pod, the reason and a remedy', async () => {
  const told = (): readonly Problem[] => view.problems
  await view.round()
  const [first] = told()
  assert.match(first?.message ?? '', /^1 dropped: /, 'counters that this agent has made count from its start')
  sendFromPod('10.244.1.6')
  sendFromPod('10.244.1.6')
  await view.round()
  const [problem, ...more] = told()
  assert.deepEqual(more, [])
  assert.equal(problem?.code, 'CW3231')
  assert.equal(problem.object, 'pod/default/a')
  assert.match(problem.message, /^3 dropped: the source is no address of the pod; the last at /)
  assert.match(problem.remedy, /sends from the addresses that the ADD gave it/)
})

function watchedCount(): number {
  return ebpf.current!.map('cw_watched').entries().length
}

function isWatching(): boolean {
  const bytes = ebpf.current!.map('cw_config').get(indexStruct.encode({ index: 0 }))!
  return (configStruct.decode(bytes).flags & configFlags.watching) !== 0
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !isSo(); tries++) await sleep(10)
  assert.ok(isSo())
}

test('watched packets are streamed with verdict and reason; nothing is left when the reader goes', async () => {
  const socketPath = join(mkdtempSync(join(tmpdir(), 'causeway-visible-')), 'agent.sock')
  await using api = new AgentApi({ socketPath }, { log: silent, checksAnswers: true })
  await api.start(datapathHandlers(view))
  const transport = socketTransport(socketPath)
  const gone = new AbortController()
  const lines: WatchLine[] = []
  const spoofed = '10.244.1.6'
  const followed = [pod, spoofed].map((from) =>
    followAgent(transport, 'datapathWatch', { from, to: far }, (line) => lines.push(line), { signal: gone.signal }),
  )
  await until(() => watchedCount() === 2 && isWatching())
  sendFromPod(pod)
  sendFromPod(spoofed)
  sendFromPod('10.244.1.7')
  await until(() => lines.length === 2)
  // each has a connection of its own, so that either may come first
  const [passed, dropped] = ['stack', 'dropped'].map(
    (verdict) => lines.find(({ packet }) => packet?.verdict === verdict)?.packet,
  )
  assert.equal(passed?.verdict, 'stack')
  assert.equal(passed.pod, 'default/a')
  assert.equal(passed.packet, `UDP ${pod}:40000 > ${far}:53, hops 64`)
  assert.ok(Math.abs(passed.timeMs - Date.now()) < 5000)
  assert.equal(dropped?.verdict, 'dropped')
  assert.equal(dropped.reason, 'source_address')
  assert.equal(dropped.bytes, frame(spoofed).toHex())
  gone.abort()
  assert.deepEqual(
    (await Promise.all(followed)).map(({ kind }) => kind),
    ['answer', 'answer'],
  )
  await until(() => watchedCount() === 0 && !isWatching())

  const bounded = await followAgent(
    transport,
    'datapathWatch',
    { from: pod, to: far, seconds: '1' },
    (line) => lines.push(line),
    { signal: AbortSignal.timeout(10_000) },
  )
  assert.deepEqual(bounded, { kind: 'answer', value: 1 })
  assert.deepEqual(lines.at(-1), { kind: 'end', end: '1 s are over' })

  // more at once than programs have room to tell of
  const flooded: WatchLine[] = []
  const wish = { from: pod, to: far, seconds: '2', packets: '1000' }
  const flood = followAgent(transport, 'datapathWatch', wish, (line) => flooded.push(line), {
    signal: AbortSignal.timeout(10_000),
  })
  await until(() => watchedCount() === 1 && isWatching())
  sendFromPod(pod, 5000)
  await flood
  assert.equal(flooded.filter(({ kind }) => kind === 'packet').length, 1000)
  assert.deepEqual(flooded.slice(1000), [{ kind: 'lost' }, { kind: 'end', end: '1000 packets were seen' }])
  rmSync(join(socketPath, '..'), { recursive: true })
})

test('what a killed agent was watching is cleared by the next one', () => {
  const key = pairStruct.encode({ src: new Uint8Array(16), dst: new Uint8Array(16) })
  ebpf.current!.map('cw_watched').set(key, watchStruct.encode({ id: 5 }))
  const config = ebpf.current!.map('cw_config')
  const settings = configStruct.decode(config.get(indexStruct.encode({ index: 0 }))!)
  config.set(indexStruct.encode({ index: 0 }), configStruct.encode({ ...settings, flags: configFlags.watching }))
  using next = new DatapathView(view.deps)
  assert.equal(next.generation, ebpf.current)
  assert.equal(watchedCount(), 0)
  assert.equal(isWatching(), false)
})
