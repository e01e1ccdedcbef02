// What programs drop by policy (BPF_PROG_TEST_RUN): random forms against their rules, and by hand what is never dropped.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { denialNumber } from '#/plan/policy-maps/denial.ts'
import { ports as formPorts, randomForm } from '#/plan/testing/policy-forms.ts'
import { isDeniedOf, type Question } from '#/plan/testing/policy-lookup.ts'
import { TestForm } from '#/plan/policy/testing/form.ts'
import { type Form } from '#/policy/form.ts'
import { type Direction } from '#/policy/policy.ts'
import { ethernet, extension, ipv4, ipv6, protocols, tcp, tcpFlags, udp, zeros } from './ebpf/frames.ts'
import { families, type Family, told } from './ebpf/families.ts'
import { police, policedPods, takeDenied } from './ebpf/policed-world.ts'
import {
  bridgeMac,
  nodes,
  type Outcome,
  pods,
  routerMac,
  tunnelMac,
  underlayMac,
  vtepMac,
  World,
} from './ebpf/world.ts'

const { client, server, bridged } = pods
let world: World
before(async () => {
  world = await World.make()
})
after(() => world[Symbol.dispose]())

const from = 40_000
type Ends = { readonly src: string; readonly dst: string }
type Asked = { readonly protocol: Question['protocol']; readonly port: number }

const echo = (family: Family, type: number): Uint8Array =>
  Uint8Array.of(type, 0, 0, 0, 0, 1, 0, 1, ...zeros(family.name === 'IPv4' ? 8 : 12))

function packet(
  family: Family,
  { src, dst }: Ends,
  { protocol, port }: Asked,
  flags: number = tcpFlags.syn,
): Uint8Array {
  if (protocol === 'TCP')
    return family.packet({ src, dst, protocol: protocols.tcp }, tcp({ from, to: port }, zeros(4), flags))
  if (protocol === 'UDP') return family.packet({ src, dst, protocol: protocols.udp }, udp({ from, to: port }, zeros(4)))
  const [number, type] = family.name === 'IPv4' ? [protocols.icmp, 8] : [protocols.icmpv6, 128]
  return family.packet({ src, dst, protocol: number }, echo(family, type))
}

const fromPod = (family: Family, { device, mac }: typeof client, bytes: Uint8Array): Outcome =>
  world.run('cw_from_pod', device, ethernet({ to: bridgeMac, from: mac }, family.type, bytes))
const fromUnderlay = (family: Family, bytes: Uint8Array): Outcome =>
  world.run('cw_from_underlay', 'eth0', ethernet({ to: underlayMac, from: routerMac }, family.type, bytes))
const fromTunnel = (family: Family, bytes: Uint8Array): Outcome =>
  world.run('cw_from_tunnel', 'cw-vxlan', ethernet({ to: tunnelMac, from: vtepMac }, family.type, bytes))

function isDenied(form: Form, device: string, direction: Direction, own: string, peer: string, asked: Asked): boolean {
  const local = form.locals.get(device)
  const question = { ...asked, own: Addr.parse(own), peer: Addr.parse(peer) }
  return local !== undefined && isDeniedOf(form, local, direction, question)
}

test('programs drop exactly what the rules of random forms deny', () => {
  const asked = formPorts.flatMap((port) => [
    { protocol: 'TCP', port } as const,
    { protocol: 'UDP', port } as const,
    ...(port === 0 ? [{ protocol: 'ICMP', port } as const] : []),
  ])
  const seen = { dropped: 0, stack: 0 }
  const count = (isDropped: boolean): void => void (isDropped ? seen.dropped++ : seen.stack++)
  for (const form of fc.sample(randomForm, { seed: 20_261_130, numRuns: 12 })) {
    police(world, form)
    for (const family of families) {
      for (const [device, pod] of policedPods) {
        const own = family.addr(pod)
        for (const each of asked) {
          for (const [other, receiver] of policedPods) {
            if (receiver === pod) continue
            const dst = family.addr(receiver)
            const due =
              isDenied(form, device, 'egress', own, dst, each) || isDenied(form, other, 'ingress', dst, own, each)
            const outcome = fromPod(family, pod, packet(family, { src: own, dst }, each))
            assert.equal(told(outcome), due ? 'dropped: policy' : 'stack', `${own} > ${dst} ${JSON.stringify(each)}`)
            count(due)
          }
          for (const node of [nodes.native, nodes.tunnel4]) {
            const remote = family.remote(node)
            const sent = packet(family, { src: own, dst: remote }, each)
            const mayLeave = !isDenied(form, device, 'egress', own, remote, each)
            assert.equal(told(fromPod(family, pod, sent)), mayLeave ? 'stack' : 'dropped: policy')
            const received = packet(family, { src: remote, dst: own }, each)
            const mayCome = !isDenied(form, device, 'ingress', own, remote, each)
            const outcome = (node === nodes.native ? fromUnderlay : fromTunnel)(family, received)
            assert.equal(told(outcome), mayCome ? 'stack' : 'dropped: policy')
            count(!mayLeave)
            count(!mayCome)
          }
        }
      }
    }
  }
  assert.ok(seen.dropped > 1000 && seen.stack > 1000, JSON.stringify(seen))
})

