// Asks the server of the page as a page does, for tests.
import { once } from 'node:events'
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { createGunzip } from 'node:zlib'
import { type LiveLine, type NodeRow } from '#/ui/contract.ts'
import { type Served, serveUi, type ServedOptions, token } from './served.ts'
import { SimulatedCluster } from './simulated.ts'

export type Asked = {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}
export type Answered = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly text: string }

export const bearer = { authorization: `Bearer ${token}` }

export async function open(
  port: number,
  { method = 'GET', path = '/', headers = {}, body }: Asked = {},
): Promise<IncomingMessage> {
  const call = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent: false })
  call.end(body)
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  return response
}

export async function ask(port: number, asked: Asked = {}): Promise<Answered> {
  const response = await open(port, asked)
  return { status: response.statusCode ?? 0, headers: response.headers, text: await text(response) }
}

export async function served(
  options: Partial<ServedOptions> & { cluster?: SimulatedCluster } = {},
): Promise<Served & { readonly cluster: SimulatedCluster }> {
  const cluster = options.cluster ?? new SimulatedCluster(3)
  return { cluster, ...(await serveUi({ agents: () => cluster.agents, ...options })) }
}

/** The live lines as they come, until the caller has enough. */
export async function* linesOf(response: IncomingMessage): AsyncGenerator<LiveLine, void, void> {
  const plain = response.headers['content-encoding'] === 'gzip' ? response.pipe(createGunzip()) : response
  let rest = ''
  for await (const chunk of plain.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop()!
    for (const line of lines) if (line !== '') yield JSON.parse(line) as LiveLine
  }
}

/** What a page knows after these lines. */
export function taken(rows: Map<string, NodeRow>, line: LiveLine): void {
  if (line.kind === 'all') rows.clear()
  if (line.kind === 'all') for (const row of line.nodes) rows.set(row.name, row)
  if (line.kind !== 'nodes') return
  for (const row of line.changed) rows.set(row.name, row)
  for (const name of line.gone) rows.delete(name)
}
