// Reads the agent's settings, which src/settings declares, into the form that its parts take. A DaemonSet and the lab's launcher
// set the same variables.
import { type NetworkSettings } from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { agentGroups, networkSettings, nodeSettings } from '#/settings/agent-settings.ts'
import { type Environment, readSettings, type SettingValues, textOf } from '#/settings/setting.ts'
import { tellUnknown, type UnknownSetting, unknownSettings } from '#/settings/unknown.ts'
import { type CniInstallConfig } from './cni-install/config.ts'

export type AgentConfig = SettingValues<typeof nodeSettings> & {
  readonly settings: NetworkSettings
  /** Variables that look like settings but are none; the agent runs all the same. */
  readonly unknownSettings: readonly UnknownSetting[]
  /** All settings that have a value, by their variables: no setting is a secret. */
  readonly told: Readonly<Record<string, string>>
  /** How to install the CNI plugin; absent: the agent leaves the container runtime's files alone. */
  readonly cniInstall?: CniInstallConfig | undefined
}

/** Reads all settings except those of the CNI installation, which readCniInstall reads. Throws SettingError. */
export function readConfig(env: Environment): AgentConfig {
  return {
    ...readSettings(nodeSettings, env),
    settings: readSettings(networkSettings, env),
    unknownSettings: unknownSettings(env, 'agent'),
    told: told(env),
  }
}

function told(env: Environment): Record<string, string> {
  const settings = agentGroups.flatMap((group) => Object.values(group.settings))
  return Object.fromEntries(
    settings.flatMap(({ variable, ...rest }) => {
      const text = textOf(env, variable) ?? ('default' in rest ? rest.default : undefined)
      return text === undefined ? [] : [[variable, text]]
    }),
  )
}

/** The unknown variables as problems of the node. */
export function settingProblems({ unknownSettings: unknown }: AgentConfig): Problem[] {
  return unknown.map((each) => problem('CW5001', `setting/${each.name}`, tellUnknown(each, 'agent')))
}
