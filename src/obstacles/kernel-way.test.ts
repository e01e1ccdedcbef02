import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Lookup, type LookupAnswer } from '#/wire/netlink/route-lookup.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type Verdict } from '#/model/verdict.ts'
import { type Route } from '#/wire/netlink/route.ts'
import { type Rule } from '#/wire/netlink/rule.ts'
import { judge, type KernelState, type PlannedWay, tellPacketsApart } from './kernel-way.ts'

const cidr = Prefix.parse('10.244.2.0/24')
const dst = Addr.parse('10.244.2.2')
const about = { dst: cidr, node: 'node-2', reason: '' }
const [src, end] = [Addr.parse('172.30.1.1'), Addr.parse('172.30.1.2')]
const vxlan: Verdict = {
  way: 'vxlan',
  tunnel: { outer: 4, src, dst: end, gateway: Addr.parse('169.254.42.1') },
  mtuBytes: 1450,
  ...about,
}
const native: Verdict = { way: 'native', origin: 'direct', nextHops: [{ device: 'eth0', gateway: end }], ...about }
const names = ['lo', 'eth0', 'cw-vxlan', 'cw-br0', 'tun0']
const rule: Rule = { family: 4, priority: 5270, table: 52, isInverted: false, isNarrow: false }
const state: KernelState = {
  nameOf: (index) => names[index]!,
  rules: [rule],
  dropping: [],
  nodes: [src, end],
  own: [src],
  clusterCIDRs: [Prefix.parse('10.244.0.0/16')],
}
const route = (more: Partial<Route>): Route => ({
  dst: cidr,
  type: 'unicast',
  protocol: 4,
  table: 254,
  metric: 0,
  scope: 0,
  nextHops: [{ oif: 4 }],
  ...more,
})
const viaTunnel = { nextHops: [{ oif: 2 }], encap: { vni: 1, src, dst: end } }
const lookup: Lookup = { dst, src: Addr.parse('10.244.1.3'), iif: { index: 3, name: 'cw-br0' } }
const wayOf = (verdict: Verdict): PlannedWay => ({ kind: 'verdict', verdict, cidr })

function judged(way: PlannedWay, answer: LookupAnswer, more: Partial<KernelState> = {}): string {
  const judgement = judge(way, lookup, answer, { ...state, ...more })
  if (judgement.kind === 'planned') return 'planned'
  const { code, object } = judgement.obstacle
  return `${judgement.kind} ${code} ${object}`
}

const found = (more: Partial<Route>): LookupAnswer => ({ kind: 'route', route: route(more) })

test('the way of the verdict is right whoever made the route; any other is not', () => {
  assert.equal(judged(wayOf(vxlan), found(viaTunnel)), 'planned')
  assert.equal(judged(wayOf(vxlan), found({ ...viaTunnel, protocol: 67 })), 'planned')
  assert.equal(judged(wayOf(native), found({ nextHops: [{ oif: 1, gateway: end }] })), 'planned')
  assert.equal(judged(wayOf(native), found({ nextHops: [{ oif: 1, gateway: src }] })), 'obstructed CW1302 device/eth0')
  const elsewhere = { ...viaTunnel, encap: { vni: 1, src, dst: src } }
  assert.equal(judged(wayOf(vxlan), found(elsewhere)), 'obstructed CW1302 device/cw-vxlan')
  assert.equal(judged(wayOf(vxlan), found({ type: 'local', table: 255 })), 'obstructed CW1303 device/tun0')
  assert.equal(judged(wayOf(vxlan), found({ type: 'local' })), 'obstructed CW1303 device/tun0', 'IPv4 without rules')
  assert.equal(judged(wayOf(vxlan), found({ table: 52 })), 'obstructed CW1301 rule/5270')
  assert.equal(judged(wayOf(vxlan), found({ table: 52 }), { rules: [] }), 'obstructed CW1301 table/52')
  // a route of ours that is not as planned is the reconciler's, and a shorter one shows only that ours is gone
  assert.equal(judged(wayOf(vxlan), found({ protocol: 67 })), 'planned')
  assert.equal(judged(wayOf(vxlan), found({ dst: Prefix.parse('0.0.0.0/0') })), 'missing CW1304 node/routes')
})

