// An address that a pod gave back goes to another pod with another MAC: everybody on the bridge finds the new one at once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestNetns } from './namespace.ts'
import { PodNode } from './pod-node.ts'

const addrs = ['10.244.1.3', 'fd10:244:0:1::3']
const as = (mac: string) => ({ config: { runtimeConfig: { ips: addrs, mac } } })

/** Pings until there is a reply, for less time than the kernel trusts an entry that it has used, which is 15 s at least. */
function reach(from: TestNetns): void {
  for (const addr of addrs) from.sh(`ping -c 1 -i 0.1 -w 5 ${addr}`)
}

test('a pod with the address of a deleted one is reached at once, by other pods and by the node, in both families', () => {
  using node = new PodNode()
  using asker = new TestNetns()
  using former = new TestNetns()
  using later = new TestNetns()
  node.add('asker', asker.path)
  node.add('former', former.path, as('02:00:00:00:00:0b'))
  for (const from of [asker, node.host]) reach(from)
  node.call('DEL', 'former', former.path)
  node.add('later', later.path, as('02:00:00:00:00:0c'))
  // it is the node that tells, before the pod is up: a pod that heard of its own address would take it for somebody else's
  assert.equal(later.sh('ip -6 addr show dev eth0 | grep -c dadfailed || true').trim(), '0')
  assert.equal(later.sh("grep Icmp6InNeighborAdvertisements /proc/net/snmp6 | awk '{ print $2 }'").trim(), '0')
  for (const from of [asker, node.host]) reach(from)
  assert.match(asker.sh('ip neigh'), /10\.244\.1\.3 .*02:00:00:00:00:0c/)
})
