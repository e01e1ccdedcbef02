// `causeway doctor`: asks every agent, follows packets, and says what is wrong.
import { messageOf } from '#/lib/log.ts'
import { chosenSource } from './access/open.ts'
import { type AgentChoice } from './access/source.ts'
import { agentOptions, agentOptionsNote, withAgents } from './agents.ts'
import { noMore, options, type OptionTable, UsageError } from './args.ts'
import { type Action } from './command.ts'
import { examine } from './doctor-examine.ts'
import { doctorJson, failureJson, newsJson } from './doctor-json.ts'
import { exitStatusOf, renderDiagnosis, renderFailure, renderNews, type Told, untoldStatus } from './doctor-text.ts'
import { watchDiagnosis } from './doctor-watch.ts'
import { complain, print, printJson, tableWidth } from './output.ts'
import { makeTracePrograms } from './set-up.ts'
import { stopRequested } from './signals.ts'

const doctorOptions = {
  watch: { type: 'boolean', help: 'again and again: what came, what went; until Ctrl-C' },
  bundle: { type: 'string', value: 'FILE', help: 'of a support bundle, without packets' },
  ...agentOptions,
} as const satisfies OptionTable

/** What there is only of agents that are there. */
const ofAgents = ['watch', 'lab', 'kubeconfig', 'context', 'agents-namespace'] as const

/** Looks for agents each time: nodes come and go, and with a new release each agent is in another pod. */
async function watch(choice: AgentChoice, about: string | undefined, isJson: boolean): Promise<number> {
  const stop = new AbortController()
  void stopRequested().then(() => stop.abort())
  return await watchDiagnosis({
    examine: async () => withAgents(choice, async (agents, unlisted) => examine(agents, choice, { about, unlisted })),
    tell: (told, news) => {
      if (isJson) print(JSON.stringify(newsJson(told, news, new Date())))
      else if (news === undefined) print(renderDiagnosis(told, tableWidth()))
      else if (news.came.length + news.went.length > 0) print(renderNews(news, tableWidth(), new Date()))
    },
    tellFailure: (error) => {
      if (isJson) print(JSON.stringify(failureJson(messageOf(error), new Date())))
      else complain(renderFailure(messageOf(error), tableWidth(), new Date()))
    },
    signal: stop.signal,
  })
}

export const doctorCommand: Action = {
  name: 'doctor',
  summary: 'ask every node, follow packets, and say what is wrong and what to do',
  about: `It asks all agents, sends packets from a pod of each node to a pod of the next one, and tells each cause once, with what follows from it. It changes nothing. docs/problems.md has a section for each code.

Exit status 0: nothing is wrong; 1: something is; 2: wrong use; 3: it cannot be told, since no agent answers, or of some node nobody knows what became of any packet. With --watch it is that of the last time.

With --bundle it looks at what nodes answered when a support bundle was made. What only packets show is not found then.

${agentOptionsNote} With --node it says what is wrong at or with that node, and still asks all.`,
  options: doctorOptions,
  run: async (args) => {
    const { values, positionals } = options(args, doctorOptions)
    noMore(positionals)
    const { node, watch: isWatching, json, bundle, ...choice } = values
    const other = bundle === undefined ? undefined : ofAgents.find((name) => values[name] !== undefined)
    if (other !== undefined) throw new UsageError(`--${other}: a bundle has no agents`)
    if (bundle === undefined && chosenSource(choice).kind === 'lab') makeTracePrograms()
    const tell = (told: Told): number => {
      if (json) printJson(doctorJson(told))
      else print(renderDiagnosis(told, tableWidth()))
      return exitStatusOf(told)
    }
    try {
      if (bundle !== undefined) {
        const { examineBundle } = await import('./doctor-bundle.ts')
        return tell(await examineBundle(bundle, node))
      }
      if (isWatching) return await watch(choice, node, json === true)
      return tell(
        await withAgents(choice, async (agents, unlisted) => examine(agents, choice, { about: node, unlisted })),
      )
    } catch (error) {
      if (error instanceof UsageError) throw error
      // a status of 1 would say that something is wrong with the cluster
      if (json) printJson({ error: messageOf(error), exitStatus: untoldStatus })
      else complain(`causeway: ${messageOf(error)}`)
      return untoldStatus
    }
  },
}
