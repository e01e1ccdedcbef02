// `causeway ui`: a page of the whole cluster in a browser, served by this command on this computer alone.
import { randomBytes } from 'node:crypto'
import { errorCode } from '#/lib/error-code.ts'
import { messageOf } from '#/lib/log.ts'
import { chosenSource, openAccess } from './access/open.ts'
import { fixedChoice, type Source } from './access/source.ts'
import { type AgentChoice, agentOptions, agentOptionsNote } from './agents.ts'
import { noMore, options, type OptionTable, UsageError, wholeNumber } from './args.ts'
import { type Action } from './command.ts'
import { examine } from './doctor-examine.ts'
import { doctorJson } from './doctor-json.ts'
import { complain, print } from './output.ts'
import { makeTracePrograms } from './set-up.ts'
import { stopRequested, until } from './signals.ts'
import { runNamed } from './trace-named.ts'
import { runSizes } from './trace-sizes.ts'
import { openAssets } from './ui-assets.ts'
import { type AgentSource } from './ui/agent-pool.ts'
import { openInBrowser } from './ui/browser.ts'
import { Hub, type HubDeps } from './ui/hub.ts'
import { UiServer } from './ui/server.ts'
import { Traces } from './ui/traces.ts'
import { version } from './version.ts'

const highestPort = 65_535
const tokenBytes = 32

const { json: _json, ...everywhere } = agentOptions

const uiOptions = {
  port: {
    type: 'string',
    value: 'N',
    help: 'on which port of 127.0.0.1',
    shownDefault: 'any that is free',
  },
  open: { type: 'boolean', help: 'open it in the browser of this computer' },
  ...everywhere,
} as const satisfies OptionTable

/** A page may be open for days: it goes on to show what was there when it was started. */
async function lastingChoice(choice: AgentChoice): Promise<AgentChoice> {
  const source = chosenSource(choice)
  if (source.kind !== 'cluster' || source.kubeconfig === undefined) return fixedChoice(source, choice)
  const { currentContextIn } = await import('#/cluster/kubeconfig.ts')
  return fixedChoice(source, choice, (await currentContextIn(source.kubeconfig)) || undefined)
}

/** Which of several clusters it is has to be seen at once; nothing of the kubeconfig is told but where the server is. */
async function nameOf(source: Source, { context }: AgentChoice): Promise<string> {
  if (source.kind === 'lab') return `lab ${source.name}`
  if (source.kind === 'node') return 'this node'
  if (source.kubeconfig === undefined) return 'the cluster of this pod'
  const { loadKubeconfig } = await import('#/cluster/kubeconfig.ts')
  const { host } = (await loadKubeconfig(source.kubeconfig, context)).server
  return `cluster ${context === undefined ? host : `${context} (${host})`}`
}

/** A lab's agents are found in its file, those of a cluster by a list of its pods. */
async function agentSource(choice: AgentChoice, said: AgentChoice): Promise<AgentSource> {
  const source = chosenSource(choice)
  const isCluster = source.kind === 'cluster'
  return {
    name: await nameOf(source, said),
    open: () => openAccess(choice),
    maxAgeMs: isCluster ? 30_000 : 1_000,
    answerMs: isCluster ? 6_000 : 3_000,
    leastPauseMs: isCluster ? 3_000 : 1_000,
  }
}

function portIn(text: string): number {
  const port = wholeNumber('port', text)
  if (port > highestPort) throw new UsageError(`--port ${port}: expected up to ${highestPort}`)
  return port
}

/**
 * Returns where it listens. Rejects with UsageError when the port that was asked for cannot be had. Which one it is, is not known beforehand unless
 * somebody asks for it: a browser keeps scripts and workers for a port that another user of the computer may have had before.
 */
async function listen(server: UiServer, asked: string | undefined): Promise<string> {
  const port = asked === undefined ? 0 : portIn(asked)
  try {
    return await server.listen(port)
  } catch (error) {
    const isTaken = errorCode(error) === 'EADDRINUSE'
    const why = isTaken ? `another process has it ("ss -ltnp sport = :${port}" tells which)` : messageOf(error)
    throw new UsageError(`--port ${port}: ${why}`)
  }
}

export const uiCommand: Action = {
  name: 'ui',
  summary: 'show nodes, ways, traces and what is wrong in a browser, live',
  about: `It serves a page on this computer alone, to whoever has the address that it prints, and asks agents as long as the page is open. Nothing is installed in the cluster, nothing is loaded from elsewhere, and nothing is changed; a trace that is run from the page sends packets, as causeway trace does.

The address holds a secret of this run: whoever has it sees what you see. Ctrl-C ends it.

${agentOptionsNote}`,
  options: uiOptions,
  run: async (args) => {
    const { values, positionals } = options(args, uiOptions)
    noMore(positionals)
    const { port: askedPort, open, ...said } = values
    const choice = await lastingChoice(said)
    const source = await agentSource(choice, said)
    if (chosenSource(choice).kind === 'lab') makeTracePrograms()
    const stop = stopRequested()
    const token = randomBytes(tokenBytes).toString('base64url')
    const diagnosis: HubDeps['examine'] = async (agents, unlisted) =>
      doctorJson(await examine(agents, choice, { isQuiet: true, unlisted }))
    await using hub = new Hub({ source, version: version(), examine: diagnosis })
    // what cannot be found at all is told at once, and not by a page that stays empty
    await hub.pool.use(() => Promise.resolve())
    const traces = new Traces(async (agents, asked) => runNamed(agents, choice, asked, runSizes))
    await using server = new UiServer({ hub, assets: openAssets(), traces, token })
    const address = `http://${await listen(server, askedPort)}/#token=${token}`
    print(`${source.name}: ${address}\nCtrl-C ends it`)
    if (open === true) await openInBrowser(address).catch((error: unknown) => complain(`--open: ${messageOf(error)}`))
    await until(stop)
    return 0
  },
}
