// Services beside the programs, with and without br_netfilter: connections to a virtual address, translated as kube-proxy does it, with the backend on the same node, on
// another one, and the client itself; and a direct connection from the same port to the same backend at the same time.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { echoPort, type Pod, TwoNodes } from './ebpf/two-nodes.ts'

const backends = ['neighbour', 'remote', 'client'] as const
const servicePort = 80
const virtual = { 4: (index: number) => `10.96.0.${index + 1}`, 6: (index: number) => `fd96::${index + 1}` } as const

let both: TwoNodes
before(async () => {
  both = await TwoNodes.make('native')
  const rules = backends.flatMap((backend, index) => {
    const { 4: addr4, 6: addr6 } = both[backend].addrs
    return ['tcp', 'udp'].flatMap((protocol) => [
      `add rule inet node prerouting ip daddr ${virtual[4](index)} ${protocol} dport ${servicePort} dnat ip to ${addr4}:${echoPort}`,
      `add rule inet node prerouting ip6 daddr ${virtual[6](index)} ${protocol} dport ${servicePort} dnat ip6 to [${addr6}]:${echoPort}`,
    ])
  })
  const { 4: own4, 6: own6 } = both.client.addrs
  both.nodes[0].nft(`${rules.join('\n')}
    add rule inet node postrouting ip saddr ${own4} ip daddr ${own4} masquerade
    add rule inet node postrouting ip6 saddr ${own6} ip6 daddr ${own6} masquerade`)
})
after(() => both[Symbol.dispose]())

const carriedKinds = ['from_pod_local', 'from_pod_native', 'to_pod_local', 'to_pod_native'] as const
const carriedOf = (pod: Pod): number => carriedKinds.reduce((sum, kind) => sum + (both.traffic(pod)[kind] ?? 0), 0)

/** Whether the firewall sees what is bridged too: the programs do not need it. */
const cases = backends.flatMap((backend, index) => [1, 0].map((bridged) => ({ backend, index, bridged })))

for (const { backend, index, bridged } of cases) {
  for (const protocol of ['tcp', 'udp'] as const) {
    test(`${protocol} to a Service of the ${backend}, and to it directly from the same port, with br_netfilter ${bridged}`, async () => {
      const { client, nodes } = both
      nodes[0].sh(
        `sysctl -qew net.bridge.bridge-nf-call-iptables=${bridged} net.bridge.bridge-nf-call-ip6tables=${bridged}`,
      )
      const invalidBefore = nodes.map((node) => node.invalid)
      for (const family of [4, 6] as const) {
        for (const isServiceFirst of [true, false]) {
          const fromPort = 41_000 + 200 * index + 100 * bridged + 10 * family + (isServiceFirst ? 1 : 0)
          const [service, direct] = [`service ${fromPort} ${protocol}`, `direct ${fromPort} ${protocol}`]
          const steps = [
            async () =>
              client.connect(service, protocol, family, virtual[family](index), { fromPort, port: servicePort }),
            async () => client.exchange(service, { rounds: 5 }),
            ...(backend === 'client'
              ? []
              : [
                  async () => client.connect(direct, protocol, family, both[backend], { fromPort }),
                  async () => client.exchange(direct, { rounds: 5 }),
                ]),
          ]
          for (const step of isServiceFirst ? steps : [...steps.slice(2), ...steps.slice(0, 2)]) await step()

          client.node.maps.clearTraffic(client.slot)
          await client.exchange(service, { rounds: 20, bytes: 1000 })
          assert.equal(carriedOf(client), 0, `${service}: ${JSON.stringify(both.traffic(client))}`)
          if (backend === 'client') {
            await client.close(service)
            continue
          }
          await Promise.all([client.exchange(service, { rounds: 30 }), client.exchange(direct, { rounds: 30 })])
          client.node.maps.clearTraffic(client.slot)
          await client.exchange(direct, { rounds: 20, bytes: 1000 })
          // whichever came second has got another port from the kernel: where that is the direct one, it is the stack's
          const carried = carriedOf(client)
          assert.ok(isServiceFirst ? carried === 0 || carried >= 40 : carried >= 40, `${direct}: ${carried}`)
          await client.close(service)
          await client.exchange(direct, { rounds: 5 })
          await client.close(direct)
        }
      }
      assert.deepEqual(
        nodes.map((node) => node.invalid),
        invalidBefore,
      )
      for (const pod of [client, both.neighbour, both.remote]) assert.equal(pod.wrongChecksums, 0)
    })
  }
}