const isolation = (direction: Direction): number =>
  denialNumber({ kind: 'isolated', direction, by: [`networkpolicy/x/none-${direction}`] })

/** The client may neither send nor receive. */
function isolated(isAudited = false): Form {
  return new TestForm()
    .policy('none-egress', 'NetworkPolicy', 'egress')
    .policy('none-ingress', 'NetworkPolicy', 'ingress')
    .class('out', 'egress', ['none-egress'], isAudited)
    .class('in', 'ingress', ['none-ingress'], isAudited)
    .local('cwv0', [client.addr4, client.addr6], { egress: 'out', ingress: 'in' })
}

const web: Asked = { protocol: 'TCP', port: 80 }
const dns: Asked = { protocol: 'UDP', port: 53 }

test('only what could begin a connection is denied', () => {
  police(world, isolated())
  const { syn, ack, rst, fin } = tcpFlags
  for (const family of families) {
    const ends = { src: family.addr(client), dst: family.addr(server) }
    const sent = (bytes: Uint8Array): string => told(fromPod(family, client, bytes))
    for (const flags of [ack, syn | ack, rst, rst | ack, fin, fin | ack, syn | rst, syn | fin, 0])
      assert.equal(sent(packet(family, ends, web, flags)), 'stack', `flags ${flags}`)
    assert.equal(sent(packet(family, ends, web, syn)), 'dropped: policy')
    assert.equal(sent(packet(family, ends, dns)), 'dropped: policy')
    const [icmp, all] = family.name === 'IPv4' ? [1, [0, 3, 11, 13]] : [58, [1, 2, 3, 129]]
    for (const type of all)
      assert.equal(sent(family.packet({ ...ends, protocol: icmp }, echo(family, type))), 'stack', `ICMP ${type}`)
    const sctp = Uint8Array.of(0x9c, 0x40, 0, 80, ...zeros(8), 1, 0, 0, 20, ...zeros(16))
    assert.equal(sent(family.packet({ ...ends, protocol: protocols.sctp }, sctp)), 'stack')
    assert.equal(sent(family.packet({ ...ends, protocol: 47 }, zeros(24))), 'stack')
  }
})

test("what is no whole packet is the stack's to judge", () => {
  police(world, isolated())
  const v4 = { src: client.addr4, dst: server.addr4 }
  const v6 = { src: client.addr6, dst: server.addr6 }
  const datagram = udp({ from, to: 53 }, zeros(32))
  const [family4, family6] = families
  for (const bytes of [
    ipv4({ ...v4, fragment: 0x2000 }, datagram),
    ipv4({ ...v4, fragment: 0x0010 }, datagram),
    ipv4({ ...v4, options: zeros(4) }, datagram),
    ipv4(v4, datagram).subarray(0, 24),
    ipv4({ ...v4, protocol: protocols.icmp }, Uint8Array.of(8, 0, 0, 0)),
    ipv4({ ...v4, protocol: protocols.icmp, fragment: 0x2000 }, echo(family4!, 8)),
  ])
    assert.equal(told(fromPod(family4!, client, bytes)), 'stack')
  for (const bytes of [
    ipv6({ ...v6, extensions: [extension.fragment] }, datagram),
    ipv6({ ...v6, extensions: [extension.destination] }, datagram),
    ipv6(v6, datagram).subarray(0, 44),
  ])
    assert.equal(told(fromPod(family6!, client, bytes)), 'stack')
})

