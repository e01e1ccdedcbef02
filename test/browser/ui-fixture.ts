// A server for tests of the page of `causeway ui` alone: it says what a test wants it to say, with the headers of the real one.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { securityHeaders } from '#/ui/admission.ts'
import { type LiveLine, type TraceLine } from '#/ui/contract.ts'
import { bundleWeb } from '../../scripts/bundle-web.ts'

export const token = 'a'.repeat(43)

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}

/** What is answered to GET /api/PATH?QUERY; undefined: 404. */
export type Answers = (path: string, query: URLSearchParams) => unknown

export class UiFixture implements AsyncDisposable {
  readonly #dir = mkdtempSync(join(tmpdir(), 'causeway-ui-'))
  readonly #server = createServer((request, response) => this.#serve(request, response))
  readonly #pages = new Set<ServerResponse>()
  #first: LiveLine
  answers: Answers = () => undefined
  traceLines: readonly TraceLine[] = []
  /** Bodies of what was posted, by path. */
  readonly posted: (readonly [path: string, body: string])[] = []

  private constructor(first: LiveLine) {
    this.#first = first
  }

  static async start(first: LiveLine): Promise<UiFixture> {
    const fixture = new UiFixture(first)
    await bundleWeb(fixture.#dir)
    await fixture.listen()
    return fixture
  }

  async listen(port = 0): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The address that the command would print, or that of a view. */
  url(hash = `token=${token}`): string {
    return `http://127.0.0.1:${this.port}/#${hash}`
  }

  /** What a page is told that comes now, and those that are there are told too. */
  show(line: LiveLine): void {
    this.#first = line
    this.tell(line)
  }

  tell(line: LiveLine): void {
    for (const page of this.#pages) page.write(`${JSON.stringify(line)}\n`)
  }

  /** How many pages follow what is told. */
  get pages(): number {
    return this.#pages.size
  }

  fileOf(name: string): Buffer {
    return readFileSync(join(this.#dir, name))
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url!, 'http://127.0.0.1')
    for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value)
    if (!pathname.startsWith('/api/')) return this.#file(pathname, response)
    if (request.headers.authorization !== `Bearer ${token}`)
      return answer(response, 401, { message: 'this token is of an earlier start' })
    const path = pathname.slice('/api/'.length)
    if (request.method === 'POST') return this.#post(path, request, response)
    if (path === 'live') return this.#live(response)
    const value = this.answers(path, searchParams)
    return value === undefined
      ? answer(response, 404, { message: `there is nothing at ${path}` })
      : answer(response, 200, value)
  }

  #file(pathname: string, response: ServerResponse): void {
    const name = pathname === '/' ? 'index.html' : pathname.slice(1)
    try {
      const bytes = readFileSync(join(this.#dir, name.replaceAll('/', '')))
      response.setHeader('content-type', types[name.split('.').at(-1)!] ?? 'application/octet-stream')
      response.end(bytes)
    } catch {
      response.statusCode = 404
      response.end()
    }
  }

  #live(response: ServerResponse): void {
    response.setHeader('content-type', 'application/x-ndjson')
    response.write(`${JSON.stringify(this.#first)}\n`)
    this.#pages.add(response)
    const timer = setInterval(() => response.write('\n'), 2000)
    response.on('close', () => {
      clearInterval(timer)
      this.#pages.delete(response)
    })
  }

  #post(path: string, request: IncomingMessage, response: ServerResponse): void {
    let body = ''
    request.on('data', (part) => (body += String(part)))
    request.on('end', () => {
      this.posted.push([path, body])
      if (path !== 'trace') return answer(response, 202, {})
      response.setHeader('content-type', 'application/x-ndjson')
      response.end(this.traceLines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

function answer(response: ServerResponse, status: number, value: unknown): void {
  response.statusCode = status
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(value))
}
