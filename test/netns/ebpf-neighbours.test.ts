// ARP and neighbour discovery of pods, frame by frame: what is answered, byte for byte, and what is dropped.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import {
  type Arp,
  arp,
  broadcastMac,
  etherTypes,
  ethernet,
  extension,
  type Ip,
  ipv6,
  join,
  type Neighbour,
  neighbour,
  neighbourTypes,
  option,
  protocols,
  solicitedNode,
  withBytes,
  zeros,
} from './ebpf/frames.ts'
import { told } from './ebpf/families.ts'
import { bridgeMac, nodes, type Outcome, pods, remote4, remote6, World } from './ebpf/world.ts'

const { client, server, bridged } = pods
const noMac = '00:00:00:00:00:00'
const gateway4 = '10.244.1.1'
const linkLocal = 'fe80::ff:fe00:101'
/** As the kernel derives it from the bridge's MAC. */
const gatewayLinkLocal = 'fe80::43:57ff:fe00:1'

let world: World
before(async () => void (world = await World.make()))
beforeEach(() => world.clearBudgets())
after(() => world[Symbol.dispose]())

const send = (data: Uint8Array): Outcome => world.run('cw_from_pod', client.device, data)

function sendArp(change: Partial<Arp>, { to = broadcastMac, from = client.mac } = {}): Outcome {
  const packet = arp({ sender: [client.mac, client.addr4], target: [noMac, server.addr4], ...change })
  return send(ethernet({ to, from }, etherTypes.arp, packet))
}

test('ARP for any address of the node but its own and bridged pods is answered with the MAC of the gateway', () => {
  for (const asked of [server.addr4, gateway4, '10.244.1.200', pods.limited.addr4]) {
    for (const sender of [client.addr4, '0.0.0.0']) {
      const { verdict, frame } = sendArp({ sender: [client.mac, sender], target: [noMac, asked] })
      assert.equal(verdict, 'carried', asked)
      const answer = arp({ operation: 2, sender: [bridgeMac, asked], target: [client.mac, sender] })
      assert.deepEqual(frame, ethernet({ to: client.mac, from: bridgeMac }, etherTypes.arp, answer))
    }
  }
  // to one receiver, as a neighbour entry is confirmed
  assert.equal(told(sendArp({}, { to: bridgeMac })), 'carried')
})

test('other ARP of the pod itself passes, and is as it was', () => {
  const cases: [string, Partial<Arp>][] = [
    ['for itself', { target: [noMac, client.addr4] }],
    ['a probe for itself', { sender: [client.mac, '0.0.0.0'], target: [noMac, client.addr4] }],
    ['an announcement as an answer', { operation: 2, target: [client.mac, client.addr4] }],
    ['for a bridged pod', { target: [noMac, bridged.addr4] }],
    ['for a pod of another node', { target: [noMac, remote4(nodes.native)] }],
    ['for an address of nobody', { target: [noMac, '192.0.2.1'] }],
    ['an answer', { operation: 2, target: [bridgeMac, gateway4] }],
  ]
  for (const [name, change] of cases) {
    for (const to of [broadcastMac, bridgeMac]) {
      const outcome = sendArp(change, { to })
      assert.equal(told(outcome), 'stack', name)
      const packet = arp({ sender: [client.mac, client.addr4], target: [noMac, server.addr4], ...change })
      assert.deepEqual(outcome.frame, ethernet({ to, from: client.mac }, etherTypes.arp, packet), name)
    }
  }
})

test('ARP that tells what is not the pod’s is dropped', () => {
  const foreign: Arp['sender'][] = [
    [client.mac, server.addr4],
    [client.mac, gateway4],
    [client.mac, nodes.own.addr4],
    [client.mac, remote4(nodes.native)],
    [server.mac, client.addr4],
    [bridgeMac, client.addr4],
    [broadcastMac, client.addr4],
    [server.mac, '0.0.0.0'],
    [client.mac, '255.255.255.255'],
  ]
  for (const sender of foreign)
    for (const operation of [1, 2, 3, 8])
      for (const to of [broadcastMac, server.mac])
        for (const target of [server.addr4, sender[1]])
          assert.equal(
            told(sendArp({ operation, sender, target: [noMac, target] }, { to })),
            'dropped: arp_sender',
            sender.join(' '),
          )
  assert.equal(told(sendArp({}, { from: server.mac })), 'dropped: source_mac')
})

