import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCniInstall } from '#/agent/cni-install/config.ts'
import { manifests } from '#/install/manifests.ts'
import { dualStack } from '#/install/testing/settings.ts'
import { fieldsOf } from '#/model/kubernetes.ts'
import { agentGroups } from '#/settings/agent-settings.ts'
import { type Setting } from '#/settings/setting.ts'
import { UsageError } from './args.ts'
import { commandHelp } from './help.ts'
import { installCommand } from './install.ts'
import { givenSettings } from './install-settings.ts'

const cidrs = { 'cluster-cidrs': '10.244.0.0/16' }
const given = (values: Parameters<typeof givenSettings>[0], givesPodCIDRs = false) =>
  givenSettings({ ...cidrs, ...values }, { givesPodCIDRs })

/** The environment that the agent gets. */
function agentVariables(texts: Record<string, string>): Record<string, string | undefined> {
  const daemonSet = manifests({ ...dualStack, given: texts }).find(({ kind }) => kind === 'DaemonSet')
  const pod = fieldsOf(fieldsOf(fieldsOf(daemonSet?.['spec'])['template'])['spec'])
  const env = fieldsOf((pod['containers'] as unknown[])[0])['env'] as { name: string; value?: string }[]
  return Object.fromEntries(env.map(({ name, value }) => [name, value]))
}

/** Values that are not what an installation passes on anyway. */
const values: Readonly<Record<string, string>> = {
  CAUSEWAY_MTU: '1400',
  CAUSEWAY_HTTP_PORT: '9999',
  CAUSEWAY_CLUSTER_CIDRS: '10.9.0.0/16',
  CAUSEWAY_VNI: '7',
  CAUSEWAY_VXLAN_PORT: '4789',
  CAUSEWAY_CNI_BIN_DIR: '/bin/cni',
  CAUSEWAY_CNI_CONF_DIR: '/conf/cni',
  CAUSEWAY_CNI_CHAIN: 'tuning',
  CAUSEWAY_DATAPATH: 'ebpf',
}

const help = commandHelp('causeway install', installCommand, [], 80)

test('each setting of the agent that can be given reaches the agent, and help says how', () => {
  for (const setting of agentGroups.flatMap(({ settings }): Setting[] => Object.values(settings))) {
    const { variable, install } = setting
    if (install.by !== 'option' && install.by !== 'set') continue
    // where nothing is passed on without it, the default tells it too
    const value = values[variable] ?? setting.default ?? assert.fail(`no value for ${variable}: add one`)
    const texts =
      install.by === 'option' ? given({ [install.option]: value }) : given({ set: [`${variable}=${value}`] })
    assert.equal(agentVariables(texts)[variable], value)
    assert.ok(help.includes(install.by === 'option' ? `--${install.option} ` : variable), variable)
  }
})

test('help of install fits into a terminal', () => {
  for (const line of help.split('\n')) assert.ok(line.length <= 80, line)
})

test('what a program would refuse is refused here, by the name of the option', () => {
  const cases: [Parameters<typeof givenSettings>[0], RegExp][] = [
    [{ vni: '0' }, /^--vni "0": expected a number from 1 to 16777215$/],
    [{ port: '' }, /^--port "": expected a number from 1 to 65535$/],
    [{ 'cni-bin-dir': 'bin' }, /^--cni-bin-dir "bin": expected an absolute path$/],
    [{ 'node-mask-size-ipv4': '33' }, /^--node-mask-size-ipv4 "33": expected a number from 1 to 32$/],
    [{ 'cluster-cidrs': '10.244.0.1/16' }, /^--cluster-cidrs: .*did you mean 10\.244\.0\.0\/16/],
    [{ set: ['CAUSEWAY_MTU=1'] }, /^CAUSEWAY_MTU="1": expected a number from 576 to 65535$/],
    [{ set: ['CAUSEWAY_ROUTNG=native'] }, /expected NAME=VALUE with one of .*; did you mean CAUSEWAY_ROUTING\?$/],
    [{ set: ['CAUSEWAY_STATE_DIR=/x'] }, /expected NAME=VALUE with one of [^?]*$/],
    [{ set: ['CAUSEWAY_VNI=3'] }, /^--set "CAUSEWAY_VNI=3": it has an option, --vni N$/],
    [{ set: ['nonsense'] }, /expected NAME=VALUE/],
  ]
  for (const [wrong, message] of cases)
    assert.throws(
      () => given(wrong),
      (error: unknown) => error instanceof UsageError && message.test(error.message),
      JSON.stringify(wrong),
    )
  assert.throws(() => givenSettings({}, { givesPodCIDRs: false }), /--cluster-cidrs is missing/)
  assert.throws(() => given({ 'node-mask-size-ipv4': '12' }, true), /has no room for a node's \/12/)
})

test('an empty chain is passed on by a word, since an empty variable counts as not set', () => {
  const chainOf = (texts: Record<string, string>) => readCniInstall(agentVariables(texts), '/app')?.chain
  for (const chain of ['', 'none']) assert.deepEqual(chainOf(given({ 'cni-chain': chain })), [])
  assert.equal(chainOf(given({})), undefined)
})

test('no empty variable is passed on', () => {
  assert.ok(!('CAUSEWAY_MTU' in agentVariables(given({ set: ['CAUSEWAY_MTU='] }))))
})
