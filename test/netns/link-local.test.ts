// Who answers on a link, for BGP neighbours without a configured address.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findLinkLocal } from '#/agent/bgp/link-local.ts'
import { Addr } from '#/lib/addr.ts'
import { TestNetns } from './namespace.ts'

test('the other node on a link is found by its link-local address, and nobody where there is none', async () => {
  using here = new TestNetns()
  using there = new TestNetns()
  for (const host of [here, there]) host.sh('sysctl -qw net.ipv6.conf.default.accept_dad=0')
  here.sh(`ip link add up0 type veth peer name up0 netns ${there.name}`)
  here.sh(`ip link add alone type veth peer name alone netns ${there.name}`)
  here.sh('ip link set up0 up; ip link set alone up')
  there.sh('sysctl -qw net.ipv6.conf.alone.disable_ipv6=1; ip link set alone up; ip link set up0 up')
  const addrOf = (host: TestNetns): Addr => {
    const [, text] = /inet6 (fe80::[0-9a-f:]+)\//.exec(host.sh('ip -6 addr show dev up0'))!
    return Addr.parse(text!)
  }
  const [ours, theirs] = [addrOf(here), addrOf(there)]
  // as the agent, who asks again: on a busy machine the kernel itself may take longer than one question waits
  let found: Addr | undefined
  for (let tries = 0; tries < 50 && found === undefined; tries++)
    found = await here.netns.run(() => findLinkLocal('up0', [ours]))
  assert.equal(String(found), String(theirs))
  assert.equal(await here.netns.run(() => findLinkLocal('alone', [ours])), undefined)
})
