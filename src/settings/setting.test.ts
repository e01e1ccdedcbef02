import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentGroups, networkSettings } from './agent-settings.ts'
import { controllerGroups } from './controller-settings.ts'
import { readSetting, type Setting, SettingError, textOf } from './setting.ts'

const programs = { agent: agentGroups, controller: controllerGroups }
const settings = Object.entries(programs).flatMap(([program, groups]) =>
  groups.flatMap((group) =>
    Object.entries(group.settings).map(([key, setting]): [string, Setting] => [`${program} ${key}`, setting]),
  ),
)

test('a variable that is empty counts as not set, whichever it is', () => {
  for (const [what, setting] of settings) {
    const { variable, isRequired } = setting
    if (isRequired) {
      for (const env of [{}, { [variable]: '' }])
        assert.throws(
          () => readSetting(setting, env),
          (error: unknown) => error instanceof SettingError && error.message.startsWith(variable),
          what,
        )
    } else assert.deepEqual(readSetting(setting, { [variable]: '' }), readSetting(setting, {}), what)
  }
})

test('a setting has a default, or says what holds without it', () => {
  for (const [what, { default: fallback, isRequired, unset }] of settings)
    assert.equal([fallback, isRequired, unset].filter((each) => each !== undefined).length, 1, what)
})

test('no variable is declared twice in one program', () => {
  for (const groups of Object.values(programs)) {
    const variables = groups.flatMap((group) => Object.values(group.settings).map(({ variable }) => variable))
    assert.equal(new Set(variables).size, variables.length)
  }
})

test('a variable that Kubernetes makes for a Service is no value of the setting of that name', () => {
  const env = { CAUSEWAY_VXLAN_PORT: 'tcp://10.96.0.7:80' }
  assert.equal(textOf(env, 'CAUSEWAY_VXLAN_PORT'), undefined)
  assert.equal(readSetting(networkSettings.vxlanPort, env), 8472)
})
