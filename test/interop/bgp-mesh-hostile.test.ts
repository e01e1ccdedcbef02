// A node of a mesh that was broken into: a real peer that announces whatever it likes, among nodes whose policies come from the plan.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { bgpConfigurationFrom } from '#/model/bgp-objects.ts'
import { planSpeaker } from '#/plan/bgp.ts'
import { type BgpMember } from '#/plan/bgp-member.ts'
import { Bird } from './bgp/bird.ts'
import { Causeway } from './bgp/causeway.ts'
import { bestRoute } from './bgp/daemons.ts'
import { eventually } from './bgp/eventually.ts'
import { type Host, Lan } from './bgp/lan.ts'
import { attributes, update } from './bgp/raw-messages.ts'
import { RawHost } from './bgp/raw-peer.ts'
import { type RouterNeighbour } from './bgp/router.ts'

const asn = 64_512

function nodeOn({ number, addr4 }: Host, ...extra: readonly string[]): BgpMember {
  return {
    name: `node-${number}`,
    podCIDRs: [`10.244.${number}.0/24`, ...extra].map(Prefix.parse),
    addrs: [Addr.parse(addr4)],
    labels: {},
    isReady: true,
  }
}

/** What node 1 is told to take from each of the others, as a speaker's file has it. */
function importPolicies(nodes: readonly BgpMember[]): Map<string, unknown> {
  const { config } = planSpeaker({
    self: nodes[0]!,
    nodes,
    configuration: bgpConfigurationFrom([{ metadata: { name: 'default' } }], 'causeway-system').configuration,
    peers: [],
    bgpNode: undefined,
    secrets: new Map(),
    clusterCIDRs: [Prefix.parse('10.244.0.0/16')],
    podCIDRsOf: (node) => nodes.find(({ name }) => name === node)?.podCIDRs ?? [],
    isRestarting: false,
    families: [4],
  })
  return new Map(config!.peers.map(({ name, importPolicy }) => [name, importPolicy]))
}

test('a node that announces all pod CIDRs gets those of its own Node object, whatever that says at the time', async () => {
  using lan = new Lan()
  const [home, badHost, goodHost] = [lan.host(), lan.host(), lan.host()]
  const neighbours: RouterNeighbour[] = [badHost, goodHost].map(({ number, addr4 }) => ({
    name: `node/node-${number}`,
    addr: addr4,
    asn,
    families: [4],
    mode: 'passive',
  }))
  const settings = { asn, neighbours, originated: [{ prefix: '10.244.1.0/24' }] }
  const policies = (...extra: readonly string[]) => ({
    importPolicies: importPolicies([nodeOn(home), nodeOn(badHost, ...extra), nodeOn(goodHost)]),
  })
  await using ours = new Causeway(home, settings, policies())
  await using bad = await RawHost.start(badHost)
  await using good = new Bird(goodHost, {
    asn,
    neighbours: [{ name: 'home', addr: home.addr4, asn, families: [4] }],
    originated: [{ prefix: '10.244.3.0/24' }],
  })
  await ours.start()
  await good.start()
  await bestRoute(ours, '10.244.3.0/24', () => true, good)

  const peer = await bad.session(home.addr4, { asn, routerId: badHost.addr4 })
  const own = '10.244.2.0/24'
  const stolen = ['10.244.3.0/24', '10.244.3.0/25', '10.244.3.7/32', '10.244.0.0/16', '10.244.9.0/24', '0.0.0.0/0']
  const path = [
    attributes.origin(0),
    attributes.asPath([]),
    attributes.nextHop(badHost.addr4),
    attributes.localPreference(1000),
  ]
  peer.send(update({ attributes: path, announced: [own, ...stolen] }))
  await bestRoute(ours, own)
  const taken = async (): Promise<string[]> =>
    (await ours.routes(4)).filter(({ from }) => from === 'node/node-2').map(({ prefix }) => prefix)
  assert.deepEqual(await taken(), [own])
  const refused = (await ours.paths()).filter(({ isRefused }) => isRefused)
  assert.deepEqual(refused.map(({ prefix }) => prefix).toSorted(), stolen.toSorted())
  for (const { reason } of refused) assert.match(reason, /it is no pod CIDR that the Node object of node-2 owns/)
  assert.equal((await bestRoute(ours, '10.244.3.0/24')).from, 'node/node-3')

  // its Node object gets another pod CIDR, and loses it again: what it has sent already is looked at anew
  await ours.configure(settings, policies('10.244.9.0/24'))
  await eventually('the pod CIDR that is its own now', taken, (prefixes) => prefixes.length === 2)
  assert.deepEqual((await taken()).toSorted(), [own, '10.244.9.0/24'])
  await ours.configure(settings, policies())
  await eventually('its own pod CIDR alone', taken, (prefixes) => prefixes.length === 1)
  assert.equal(peer.isClosed, false, peer.story())
  const { peers } = await ours.report()
  assert.deepEqual(
    peers.map(({ state, flaps }) => [state, flaps]),
    [
      ['Established', 0],
      ['Established', 0],
    ],
  )
})