test('malformed ARP is dropped', () => {
  const whole = ethernet(
    { to: broadcastMac, from: client.mac },
    etherTypes.arp,
    arp({ sender: [client.mac, client.addr4], target: [noMac, server.addr4] }),
  )
  for (let bytes = 15; bytes < whole.length; bytes++)
    assert.equal(told(send(whole.subarray(0, bytes))), 'dropped: malformed', `${bytes} bytes`)
  for (const [at, value] of [
    [14, 9],
    [15, 6],
    [16, 0x86],
    [17, 1],
    [18, 8],
    [19, 16],
  ] as const)
    assert.equal(told(send(withBytes(whole, at, [value]))), 'dropped: malformed', `byte ${at}`)
  assert.equal(told(send(join(whole, zeros(18)))), 'carried', 'padded')
})

type Change = Partial<Neighbour> & { readonly ip?: Partial<Ip>; readonly to?: string; readonly from?: string }

function discovery({ ip = {}, to = '33:33:00:00:00:01', from = client.mac, ...change }: Change): Uint8Array {
  const message = {
    src: client.addr6,
    dst: 'ff02::1',
    type: neighbourTypes.solicitation,
    target: server.addr6,
    ...change,
  }
  const { src, dst } = message
  return ethernet(
    { to, from },
    etherTypes.ipv6,
    ipv6({ src, dst, hops: 255, protocol: protocols.icmpv6, ...ip }, neighbour(message)),
  )
}

const sourceMac = [option.sourceMac(client.mac)]
const targetMac = [option.targetMac(client.mac)]

test('a solicitation for any address of the node but its own and bridged pods is answered with the MAC of the gateway', () => {
  for (const target of [server.addr6, 'fd10:244:0:1::1', 'fd10:244:0:1::abcd', pods.limited.addr6]) {
    for (const src of [client.addr6, linkLocal]) {
      const many = solicitedNode(target)
      for (const [dst, to] of [
        [many.addr, many.mac],
        [target, server.mac],
      ] as const) {
        const { verdict, frame } = send(discovery({ src, dst, to, target, options: sourceMac }))
        assert.equal(verdict, 'carried', target)
        const answer = { src: target, dst: src, type: neighbourTypes.advertisement, target, flags: 0xe000_0000 }
        const message = neighbour({ ...answer, options: [option.targetMac(bridgeMac)] })
        const packet = ipv6({ src: target, dst: src, hops: 255, protocol: protocols.icmpv6 }, message)
        assert.deepEqual(frame, ethernet({ to: client.mac, from: bridgeMac }, etherTypes.ipv6, packet))
      }
    }
  }
})

test('other neighbour discovery of the pod itself passes, and is as it was', () => {
  const { solicitation, advertisement, routerSolicitation } = neighbourTypes
  const cases: [string, Change][] = [
    ['for itself', { target: client.addr6, options: sourceMac }],
    ['for a bridged pod', { target: bridged.addr6, options: sourceMac }],
    ['for a pod of another node', { target: remote6(nodes.native), options: sourceMac }],
    ['for the gateway by its link-local address', { target: gatewayLinkLocal, options: sourceMac }],
    ['without its MAC', {}],
    ['with one option more', { options: [...sourceMac, option.nonce()] }],
    ['that has been forwarded', { options: sourceMac, ip: { hops: 254 } }],
    ['a probe for its own address', { src: '::', target: client.addr6, options: [option.nonce()] }],
    ['a probe for its own address without options', { src: '::', target: client.addr6 }],
    ['a probe for its link-local address', { src: '::', target: linkLocal }],
    ['an advertisement', { type: advertisement, target: client.addr6, options: targetMac }],
    [
      // such as one of a node that has gone back to agents without programs: it asked by the bridge
      'an advertisement to a pod that the maps do not know',
      { type: advertisement, dst: 'fd10:244:0:1::abcd', to: server.mac, target: client.addr6, options: targetMac },
    ],
    ['an advertisement without its MAC', { type: advertisement, target: client.addr6 }],
    [
      'an advertisement of its link-local address',
      { type: advertisement, src: linkLocal, target: linkLocal, options: targetMac },
    ],
    ['a router’s solicitation', { type: routerSolicitation, src: linkLocal, options: sourceMac }],
  ]
  for (const [name, change] of cases) {
    const frame = discovery({
      type: solicitation,
      ...change,
      ...(change.type === routerSolicitation && { target: undefined }),
    } as Change)
    const outcome = send(frame)
    assert.equal(told(outcome), 'stack', name)
    assert.deepEqual(outcome.frame, frame, name)
  }
})

