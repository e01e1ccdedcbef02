// From a node to a Service whose pod is on another node: kube-proxy gives such packets an address of the device by which they leave, so the
// answer comes through the tunnel only if that device has one that is routed there.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { formerPodCIDRsAnnotation } from '#/model/kubernetes.ts'
import { type DualNode, DualNodes, gateways, podAddrs } from './dual-nodes.ts'

const serviceAddrs = ['10.96.0.10', 'fd96::10']

/** As kube-proxy does for a Service with one endpoint. */
function serve({ host }: DualNode, endpoint: number): void {
  const [v4, v6] = podAddrs(endpoint)
  host.sh(`nft -f - <<'RULES'
table inet kube-proxy
delete table inet kube-proxy
table inet kube-proxy {
  chain services {
    ip daddr ${serviceAddrs[0]} meta mark set meta mark or 0x4000 dnat ip to ${v4}
    ip6 daddr ${serviceAddrs[1]} meta mark set meta mark or 0x4000 dnat ip6 to ${v6}
  }
  chain out { type nat hook output priority -100; jump services; }
  chain in { type nat hook prerouting priority dstnat; jump services; }
  chain post { type nat hook postrouting priority srcnat; meta mark & 0x4000 == 0x4000 masquerade fully-random; }
}
RULES`)
}

/** Two nodes; the first has a Service whose pod is on the second, and other addresses than that of the way to its gateway. */
async function scene(): Promise<DualNodes> {
  const cluster = new DualNodes()
  const [one, two] = cluster.nodes
  await cluster.start()
  two.wirePod()
  serve(one, 2)
  one.host.sh('ip addr add 192.0.2.1/32 dev lo; ip addr add 2001:db8::1/128 dev lo')
  return cluster
}

test('a pod of another node answers a node that asks for its Service, and sees the gateway of that node', async () => {
  using cluster = await scene()
  const [one, two] = cluster.nodes
  cluster.underlay.sh('ip route add 10.96.0.10 via 172.30.1.1; ip route add fd96::10 via fd30::1')
  for (const [index, addr] of serviceAddrs.entries()) {
    assert.equal(one.ask(two.pod, addr), gateways(1)[index])
    // as for a NodePort
    assert.equal(one.ask(two.pod, addr, cluster.underlay), gateways(1)[index])
    assert.equal(one.ask(two.pod, podAddrs(2)[index]!), gateways(1)[index])
  }
  assert.equal(cluster.inTheClear, 0)
  // natively, the packet leaves by the device of the node's own address
  cluster.underlay.sh('nft delete table netdev clear')
  one.routing = 'auto'
  await one.pass()
  assert.deepEqual(
    serviceAddrs.map((addr) => one.ask(two.pod, addr)),
    ['172.30.1.1', 'fd30::1'],
  )
})

test('the tunnel of an earlier release, whose device has a link-scope address, gets the gateway without losing a packet', async () => {
  using cluster = await scene()
  const [one, two] = cluster.nodes
  one.wirePod()
  one.host.sh(`ip addr add 169.254.42.2/32 dev cw-vxlan scope link
    ip addr del 10.244.1.1/32 dev cw-vxlan; ip addr del fd10:244:0:1::1/128 dev cw-vxlan`)
  const pings = podAddrs(2).map((addr) => one.pod.shAsync(`ping -n -q -i 0.003 -c 150 -W 1 ${addr}`))
  await one.pass()
  for (const output of await Promise.all(pings)) assert.match(output, / 0% packet loss/)
  assert.doesNotMatch(one.host.sh('ip addr show cw-vxlan'), /169\.254/)
  for (const [index, addr] of serviceAddrs.entries()) assert.equal(one.ask(two.pod, addr), gateways(1)[index])
})

test('a node that is given other pod CIDRs asks by a gateway that is routed to it, before and after its last pod of the former is gone', async () => {
  using cluster = await scene()
  const [one, two] = cluster.nodes
  const formerCIDRs = ['10.244.1.0/24', 'fd10:244:0:1::/64']
  const isGateway = (addr: string): void => assert.match(one.ask(two.pod, addr), /^(10\.244\.\d\.1|fd10:244:0:\d::1)$/)
  one.ports = [
    {
      name: 'cwv00000000001',
      pod: 'default/old',
      datapath: 'bridge',
      podCIDRs: formerCIDRs.map((each) => Prefix.parse(each)),
      addrs: [],
      mac: '',
    },
  ]
  const addrs = ['172.30.1.1', 'fd30::1']
  const newCIDRs = ['10.244.7.0/24', 'fd10:244:0:7::/64']
  cluster.write(1, addrs, newCIDRs, { [formerPodCIDRsAnnotation]: formerCIDRs.join() })
  await two.pass()
  await one.keeper.pass()
  serviceAddrs.forEach(isGateway)
  one.ports = []
  cluster.write(1, addrs, newCIDRs)
  await cluster.start()
  assert.deepEqual(
    serviceAddrs.map((addr) => one.ask(two.pod, addr)),
    gateways(7),
  )
  assert.equal(cluster.inTheClear, 0)
})
