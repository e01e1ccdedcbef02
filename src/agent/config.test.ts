import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problem } from '#/model/problems.ts'
import { agentGroups } from '#/settings/agent-settings.ts'
import { SettingError } from '#/settings/setting.ts'
import { readCniInstall } from './cni-install/config.ts'
import { readConfig, settingProblems } from './config.ts'

const good = { CAUSEWAY_NODE_NAME: 'node-1', CAUSEWAY_CLUSTER_CIDRS: '10.244.0.0/16,fd10:244::/48' }

test('what is not set has a default', () => {
  const config = readConfig(good)
  assert.deepEqual(config.settings.clusterCIDRs.map(String), ['10.244.0.0/16', 'fd10:244::/48'])
  assert.deepEqual([config.settings.vni, config.settings.vxlanPort], [1, 8472])
  assert.equal(config.settings.routing, 'vxlan')
  assert.deepEqual(
    [config.stateDir, config.runDir, config.kubeconfig],
    ['/var/lib/causeway', '/run/causeway', undefined],
  )
  assert.deepEqual([config.datapath, config.bpfDir], ['bridge', '/sys/fs/bpf/causeway'])
  assert.equal(config.coolDownMs, 30_000)
  assert.equal(readConfig({ ...good, CAUSEWAY_ADDRESS_COOLDOWN_S: '0' }).coolDownMs, 0)
})

test('variables that are empty, as server-side apply leaves them behind, change nothing', () => {
  const variables = agentGroups.flatMap(({ settings }) => Object.values(settings).map(({ variable }) => variable))
  const empty = Object.fromEntries(variables.map((variable) => [variable, '']))
  assert.deepEqual(readConfig({ ...empty, ...good, CAUSEWAY_OF_OLD: '' }), readConfig(good))
  assert.equal(readCniInstall(empty, '/build'), undefined)
})

test('each wrong setting is named with what was expected', () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ CAUSEWAY_NODE_NAME: '' }, /CAUSEWAY_NODE_NAME="": expected the name of this node's Node object/],
    [{ CAUSEWAY_NODE_NAME: 'Node_1' }, /CAUSEWAY_NODE_NAME="Node_1"/],
    [{ CAUSEWAY_CLUSTER_CIDRS: '' }, /CAUSEWAY_CLUSTER_CIDRS is empty/],
    [{ CAUSEWAY_CLUSTER_CIDRS: '10.244.0.1/16' }, /CAUSEWAY_CLUSTER_CIDRS: .*did you mean 10\.244\.0\.0\/16/],
    [{ CAUSEWAY_CLUSTER_CIDRS: '10.0.0.0/8,10.1.0.0/16' }, /10\.1\.0\.0\/16 overlaps 10\.0\.0\.0\/8/],
    [{ CAUSEWAY_VNI: '16777216' }, /CAUSEWAY_VNI="16777216": expected a number from 1 to 16777215/],
    [{ CAUSEWAY_VXLAN_PORT: '80x' }, /CAUSEWAY_VXLAN_PORT="80x"/],
    [{ CAUSEWAY_MTU: '70000' }, /CAUSEWAY_MTU="70000": expected a number from 576 to 65535/],
    [{ CAUSEWAY_FORWARD_CHAINS: 'yes' }, /CAUSEWAY_FORWARD_CHAINS="yes": expected one of open, leave/],
    [{ CAUSEWAY_ROUTING: 'bgp' }, /CAUSEWAY_ROUTING="bgp": expected one of vxlan, native, auto/],
    [{ CAUSEWAY_DATAPATH: 'fast' }, /CAUSEWAY_DATAPATH="fast": expected one of bridge, ebpf/],
    [{ CAUSEWAY_BPF_DIR: 'bpf' }, /CAUSEWAY_BPF_DIR="bpf": expected an absolute path/],
    [{ CAUSEWAY_FLANNEL_INTEROP: '1' }, /CAUSEWAY_FLANNEL_INTEROP="1": expected one of off, on/],
    [{ CAUSEWAY_HTTP_PORT: '0' }, /CAUSEWAY_HTTP_PORT="0"/],
    [{ CAUSEWAY_ADDRESS_COOLDOWN_S: '-1' }, /CAUSEWAY_ADDRESS_COOLDOWN_S="-1": expected a number from 0 to 86400/],
    [{ CAUSEWAY_STATE_DIR: 'state' }, /CAUSEWAY_STATE_DIR="state": expected an absolute path/],
    [{ CAUSEWAY_LOG_LEVEL: 'loud' }, /CAUSEWAY_LOG_LEVEL="loud": expected one of debug, info, warn, error/],
  ]
  for (const [wrong, message] of cases) {
    assert.throws(
      () => readConfig({ ...good, ...wrong }),
      (error: unknown) => error instanceof SettingError && message.test(error.message),
      JSON.stringify(wrong),
    )
  }
})

test('a variable that is no setting is a problem of the node, and no reason not to start', () => {
  const config = readConfig({
    ...good,
    CAUSEWAY_ROUTNG: 'native',
    CAUSEWAY_LAB: 'a',
    CAUSEWAY_METRICS_PORT: 'tcp://10.96.0.7:1',
  })
  assert.equal(config.settings.routing, 'vxlan')
  assert.deepEqual(settingProblems(config), [
    problem(
      'CW5001',
      'setting/CAUSEWAY_ROUTNG',
      'CAUSEWAY_ROUTNG is no setting of the agent; did you mean CAUSEWAY_ROUTING?',
    ),
  ])
})
