import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { nearestSetting, tellUnknown, unknownSettings } from './unknown.ts'

test('a mistyped variable is told with the setting that was probably meant', () => {
  const env = { CAUSEWAY_ROUTNG: 'native', CAUSEWAY_ENCRYPTION: 'on', CAUSEWAY_MTU: '1400', PATH: '/bin' }
  const unknown = unknownSettings(env, 'agent')
  assert.deepEqual(unknown, [
    { name: 'CAUSEWAY_ENCRYPTION', nearest: undefined },
    { name: 'CAUSEWAY_ROUTNG', nearest: 'CAUSEWAY_ROUTING' },
  ])
  assert.deepEqual(
    unknown.map((each) => tellUnknown(each, 'agent')),
    [
      'CAUSEWAY_ENCRYPTION is no setting of the agent; "causeway help agent" lists them',
      'CAUSEWAY_ROUTNG is no setting of the agent; did you mean CAUSEWAY_ROUTING?',
    ],
  )
  assert.equal(nearestSetting('CAUSEWAY_LEASE_NAMESPCE', 'controller'), 'CAUSEWAY_LEASE_NAMESPACE')
})

test('every variable that Causeway, its tests and its documentation speak of is known', () => {
  const files = globSync(['src/**/*.ts', 'test/**/*.ts', 'scripts/**/*.*', 'native/**/*.{c,h}', 'docs/**/*.md'])
  // variables that are wrong on purpose stand in unit tests
  const texts = files.filter((file) => !/^src\/.*\.test\.ts$/.test(file)).map((file) => readFileSync(file, 'utf8'))
  const names = texts.flatMap((text) => text.match(/\bCAUSEWAY_[A-Z0-9_]*[A-Z0-9]\b/g) ?? [])
  assert.ok(names.length > 100)
  const env = Object.fromEntries(names.map((name) => [name, 'tcp://10.96.0.7:9474']))
  assert.deepEqual(unknownSettings(env, 'agent'), [])
})

test('variables that Kubernetes makes for Services are passed over', () => {
  const env = {
    CAUSEWAY_SERVICE_HOST: '10.96.0.6',
    CAUSEWAY_PORT: 'tcp://10.96.0.6:80',
    CAUSEWAY_METRICS_SERVICE_HOST: '10.96.0.7',
    CAUSEWAY_METRICS_SERVICE_PORT: '9474',
    CAUSEWAY_METRICS_SERVICE_PORT_HTTP: '9474',
    CAUSEWAY_METRICS_PORT: 'tcp://10.96.0.7:9474',
    CAUSEWAY_METRICS_PORT_9474_TCP: 'tcp://10.96.0.7:9474',
    CAUSEWAY_METRICS_PORT_9474_TCP_PROTO: 'tcp',
    CAUSEWAY_METRICS_PORT_9474_TCP_PORT: '9474',
    CAUSEWAY_METRICS_PORT_9474_TCP_ADDR: '10.96.0.7',
    CAUSEWAY_DNS_PORT_53_UDP: 'udp://10.96.0.8:53',
  }
  assert.deepEqual(unknownSettings(env, 'agent'), [])
  assert.deepEqual(unknownSettings({ CAUSEWAY_VXLN_PORT: '8472' }, 'agent'), [
    { name: 'CAUSEWAY_VXLN_PORT', nearest: 'CAUSEWAY_VXLAN_PORT' },
  ])
})

test('a variable that is empty counts as not set, so nobody need look for what was meant', () => {
  assert.deepEqual(unknownSettings({ CAUSEWAY_ROUTNG: '', CAUSEWAY_OF_OLD: '' }, 'agent'), [])
  assert.deepEqual(unknownSettings({ CAUSEWAY_ROUTNG: '', CAUSEWAY_OF_OLD: '' }, 'controller'), [])
})
