// Router advertisements that one pod sends to the others (CVE-2020-10749): no pod takes them, also one without IPv6 addresses.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { TestNetns } from './namespace.ts'
import { PodNode, podNetwork } from './pod-node.ts'

for (const podCIDRs of [podNetwork.podCIDRs, [Prefix.parse('10.244.1.0/29')]])
  test(`a pod with addresses of ${podCIDRs.join(' and ')} takes no router advertisements`, () => {
    using node = new PodNode()
    node.network = { ...podNetwork, podCIDRs }
    using pod = new TestNetns()
    pod.sh('sysctl -qw net.ipv6.conf.default.accept_ra=2')
    node.add('a', pod.path)
    assert.equal(pod.sh('cat /proc/sys/net/ipv6/conf/eth0/accept_ra').trim(), '0')
  })
