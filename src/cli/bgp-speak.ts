// `causeway bgp speak`: a BGP speaker as a process of its own.
import { StandaloneSpeaker } from '#/agent/bgp/standalone.ts'
import { createLogger, type Level } from '#/lib/log.ts'
import { agentSocketIn } from '#/settings/agent-socket.ts'
import { noMore, options, type OptionTable, UsageError } from './args.ts'
import { type Action } from './command.ts'
import { print } from './output.ts'
import { stopRequested, until } from './signals.ts'

const speakOptions = {
  restarting: {
    type: 'boolean',
    help: 'tell neighbours that the kernel kept forwarding while there was no speaker (RFC 4724)',
  },
  'stop-as': {
    type: 'string',
    value: 'KIND',
    default: 'shutdown',
    choices: ['shutdown', 'restart'],
    help: 'at the end, neighbours drop its routes, or keep them a while',
  },
  'log-level': {
    type: 'string',
    value: 'LEVEL',
    default: 'info',
    choices: ['debug', 'info', 'warn', 'error'] satisfies Level[],
    help: 'the least that is logged',
  },
} as const satisfies OptionTable

export const bgpSpeakCommand: Action = {
  name: 'speak',
  summary: "run a speaker alone: no cluster, the kernel's routes untouched",
  operands: 'CONFIG.json',
  about: `Runs until SIGTERM or SIGINT; SIGHUP has it read its file again. The file is described in docs/bgp-speak.md. "causeway bgp peers" and the like ask it, where no agent runs on this node; CAUSEWAY_RUN_DIR says where its socket is (/run/causeway).`,
  options: speakOptions,
  run: async (args) => {
    // from here on a signal ends the work begun, in order
    const stop = stopRequested()
    const { values, positionals } = options(args, speakOptions)
    const [configFile, ...rest] = positionals
    if (configFile === undefined) throw new UsageError('speak needs a file: causeway bgp speak CONFIG.json')
    noMore(rest)
    const log = createLogger({ level: values['log-level'], write: print, now: () => new Date().toISOString() })
    const socketPath = agentSocketIn(process.env)
    const isRestarting = values.restarting === true
    await using speaker = await StandaloneSpeaker.start({ configFile, socketPath, isRestarting }, log)
    process.on('SIGHUP', () => void speaker.reload())
    log.info('speaking', { configFile })
    log.info('stopping', { signal: await until(stop) })
    await speaker.stop(values['stop-as'])
    return 0
  },
}
