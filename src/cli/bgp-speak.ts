// `causeway bgp speak`: a BGP speaker as a process of its own.
import { StandaloneSpeaker } from '#/agent/bgp/standalone.ts'
import { createLogger, type Level } from '#/lib/log.ts'
import { agentSocketIn } from '#/settings/agent-socket.ts'
import { noMore, options, UsageError } from './args.ts'
import { type Command, print, stopRequested } from './command.ts'

const levels: readonly Level[] = ['debug', 'info', 'warn', 'error']

export const bgpSpeakCommand: Command = {
  name: 'speak',
  summary: 'run a BGP speaker alone',
  help: `usage: causeway bgp speak [--restarting] [--stop-as KIND] [--log-level LEVEL] CONFIG.json

Runs until SIGTERM or SIGINT; SIGHUP has it read its file again. The file is described in docs/bgp-speak.md. "causeway bgp peers"
and the like ask it, where no agent runs on this node; CAUSEWAY_RUN_DIR says where its socket is (/run/causeway).

  --restarting        tell neighbours that the kernel kept forwarding while there was no speaker (RFC 4724)
  --stop-as KIND      shutdown: neighbours drop its routes; restart: they keep them a while  (shutdown)
  --log-level LEVEL   ${levels.join(', ')}  (info)`,
  run: async (args) => {
    const { values, positionals } = options(args, {
      restarting: { type: 'boolean' },
      'stop-as': { type: 'string' },
      'log-level': { type: 'string' },
    } as const)
    const [configFile, ...rest] = positionals
    if (configFile === undefined) throw new UsageError('speak needs a file: causeway bgp speak CONFIG.json')
    noMore(rest)
    const how = values['stop-as'] ?? 'shutdown'
    if (how !== 'shutdown' && how !== 'restart')
      throw new UsageError(`--stop-as "${how}": expected shutdown or restart`)
    const level = levels.find((each) => each === (values['log-level'] ?? 'info'))
    if (level === undefined) throw new UsageError(`--log-level "${values['log-level']}": expected ${levels.join(', ')}`)
    const log = createLogger({ level, write: print, now: () => new Date().toISOString() })
    const socketPath = agentSocketIn(process.env)
    const isRestarting = values.restarting === true
    await using speaker = await StandaloneSpeaker.start({ configFile, socketPath, isRestarting }, log)
    process.on('SIGHUP', () => void speaker.reload())
    log.info('speaking', { configFile })
    log.info('stopping', { signal: await stopRequested() })
    await speaker.stop(how)
    return 0
  },
}
