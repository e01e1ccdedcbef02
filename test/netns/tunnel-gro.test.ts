// GRO of the tunnel's device: off only where every device of the underlay has it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type NeededPassage } from '#/model/network.ts'
import { groChange } from '#/reconcile/tunnel-gro.ts'
import { TestNetns } from './namespace.ts'

const passageBy = (...underlayDevices: string[]): NeededPassage => ({
  podDevices: ['cw-br0'],
  podCIDRs: [],
  clusterCIDRs: [],
  isNative: false,
  underlayDevices,
  tunnel: { device: 'cw-vxlan', port: 8472, ends: [Addr.parse('172.30.1.12')] },
})

test('the tunnel has GRO unless all of the underlay has', async () => {
  using host = new TestNetns()
  host.sh(`ip link add up0 type veth peer name peer0; ip link add up1 type veth peer name peer1
    ip link add cw-vxlan type vxlan external dstport 8472`)
  const gro = (device: string): string => /^generic-receive-offload: (\w+)/m.exec(host.sh(`ethtool -k ${device}`))![1]!
  /** Brings the tunnel to where it should be; gives the command that it took. */
  const settle = async (...underlay: string[]): Promise<string | undefined> => {
    const change = host.netns.run(() => groChange('cw-vxlan', passageBy(...underlay)))
    await host.netns.run(() => change && 'call' in change.work && change.work.call())
    assert.equal(
      host.netns.run(() => groChange('cw-vxlan', passageBy(...underlay))),
      undefined,
    )
    return change?.commands[0]
  }
  // veths have none from the start
  assert.equal(await settle('up0'), undefined)
  assert.equal(gro('cw-vxlan'), 'on')
  host.sh('ethtool -K up0 gro on')
  assert.equal(await settle('up0'), 'ethtool -K cw-vxlan gro off')
  assert.equal(gro('cw-vxlan'), 'off')
  assert.equal(await settle('up0', 'up1'), 'ethtool -K cw-vxlan gro on')
  assert.equal(gro('cw-vxlan'), 'on')
  host.sh('ethtool -K up1 gro on')
  assert.equal(await settle('up0', 'up1'), 'ethtool -K cw-vxlan gro off')
  // no other node yet, or a device that is gone: nothing is known of what comes
  assert.equal(await settle(), 'ethtool -K cw-vxlan gro on')
  assert.equal(await settle('up0', 'gone'), undefined)
  assert.equal(
    host.netns.run(() => groChange('no-tunnel', passageBy('up0'))),
    undefined,
  )
})
