import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type Verdict } from '#/model/verdict.ts'
import { noRemotePlan } from '#/plan/remote-plan.ts'
import { sameTarget, targetsOf } from './targets.ts'

const self = {
  name: 'node-1',
  podCIDRs: ['10.244.1.0/24', 'fd10:244:0:1::/64'].map((each) => Prefix.parse(each)),
  addrs: ['172.30.1.1', 'fd30::1'].map((each) => Addr.parse(each)),
}

function tunnel(end: string, vtep?: { readonly gateway: string; readonly vtepMac: string }) {
  const outer = end.includes(':') ? (6 as const) : (4 as const)
  const src = self.addrs.find(({ family }) => family === outer)!
  const gateway = Addr.parse(vtep?.gateway ?? '169.254.42.1')
  return { outer, src, dst: Addr.parse(end), gateway, ...(vtep && { vtepMac: vtep.vtepMac }) }
}

const vxlan = (dst: string, ...ends: Parameters<typeof tunnel>): Verdict => {
  return { way: 'vxlan', node: 'node-2', dst: Prefix.parse(dst), tunnel: tunnel(...ends), mtuBytes: 1450, reason: '' }
}

function textsOf(verdicts: readonly Verdict[], ends: readonly string[]): string[] {
  const tunnelEnds = ends.map((each) => Addr.parse(each))
  const plan = { ...noRemotePlan, verdicts, tunnelEnds, underlay: [{ family: 4 as const, mtuBytes: 1500 }] }
  return targetsOf('node-2', plan, self).map(
    ({ key, src, dst, way, mtuBytes, tunnel: through }) =>
      `${key}: ${src} to ${dst} ${way} ${mtuBytes}${through ? ` ends at ${through.dst}` : ''}`,
  )
}

test('a node is asked at an address of each family that both have, and at its gateways by the way that pods’ packets go', () => {
  const native: Verdict = {
    way: 'native',
    node: 'node-2',
    dst: Prefix.parse('fd10:244:0:2::/64'),
    origin: 'bgp',
    nextHops: [],
    reason: '',
  }
  assert.deepEqual(
    textsOf([vxlan('10.244.2.0/24', '172.30.1.2'), vxlan('10.244.9.0/24', '172.30.1.2'), native], ['172.30.1.2']),
    [
      'node-2 node IPv4: 172.30.1.1 to 172.30.1.2 direct 1500',
      'node-2 pod IPv4: 10.244.1.1 to 10.244.2.1 vxlan 1450 ends at 172.30.1.2',
      'node-2 pod IPv6: fd10:244:0:1::1 to fd10:244:0:2::1 native undefined',
    ],
  )
  const none: Verdict = { way: 'none', node: 'node-2', dst: Prefix.parse('10.244.2.0/24'), reason: '' }
  assert.deepEqual(textsOf([none], ['fd30::2']), ['node-2 node IPv6: fd30::1 to fd30::2 direct undefined'])
})

test('a flannel node is asked at its VTEP, which is there before its bridge', () => {
  const vtep = { gateway: '10.244.2.0', vtepMac: '02:00:00:00:00:02' }
  assert.match(textsOf([vxlan('10.244.2.0/24', '172.30.1.2', vtep)], []).join(), /10\.244\.1\.1 to 10\.244\.2\.0 vxlan/)
})

test('a target with another address or size is another one', () => {
  const [one] = targetsOf('node-2', { ...noRemotePlan, verdicts: [vxlan('10.244.2.0/24', '172.30.1.2')] }, self)
  assert.ok(sameTarget(one!, { ...one! }))
  assert.ok(!sameTarget(one!, { ...one!, mtuBytes: 1400 }))
  assert.ok(!sameTarget(one!, { ...one!, dst: Addr.parse('10.244.2.9') }))
})
