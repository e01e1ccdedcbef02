// `causeway agent`: the node agent as a process.
import { Agent } from '#/agent/agent.ts'
import { readCniInstall } from '#/agent/cni-install/config.ts'
import { type AgentConfig, readConfig } from '#/agent/config.ts'
import { createLogger, type Level, type Logger, messageOf } from '#/lib/log.ts'
import { agentGroups } from '#/settings/agent-settings.ts'
import { settingsHelp } from '#/settings/help.ts'
import { tellUnknown, unknownSettings } from '#/settings/unknown.ts'
import { noMore, options } from './args.ts'
import { checked } from './checked.ts'
import { type Action } from './command.ts'
import { print } from './output.ts'
import { stopRequested, until } from './signals.ts'

/** Reads the settings from the environment. Throws SettingError. */
function readSettings(): AgentConfig {
  try {
    return {
      ...readConfig(process.env),
      cniInstall: readCniInstall(process.env, new URL('../../build', import.meta.url).pathname),
    }
  } catch (error) {
    // a missing setting may be there under a mistyped name, and an agent that does not start cannot report that as a problem
    const log = logAt('warn')
    for (const unknown of unknownSettings(process.env, 'agent')) log.warn(tellUnknown(unknown, 'agent'))
    throw error
  }
}

function logAt(level: Level): Logger {
  return createLogger({ level, write: print, now: () => new Date().toISOString() })
}

export const agentCommand: Action = {
  name: 'agent',
  summary: 'run the node agent (one per node)',
  help: `usage: causeway agent

Runs until SIGTERM or SIGINT, and leaves the kernel as it is: pods keep talking.
Settings come from the environment; a variable that is empty counts as not set.
In parentheses is what holds when a variable is not set.

${settingsHelp(agentGroups)}`,
  options: {},
  run: async (args) => {
    // from here on a signal ends the work begun, in order
    const stop = stopRequested()
    noMore(options(args, {}).positionals)
    const config = checked(readSettings)
    const log = logAt(config.logLevel)
    process.on('unhandledRejection', (error) => {
      // forwarding goes on without the agent and a restart is cheap, so end rather than run in an unknown state
      log.error('unexpected failure; the agent ends', { error: messageOf(error) })
      process.exit(70)
    })
    const agent = await Agent.create(config, log.with({ node: config.nodeName }))
    try {
      await agent.start()
      log.info('stopping', { signal: await until(stop) })
    } finally {
      // needed even after a failed start: what has begun would keep the process alive
      await agent[Symbol.asyncDispose]()
    }
    return 0
  },
}
