// Sysctls of the underlay's devices belong to the node, and some of them drop packets of pods: they are read and told, never set.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readUnderlay } from '#/agent/network/underlay.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { problemText } from '#/model/problems.ts'
import { NodeWays } from '#/plan/node-ways.ts'
import { RemoteNodes } from '#/plan/remote-nodes.ts'
import { routingProblems } from '#/plan/routing-problems.ts'
import { TestNetns } from './namespace.ts'

const addrs = ['172.30.1.1', 'fd30::1'].map((each) => Addr.parse(each))
const settings = {
  clusterCIDRs: [Prefix.parse('10.244.0.0/16'), Prefix.parse('fd10:244::/48')],
  vni: 1,
  vxlanPort: 8472,
  opensForwardChains: true,
} as const

/** What is told of the sysctls `set`, with a device `u.1` that has the node's addresses and a device `w` that has others. */
function told(set: string, routing: 'vxlan' | 'native'): string[] {
  using host = new TestNetns()
  host.sh(`for d in u.1 w; do ip link add $d up type veth peer name $d-p; ip link set $d-p up; done
    ip addr add 172.30.1.1/24 dev u.1; ip addr add fd30::1/64 dev u.1 nodad; ip addr add 192.0.2.1/24 dev w
    for d in all default u.1 w; do echo 0 > /proc/sys/net/ipv4/conf/$d/rp_filter; done
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; ${set}`)
  return host.netns.run(() => {
    using netlink = new Netlink()
    const underlay = readUnderlay(netlink, 'node-1', addrs, { ...settings, routing }, [])
    const self = { name: 'node-1', podCIDRs: [], addrs }
    const { mtuBytes, connected, strictDevices, stoppedDevices, deadDevices } = underlay
    const remoteNodes = new RemoteNodes({
      self,
      underlay: mtuBytes,
      ways: new NodeWays(),
      connected,
      routing,
      settings: { ...settings, routing },
    })
    const problems = routingProblems(remoteNodes, { strictDevices, stoppedDevices, deadDevices, isSettled: true })
    return problems.map((each) => problemText(each))
  })
}

for (const routing of ['vxlan', 'native'] as const)
  test(`${routing}: rp_filter and forwarding of the underlay's devices are told, with the command that mends them`, () => {
    assert.deepEqual(told('', routing), [])
    const strict =
      /^CW1203 sysctl\/net\/ipv4\/conf\/u\.1\/rp_filter: .*; remedy: sysctl -w net\/ipv4\/conf\/u\.1\/rp_filter=2,/
    for (const set of ['sysctl -qw net/ipv4/conf/u.1/rp_filter=1', 'sysctl -qw net.ipv4.conf.all.rp_filter=1']) {
      const [line, ...more] = told(set, routing)
      assert.match(line ?? '', strict, set)
      assert.deepEqual(more, [])
    }
    // the kernel takes the larger of both values, and 2 is loose
    assert.deepEqual(told('sysctl -qw net.ipv4.conf.all.rp_filter=1 net/ipv4/conf/u.1/rp_filter=2', routing), [])
    assert.deepEqual(told('sysctl -qw net.ipv4.conf.w.rp_filter=1', routing), [], 'w is no device of the underlay')

    const [stopped, ...more] = told('sysctl -qw net/ipv4/conf/u.1/forwarding=0', routing)
    assert.match(
      stopped ?? '',
      /^CW1305 sysctl\/net\/ipv4\/conf\/u\.1\/forwarding: u\.1 forwards no IPv4 packets: .*; remedy: sysctl -w net\/ipv4\/conf\/u\.1\/forwarding=1,/,
    )
    assert.deepEqual(more, [])
    // a node that forwards nothing yet is the agent's to set, and no device of it is told
    assert.deepEqual(told('sysctl -qw net.ipv4.ip_forward=0', routing), [])
  })

test('a device of the underlay that is down, or has no carrier, is told', () => {
  const [unplugged, ...more] = told('ip link set u.1-p down', 'vxlan')
  assert.match(unplugged ?? '', /^CW8104 device\/u\.1: u\.1 has no carrier: .*; remedy: look at the cable/)
  assert.deepEqual(more, [])
  const [down, ...others] = told('ip link set u.1 down', 'native')
  assert.match(down ?? '', /^CW8104 device\/u\.1: u\.1 is down; .*; remedy: ip link set dev u\.1 up/)
  assert.deepEqual(others, [])
})