test('neighbour discovery that tells what is not the pod’s is dropped', () => {
  const { advertisement, solicitation, routerSolicitation, routerAdvertisement, redirect } = neighbourTypes
  const theirs = option.targetMac(server.mac)
  const wrong: [string, string, Change][] = [
    [
      'an advertisement of another pod’s address',
      'neighbour_target',
      { type: advertisement, target: server.addr6, options: targetMac },
    ],
    ['… without a MAC', 'neighbour_target', { type: advertisement, target: server.addr6 }],
    [
      'an advertisement of the gateway',
      'neighbour_target',
      { type: advertisement, target: 'fd10:244:0:1::1', options: targetMac },
    ],
    [
      '… by its link-local address',
      'neighbour_target',
      { type: advertisement, target: gatewayLinkLocal, options: targetMac },
    ],
    [
      'an advertisement of a remote pod',
      'neighbour_target',
      { type: advertisement, target: remote6(nodes.native), options: targetMac },
    ],
    [
      'an advertisement with another MAC',
      'neighbour_target',
      { type: advertisement, target: client.addr6, options: [theirs] },
    ],
    [
      '… behind another option',
      'neighbour_target',
      { type: advertisement, target: client.addr6, options: [option.nonce(), theirs] },
    ],
    [
      '… behind its own',
      'neighbour_target',
      { type: advertisement, target: client.addr6, options: [...targetMac, theirs] },
    ],
    [
      '… as the last of many',
      'neighbour_target',
      { type: advertisement, target: client.addr6, options: [...Array.from({ length: 6 }, option.nonce), theirs] },
    ],
    [
      'an option of no length',
      'neighbour_target',
      { type: advertisement, target: client.addr6, options: [Uint8Array.of(14, 0, 0, 0, 0, 0, 0, 0), theirs] },
    ],
    [
      'an option that is cut off',
      'neighbour_target',
      { type: advertisement, target: client.addr6, options: [theirs.subarray(0, 4)] },
    ],
    [
      'an option that is too long',
      'neighbour_target',
      { type: advertisement, target: client.addr6, options: [Uint8Array.of(2, 2), zeros(14)] },
    ],
    ['a solicitation with another MAC', 'neighbour_target', { options: [option.sourceMac(server.mac)] }],
    ['… behind another option', 'neighbour_target', { options: [option.nonce(), option.sourceMac(server.mac)] }],
    [
      'a router’s solicitation with another MAC',
      'neighbour_target',
      { type: routerSolicitation, src: linkLocal, options: [option.sourceMac(server.mac)] },
    ],
    ['a probe for another pod’s address', 'neighbour_target', { src: '::', target: server.addr6 }],
    ['a probe for the gateway’s', 'neighbour_target', { src: '::', target: gatewayLinkLocal }],
    ['a router’s advertisement', 'router_message', { type: routerAdvertisement, src: linkLocal }],
    ['a redirect', 'router_message', { type: redirect, src: linkLocal, target: server.addr6 }],
    ['from another pod’s address', 'source_address', { src: server.addr6, options: sourceMac }],
    ['from the gateway’s link-local address', 'source_address', { src: gatewayLinkLocal, options: sourceMac }],
    [
      'from no address, to one receiver',
      'source_address',
      { src: '::', target: client.addr6, dst: server.addr6, to: server.mac },
    ],
    ['from another MAC', 'source_mac', { from: server.mac, options: sourceMac }],
  ]
  for (const [name, reason, change] of wrong) {
    const noTarget = change.type === routerSolicitation || change.type === routerAdvertisement
    const full = { type: solicitation, ...change, ...(noTarget && { target: undefined }) } as Change
    assert.equal(told(send(discovery(full))), `dropped: ${reason}`, name)
    // to one receiver it may not go either
    if (change.src !== '::')
      assert.equal(
        told(send(discovery({ ...full, dst: server.addr6, to: server.mac }))),
        `dropped: ${reason}`,
        `${name}, to one`,
      )
  }
})

test('neighbour discovery behind extension headers is dropped, however many', () => {
  const forged = (extensions: Ip['extensions'], hops = 255) =>
    discovery({
      type: neighbourTypes.advertisement,
      target: server.addr6,
      options: targetMac,
      ip: { extensions: extensions!, hops },
    })
  const { destination, hopByHop, fragment, laterFragment } = extension
  const many = (count: number) => Array.from({ length: count }, () => destination)
  for (const chain of [
    [destination],
    [hopByHop],
    [fragment],
    [laterFragment],
    [hopByHop, fragment, destination],
    many(6),
    many(7),
    many(20),
  ]) {
    assert.equal(told(send(forged(chain))), 'dropped: malformed', `${chain.length} headers`)
    // nobody takes it for neighbour discovery
    assert.equal(told(send(forged(chain, 64))), 'stack', `${chain.length} headers`)
  }
})

test('neighbour discovery that is cut off never counts as an answerable question, and is told', () => {
  const whole = discovery({ options: sourceMac })
  for (let bytes = 54; bytes < whole.length; bytes++) {
    const verdict = told(send(whole.subarray(0, bytes)))
    const expected = bytes < 78 ? 'dropped: malformed' : bytes === 78 ? 'stack' : 'dropped: neighbour_target'
    assert.equal(verdict, expected, `${bytes} bytes`)
  }
})
