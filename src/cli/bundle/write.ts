// Makes a support bundle: all agents at once are asked, and each answer is written as it comes.
import { randomUUID } from 'node:crypto'
import { createWriteStream, renameSync, rmSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { type AgentOfNode, askAgent } from '#/api/client.ts'
import { type OperationName, type ParamsOf } from '#/api/operations.ts'
import { version } from '#/model/version.ts'
import { askedFor, type BundleEntry, type BundleHead, bundleKind, bundleVersion } from './format.ts'

/** An answer with facts may be megabytes: of so many nodes it may be in memory at a time. */
const nodesAtOnce = 8

export type Written = {
  readonly answers: number
  readonly silences: readonly { readonly node: string; readonly why: string }[]
}

async function ask(agent: AgentOfNode, operation: OperationName, params: object): Promise<BundleEntry> {
  const askedMs = Date.now()
  const outcome = await askAgent(agent.transport, operation, params as ParamsOf<typeof operation>)
  const common = { node: agent.node, operation, askedMs, answeredMs: Date.now() }
  return outcome.kind === 'answer' ? { ...common, answer: outcome.value } : { ...common, error: outcome.message }
}

/** Shows that a node is asked. */
export type During = (node: string, ask: () => Promise<void>) => Promise<void>

/** Lines of the agents, in whichever order they come. */
async function* linesOf(
  agents: readonly AgentOfNode[],
  during: During,
  written: { answers: number; silences: { node: string; why: string }[] },
): AsyncGenerator<string> {
  const head: BundleHead = {
    kind: bundleKind,
    version: bundleVersion,
    madeAtMs: Date.now(),
    causeway: version,
    nodes: agents.map(({ node }) => node),
  }
  yield `${JSON.stringify(head)}\n`
  const queue = agents.values()
  const ready: string[] = []
  let wake = Promise.withResolvers<void>()
  let working = 0
  const askAllOf = async (agent: AgentOfNode): Promise<void> => {
    for (const [operation, params] of askedFor) {
      const entry = await ask(agent, operation, params)
      ready.push(`${JSON.stringify(entry)}\n`)
      wake.resolve()
      if (entry.error === undefined) {
        written.answers++
        continue
      }
      if (operation === 'facts') written.silences.push({ node: agent.node, why: `facts: ${entry.error}` })
      if (operation !== 'status') continue
      // who does not say how it is will not say the rest
      written.silences.push({ node: agent.node, why: entry.error })
      return
    }
  }
  const work = async (): Promise<void> => {
    for (const agent of queue) await during(agent.node, async () => askAllOf(agent))
    working--
    wake.resolve()
  }
  for (let count = Math.min(nodesAtOnce, agents.length); count > 0; count--) {
    working++
    void work()
  }
  for (;;) {
    yield* ready.splice(0)
    if (working === 0 && ready.length === 0) return
    await wake.promise
    wake = Promise.withResolvers()
  }
}

/**
 * Writes the file whole or not at all; only its owner may read it. Rejects with the system's error, or with the reason of `stop`.
 */
export async function writeBundle(
  path: string,
  agents: readonly AgentOfNode[],
  during: During,
  stop?: AbortSignal,
): Promise<Written> {
  // in a folder of several users somebody may have put a link under a name that can be guessed
  const part = `${path}.${randomUUID()}.part`
  const written = { answers: 0, silences: [] as { node: string; why: string }[] }
  try {
    await pipeline(
      Readable.from(linesOf(agents, during, written)),
      createGzip(),
      createWriteStream(part, { mode: 0o600, flags: 'wx' }),
      { ...(stop && { signal: stop }) },
    )
    renameSync(part, path)
  } catch (error) {
    rmSync(part, { force: true })
    if (stop?.aborted) throw stop.reason
    throw error
  }
  return written
}
