// Where the agent of a node that is no lab's answers.
import { agentSocketName } from '#/model/node-files.ts'
import { nodeSettings } from './agent-settings.ts'
import { readSetting } from './setting.ts'

/** The path of its socket; `env` is that of this process. Throws SettingError. */
export function agentSocketIn(env: NodeJS.ProcessEnv): string {
  return `${readSetting(nodeSettings.runDir, env)}/${agentSocketName}`
}
