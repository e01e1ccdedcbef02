// Route reflection (RFC 4456): who is told whose routes, and with which attributes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type PeerConfig } from '#/model/bgp.ts'
import { peerConfig, RibRig, speakerConfig } from './testing/rib-rig.ts'

const internal = (name: string, more: Partial<PeerConfig> = {}): PeerConfig =>
  peerConfig(name, { remoteAsn: 65_000, ...more })
const client = { isReflectorClient: true } as const

function reflector() {
  const rig = new RibRig(
    speakerConfig({
      peers: [
        internal('client1', client),
        internal('client2', client),
        internal('other1'),
        internal('other2'),
        peerConfig('external'),
      ],
    }),
  )
  const sessions = {
    client1: rig.up('client1', { asn: 65_000, addr: '10.0.0.1', localAddr: '10.0.0.9' }),
    client2: rig.up('client2', { asn: 65_000, addr: '10.0.0.2', localAddr: '10.0.0.9' }),
    other1: rig.up('other1', { asn: 65_000, addr: '10.0.0.3', localAddr: '10.0.0.9' }),
    other2: rig.up('other2', { asn: 65_000, addr: '10.0.0.4', localAddr: '10.0.0.9' }),
    external: rig.up('external', { asn: 65_001, addr: '10.0.0.5', localAddr: '10.0.0.9' }),
  }
  rig.settle()
  const knowing = (prefix: string): string[] =>
    Object.entries(sessions)
      .filter(([, session]) => session.belief(prefix) !== undefined)
      .map(([name]) => name)
  return { rig, sessions, knowing }
}

test("a client's route goes to all others", () => {
  const { rig, sessions, knowing } = reflector()
  rig.announce(sessions.client1, ['10.1.0.0/24'])
  rig.settle()
  assert.deepEqual(knowing('10.1.0.0/24'), ['client2', 'other1', 'other2', 'external'])
})

test("another internal peer's route goes to clients and external peers only", () => {
  const { rig, sessions, knowing } = reflector()
  rig.announce(sessions.other1, ['10.1.0.0/24'])
  rig.settle()
  assert.deepEqual(knowing('10.1.0.0/24'), ['client1', 'client2', 'external'])
})

test("an external peer's route goes to all, without reflection", () => {
  const { rig, sessions, knowing } = reflector()
  rig.announce(sessions.external, ['10.1.0.0/24'])
  rig.settle()
  assert.deepEqual(knowing('10.1.0.0/24'), ['client1', 'client2', 'other1', 'other2'])
  const { attributes, nextHop } = sessions.other1.belief('10.1.0.0/24')!
  assert.deepEqual(nextHop, { addr: Addr.parse('10.0.0.5') })
  assert.equal(attributes.originatorId, undefined)
  assert.equal(attributes.clusterList, undefined)
  assert.equal(attributes.localPreference, 100)
})

test('a reflected route tells its originator and its way', () => {
  const { rig, sessions } = reflector()
  rig.announce(sessions.client1, ['10.1.0.0/24'], { localPreference: 70, med: 5 })
  rig.announce(sessions.client1, ['10.2.0.0/24'], {
    originatorId: Addr.parse('10.0.0.77'),
    clusterList: [Addr.parse('10.0.0.78')],
  })
  rig.settle()
  const fresh = sessions.other1.belief('10.1.0.0/24')!
  assert.deepEqual(fresh.nextHop, { addr: Addr.parse('10.0.0.1') })
  assert.deepEqual(fresh.attributes, {
    origin: 0,
    asPath: [],
    localPreference: 70,
    med: 5,
    originatorId: Addr.parse('10.0.0.1'),
    clusterList: [Addr.parse('10.255.0.1')],
  })
  const again = sessions.other1.belief('10.2.0.0/24')!.attributes
  assert.equal(String(again.originatorId), '10.0.0.77')
  assert.deepEqual(again.clusterList?.map(String), ['10.255.0.1', '10.0.0.78'])
  const { attributes } = sessions.external.belief('10.1.0.0/24')!
  assert.deepEqual(attributes, { origin: 0, asPath: [{ kind: 'sequence', asns: [65_000] }] })
})

test('the cluster id is what loops are found by', () => {
  const { rig, sessions, knowing } = reflector()
  rig.configure({ clusterId: Addr.parse('10.255.0.2') })
  rig.announce(sessions.client1, ['10.1.0.0/24'], { clusterList: [Addr.parse('10.255.0.2')] })
  rig.announce(sessions.client1, ['10.2.0.0/24'], { clusterList: [Addr.parse('10.255.0.1')] })
  rig.settle()
  assert.deepEqual(knowing('10.1.0.0/24'), [])
  assert.deepEqual(sessions.client2.belief('10.2.0.0/24')?.attributes.clusterList?.map(String), [
    '10.255.0.2',
    '10.255.0.1',
  ])
  assert.deepEqual(rig.reasons({ prefix: '10.1.0.0/24' }), [
    'client1: cluster loop: own cluster id 10.255.0.2 is in the cluster list',
  ])
})

test('who becomes a client, or is one no more, changes who is told', () => {
  const { rig, sessions, knowing } = reflector()
  rig.announce(sessions.other1, ['10.1.0.0/24'])
  rig.settle()
  const set = (more: Partial<PeerConfig>): void => {
    rig.configure({ peers: rig.config.peers.map((peer) => (peer.name === 'other1' ? { ...peer, ...more } : peer)) })
    rig.settle()
  }
  set({ isReflectorClient: true })
  assert.deepEqual(knowing('10.1.0.0/24'), ['client1', 'client2', 'other2', 'external'])
  set({ isReflectorClient: false })
  assert.deepEqual(knowing('10.1.0.0/24'), ['client1', 'client2', 'external'])
})

test('two reflectors do not pass a route back and forth', () => {
  const { rig, sessions, knowing } = reflector()
  rig.announce(sessions.client1, ['10.1.0.0/24'], { originatorId: Addr.parse('10.255.0.1') })
  rig.settle()
  assert.deepEqual(knowing('10.1.0.0/24'), [])
  assert.deepEqual(rig.reasons({ peer: 'client1' }), ["client1: originator id 10.255.0.1 is this router's own"])
})
