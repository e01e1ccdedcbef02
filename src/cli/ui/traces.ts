// Runs traces for the page, as `causeway trace` does, and tells how far each has come.
import { type AgentOfNode } from '#/api/client.ts'
import { operations } from '#/api/operations.ts'
import { type AgentRequest } from '#/api/transport.ts'
import { messageOf } from '#/lib/log.ts'
import { type TraceLine, type TraceWishBody } from '#/ui/contract.ts'
import { splitPort, wishOf } from '../trace.ts'
import { traceJson } from '../trace-json.ts'
import { type TraceOptions } from '../trace-run.ts'
import { type SizedRun } from '../trace-sizes.ts'
import { Refusal } from './refusal.ts'

/** Each has nodes watch and sends packets: others may want to as well. */
const mostAtOnce = 2

/** What a request to an agent means for who waits. */
const words: readonly (readonly [path: string, text: (node: string) => string])[] = [
  [operations.traceEnds.path, (node) => `${node} is asked who the two ends are`],
  [operations.tracePredict.path, (node) => `${node} is asked what its kernel would do`],
  [operations.traceWatch.path, (node) => `${node} watches`],
  [operations.traceSend.path, (node) => `${node} sends the packet`],
]

function textOf(node: string, { path }: AgentRequest): string | undefined {
  const [, text] = words.find(([each]) => path.split('?')[0] === each) ?? []
  return text?.(node)
}

/** The same agents; what they are asked is told, each thing once. */
function telling(agents: readonly AgentOfNode[], tell: (text: string) => void): AgentOfNode[] {
  const told = new Set<string>()
  const note = (node: string, request: AgentRequest): void => {
    const text = textOf(node, request)
    if (text === undefined || told.has(text)) return
    told.add(text)
    tell(text)
  }
  return agents.map((agent) => {
    const { node, transport } = agent
    return {
      ...agent,
      transport: {
        ...transport,
        send: async (request, signal) => {
          note(node, request)
          return transport.send(request, signal)
        },
        open: async (request, signal) => {
          note(node, request)
          return transport.open(request, signal)
        },
      },
    }
  })
}

/** NAMESPACE/NAME is shorter. */
export const longestName = 320
const isName = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= longestName

/** Reads the body of a request. Throws Refusal for what is none, and UsageError for what does not go together. */
export function wishIn(body: unknown): TraceOptions {
  if (typeof body !== 'object' || body === null) throw new Refusal(400, 'the body is no JSON object')
  const { from, to, protocol, family, sizeBytes } = body as Partial<Record<keyof TraceWishBody, unknown>>
  if (!isName(from) || !isName(to)) throw new Refusal(400, 'from and to: two names or addresses are needed')
  if (protocol !== undefined && protocol !== 'icmp' && protocol !== 'tcp' && protocol !== 'udp')
    throw new Refusal(400, 'protocol: expected icmp, tcp or udp')
  if (family !== undefined && family !== 4 && family !== 6) throw new Refusal(400, 'family: expected 4 or 6')
  if (sizeBytes !== undefined && (typeof sizeBytes !== 'number' || !Number.isInteger(sizeBytes)))
    throw new Refusal(400, 'sizeBytes: expected a whole number')
  const { end, port } = splitPort(to)
  const size = sizeBytes === undefined ? {} : { size: String(sizeBytes) }
  const wish = wishOf({ ...(protocol !== undefined && { [protocol]: true }), ...size }, port)
  return { from, to: end, ...(family !== undefined && { family }), ...wish }
}

export type RunTrace = (agents: readonly AgentOfNode[], options: TraceOptions) => Promise<SizedRun>

export class Traces {
  readonly #run: RunTrace
  #running = 0

  constructor(run: RunTrace) {
    this.#run = run
  }

  /** Throws Refusal when as many as may run already do; the place is given back by disposing of it. */
  take(): Disposable {
    if (this.#running >= mostAtOnce)
      throw new Refusal(429, `${mostAtOnce} traces run at once at most: try again when one of them is done`)
    this.#running++
    return { [Symbol.dispose]: () => this.#running-- }
  }

  /** Calls `tell` with each line. A trace that has begun is not given up: it ends within seconds. */
  async run(agents: readonly AgentOfNode[], options: TraceOptions, tell: (line: TraceLine) => void): Promise<void> {
    try {
      const watched = telling(agents, (text) => tell({ kind: 'progress', text }))
      tell({ kind: 'trace', trace: traceJson(await this.#run(watched, options)) })
    } catch (error) {
      tell({ kind: 'refused', message: messageOf(error) })
    }
  }
}
