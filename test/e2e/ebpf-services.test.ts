// The eBPF datapath of a lab beside kube-proxy's rules: Services served by a pod of the same node, of another one and by the client itself, and
// direct connections from the same ports, which go on while the datapath changes. That real kube-proxy writes such rules: kube-proxy-rules.ts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { netnsPath } from '#/sys/netns.ts'
import { TalkerIn } from '../netns/ebpf/talking-pod.ts'
import { causeway, eventually, must, TestLab } from './harness.ts'
import { kubeProxyRules, type Mode, type Service } from './kube-proxy-rules.ts'

const [servicePort, endpointPort] = [80, 9000]
const backends = ['neighbour', 'remote', 'client'] as const
const protocols = ['tcp', 'udp'] as const
const families = [0, 1] as const
const virtual = [(at: number) => `10.96.1.${at}`, (at: number) => `fd10:96::1:${at}`] as const

type Ways = Record<'local' | 'native' | 'tunnel' | 'stack', { packets: number }>
type Report = { value: { datapath: string; programs?: { pods: { pod: string; sent: Ways }[] } } }[]

function report(lab: TestLab, node: string): Report[number]['value'] {
  return (JSON.parse(must(causeway, 'datapath', '--lab', lab.name, '--node', node, '--json')) as Report)[0]!.value
}

/** What was carried of all that a pod has sent. */
function carriedOf(lab: TestLab, pod: string): number {
  const { sent } = report(lab, 'node-1').programs!.pods.find((row) => row.pod === pod)!
  return sent.local.packets + sent.native.packets + sent.tunnel.packets
}

function setDatapath(lab: TestLab, datapath: 'bridge' | 'ebpf'): Promise<void> {
  lab.kubectl('patch', 'routing', 'default', '--type', 'merge', '-p', `{"spec":{"datapath":"${datapath}"}}`)
  return eventually(`${datapath} on both nodes`, () =>
    ['node-1', 'node-2'].every((node) => report(lab, node).datapath === datapath),
  )
}

/** Packets that kube-proxy's rule against INVALID ones has dropped. */
function invalidIn(lab: TestLab, node: string): number {
  const counts = ['iptables', 'ip6tables'].map((tool) =>
    Number(/^ *(\d+) .*INVALID/m.exec(lab.mustInside(node, tool, '-vxnL', 'KUBE-FORWARD'))![1]),
  )
  return counts[0]! + counts[1]!
}

for (const mode of ['iptables', 'nftables'] satisfies Mode[]) {
  test(`Services and direct connections beside kube-proxy in ${mode} mode, while the datapath changes`, async () => {
    using stack = new DisposableStack()
    const lab = stack.use(new TestLab())
    const { pods } = lab.up('--nodes', '2', '--pods', '2', '--datapath', 'ebpf')
    const [client, neighbour] = pods.filter(({ node }) => node === 'node-1')
    const remote = pods.find(({ node }) => node === 'node-2')!
    const podOf = { client: client!, neighbour: neighbour!, remote }
    const talkers = Object.fromEntries(
      backends.map((backend) => [
        backend,
        stack.use(new TalkerIn(netnsPath(`cw-${lab.name}-pod-default-${podOf[backend].name}`))),
      ]),
    ) as Record<(typeof backends)[number], TalkerIn>
    for (const backend of backends)
      for (const addr of podOf[backend].addrs) await talkers[backend].call({ kind: 'serve', addr, port: endpointPort })

    const services = backends.flatMap((backend, at) =>
      families.flatMap((family) =>
        protocols.map((protocol): Service & { backend: string; from: string } => ({
          backend,
          from: client!.addrs[family]!,
          addr: virtual[family](at + 1),
          endpoint: podOf[backend].addrs[family]!,
          protocol,
          port: servicePort,
          endpointPort,
        })),
      ),
    )
    for (const node of ['node-1', 'node-2']) lab.mustInside(node, 'sh', '-ec', kubeProxyRules(mode, services))

    const talker = talkers.client
    const kept = { service: [] as string[], direct: [] as string[] }
    let fromPort = 20_000
    for (const { backend, from, addr, endpoint, protocol } of services) {
      const of = `${backend} ${protocol} ${addr}`
      const [viaService, direct] = [`Service ${of}`, `direct ${of}`]
      fromPort += 1
      await talker.call({ kind: 'open', id: viaService, protocol, from, fromPort, to: addr, port: servicePort })
      await talker.exchange(viaService)
      kept.service.push(viaService)
      if (backend === 'client') continue
      await talker.call({ kind: 'open', id: direct, protocol, from, fromPort, to: endpoint, port: endpointPort })
      await talker.exchange(direct)
      kept.direct.push(direct)
      // the port of the first connection of the pair is that of the second: a direct one from a port of its own is always carried
      const alone = `alone ${of}`
      await talker.call({ kind: 'open', id: alone, protocol, from, to: endpoint, port: endpointPort })
      await talker.exchange(alone, { rounds: 3 })
      kept.direct.push(alone)
    }
    const all = [...kept.service, ...kept.direct]
    const exchangeAll = (ids: readonly string[], rounds: number, pauseMs = 0) =>
      Promise.all(ids.map((id) => talker.exchange(id, { rounds, bytes: 500, pauseMs })))

    const pod = `default/${client!.name}`
    await exchangeAll(all, 5)
    // acknowledgements of the last exchange may come late
    await sleep(300)
    let before = carriedOf(lab, pod)
    await exchangeAll(kept.service, 50)
    assert.equal(carriedOf(lab, pod), before, 'packets of Services were carried past the translation')
    const alone = kept.direct.filter((id) => id.startsWith('alone'))
    await exchangeAll(alone, 50)
    assert.ok(carriedOf(lab, pod) >= before + 50 * alone.length, 'direct connections are not carried')

    // many short ones
    for (const { from, addr, protocol } of services) {
      for (let round = 0; round < 40; round++) {
        await talker.call({ kind: 'open', id: 'short', protocol, from, to: addr, port: servicePort })
        await talker.exchange('short', { rounds: 3, bytes: 700 })
        await talker.call({ kind: 'close', id: 'short', how: 'fin' })
      }
    }

    for (const datapath of ['bridge', 'ebpf'] as const) {
      const busy = exchangeAll(all.slice(0, -2), 100, 20)
      await setDatapath(lab, datapath)
      await busy
      // those that were idle over the change too
      await exchangeAll(all, 5)
    }
    before = carriedOf(lab, pod)
    await exchangeAll(alone, 20)
    assert.ok(carriedOf(lab, pod) >= before + 20 * (alone.length - 1), 'direct connections are carried no more')
    if (mode === 'iptables') for (const node of ['node-1', 'node-2']) assert.equal(invalidIn(lab, node), 0)
  })
}
