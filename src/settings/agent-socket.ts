// Finds the agent's socket on a real node; labs have sockets of their own.
import { agentSocketName } from '#/model/node-files.ts'
import { nodeSettings } from './agent-settings.ts'
import { readSetting } from './setting.ts'

/** The path of the agent's socket, from the environment of this process. Throws SettingError. */
export function agentSocketIn(env: NodeJS.ProcessEnv): string {
  return `${readSetting(nodeSettings.runDir, env)}/${agentSocketName}`
}
