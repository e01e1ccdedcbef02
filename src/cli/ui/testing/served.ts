// The server of the page over a simulated cluster, for tests, benchmarks and pictures.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AgentOfNode } from '#/api/client.ts'
import { type DoctorReport } from '#/ui/contract.ts'
import { type AgentSource } from '../agent-pool.ts'
import { Assets } from '../assets.ts'
import { Hub, type HubDeps } from '../hub.ts'
import { UiServer } from '../server.ts'
import { type RunTrace, Traces } from '../traces.ts'

export const token = 'token-of-a-test'

export const healthyReport: DoctorReport = {
  summary: 'nothing is wrong',
  findings: [],
  notes: [],
  nodes: [],
  packets: [],
  packetsLeftOut: 0,
  exitStatus: 0,
}

export type ServedOptions = {
  readonly agents: () => readonly AgentOfNode[]
  /** The folder of the page that was built; a page of one line where it is absent. */
  readonly page?: string
  readonly examine?: HubDeps['examine']
  readonly trace?: RunTrace
  readonly leastPauseMs?: number
  readonly name?: string
  readonly source?: Partial<AgentSource>
}

export type Served = AsyncDisposable & {
  readonly hub: Hub
  readonly port: number
  /** With the token, as the command prints it. */
  readonly address: string
}

function standIn(): string {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-ui-test-'))
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>page</title>\n')
  writeFileSync(join(folder, 'page.js'), '// a long script\n'.repeat(200))
  return folder
}

export async function serveUi(options: ServedOptions): Promise<Served> {
  const { agents, page, examine, trace, leastPauseMs = 20, name = 'lab test' } = options
  await using made = new AsyncDisposableStack()
  const folder = page ?? standIn()
  if (page === undefined) made.defer(() => rmSync(folder, { recursive: true, force: true }))
  const hub = made.use(
    new Hub({
      source: {
        name,
        open: () => Promise.resolve({ agents: agents(), [Symbol.asyncDispose]: () => Promise.resolve() }),
        maxAgeMs: 0,
        answerMs: 500,
        leastPauseMs,
        ...options.source,
      },
      version: '0.0.0',
      examine: examine ?? (() => Promise.resolve(healthyReport)),
    }),
  )
  const traces = new Traces(trace ?? (() => Promise.reject(new Error('a simulated node sends nothing'))))
  const server = made.use(new UiServer({ hub, assets: new Assets(folder), traces, token }))
  const place = await server.listen(0)
  const all = made.move()
  return {
    hub,
    port: server.port,
    address: `http://${place}/#token=${token}`,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}