test('what goes to no pod is not judged, nor what a pod sends to itself', () => {
  police(world, isolated())
  for (const family of families) {
    const is4 = family.name === 'IPv4'
    const src = family.addr(client)
    const [gateway, service, world4] = is4
      ? ['10.244.1.1', '10.96.0.10', '198.51.100.1']
      : ['fd10:244:0:1::1', 'fd96::10', '2001:db8::1']
    const others = [
      gateway,
      service,
      world4,
      src,
      family.end(nodes.own),
      family.end(nodes.native),
      family.remote(nodes.none),
    ]
    for (const dst of others)
      for (const each of [web, dns])
        assert.equal(told(fromPod(family, client, packet(family, { src, dst }, each))), 'stack', dst)
    // of a pod that has no class, and to one that has none
    const other = packet(family, { src: family.addr(server), dst: family.addr(pods.narrow) }, web)
    assert.equal(told(fromPod(family, server, other)), 'stack')
    // a pod with the bridge datapath has policies too
    const bridgedOne = packet(family, { src: family.addr(bridged), dst: src }, web)
    assert.equal(told(fromPod(family, bridged, bridgedOne)), 'dropped: policy')
  }
})

test('connections that were admitted go on', () => {
  police(world, isolated())
  for (const [index, family] of families.entries()) {
    const [own, other] = [family.addr(client), family.addr(server)]
    const add = (src: string, dst: string, to: number, status: number): void =>
      world.connections.add({ protocol: protocols.udp, src, dst, from, to, status })
    const datagram = (src: string, dst: string, ports: { from: number; to: number }): Uint8Array =>
      family.packet({ src, dst }, udp(ports, zeros(4)))
    const base = 6000 + 10 * index
    add(own, other, base, 8)
    add(other, own, base + 1, 8)
    add(own, other, base + 2, 14)
    const from0 = (bytes: Uint8Array): string => told(fromPod(family, client, bytes))
    // nobody has answered yet: the rules are asked for each packet
    assert.equal(from0(datagram(own, other, { from, to: base })), 'dropped: policy')
    // the first answer
    assert.equal(from0(datagram(own, other, { from: base + 1, to: from })), 'stack')
    assert.equal(from0(datagram(own, other, { from, to: base + 2 })), 'carried')
    assert.equal(from0(datagram(own, other, { from: base + 3, to: from })), 'dropped: policy')
    // answers of what a Service translates, which no program carries
    const service = family.name === 'IPv4' ? '10.96.0.10' : 'fd96::10'
    world.connections.add({
      protocol: protocols.udp,
      src: own,
      dst: service,
      from,
      to: 53,
      reply: { src: family.remote(nodes.native), dst: own, from: base + 4, to: from },
    })
    const answer = datagram(family.remote(nodes.native), own, { from: base + 4, to: from })
    assert.equal(told(fromUnderlay(family, answer)), 'stack')
    const stray = datagram(family.remote(nodes.native), own, { from: base + 5, to: from })
    assert.equal(told(fromUnderlay(family, stray)), 'dropped: policy')
  }
})

test('denied packets are counted by what denied them, and others not at all', () => {
  police(world, isolated())
  takeDenied(world)
  for (const family of families) {
    const [own, other] = [family.addr(client), family.addr(server)]
    fromPod(family, client, packet(family, { src: own, dst: other }, web))
    fromPod(family, client, packet(family, { src: own, dst: other }, web, tcpFlags.ack))
    fromPod(family, server, packet(family, { src: other, dst: own }, web))
    fromUnderlay(family, packet(family, { src: family.remote(nodes.native), dst: own }, dns))
  }
  assert.deepEqual(
    takeDenied(world),
    new Map([
      [isolation('egress'), 2],
      [isolation('ingress'), 4],
    ]),
  )
})

test('of pods of an audited namespace nothing is denied here', () => {
  police(world, isolated(true))
  for (const family of families) {
    const sent = packet(family, { src: family.addr(client), dst: family.addr(server) }, web)
    assert.equal(told(fromPod(family, client, sent)), 'stack')
  }
})

test('an entry that is missing drops nothing', () => {
  police(world, isolated())
  const verdicts = world.map('cw_verdicts')
  for (const [key] of verdicts.entries()) verdicts.delete(key)
  for (const family of families) {
    const sent = packet(family, { src: family.addr(client), dst: family.addr(server) }, web)
    assert.equal(told(fromPod(family, client, sent)), 'stack')
  }
})
