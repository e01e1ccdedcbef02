// `causeway observe`: the observer of a node with another network, as a process.
import { ObservingAgent } from '#/agent/observe/observer.ts'
import { createLogger, messageOf } from '#/lib/log.ts'
import { settingsHelp } from '#/settings/help.ts'
import { observerGroups, observerSettings } from '#/settings/observer-settings.ts'
import { readSettings } from '#/settings/setting.ts'
import { noMore, options } from './args.ts'
import { checked } from './checked.ts'
import { type Action } from './command.ts'
import { print } from './output.ts'
import { stopRequested, until } from './signals.ts'

export const observeCommand: Action = {
  name: 'observe',
  summary: "run the observer of a node that has flannel's network (one per node)",
  help: `usage: causeway observe

Answers causeway status, trace and doctor on a node without Causeway, and changes nothing there: docs/other-networks.md.
Runs until SIGTERM or SIGINT.
Settings come from the environment; a variable that is empty counts as not set.
In parentheses is what holds when a variable is not set.

${settingsHelp(observerGroups)}`,
  options: {},
  run: async (args) => {
    // from here on a signal ends the work begun, in order
    const stop = stopRequested()
    noMore(options(args, {}).positionals)
    const config = checked(() => readSettings(observerSettings, process.env))
    const log = createLogger({ level: config.logLevel, write: print, now: () => new Date().toISOString() })
    process.on('unhandledRejection', (error) => {
      // nothing depends on it and a restart is cheap, so end rather than run in an unknown state
      log.error('unexpected failure; the observer ends', { error: messageOf(error) })
      process.exit(70)
    })
    const observer = await ObservingAgent.create(config, log.with({ node: config.nodeName }))
    try {
      await observer.start()
      log.info('stopping', { signal: await until(stop) })
    } finally {
      await observer[Symbol.asyncDispose]()
    }
    return 0
  },
}
