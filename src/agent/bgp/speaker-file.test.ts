import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { readSpeakerFile } from './speaker-file.ts'

const read = (value: unknown) => readSpeakerFile(JSON.stringify(value), 'speaker.json')
const least = { routerId: '10.0.0.1', asn: 65001 }

test('what a file does not say has the defaults of the objects', () => {
  const peers = [
    { name: 'tor', addr: 'fd00::2', remoteAsn: 65002 },
    { name: 'rack', device: 'eth1', remoteAsn: 'external', families: [4, 6], timers: { holdTimeSeconds: 9 } },
  ]
  const config = read({ ...least, peers })
  assert.equal(config.listenPort, 179)
  const [tor, rack] = config.peers
  assert.deepEqual(tor!.families, [6])
  assert.deepEqual(tor!.timers, { holdTimeSeconds: 90, keepaliveSeconds: 30, connectRetrySeconds: 5 })
  assert.equal(tor!.localAsn, 65001)
  assert.equal(tor!.importPolicy, undefined)
  assert.equal(rack!.timers.keepaliveSeconds, 3)
  assert.equal(rack!.addr, undefined)
})

test('a policy, limits and originated routes come through whole', () => {
  const importPolicy = {
    rules: [
      {
        name: 'pods',
        match: { prefixes: [{ prefix: '10.244.0.0/16', maxLength: 24 }], communities: ['65000:1'] },
        action: 'accept',
        set: { localPreference: 200, addCommunities: ['no-export'] },
      },
    ],
    otherwise: 'reject',
  }
  const peer = { name: 'a', addr: '10.0.0.2', remoteAsn: 65002, importPolicy, maxPrefixes: { count: 10 } }
  const originated = [{ prefix: '10.1.0.0/24', communities: ['65000:1:2'] }]
  const config = read({ ...least, listenPort: 0, peers: [peer], originated })
  assert.equal(config.listenPort, undefined)
  assert.deepEqual(JSON.parse(JSON.stringify(config.peers[0]!.importPolicy)), importPolicy)
  assert.deepEqual(config.peers[0]!.maxPrefixes, { count: 10, warningPercent: 75 })
  assert.deepEqual(JSON.parse(JSON.stringify(config.originated)), originated)
})

test('all that is wrong is told, with the way to it', () => {
  const peers = [
    { name: 'a', addr: '10.0.0.300', remoteAsn: 0, families: [5] },
    { name: 'a', remoteASN: 65002, importPolicy: { rules: [{ match: { prefixes: [{}] } }] } },
  ]
  const file = { asn: 65001, routerId: 'fd00::1', peers, clusterId: 7, wrong: true }
  const parts = [
    'speaker.wrong: there is no such field',
    'speaker.routerId: "fd00::1": expected four octets',
    'speaker.clusterId: 7: expected a text',
    'speaker.peers[0].addr: "10.0.0.300" is no IP address',
    'speaker.peers[0].remoteAsn: 0: expected a whole number',
    'speaker.peers[0].families: expected [4], [6] or [4, 6]',
    'speaker.peers[1].remoteASN: there is no such field',
    'speaker.peers[1].remoteAsn: is missing',
    'speaker.peers[1].addr: is missing',
    'speaker.peers[1].importPolicy.rules[0].action: is missing',
    'speaker.peers[1].importPolicy.rules[0].match.prefixes[0].prefix: is missing',
    'two are named "a"',
  ]
  assert.throws(
    () => read(file),
    (error: Error) => {
      for (const part of parts) assert.ok(error.message.includes(part), `${part} in ${error.message}`)
      return true
    },
  )
  assert.throws(() => readSpeakerFile('{', 'speaker.json'), /is no JSON/)
})

test('the example of the documentation can be used', () => {
  const page = readFileSync(new URL('../../../docs/bgp-speak.md', import.meta.url), 'utf8')
  const example = /```json\n(.*?)```/s.exec(page)![1]!
  assert.equal(readSpeakerFile(example, 'example').peers[0]!.name, 'tor')
})

test('whatever the file has, it is read or refused with an Error that says why', () => {
  const anything = fc.oneof(fc.jsonValue(), fc.record({ asn: fc.jsonValue(), peers: fc.array(fc.jsonValue()) }))
  fc.assert(
    fc.property(anything, (value) => {
      try {
        read(value)
      } catch (error) {
        assert.match((error as Error).message, /^speaker\.json: /)
      }
    }),
  )
})
