// The bandwidth capability on the real kernel: what tc shows, what CHECK says, and what packets do.
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import { test } from 'node:test'
import { PodRefresher } from '#/agent/pods/pod-refresh.ts'
import { PortDriver } from '#/datapath/port-driver.ts'
import { silent } from '#/lib/log.ts'
import { emptyNetwork } from '#/model/network.ts'
import { podLimits } from '#/plan/bandwidth.ts'
import { Reconciler } from '#/reconcile/reconciler.ts'
import { tcpListener } from '#/sys/socket.ts'
import { TestNetns } from './namespace.ts'
import { messageIn, PodNode, podNetwork, prevResultOf } from './pod-node.ts'

const bandwidth = { ingressRate: 40_000_000, ingressBurst: 400_000, egressRate: 24_000_000, egressBurst: 400_000 }
const config = { runtimeConfig: { bandwidth } }

test('tc shows the token buckets that were asked for; CHECK misses each, and wiring anew brings them back', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  const prevResult = prevResultOf(node.add('pod', pod.path, { config }))
  const check = () => messageIn(node.call('CHECK', 'pod', pod.path, { config: { prevResult } }))
  const device = node.store.list()[0]!.hostDevice
  assert.match(
    node.host.sh(`tc -s qdisc show dev ${device}`),
    /^qdisc tbf 1: root refcnt \d+ rate 40Mbit burst (50000|4999\d)b lat 25ms/,
  )
  assert.match(
    pod.sh('tc -s qdisc show dev eth0'),
    /^qdisc tbf 1: root refcnt \d+ rate 24Mbit burst (50000|4999\d)b lat 25ms/,
  )
  assert.equal(check(), '')
  pod.sh('tc qdisc del dev eth0 root')
  node.host.sh(`tc qdisc replace dev ${device} root handle 1: tbf rate 10mbit burst 50000 latency 25ms`)
  assert.match(
    check(),
    /: cwv\w+ does not hold 40000000 bit\/s but 10000000; eth0 does not hold 24000000 bit\/s: its token bucket is gone$/,
  )
  node.host.sh(`tc qdisc replace dev ${device} root handle 1: tbf rate 40mbit burst 90000 latency 25ms`)
  assert.match(check(), /: cwv\w+ has a burst of 9\d{4} bytes instead of 50000; /)
  node.add('pod', pod.path, { config })
  assert.equal(check(), '')
})

test('a limit that somebody takes off comes back; where another discipline stands in its place, that is told', async () => {
  using node = new PodNode()
  using pod = new TestNetns()
  node.add('pod', pod.path, { config })
  const [{ hostDevice, bandwidth: asked }] = node.store.list() as [ReturnType<typeof node.store.list>[number]]
  const { ingress } = podLimits(asked)
  const ports = [{ name: hostDevice, pod: 'default/pod', datapath: 'bridge', ingress: ingress! } as const]
  const pods = { isInUse: () => true, rewire() {} }
  const { netlink } = node
  const drivers = [new PortDriver(netlink, pods)]
  const reconciler = new Reconciler({ netlink, drivers, log: silent, nowMs: Date.now })
  const { datapaths, store, namespaces } = node
  const refresher = new PodRefresher({ datapaths, store, namespaces, log: silent })
  const mend = async (isFull = true): Promise<number> => {
    const { changed } = await reconciler.apply({ ...emptyNetwork, ports }, { isComplete: true })
    await refresher.refresh(podNetwork, isFull)
    return changed
  }
  const shown = (): string =>
    node.host.sh(`tc qdisc show dev ${hostDevice} root`) + pod.sh('tc qdisc show dev eth0 root')
  await mend()
  const before = shown()
  assert.equal(await mend(), 0)
  node.host.sh(`tc qdisc del dev ${hostDevice} root`)
  pod.sh('tc qdisc del dev eth0 root')
  await mend()
  assert.equal(shown(), before)
  node.host.sh(`tc qdisc replace dev ${hostDevice} root handle 1: tbf rate 10mbit burst 50000 latency 25ms`)
  await mend()
  assert.equal(shown(), before)
  node.host.sh(`tc qdisc replace dev ${hostDevice} root handle 8: pfifo`)
  assert.equal(await mend(), 0)
  assert.deepEqual(
    reconciler.failures.map(({ key, message }) => `${key}: ${message}`),
    [
      `${hostDevice}: another's queueing discipline (pfifo) on ${hostDevice} stands in place of the pod's limit of 40000000 bit/s`,
    ],
  )
  assert.match(reconciler.failures[0]!.remedy ?? '', /tc qdisc del dev cwv\w+ root/)
  node.host.sh(`tc qdisc del dev ${hostDevice} root`)
  await mend()
  assert.deepEqual([shown(), reconciler.failures], [before, []])
})

test('without the capability nothing is shaped', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  node.add('pod', pod.path, { config: { runtimeConfig: { bandwidth: { ingressRate: 0 } } } })
  assert.doesNotMatch(node.host.sh('tc qdisc show') + pod.sh('tc qdisc show'), /tbf/)
})

/** Serves what `onBytes` counts; in the namespace, by this process. */
async function sink(netns: TestNetns, port: number, onBytes: (count: number) => void): Promise<Server> {
  const server = createServer((socket) => socket.on('data', (chunk) => onBytes(chunk.length)).on('error', () => {}))
  const fd = netns.netns.run(() => tcpListener(4, port))
  await new Promise<void>((resolve) => server.listen({ fd }, resolve))
  return server
}

const port = 9000

/** Bits per second that arrive at `to` when `from` sends for a while, after the burst is used up. */
async function throughput(from: TestNetns, to: TestNetns, addr: string): Promise<number> {
  const seconds = 2
  let bytes = 0
  let startedMs = 0
  let endedMs = 0
  const server = await sink(to, port, (count) => {
    startedMs ||= performance.now()
    endedMs = performance.now()
    bytes += count
  })
  try {
    await from.shAsync(`timeout ${seconds} bash -c 'cat /dev/zero >/dev/tcp/${addr}/${port}' || true`)
    await new Promise((resolve) => setTimeout(resolve, 100))
    return (bytes * 8) / ((endedMs - startedMs) / 1000)
  } finally {
    server.close()
  }
}

const mostAttempts = 5

/** A busy machine's clock may spoil a measurement; one that is as wanted is enough, since a rate that is not held never is. */
async function comesTo(isWanted: (measured: number) => boolean, what: string, measure: () => Promise<number>) {
  const seen: number[] = []
  while (seen.length < mostAttempts) {
    const measured = await measure()
    if (isWanted(measured)) return
    seen.push(measured)
  }
  assert.fail(`${seen.join(', ')} bit/s where ${what}`)
}

async function isHeldAt(wanted: number, measure: () => Promise<number>) {
  // headers and retransmissions take a part; the burst gives a little
  const isAbout = (measured: number) => measured > wanted * 0.75 && measured < wanted * 1.08
  await comesTo(isAbout, `${wanted} was to be held`, measure)
}

test('traffic to and from a pod is held at its rates, and its neighbour’s is not', async () => {
  using node = new PodNode()
  using pod = new TestNetns()
  using other = new TestNetns()
  node.add('pod', pod.path, { config })
  node.add('other', other.path)
  await isHeldAt(bandwidth.ingressRate, () => throughput(other, pod, '10.244.1.2'))
  await isHeldAt(bandwidth.egressRate, () => throughput(pod, other, '10.244.1.3'))
  await comesTo(
    (measured) => measured > bandwidth.ingressRate * 2,
    'the pod has no limit',
    () => throughput(node.host, other, '10.244.1.3'),
  )
})
