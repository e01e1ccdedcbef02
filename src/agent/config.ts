// The agent's settings as its parts take them. They are declared in src/settings; a DaemonSet's fields and the lab's launcher set the
// same variables.
import { type NetworkSettings } from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { networkSettings, nodeSettings } from '#/settings/agent-settings.ts'
import { type Environment, readSettings, type SettingValues } from '#/settings/setting.ts'
import { tellUnknown, type UnknownSetting, unknownSettings } from '#/settings/unknown.ts'
import { type CniInstallConfig } from './cni-install/config.ts'

export type AgentConfig = SettingValues<typeof nodeSettings> & {
  readonly settings: NetworkSettings
  /** Variables that look like settings and are none; the agent runs all the same. */
  readonly unknownSettings: readonly UnknownSetting[]
  /** Absent: the container runtime's files are left alone. */
  readonly cniInstall?: CniInstallConfig | undefined
}

/** Throws SettingError. What the runtime needs is read apart, by readCniInstall. */
export function readConfig(env: Environment): AgentConfig {
  return {
    ...readSettings(nodeSettings, env),
    settings: readSettings(networkSettings, env),
    unknownSettings: unknownSettings(env, 'agent'),
  }
}

/** A mistyped variable as a problem of the node. */
export function settingProblems({ unknownSettings: unknown }: AgentConfig): Problem[] {
  return unknown.map((each) => problem('CW5001', `setting/${each.name}`, tellUnknown(each, 'agent')))
}
