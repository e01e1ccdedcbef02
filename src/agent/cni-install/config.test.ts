import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCniInstall } from './config.ts'

const folders = { CAUSEWAY_CNI_BIN_DIR: '/opt/cni/bin', CAUSEWAY_CNI_CONF_DIR: '/etc/cni/net.d' }

test('nothing is installed unless both folders are given', () => {
  assert.equal(readCniInstall({}, '/app'), undefined)
  assert.deepEqual(readCniInstall(folders, '/app'), {
    binDir: '/opt/cni/bin',
    confDir: '/etc/cni/net.d',
    plugin: '/app/causeway-cni',
    chain: undefined,
  })
  assert.throws(() => readCniInstall({ CAUSEWAY_CNI_BIN_DIR: '/opt/cni/bin' }, '/app'), {
    message: 'CAUSEWAY_CNI_BIN_DIR="/opt/cni/bin", CAUSEWAY_CNI_CONF_DIR="": give both, or none to install nothing',
  })
})

test('paths are absolute, and the chain has known plugins, each once', () => {
  const chainOf = (chain: string) => readCniInstall({ ...folders, CAUSEWAY_CNI_CHAIN: chain }, '/app')?.chain
  assert.deepEqual(chainOf('tuning, portmap'), ['tuning', 'portmap'])
  assert.deepEqual(chainOf('none'), [])
  assert.equal(chainOf(''), undefined, 'an empty variable counts as not set')
  for (const wrong of ['firewall', 'portmap,portmap', 'portmap,none', ',']) {
    assert.throws(() => chainOf(wrong), {
      message: `CAUSEWAY_CNI_CHAIN="${wrong}": expected some of portmap, bandwidth, tuning, each once, or none`,
    })
  }
  assert.throws(() => readCniInstall({ ...folders, CAUSEWAY_CNI_PLUGIN: 'causeway-cni' }, '/app'), {
    message: 'CAUSEWAY_CNI_PLUGIN="causeway-cni": expected an absolute path',
  })
})