test('that the kernel refuses packets from an address of this node says nothing of the way', () => {
  const refused: LookupAnswer = { kind: 'refused', code: 'EINVAL' }
  assert.equal(judged(wayOf(vxlan), refused), 'missing CW1304 node/routes')
  assert.equal(judged(wayOf(vxlan), refused, { own: [lookup.src!] }), 'planned')
})

test('that packets from one source are refused, since packets to it are dropped, is no fault of the way to own pods', () => {
  const refused: LookupAnswer = { kind: 'refused', code: 'EINVAL' }
  const own: PlannedWay = { kind: 'own', device: 'cw-br0', cidr }
  const dead = route({ dst: Prefix.parse('10.244.1.3/32'), type: 'blackhole', nextHops: [] })
  assert.equal(judged(own, refused), 'missing CW1304 node/routes')
  assert.equal(judged(own, refused, { dropping: [dead] }), 'planned')
  assert.equal(
    judged(own, refused, { dropping: [route({ type: 'blackhole', nextHops: [] })] }),
    'obstructed CW1302 route/10.244.2.0/24',
  )
  // a rule that stops packets to that source alone
  const prohibit: Rule = { ...rule, priority: 9, table: undefined, dead: 'prohibit', dst: dead.dst }
  assert.equal(judged(own, refused, { rules: [prohibit] }), 'planned')
  assert.equal(
    judged(own, refused, { rules: [{ ...prohibit, dst: Prefix.parse('10.9.0.0/16') }] }),
    'missing CW1304 node/routes',
  )
})

test('a rule for one address of a pod CIDR concerns no more than that', () => {
  const refused: LookupAnswer = { kind: 'refused', code: 'EACCES' }
  const partOf = (to: string) => {
    const stop: Rule = { ...rule, table: undefined, dead: 'prohibit', dst: Prefix.parse(to) }
    const judgement = judge(wayOf(vxlan), lookup, refused, { ...state, rules: [stop] })
    return judgement.kind === 'obstructed' && judgement.obstacle.isOfPart === true
  }
  assert.equal(partOf('10.244.2.2/32'), true)
  assert.equal(partOf('10.244.2.0/24'), false)
})

test('a refusal is explained by the route or rule that drops, if the kernel looks at it for this packet', () => {
  const refused: LookupAnswer = { kind: 'refused', code: 'EINVAL' }
  const dead = route({ type: 'blackhole', nextHops: [] })
  assert.equal(judged(wayOf(vxlan), refused), 'missing CW1304 node/routes')
  assert.equal(judged(wayOf(vxlan), refused, { dropping: [dead] }), 'obstructed CW1302 route/10.244.2.0/24')
  const inTable = { ...dead, table: 52 }
  assert.equal(judged(wayOf(vxlan), refused, { dropping: [inTable] }), 'obstructed CW1301 rule/5270')
  const others = [{ ...rule, iif: 'eth0' }]
  assert.equal(judged(wayOf(vxlan), refused, { dropping: [inTable], rules: others }), 'missing CW1304 node/routes')
  const prohibit: Rule = { ...rule, priority: 9, table: undefined, dead: 'prohibit', dst: cidr }
  assert.equal(judged(wayOf(vxlan), refused, { rules: [prohibit] }), 'obstructed CW1301 rule/9')
})

test('packets of the node itself need a question of their own only where rules tell them apart', () => {
  assert.equal(tellPacketsApart([rule, { ...rule, dst: cidr }]), false)
  assert.equal(tellPacketsApart([rule, { ...rule, iif: 'cw-br0' }]), true)
  assert.equal(tellPacketsApart([{ ...rule, src: cidr }]), true)
})
